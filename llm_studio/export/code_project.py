"""A model as the code that runs and trains it: a small, readable PyTorch project without LLM Studio.

Its files are those in `resources/course`, with only the branches that this model uses (`code_templates.py`).
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llm_studio import __version__, files
from llm_studio.data.tokens.meta import META_FILE, SourceRange, TokensMeta, read_meta
from llm_studio.errors import ProjectError
from llm_studio.events import Progress
from llm_studio.export.code_settings import config_yaml, flags, names
from llm_studio.export.code_templates import render
from llm_studio.export.facts import Facts, facts
from llm_studio.export.format import MEMORIZED_TEXTS, Exported, Format, Option, Options
from llm_studio.export.place import exported, new_folder
from llm_studio.export.source import Source, read
from llm_studio.i18n import N_, _, language, number
from llm_studio.jobs import Job
from llm_studio.paths import resource
from llm_studio.project import Project
from llm_studio.runs import checkpoint
from llm_studio.runs.checkpoint import MODEL, OPTIMIZER, TOKENIZER
from llm_studio.runs.locate import ModelRef

_TOKENS = Option(
    "with_tokens",
    N_("Include the tokens it was trained on"),
    N_("Training resumes where it stopped. The texts can be read from the tokens."),
)
_TEXTS = Option(
    "with_texts",
    N_("Include the texts of the project"),
    N_("All texts of the project, as they were added."),
)
_TOKEN_FILES = ("train.bin", "val.bin", "train.mask", "val.mask")
_EMPTY = ("data/raw", "data/processed", "logs")
_README = "README.{language}.md"
_MARK = re.compile("@([a-z]+)@")
_CHUNK = 1 << 20
_PROMPTS = {"en": "Once upon a time", "fr": "Il était une fois"}


def sizes(model: ModelRef, options: Options) -> dict[str, int]:
    """Bytes of its parts, by name."""
    project = _project_of(model)
    found = {name: model.path / name for name in (MODEL, OPTIMIZER, TOKENIZER)}
    counted = {name: path.stat().st_size for name, path in found.items() if path.is_file()}
    counted["code"] = sum(path.stat().st_size for path in _templates())
    if _TOKENS.value(options):
        tokens = (project.processed / name for name in _TOKEN_FILES)
        counted["tokens"] = sum(path.stat().st_size for path in tokens if path.is_file())
    if _TEXTS.value(options):
        counted["texts"] = 2 * files.folder_size(project.raw) if project.raw.is_dir() else 0
    return counted


def write(model: ModelRef, target: Path, options: Options, job: Job) -> Exported:
    """Write the project. Raises Cancelled, StorageError, CheckpointError, DataError, ProjectError."""
    source = read(model, job)
    checkpoint.verify(source.saved, {OPTIMIZER})
    known, project = facts(source), _project_of(model)
    meta = _tokens_of_run(project, known) if _TOKENS.value(options) else None
    copier = _Copier(sum(sizes(model, options).values()), job)
    with new_folder(target, copier.total) as folder:
        for name in _EMPTY:
            (folder / name).mkdir(parents=True)
        _write_code(folder, source)
        _write_text(folder / "README.md", _readme(source, known, options))
        _write_text(folder / TOKENIZER, source.tokenizer.to_json())
        for name in (MODEL, OPTIMIZER):
            if (model.path / name).is_file():  # a shared checkpoint may lack the optimizer's state
                copier.copy(model.path / name, folder / "checkpoints" / f"step-{source.saved.step:06d}" / name)
        if meta is not None:
            content = json.dumps(_meta_json(meta, source), ensure_ascii=False, indent=1)
            _write_text(folder / "data" / "processed" / META_FILE, content + "\n")
            for name in _TOKEN_FILES:
                if (project.processed / name).is_file():
                    copier.copy(project.processed / name, folder / "data" / "processed" / name)
        if _TEXTS.value(options):
            _write_texts(project, folder / "data" / "raw", job)
    return exported(target)


def _write_code(folder: Path, source: Source) -> None:
    used, replaced = flags(source), names(source)
    root = resource("course")
    for path in _templates():
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".py":
            _write_text(target, render(path.read_text(encoding="utf-8"), used, replaced))
        else:  # keep the line ends of a .bat
            target.write_bytes(path.read_bytes())
    _write_text(folder / "config" / "config.yaml", config_yaml(source, used))


def _templates() -> list[Path]:
    """All template files except the READMEs, one per language."""
    found = (path for path in resource("course").rglob("*") if path.is_file() and path.suffix not in (".md", ".pyc"))
    return sorted(found)


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


class _Copier:
    """Copies files and reports the total bytes copied."""

    def __init__(self, total: int, job: Job) -> None:
        self.total = total
        self._job = job
        self._done = 0

    def copy(self, source: Path, target: Path) -> None:
        """Copy a file. Raises Cancelled."""
        target.parent.mkdir(parents=True, exist_ok=True)
        task = _("Writing {file}").format(file=target.name)
        with files.open_regular(source) as read_from, target.open("wb") as out:
            while chunk := read_from.read(_CHUNK):
                self._job.check()
                out.write(chunk)
                self._done += len(chunk)
                self._job.report(Progress(task, min(self._done, self.total), self.total, _("bytes")))


# --- Data ----------------------------------------------------------------------------------------------------


def _project_of(model: ModelRef) -> Project:
    """The project of a checkpoint; if it was moved, a folder without data."""
    return Project(model.path.absolute().parents[2])


def _tokens_of_run(project: Project, known: Facts) -> TokensMeta:
    """The metadata of the project's tokens. Raises ProjectError unless they are those of the run."""
    meta = read_meta(project.processed)
    if meta is None or not known.sources:
        raise ProjectError(
            _("The tokens that this model was trained on are no longer in its project."),
            _("Export it without them."),
        )
    return meta


