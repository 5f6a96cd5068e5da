"""Plans a run for the time available: the model, vocabulary, context, batch and recipe that should write best.

Models of several widths, each with every vocabulary and context, are rated by the scaling law: from the bytes of text
that this machine can train a model on in the time follow its bits per byte. The speed is estimated by arithmetic and
corrected by measuring a few real steps of the best candidates. There is no table of cases: refitting the law changes
the plans.

A run that starts from the weights of another model keeps the tokenizer and shape of that model: only its batch,
learning rate and steps are planned.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from llm_studio import device
from llm_studio.config import ModelSettings, Settings
from llm_studio.config.presets import load_preset
from llm_studio.device import Compute
from llm_studio.errors import DataError, SourceError
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.model import cost
from llm_studio.project import Project, State
from llm_studio.runs import moments, snapshots
from llm_studio.runs.snapshots import Storage
from llm_studio.workflows.overview import Overview, overview
from llm_studio.workflows.tokenizer.borrowed import is_borrowed
from llm_studio.workflows.training.continue_from import Origin, find_origin
from llm_studio.workflows.training.forecast import measure_step, steps_in
from llm_studio.workflows.training.plan_texts import PlanTexts, plan_texts
from llm_studio.workflows.training.timed import counted_in_steps

WIDTHS = (64, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024)
CONTEXTS = (128, 256, 512, 1024)
"""Shorter contexts cost less and measure no worse in runs of minutes, but are too short for a paragraph."""
PARAMETERS_PER_TOKEN = 3
"""Maximum number of parameters, without the embedding, per token of the texts: larger models memorize them. After five
passes over 340,000 tokens, a model with 2 M parameters is worse than one with 0.8 M, which the law doesn't predict."""
_SMALLEST_STEP, _LARGEST_STEP = 512, 524_288
"""Limits for the tokens of a step."""
_USUAL_STEP = 2048
"""Tokens per step for a first estimate of the number of steps."""
_FEWEST_STEPS = 100
"""The scaling law was fitted to longer runs: for fewer steps, it is too optimistic about large models and long
contexts."""
_MEASURED = 4
"""Maximum number of candidates whose steps are measured."""
_QUICK, _STEPS = 0.2, 3
"""Approximate seconds per measured step, and the number of measured steps."""
_LONG = 1.0
"""If a step takes longer than these seconds even on few sequences, it isn't measured."""
_SAMPLED_WIDTHS = (128, 384)
"""Widths at which the machine's speed is measured."""
_CHECKPOINTS = 4
"""Number of checkpoints on disk: the last three and the best."""
_RECIPE = "nano"
"""The preset that the recipe is taken from."""
_OF_THE_RECIPE = ("optimizer", "learning_rate", "muon_learning_rate", "muon_momentum", "warmup_steps", "weight_decay",
                  "beta1", "beta2", "gradient_clip")  # fmt: skip
_SCHEDULE = {"schedule": "linear", "final_learning_rate_ratio": 0.0}
"""The learning rate decreases linearly from the end of the warm-up to zero at the end of the run (arXiv:2502.15938).
Runs of three minutes on both texts of `tests.benchmarks budget` end 0.6 to 0.8 % better than with a constant rate that
decreases over the last 40 %."""
CONTINUED_RATE = 0.3
"""Factor for the presets' learning rates if the model already knows such texts: the full rates would make it forget. A
model of French novels that continued on other novels ended 1.8 to 5.2 % better with a quarter to a third of the rates;
on simple French stories, and on Shakespeare, it ended 2 to 26 % worse: these need the full rates."""
_ROOMY = 0.7
"""Fraction of the free memory that a plan may use."""
_FEW_PASSES, _MANY_PASSES = 4, 10
"""Numbers of passes over the texts beyond which dropout and weight decay help, and beyond which more dropout does. At 7
to 10 passes over Shakespeare, dropout gains 6 % and a weight decay of 0.5 another 1.3 %; at 1.7 passes over French
novels, this weight decay loses 1.3 %. See the lesson on recipes."""
_REGULARIZATION = ((_FEW_PASSES, 0.0, 0.1), (_MANY_PASSES, 0.1, 0.5), (math.inf, 0.2, 0.5))
"""(maximum number of passes, dropout, weight decay)."""
_WORTHWHILE = 0.6
"""If the bytes read are worth less than this fraction of as much new text, the plan suggests more texts."""


