"""Letting a trained model write."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.config import GenerationSettings, Settings
from llm_studio.errors import CheckpointError, ProjectError
from llm_studio.events import Notice, TextWritten
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.data.tokenizer import Tokenizer
    from llm_studio.model.transformer import Transformer
    from llm_studio.training.checkpoint import Checkpoint

BEST, LAST = "best", "last"
_LONGEST_STEP = 20
"""Digits: a longer number is no step's."""


class Writer:
    """A model loaded from a checkpoint, with its tokenizer: text in, text out."""

    def __init__(self, model: "Transformer", tokenizer: "Tokenizer", settings: Settings, name: str) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._settings = settings
        self.name = name

    def settings_with(self, changes: Mapping[str, object]) -> GenerationSettings:
        """The project's settings with `changes` by name. Raises ConfigError."""
        return self._settings.replaced({f"generation.{name}": value for name, value in changes.items()}).generation

    def write(self, prompt: str, job: Job, how: GenerationSettings) -> str:
        """What the model writes after `prompt`, also reported piece by piece; what there is when the job is stopped.

        An empty prompt lets the model begin a document.
        """
        from llm_studio.inference.generate import generate

        tokenizer = self._tokenizer
        ids = tokenizer.encode(prompt) or [tokenizer.end_of_text]
        decoder = tokenizer.stream()
        pieces: list[str] = []
        for token in generate(self._model, ids, how, stop=(tokenizer.end_of_text,)):
            if job.stop_requested:
                break
            pieces.append(decoder.push(token))
            job.report(TextWritten(pieces[-1]))
        pieces.append(decoder.finish())
        job.report(TextWritten(pieces[-1]))
        return "".join(pieces)


def load_writer(project: Project, job: Job, run: str | None = None, which: str = BEST) -> Writer:
    """A Writer from a run's checkpoint: `which` is "best", "last", a step's number or a checkpoint's folder.

    Raises ProjectError where nothing was trained, CheckpointError where the one asked for can't be read. Where
    "best" or "last" is damaged, the newest intact one serves, one of an earlier run if none is named, and the job
    is told.
    """
    from llm_studio.data.tokenizer import Tokenizer
    from llm_studio.device import choose
    from llm_studio.model.transformer import Transformer
    from llm_studio.training import checkpoint

    chosen = _choose(project, job, run, which)
    checkpoint.verify(chosen)
    settings = chosen.settings()
    tokenizer = Tokenizer.from_json(chosen.tokenizer_json())
    compute = choose(settings.training.model_copy(update={"device": "auto", "precision": "float32"}))
    model = Transformer(settings.model, chosen.state.vocab_size)
    model.load_state_dict(chosen.weights())
    model.to(compute.device).eval()
    name = f"{chosen.path.parent.name}/{chosen.path.name}"
    return Writer(model, tokenizer, project.settings(), name)


def _choose(project: Project, job: Job, run: str | None, which: str) -> "Checkpoint":
    from llm_studio.training import checkpoint, runs

    step = int(which) if which.isdecimal() and len(which) < _LONGEST_STEP else None
    if which not in (BEST, LAST) and step is None:
        return checkpoint.read(_existing_folder(which))
    names = [runs.read(project, run).name] if run else [r.name for r in reversed(runs.listed(project))]
    if step is not None:
        return _of_step(project, names, step)
    damaged: list[str] = []
    for name in names:
        folder = runs.folder(project, name)
        found = _best_or_last(folder, which, job)
        if found:
            for other in damaged:
                job.report(Notice(_("Every checkpoint of the run “{name}” is damaged: the run “{other}” is used "
                                    "instead.").format(name=other, other=name), "warning"))  # fmt: skip
            return found
        if checkpoint.newest_intact(folder)[1]:
            damaged.append(name)
    if damaged:
        raise CheckpointError(_("Every checkpoint of the run “{name}” is damaged.").format(name=damaged[0]),
                              _("Start a new run."))  # fmt: skip
    raise ProjectError(_("This project has no trained model yet."),
                       _("Train one first: “llm-studio train {path}”.").format(path=quoted(project.root)),
                       "training")  # fmt: skip


def _of_step(project: Project, names: list[str], step: int) -> "Checkpoint":
    """The checkpoint of a step, in the first of these runs that has one."""
    from llm_studio.training import checkpoint, runs

    saved = [found for name in names for found in checkpoint.listed(runs.folder(project, name))]
    of_step = next((found for found in saved if found.step == step), None)
    if of_step is None:
        raise CheckpointError(
            _("There is no checkpoint of step {step}.").format(step=step),
            _("There are: {steps}.").format(steps=", ".join(str(found.step) for found in saved) or _("none")),
        )
    return of_step


def _best_or_last(folder: Path, which: str, job: Job) -> "Checkpoint | None":
    from llm_studio.training import checkpoint

    saved = checkpoint.listed(folder)
    wanted = checkpoint.best(saved) if which == BEST else (saved[-1] if saved else None)
    return wanted and _intact(wanted, folder, job)


def _existing_folder(which: str) -> Path:
    try:
        path = Path(which).expanduser()
        there = path.is_dir()
    except (OSError, RuntimeError):  # a name too long, or the home of no one
        path, there = Path(which), False
    if not there:
        raise CheckpointError(_("“{which}” is no checkpoint.").format(which=which),
                              _("Say best, last, the number of a step, or a checkpoint's folder."))  # fmt: skip
    return path


def _intact(wanted: "Checkpoint", folder: Path, job: Job) -> "Checkpoint | None":
    from llm_studio.training import checkpoint

    try:
        checkpoint.verify(wanted)
    except CheckpointError as error:
        other, _damaged = checkpoint.newest_intact(folder)
        if other:
            job.report(Notice(_("{problem} Step {step} is used instead.").format(problem=error.what, step=other.step),
                              "warning"))  # fmt: skip
        return other
    return wanted
