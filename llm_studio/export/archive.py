"""A checkpoint as one zip file. When unpacked, its only folder is a checkpoint again."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from llm_studio import __version__, files
from llm_studio.errors import CheckpointError
from llm_studio.events import Progress
from llm_studio.export.format import Exported, Format, Option, Options
from llm_studio.export.place import exported, new_file
from llm_studio.export.source import gone, require_checkpoint
from llm_studio.i18n import N_, _, bits_per_byte, number, size
from llm_studio.jobs import Job
from llm_studio.runs.checkpoint import CONFIG, MODEL, OPTIMIZER, RECORD, TOKENIZER, Checkpoint, record_of
from llm_studio.runs.locate import ModelRef

_WITH_TRAINING = "with_training"
_CHUNK = 1 << 20
_REPORTS = 200
"""Number of progress reports of an export."""


def folder_name(model: ModelRef) -> str:
    """The name of the folder in the archive: run-1-step-000500."""
    return model.name.replace("/", "-")


def sizes(model: ModelRef, options: Options) -> dict[str, int]:
    """Bytes of the files in the archive, by name; the optimizer's state is included only for resuming training."""
    names = (MODEL, TOKENIZER, CONFIG, RECORD, *([OPTIMIZER] if options.get(_WITH_TRAINING) else []))
    return {name: (model.path / name).stat().st_size for name in names if (model.path / name).is_file()}


def write(model: ModelRef, target: Path, options: Options, job: Job) -> Exported:
    """Write a checkpoint to the zip file `target`, which is replaced at the very end if it exists.

    Raises Cancelled, StorageError, and CheckpointError if the checkpoint is damaged or gone.
    """
    saved = require_checkpoint(model)
    record = record_of(model.path)
    chosen = sizes(model, options)
    names = [name for name in chosen if name != RECORD]
    total = sum(chosen[name] for name in names)
    with new_file(target, total) as partial:
        with zipfile.ZipFile(partial, "w") as archive:
            done = 0
            for name in names:
                done = _add(archive, model, name, record["files"].get(name), done, total, job)
            folder = folder_name(model)
            archive.writestr(f"{folder}/{RECORD}", _record_for(record, names), zipfile.ZIP_DEFLATED)
            archive.writestr(f"{folder}/README.txt", _readme(model, saved, chosen), zipfile.ZIP_DEFLATED)
        job.check()
    return exported(target)


def _add(
    archive: zipfile.ZipFile, model: ModelRef, name: str, sha256: str | None, done: int, total: int, job: Job
) -> int:
    """Copy one file into the archive and verify its hash; returns the bytes done so far."""
    info = zipfile.ZipInfo.from_file(_existing(model, name), f"{folder_name(model)}/{name}")
    # weights hardly compress: it would take minutes to save 5 %
    info.compress_type = zipfile.ZIP_STORED if name.endswith(".safetensors") else zipfile.ZIP_DEFLATED
    digest = hashlib.sha256()
    task, reported = _("Writing {file}").format(file=name), done
    with archive.open(info, "w") as out, files.open_regular(_existing(model, name)) as source:
        while chunk := source.read(_CHUNK):
            job.check()
            digest.update(chunk)
            out.write(chunk)
            done += len(chunk)
            if done - reported >= total / _REPORTS or done == total:
                reported = done
                job.report(Progress(task, done, total, _("bytes")))
    if sha256 is not None and digest.hexdigest() != sha256:
        raise CheckpointError(
            _("The checkpoint {name} is damaged ({files}).").format(name=model.path.name, files=name),
            _("Export another one."),
        )
    return done


def _existing(model: ModelRef, name: str) -> Path:
    path = model.path / name
    if not path.is_file():
        raise gone(model)
    return path


def _record_for(record: dict[str, Any], names: list[str]) -> str:
    """The checkpoint's record for an archive that holds only the files `names`, with a valid fingerprint.

    Everything else in the record is kept.
    """
    kept = {name: value for name, value in record.items() if name != "fingerprint"}
    kept["files"] = {name: sum_ for name, sum_ in record["files"].items() if name in names}
    return json.dumps({**kept, "fingerprint": files.fingerprint(kept)}, ensure_ascii=False, indent=1) + "\n"


def _readme(model: ModelRef, saved: Checkpoint, chosen: dict[str, int]) -> str:
    validation_loss = saved.state.validation_loss
    loss = _("not measured") if validation_loss is None else number(validation_loss, 3)
    if saved.bits_per_byte is not None:
        loss += f" ({bits_per_byte(saved.bits_per_byte)})"
    lines = [
        _("A language model made with LLM Studio {version}.").format(version=__version__),
        "",
        _("Run: {run}").format(run=model.run),
        _("Step: {step}").format(step=number(model.step)),
        _("Validation loss: {loss}").format(loss=loss),
        "",
        _("model.safetensors: the weights, float32 ({size})").format(size=size(chosen.get(MODEL, 0))),
        _("tokenizer.json: the tokenizer, in the format of Hugging Face tokenizers"),
        _("config.yaml: all settings of the model and of its training"),
        _("checkpoint.json: step, losses, and the checksums that reveal damage"),
    ]
    if OPTIMIZER in chosen:
        lines.append(_("optimizer.safetensors: the state of the optimizer, to resume training"))
    lines += [
        "",
        _("To talk to it, drop the zip onto the window of LLM Studio, or run:"),
        "llm-studio open FILE.zip",
        "",
    ]
    return "\n".join(lines)


FORMAT = Format(
    name="zip",
    title=N_("zip"),
    action=N_("Export as zip…"),
    suffix=".zip",
    summary=N_("For this program: to keep the model, to hand it out, or to train it further"),
    note=N_("Open formats: safetensors weights and a Hugging Face tokenizer.json."),
    files={
        MODEL: N_("Weights of the model"),
        TOKENIZER: N_("Tokenizer"),
        CONFIG: N_("Settings"),
        RECORD: N_("Step, losses, checksums"),
        OPTIMIZER: N_("State of the optimizer"),
    },
    sizes=sizes,
    write=write,
    options=(
        Option(
            _WITH_TRAINING,
            N_("Include what is needed to resume training"),
            N_("Adds the optimizer state, which is twice the size of the weights."),
        ),
    ),
)