@dataclass(frozen=True)
class RunPlan:
    """The plan for a run of `minutes`. `changes`: the settings to apply, by dotted name.

    `text_bytes`: size of the training texts; `passes` over them. `memory` and `disk` are in bytes; `disk` includes the
    `snapshots`. `preparation`: seconds to prepare tokenizer and tokens. `retrain_tokenizer`: a new tokenizer is trained
    for this vocabulary. `more_texts`: there are so few texts that more would help clearly.
    """

    minutes: float
    settings: Settings
    changes: dict[str, object]
    parameters: int
    vocab_size: int
    steps: int
    tokens: int
    passes: float
    text_bytes: int
    memory: int
    disk: int
    snapshots: Storage
    preparation: float
    bits_per_byte: float
    retrain_tokenizer: bool
    more_texts: bool
    free: int
    """Bytes of memory available for a run."""
    origin: Origin | None = None
    """The model that the run starts from, if any."""
    keeps_tokenizer: bool = False
    """Whether the vocabulary is fixed: by the tokenizer of `origin`, or by one that the user has imported."""

    @property
    def context(self) -> int:
        """Context length in tokens."""
        return self.settings.model.max_seq_len

    @property
    def batch(self) -> int:
        """Number of sequences per step."""
        return self.settings.training.batch_size * self.settings.training.gradient_accumulation_steps


@dataclass(frozen=True)
class _Machine:
    """The device, its free memory in bytes, and its speed at some model widths."""

    compute: Compute
    free: int
    speeds: dict[int, cost.Speed]

    def step_seconds(self, model: ModelSettings, batch: int) -> float:
        """Roughly estimated seconds per step."""
        width = min(self.speeds, key=lambda known: abs(math.log(model.d_model / known)))
        found = cost.step_seconds(model, model.vocab_size, batch, self.speeds[width], muon=True)
        return found.micro_batch + found.update

    def memory(self, model: ModelSettings, batch: int) -> int:
        """Bytes of memory that a run takes."""
        return cost.training_bytes(
            model, model.vocab_size, batch, self.compute.precision, device=self.compute.device, muon=True
        ).total


@dataclass(frozen=True)
class _Candidate:
    """A model with its batch, in sequences, its `seconds` per step, and its `bits` per byte after `steps`."""

    model: ModelSettings
    batch: int
    seconds: float
    steps: int
    bits: float

    @property
    def tokens(self) -> int:
        """Number of tokens in all steps."""
        return self.steps * self.batch * self.model.max_seq_len

    @property
    def rank(self) -> tuple[float, float]:
        """A key by which the best candidate is the first: the one with the fewest bits; if there are too few steps for
        the law, the one with the fastest step.
        """
        return 0.0 if self.steps >= _FEWEST_STEPS else self.seconds, self.bits


def plan_run(project: Project, minutes: float, job: Job, *, continue_from: str | None = None) -> RunPlan:
    """The plan for a run of `minutes` on the project's texts. Takes some seconds.

    `continue_from`: the model to start from, as in `train`. Raises DataError without texts or if no model fits into
    memory, SourceError if some texts can't be read, TrainingError if memory runs out during the measurement, Cancelled;
    with `continue_from` also CheckpointError, ProjectError.
    """
    origin = find_origin(project, continue_from) if continue_from else None
    here = overview(project)
    if here.steps.data is State.TO_DO:
        raise DataError(_("There are no texts to learn from yet."), _("Add some first."), "data")
    for source in here.unusable:  # no tokens could be prepared
        raise SourceError(source.problem, source.to_do, "sources")
    texts, machine = plan_texts(here, origin, job), _machine(here.settings)
    candidates = sorted(_candidates(texts, machine, 60 * minutes), key=lambda candidate: candidate.rank)
    if not candidates:
        raise DataError(_("No model fits into the memory of this computer."), _("Close other programs."))
    best = _measured_best(here.settings, texts, machine, candidates, 60 * minutes, job)
    return _plan(here, texts, machine, best, minutes, origin)


