"""Taking a trained model out of its project: a checkpoint as one zip file, whole or absent."""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_studio import __version__, files
from llm_studio.errors import CheckpointError
from llm_studio.events import Progress
from llm_studio.i18n import _, number, size
from llm_studio.jobs import Job
from llm_studio.project import Project

RECORD, MODEL, OPTIMIZER, CONFIG, TOKENIZER = (
    "checkpoint.json", "model.safetensors", "optimizer.safetensors", "config.yaml", "tokenizer.json",
)  # fmt: skip
_CHUNK = 1 << 20
_SPARE_BYTES = 1_000_000
_REPORTS = 200
"""How often an export tells how far it is."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint that can be exported. Losses are in nats per token, None where none was measured."""

    run: str
    step: int
    path: Path
    validation_loss: float | None
    train_loss: float | None
    is_best: bool
    is_last: bool
    sizes: dict[str, int]
    """Bytes of its files by name, the optimizer's last."""

    @property
    def name(self) -> str:
        """What its folder in the archive is called, and the archive itself but for its ending."""
        return f"{self.run}-{self.path.name}"

    def chosen(self, with_training: bool) -> dict[str, int]:
        """The files that go into the archive, with their bytes. The optimizer's only where training is to go on."""
        return {name: count for name, count in self.sizes.items() if with_training or name != OPTIMIZER}


def checkpoints(project: Project, run: str) -> list[Saved]:
    """The readable checkpoints of a run, the newest first."""
    from llm_studio.runs import checkpoint, registry

    found = checkpoint.listed(registry.folder(project, run))
    best = checkpoint.best(found)
    return [
        Saved(run, c.step, c.path, c.state.validation_loss, c.state.train_loss, c is best, c is found[-1],
              _sizes(c.path))
        for c in reversed(found)
    ]  # fmt: skip


def _sizes(path: Path) -> dict[str, int]:
    names = (MODEL, TOKENIZER, CONFIG, RECORD, OPTIMIZER)
    return {name: (path / name).stat().st_size for name in names if (path / name).is_file()}


@dataclass(frozen=True)
class Exported:
    """An archive that was written."""

    path: Path
    bytes: int


def export_zip(saved: Saved, target: Path, with_training: bool, job: Job) -> Exported:
    """Write the checkpoint into the zip file `target`; what was there before is replaced at the very end.

    The archive holds one folder, itself a checkpoint that `generate --checkpoint` reads; `with_training` adds the
    optimizer's state. Raises Cancelled, StorageError, and CheckpointError where the checkpoint is damaged or gone.
    """
    record = files.read_json(saved.path / RECORD)
    if record is None or not isinstance(record.get("files"), dict):
        raise _gone(saved)
    chosen = [name for name in saved.chosen(with_training) if name != RECORD]
    total = sum(saved.sizes[name] for name in chosen)
    with files.translate_os_errors(target):
        files.require_space(_nearest(target.parent), total + _SPARE_BYTES)
    with files.atomic_write(target) as beside:
        with zipfile.ZipFile(beside, "w") as archive:
            done = 0
            for name in chosen:
                done = _add(archive, saved, name, record["files"].get(name), done, total, job)
            archive.writestr(f"{saved.name}/{RECORD}", _record_of(record, chosen), zipfile.ZIP_DEFLATED)
            archive.writestr(f"{saved.name}/README.txt", _readme(saved, with_training), zipfile.ZIP_DEFLATED)
        job.check()
    return Exported(target, target.stat().st_size)


def _add(archive: zipfile.ZipFile, saved: Saved, name: str, known: str | None, done: int, total: int, job: Job) -> int:
    """Copy one file into the archive, look whether it is as it was written, and give back the bytes done so far."""
    info = zipfile.ZipInfo.from_file(_existing(saved, name), f"{saved.name}/{name}")
    # Weights are noise to a packer: they would take minutes and lose a twentieth.
    info.compress_type = zipfile.ZIP_STORED if name.endswith(".safetensors") else zipfile.ZIP_DEFLATED
    digest = hashlib.sha256()
    task, told = _("Writing {file}").format(file=name), done
    with archive.open(info, "w") as out, _existing(saved, name).open("rb") as source:
        while chunk := source.read(_CHUNK):
            job.check()
            digest.update(chunk)
            out.write(chunk)
            done += len(chunk)
            if done - told >= total / _REPORTS or done == total:
                told = done
                job.report(Progress(task, done, total, _("bytes")))
    if known is not None and digest.hexdigest() != known:
        raise CheckpointError(
            _("The checkpoint {name} is damaged ({files}).").format(name=saved.path.name, files=name),
            _("Export another one."),
        )
    return done


def _existing(saved: Saved, name: str) -> Path:
    path = saved.path / name
    if not path.is_file():
        raise _gone(saved)
    return path


def _gone(saved: Saved) -> CheckpointError:
    return CheckpointError(_("The checkpoint {name} is no longer there, or is damaged.").format(name=saved.path.name),
                           _("Export another one."))  # fmt: skip


def _nearest(folder: Path) -> Path:
    return next((place for place in (folder, *folder.parents) if place.is_dir()), Path.cwd())


def _record_of(record: dict[str, Any], chosen: list[str]) -> str:
    """The checkpoint's record for an archive that holds just the files `chosen`: their sums are right again."""
    kept = {"version": record.get("version"), "state": record.get("state"),
            "files": {name: total for name, total in record["files"].items() if name in chosen}}  # fmt: skip
    return json.dumps({**kept, "fingerprint": files.fingerprint(kept)}, ensure_ascii=False, indent=1) + "\n"


def _readme(saved: Saved, with_training: bool) -> str:
    loss = _("not measured") if saved.validation_loss is None else number(saved.validation_loss, 3)
    lines = [
        _("A language model made with LLM Studio {version}.").format(version=__version__),
        "",
        _("Run: {run}").format(run=saved.run),
        _("Step: {step}").format(step=number(saved.step)),
        _("Validation loss: {loss}").format(loss=loss),
        "",
        _("model.safetensors: the weights, float32 ({size})").format(size=size(saved.sizes.get(MODEL, 0))),
        _("tokenizer.json: the tokenizer, in the format of Hugging Face tokenizers"),
        _("config.yaml: every setting of the model and of its training"),
        _("checkpoint.json: step, losses, and the sums by which damage is found"),
    ]
    if with_training:
        lines.append(_("optimizer.safetensors: the state of the optimizer, to go on training"))
    lines += ["", _("To let it write, unpack the archive and name its folder:"),
              f'llm-studio generate PROJECT --checkpoint "{saved.name}" --prompt "..."', ""]  # fmt: skip
    return "\n".join(lines)
