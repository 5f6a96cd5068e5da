"""The state of a whole project: what the window shows in its rail, and the initial state of its tabs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio import device
from llm_studio.config import Settings
from llm_studio.errors import ConfigError
from llm_studio.gpu import pack
from llm_studio.gpu.why import why_no_gpu
from llm_studio.i18n import _, ngettext, size
from llm_studio.project import Project, State
from llm_studio.workflows.projects import Cost, Steps, model_cost, steps, texts_state

if TYPE_CHECKING:
    from llm_studio.data.sources.manifest import Source, UnusableSource
    from llm_studio.runs.record import Run
    from llm_studio.runs.registry import RunProblem


@dataclass(frozen=True)
class TokenizerFacts:
    """Facts about the project's tokenizer. The figures are for validation text; None if it was imported."""

    vocab_size: int
    characters_per_token: float | None
    tokens_per_word: float | None


@dataclass(frozen=True)
class TokenFacts:
    """The number of token ids in the project's files, and the fingerprint of all of them, which runs record."""

    train: int
    validation: int
    fingerprint: str = ""


@dataclass(frozen=True)
class Overview:
    """The state of a project.

    `settings_problem`: config.yaml can't be used; the settings are then the defaults, and nothing can be started.
    `unusable`: sources whose texts can't be read, mostly because they are damaged; `sources` are the others.
    """

    project: Project
    settings: Settings
    settings_problem: ConfigError | None
    steps: Steps
    sources: "tuple[Source, ...]"
    tokenizer: TokenizerFacts | None
    tokens: TokenFacts | None
    cost: Cost
    runs: "tuple[Run, ...]"
    unusable: "tuple[UnusableSource, ...]" = ()
    run_problems: "tuple[RunProblem, ...]" = ()
    """Problems with the records of runs; those that can't be read at all aren't in `runs`."""
    interrupted_at: int = 0
    """The last step of the interrupted run according to its log, later than its last checkpoint; 0 if unknown."""

    @property
    def characters(self) -> int:
        """Total length of the sources, before cleaning."""
        return sum(source.characters for source in self.sources)

    @property
    def all_sources(self) -> "tuple[Source, ...]":
        """All sources, readable or not, sorted by name."""
        return tuple(sorted((*self.sources, *self.unusable), key=lambda source: source.name))

    @property
    def best_run(self) -> "Run | None":
        """The run with the best model."""
        from llm_studio.runs.record import best_of

        return best_of(self.runs)

    @property
    def interrupted(self) -> "Run | None":
        """The newest run, if it ended without being stopped: by a crash, a power cut, a full disk."""
        return _interrupted(self.runs)


def _interrupted(runs: "Iterable[Run]") -> "Run | None":
    newest = max(runs, key=lambda run: run.created, default=None)
    return newest if newest and newest.state in ("interrupted", "failed") else None


def open_project(root: Path) -> Project:
    """The project in `root`. Raises ProjectError if there is none."""
    return Project.open(root)


def overview(project: Project) -> Overview:
    """Read the state of `project`. Raises ProjectError if its folder is gone."""
    from llm_studio.data.sources import store
    from llm_studio.runs import log
    from llm_studio.runs import registry as runs

    Project.open(project.root)
    problem = None
    found = store.scan_sources(project.raw)
    listed, problems = runs.survey(project)
    interrupted = _interrupted(listed)
    try:
        settings = project.settings()
        standing = steps(project)
    except ConfigError as error:
        settings, problem = Settings(), error
        standing = _steps_by_outputs(project)
    return Overview(
        project=project,
        settings=settings,
        settings_problem=problem,
        steps=standing,
        sources=tuple(found.usable),
        tokenizer=_tokenizer(project),
        tokens=token_facts(project),
        cost=model_cost(project, settings),
        runs=tuple(listed),
        unusable=tuple(found.unusable),
        run_problems=tuple(problems),
        interrupted_at=log.last_step(project.log_file(interrupted.name)) if interrupted else 0,
    )


def _steps_by_outputs(project: Project) -> Steps:
    """The steps judged by their outputs alone: without settings, OUT_OF_DATE can't be determined."""
    from llm_studio.data.sources import store

    there = (project.tokenizer_file.exists(), project.tokens_meta.exists())
    texts = texts_state(store.scan_sources(project.raw))
    return Steps(texts, *(State.READY if done else State.TO_DO for done in there))


def _tokenizer(project: Project) -> TokenizerFacts | None:
    from llm_studio.data.tokenizer.record import recall_record
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.errors import TokenizerError

    if not project.tokenizer_file.exists():
        return None
    try:
        tokenizer = Tokenizer.load(project.tokenizer_file)
    except TokenizerError:
        return None
    known = recall_record(project.tokenizer_meta)
    if known.fingerprint != tokenizer.fingerprint:
        return TokenizerFacts(tokenizer.vocab_size, None, None)
    return TokenizerFacts(tokenizer.vocab_size, known.characters_per_token, known.tokens_per_word)


def token_facts(project: Project) -> TokenFacts | None:
    """Facts about the prepared tokens, without opening them; None if there are none."""
    from llm_studio.data.tokens.meta import recall_meta

    known = recall_meta(project.processed)
    return TokenFacts(known.train.tokens, known.validation.tokens, known.fingerprint) if known else None


@dataclass(frozen=True)
class Machine:
    """The hardware for training runs, in one line for the window's header."""

    line: str
    has_gpu: bool
    why_no_gpu: str
    memory: int
    """Bytes that a training run may use now."""
    cores: int
    problem: str = ""
    """Why the torch that was downloaded for the graphics card isn't used; "" if there is no problem."""


def leave_cores(count: int) -> None:
    """Let training runs that start from now on leave `count` cores to the window and other programs."""
    device.leave_cores(count)


def machine() -> Machine:
    """Detect the accelerator. Imports torch: takes a second or two the first time."""
    import torch

    from llm_studio.config import TrainingSettings

    pack.tidy()  # leftovers of an earlier window: in use then, or interrupted
    reason = why_no_gpu()
    compute = device.choose(TrainingSettings())
    short = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}[compute.precision]
    cores = device.all_cores()
    memory = device.memory_bytes(compute.device)
    if compute.device == "cuda":
        name = torch.cuda.get_device_name().removeprefix("NVIDIA ").removeprefix("GeForce ")
        total = torch.cuda.get_device_properties(0).total_memory
        return Machine(f"{name} · {size(total)} · {short}", True, "", memory, cores)
    count = ngettext("{n} core", "{n} cores", cores).format(n=cores)
    processor = _("Processor")
    why = f"{reason.what} {reason.cure}" if reason else ""
    found = pack.installed()
    problem = found.summary if found else ""
    return Machine(f"{processor} · {count} · {short}", False, why, memory, cores, problem)