def change_plan(project: Project, plan: RunPlan, changes: Mapping[str, object], job: Job) -> RunPlan:
    """The plan with the user's changes to model or batch; its figures are computed and measured again.

    The number of heads and the feed-forward width follow `model.d_model`, unless `changes` contains them. Raises
    ConfigError, Cancelled, and TrainingError if memory runs out.
    """
    follow: dict[str, object] = {}
    width = changes.get("model.d_model")
    if isinstance(width, int) and width > 0:
        shaped = _shaped(width, plan.vocab_size, plan.context)
        follow = {"model.n_heads": shaped.n_heads, "model.d_ff": shaped.d_ff}
    settings = plan.settings.replaced(follow | dict(changes))
    here = overview(project)
    texts, machine, seconds = plan_texts(here, plan.origin, job), _machine(here.settings), 60 * plan.minutes
    model, batch = settings.model, settings.training.batch_size
    rough = _judged(model, batch, texts, machine.step_seconds(model, batch), seconds)
    fits = machine.memory(model, batch) <= machine.free
    took = _measured_seconds(here.settings, machine, rough, job) if fits else rough.seconds
    return _plan(here, texts, machine, _judged(model, batch, texts, took, seconds), plan.minutes, plan.origin)


def _machine(settings: Settings) -> _Machine:
    """The device to train on, and its measured speed. Imports torch."""
    from llm_studio.training import speed

    compute = device.choose(settings.training)
    speeds = {
        width: speed.of_this_machine(
            settings.replaced({"model.d_model": width, "model.n_heads": 4, "model.n_layers": 6}), 4096, compute
        )
        for width in _SAMPLED_WIDTHS
    }
    return _Machine(compute, device.memory_bytes(compute.device), speeds)


def _candidates(texts: PlanTexts, machine: _Machine, seconds: float) -> Iterator[_Candidate]:
    """All models that fit into memory, with their estimated speed; or only the one that must be kept."""
    if texts.model is not None:
        yield from _kept_model(texts.model, texts, machine, seconds)
        return
    for width, vocab_size, context in itertools.product(WIDTHS, texts.vocabularies(), CONTEXTS):
        model = _shaped(width, vocab_size, context)
        if width > WIDTHS[0] and _inner_parameters(model) > PARAMETERS_PER_TOKEN * texts.tokens(vocab_size):
            continue
        batch = _batch(texts, machine, model, seconds)
        if machine.memory(model, batch) <= _ROOMY * machine.free:
            yield _judged(model, batch, texts, machine.step_seconds(model, batch), seconds)


def _kept_model(model: ModelSettings, texts: PlanTexts, machine: _Machine, seconds: float) -> Iterator[_Candidate]:
    """This model with a suitable batch, or a smaller one that fits; nothing if not even a single sequence fits."""
    batch = _batch(texts, machine, model, seconds)
    while batch > 1 and machine.memory(model, batch) > _ROOMY * machine.free:
        batch //= 2
    if machine.memory(model, batch) <= machine.free:
        yield _judged(model, batch, texts, machine.step_seconds(model, batch), seconds)


