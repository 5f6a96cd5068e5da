"""All steps on the built-in stories, in a few minutes on any computer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.data.tokens.bits_per_byte import bits_per_byte
from llm_studio.events import TextWritten
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.generation.generate import LAST, TextGenerator, load_generator
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training.forecast import seconds_per_step
from llm_studio.workflows.training.open_data import open_training_data
from llm_studio.workflows.training.train import PROMPTS, train

if TYPE_CHECKING:
    from llm_studio.runs.record import Run

_PRESET = "nano"
_STORIES = 12_000
_TRAINING_SECONDS = 95
_FEWEST_STEPS, _ENOUGH_STEPS, _MOST_STEPS = 300, 400, 3_000
_SMALLEST_BATCH = 8
_TALES = 3


@dataclass(frozen=True)
class QuickStart:
    """What came out: the project, its run, and the stories that the model wrote."""

    project: Project
    run: "Run"
    stories: tuple[str, ...]
    unigram_loss: float
    bigram_loss: float
    bytes_per_token: float | None
    """Mean bytes of the tokens that these two are about."""

    def bits_per_byte(self, baseline: float) -> float | None:
        """The loss of a baseline in bits per byte, which compares across vocabularies."""
        return bits_per_byte(baseline, self.bytes_per_token)


def quickstart(
    root: Path, language: str, job: Job, say: Callable[[str], None], max_steps: int | None = None
) -> QuickStart:
    """Make the project at `root`, or continue with it, from stories to a model that writes.

    `say` is told each step by name ("new", "download", "tokenizer", "tokens", "train", "generate") as it begins.
    Where `max_steps` isn't given, so many are trained as this machine does in less than two minutes. A project that
    is there keeps its language, and its last run is resumed if it was interrupted.
    """
    project = _project(root, language, say)
    language = project.settings().project.language
    done = projects.steps(project)
    if done.data is State.TO_DO:
        say("download")
        sources.add_stories(project, language, _STORIES, job)
    if done.tokenizer is not State.READY:
        say("tokenizer")
        train_tokenizer(project, job)
    if projects.steps(project).tokens is not State.READY:
        say("tokens")
        prepare_tokens(project, job)
    say("train")
    interrupted = _interrupted_run(project)
    if interrupted:
        trained = train(project, job, run=interrupted, resume=True)
    else:
        trained = train(project, job, changes=_changes(max_steps) if max_steps else _affordable(project, job))
    job.check()
    say("generate")
    generator = load_generator(project, job, trained.run.name, LAST)
    prompt = PROMPTS[language][0]
    stories = tuple(_tale(generator, prompt, seed, job) for seed in range(_TALES))
    return QuickStart(project, trained.run, stories, *_baselines(project))


def example(folder: Path, language: str, job: Job) -> Project:
    """A project on built-in stories, ready to train, in a new folder below `folder`: all steps but the last."""
    wanted = name = _("example")
    number = 2
    while (folder / name).exists():
        name, number = f"{wanted}-{number}", number + 1
    project = projects.new_project(folder / name, _PRESET, language)
    sources.add_stories(project, language, _STORIES, job)
    train_tokenizer(project, job)
    prepare_tokens(project, job)
    projects.change_settings(project, _affordable(project, job))
    return project


def _tale(generator: TextGenerator, prompt: str, seed: int, job: Job) -> str:
    job.report(TextWritten(f"\n{prompt}"))
    return prompt + generator.generate(prompt, job, generator.settings_with({"seed": seed}))


def _project(root: Path, language: str, say: Callable[[str], None]) -> Project:
    if (root / "config" / "config.yaml").exists():
        return Project.open(root)
    say("new")
    return projects.new_project(root, _PRESET, language)


def _interrupted_run(project: Project) -> str | None:
    """The last run, if it can be resumed on the tokens that are there."""
    from llm_studio.data.tokens.dataset import open_tokens
    from llm_studio.runs import checkpoint, registry

    with open_tokens(project.processed) as tokens:
        data = tokens.fingerprint
    for run in reversed(registry.listed(project)):
        if run.state == "finished":
            return None
        saved, _damaged = checkpoint.newest_intact(registry.folder(project, run.name))
        if saved and saved.step < run.max_steps and run.data == data:
            return run.name
    return None


def _changes(steps: int) -> dict[str, object]:
    """The settings of a run of so many steps."""
    return {
        "training.max_steps": steps,
        "training.warmup_steps": min(100, steps // 10),
        "training.eval_interval": max(1, steps // 5),
        "training.checkpoint_interval": max(1, steps // 2),
    }


def _affordable(project: Project, job: Job) -> dict[str, object]:
    """The settings of a run that this machine does in less than two minutes, a slow one in a bit more.

    Many steps on few sequences teach a small model more than few on many: on a slow machine batches are smaller.
    """
    settings = project.settings()
    batch = settings.training.batch_size
    while True:
        seconds = seconds_per_step(project, settings.replaced({"training.batch_size": batch}), job)
        steps = int(_TRAINING_SECONDS / seconds)
        if steps >= _ENOUGH_STEPS or batch <= _SMALLEST_BATCH:
            break
        batch = max(_SMALLEST_BATCH, batch // 2)
    return {"training.batch_size": batch, **_changes(max(_FEWEST_STEPS, min(_MOST_STEPS, steps // 50 * 50)))}


def _baselines(project: Project) -> tuple[float, float, float | None]:
    """The losses of a unigram and a bigram model, and the bytes per token that they are about."""
    from llm_studio.data.tokens.baselines import bigram_loss, bytes_per_token, unigram_loss

    with open_training_data(project) as (tokens, tokenizer, _data):
        return unigram_loss(tokens), bigram_loss(tokens), bytes_per_token(tokens, tokenizer)