def _meta_json(meta: TokensMeta, source: Source) -> dict[str, Any]:
    """Metadata of the tokens for the code project: their storage, and where each source starts and ends."""
    weights = source.settings.data.weights

    def ranges(sources: list[SourceRange]) -> list[dict[str, Any]]:
        weight = {one.name: one.weight * weights.get(one.name, 1.0) for one in sources}
        return [{"name": one.name, "start": one.start, "end": one.end, "weight": weight[one.name]} for one in sources]

    validation = [one for one in ranges(meta.validation_sources) if one["weight"] > 0]
    if sum(one["end"] - one["start"] for one in validation) < 2:  # empty, or not recorded
        validation = [{"name": "", "start": 0, "end": meta.validation.tokens, "weight": 1.0}]
    return {"dtype": meta.dtype, "sources": ranges(meta.sources), "validation_sources": validation}


def _write_texts(project: Project, folder: Path, job: Job) -> None:
    """Write the texts of each source, one per line. Raises DataError if one can't be read."""
    from llm_studio.data.sources import store

    for found in store.list_sources(project.raw):
        with (folder / f"{found.name}.jsonl").open("w", encoding="utf-8", newline="\n") as out:
            for text in _documents(project.raw, found):
                job.check()
                out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


def _documents(folder: Path, source: Any) -> Iterator[str]:
    from llm_studio.data.sources import store

    parts: list[str] = []
    for chunk in store.read_chunks(folder, source):
        parts.append(chunk.text)
        if chunk.ends:
            yield "".join(parts)
            parts = []
    if parts:
        yield "".join(parts)


# --- README --------------------------------------------------------------------------------------------------


def _readme(source: Source, known: Facts, options: Options) -> str:
    """README.md in the user's language."""
    prompt = _PROMPTS.get(known.language, _PROMPTS["en"])
    values: Mapping[str, str] = {
        "name": " ".join(known.project.split()),
        "parameters": number(known.parameters),
        "version": __version__,
        "run": known.run,
        "step": number(known.step),
        "prompt": prompt,
        "data": _data_sentence(options),
        "facts": _facts(known),
        "memorized": _(MEMORIZED_TEXTS),
    }
    path = resource("course", _README.format(language=language()))
    if not path.is_file():
        path = resource("course", _README.format(language="en"))
    return _MARK.sub(lambda mark: values[mark[1]], path.read_text(encoding="utf-8"))


def _data_sentence(options: Options) -> str:
    tokens, texts = _TOKENS.value(options), _TEXTS.value(options)
    sentences = [
        _("The tokens that it was trained on are in `data/processed`: `train.py` resumes where the run stopped.")
        if tokens else
        _("The tokens that it was trained on aren't included: put texts into `data/raw` and prepare them, then train."),
        *([_("The texts of the project are in `data/raw`.")] if texts else []),
    ]  # fmt: skip
    return " ".join(sentences)


def _facts(known: Facts) -> str:
    rows = [
        (_("Vocabulary"), _("{n} tokens").format(n=number(known.vocab_size))),
        (_("Context"), _("{n} tokens").format(n=number(known.context))),
        (_("Trained on"), _("{n} tokens").format(n=number(known.tokens))),
    ]
    if known.validation_loss is not None:
        rows.append((_("Validation loss"), number(known.validation_loss, 3)))
    if known.bits_per_byte is not None:
        rows.append((_("Validation loss in bits per byte"), number(known.bits_per_byte, 3)))
    rows += [(_("Texts"), one.name) for one in known.sources]
    return "\n".join("- " + _("{name}: {value}").format(name=name, value=value) for name, value in rows)


FORMAT = Format(
    name="code",
    title=N_("Readable code"),
    action=N_("Export as readable code…"),
    summary=N_("For reading and changing: the PyTorch code that runs and trains this model"),
    suffix="",
    note=N_("Needs torch, tokenizers, numpy, safetensors and pyyaml, but not LLM Studio."),
    files={
        "code": N_("Code and settings, with comments"),
        MODEL: N_("Weights of the model"),
        OPTIMIZER: N_("State of the optimizer"),
        TOKENIZER: N_("Tokenizer"),
        "tokens": N_("Tokens"),
        "texts": N_("Texts"),
    },
    sizes=sizes,
    write=write,
    options=(_TOKENS, _TEXTS),
)