def _measured_best(
    settings: Settings, texts: PlanTexts, machine: _Machine, candidates: list[_Candidate], seconds: float, job: Job
) -> _Candidate:
    """The best candidate according to measured speeds: up to `_MEASURED` are measured, each time the one that looks
    best, and the last measurement corrects the estimates for the others. With the speed, the batch changes, too.
    """
    known: dict[int, _Candidate] = {}
    correction = 1.0
    for turn in range(_MEASURED):
        job.report(Progress(_("Measuring the speed of this computer"), turn, _MEASURED, ""))
        judged = [known.get(place) or _corrected(candidate, correction, texts, machine, seconds)
                  for place, candidate in enumerate(candidates)]  # fmt: skip
        place = min(range(len(judged)), key=lambda place: judged[place].rank)
        if place in known:
            break
        chosen = judged[place]
        took = _measured_seconds(settings, machine, chosen, job)
        correction = took / machine.step_seconds(chosen.model, chosen.batch)
        known[place] = _corrected(candidates[place], correction, texts, machine, seconds)
    return min(known.values(), key=lambda candidate: candidate.rank)


def _corrected(old: _Candidate, correction: float, texts: PlanTexts, machine: _Machine, seconds: float) -> _Candidate:
    """The candidate for a machine on which steps take `correction` times the estimate."""
    model, batch = old.model, _batch(texts, machine, old.model, seconds, correction)
    if machine.memory(model, batch) > _ROOMY * machine.free:
        batch = old.batch
    return _judged(model, batch, texts, correction * machine.step_seconds(model, batch), seconds)


def _measured_seconds(settings: Settings, machine: _Machine, candidate: _Candidate, job: Job) -> float:
    """Measured seconds per step. A long step is measured on fewer sequences and extrapolated by arithmetic; if even
    that takes too long, the estimate is returned.
    """
    model, estimate = candidate.model, candidate.seconds
    few = max(1, min(candidate.batch, int(candidate.batch * _QUICK / estimate)))
    if machine.step_seconds(model, few) > _LONG:
        return estimate
    took = measure_step(_with_model(settings, model, few), model.vocab_size, job, _STEPS)
    return took * machine.step_seconds(model, candidate.batch) / machine.step_seconds(model, few)


def _inner_parameters(model: ModelSettings) -> int:
    """Number of parameters without the embedding."""
    counts = cost.count_parameters(model, model.vocab_size)
    return counts.total - counts.embedding


def _shaped(width: int, vocab_size: int, context: int) -> ModelSettings:
    """The model of this width. Its depth grows with the width, more and more slowly."""
    return load_preset(_RECIPE).model.model_copy(update={
        "vocab_size": vocab_size, "d_model": width, "n_heads": width // (32 if width < 512 else 64),
        "n_layers": max(2, round(width / (24 + width / 20))), "d_ff": (width * 8 // 3 + 31) // 32 * 32,
        "max_seq_len": context, "dropout": 0.0,
    })  # fmt: skip


def _with_model(settings: Settings, model: ModelSettings, batch: int) -> Settings:
    """The project's settings with this model and batch, and the recipe of the preset."""
    recipe = load_preset(_RECIPE).training
    changes = {f"model.{name}": value for name, value in model.model_dump().items()}
    changes |= {f"training.{name}": getattr(recipe, name) for name in _OF_THE_RECIPE}
    fixed = {"batch_size": batch, "gradient_accumulation_steps": 1, "activation_checkpointing": False} | _SCHEDULE
    return settings.replaced(changes | {f"training.{name}": value for name, value in fixed.items()})


def _batch(texts: PlanTexts, machine: _Machine, model: ModelSettings, seconds: float, correction: float = 1.0) -> int:
    """The number of sequences that suits a run of `seconds` whose steps take `correction` times the estimate."""
    usual = max(1, _USUAL_STEP // model.max_seq_len)
    tokens = seconds / (correction * machine.step_seconds(model, usual)) * usual * model.max_seq_len
    wanted = min(_LARGEST_STEP, max(_SMALLEST_STEP, texts.law.batch_tokens(tokens)))
    return max(1, round(wanted / model.max_seq_len))


def _judged(model: ModelSettings, batch: int, texts: PlanTexts, seconds_of_step: float, seconds: float) -> _Candidate:
    """The candidate with its number of steps in `seconds`, and its bits per byte predicted by the law."""
    steps = steps_in(seconds / 60, seconds_of_step)
    tokens, length = steps * batch * model.max_seq_len, texts.bytes_per_token(model.vocab_size)
    bits = texts.law.bits_per_byte(
        _inner_parameters(model), tokens * length, texts.size, model.max_seq_len * length, model.vocab_size,
        tokens,
    )  # fmt: skip
    return _Candidate(model, batch, seconds_of_step, steps, bits)


def _plan(
    here: Overview, texts: PlanTexts, machine: _Machine, best: _Candidate, minutes: float, origin: Origin | None
) -> RunPlan:
    vocab_size, length = best.model.vocab_size, texts.bytes_per_token(best.model.vocab_size)
    read = best.tokens * length
    passes = read / texts.size
    dropout, decay = next((dropout, decay) for most, dropout, decay in _REGULARIZATION if passes <= most)
    settings = _with_model(here.settings, best.model.model_copy(update={"dropout": dropout}), best.batch)
    settings = settings.replaced({"training.weight_decay": decay})
    if texts.familiar:
        settings = settings.replaced({f"training.{name}": CONTINUED_RATE * getattr(settings.training, name)
                                      for name in ("learning_rate", "muon_learning_rate")})  # fmt: skip
    settings = settings.replaced(counted_in_steps(settings, minutes, best.seconds))
    counts = cost.count_parameters(best.model, vocab_size)
    stored = snapshots.storage(
        counts.total, moments.count(best.steps), settings.training.snapshot_megabytes * 1_000_000
    )
    checkpoints = _CHECKPOINTS * (4 * counts.total + cost.optimizer_bytes(counts, muon=True))
    stale = here.steps.tokenizer is not State.READY or here.settings.model.vocab_size != vocab_size
    retrain = texts.tokenizer is None and (stale or is_borrowed(here.project))
    return RunPlan(
        minutes=minutes,
        settings=settings,
        changes=_changes(here.settings, settings),
        parameters=counts.total,
        vocab_size=vocab_size,
        steps=best.steps,
        tokens=best.tokens,
        passes=passes,
        text_bytes=texts.size,
        memory=machine.memory(best.model, best.batch),
        disk=checkpoints + stored.total + 2 * int(texts.size / length),
        snapshots=stored,
        preparation=_preparation_seconds(here, texts, retrain),
        bits_per_byte=best.bits,
        retrain_tokenizer=retrain,
        more_texts=texts.law.worth(read, texts.size) < _WORTHWHILE * read,
        free=machine.free,
        origin=origin,
        keeps_tokenizer=texts.tokenizer is not None,
    )


def _changes(before: Settings, after: Settings) -> dict[str, object]:
    old, new = before.to_dict(), after.to_dict()
    return {
        f"{section}.{name}": value
        for section in ("model", "training")
        for name, value in new[section].items()
        if old[section][name] != value
    }


_TOKENIZER_RATE, _TOKENS_RATE = 4e6, 6e6
"""Bytes per second, on two cores, of training a tokenizer and of encoding the texts; used only for an estimate."""
_START = 3.0
"""Seconds that each of them takes to start."""


def _preparation_seconds(here: Overview, texts: PlanTexts, retrain: bool) -> float:
    """Approximate seconds to prepare the tokenizer and the tokens."""
    sampled = min(texts.size, here.settings.tokenizer.max_megabytes * 1_000_000)
    tokenizer = _START + sampled / _TOKENIZER_RATE if retrain else 0.0
    stale = retrain or texts.borrows or here.steps.tokens is not State.READY
    tokens = _START + texts.size / _TOKENS_RATE if stale else 0.0
    return tokenizer + tokens
