"""Advice on a model before it is trained: what doesn't fit together, in plain words, and what would fix it.

The limits are rules of thumb from experiments: about 20 tokens per parameter make the best use of compute (Hoffmann et
al. 2022); repeated text teaches nearly as much as new text for up to four epochs, and next to nothing after sixteen
(Muennighoff et al. 2023).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from llm_studio.config import Settings
from llm_studio.config.presets import load_preset, preset_names
from llm_studio.i18n import _, duration, number, percent, short_number, size
from llm_studio.workflows.overview import Overview
from llm_studio.workflows.projects import Cost, cost_of

BEST_TOKENS_PER_PARAMETER = 20
FEW_TOKENS_PER_PARAMETER = 5
FEWEST_TOKENS_SEEN = 2
"""Tokens per parameter, over the whole run."""
MOST_PASSES = 16
TIMES_PER_TOKEN = 200
"""A token of the vocabulary that is seen less often than this, on average, is learned badly."""
LONG_SECONDS = 24 * 3600
EVENING_SECONDS = 4 * 3600
_CHARACTERS_PER_TOKEN = 4
_SMALLEST_VOCABULARY = 1024


@dataclass(frozen=True)
class Advice:
    """One piece of advice: `text`, and a button `action` that changes settings or opens another tab."""

    key: str
    text: str
    action: str
    changes: Mapping[str, object] = field(default_factory=dict[str, object])
    tab: str = ""


@dataclass(frozen=True)
class Plan:
    """What is planned, the available texts, and the machine. None: not known yet."""

    here: Overview
    settings: Settings
    cost: Cost
    memory: int | None = None
    """Bytes that a training run may use."""
    seconds_per_step: float | None = None

    @property
    def tokens_of_step(self) -> int:
        """Number of tokens in one step."""
        training = self.settings.training
        return training.batch_size * training.gradient_accumulation_steps * self.settings.model.max_seq_len

    @property
    def tokens_seen(self) -> int:
        """Number of tokens in all steps."""
        return self.tokens_of_step * self.settings.training.max_steps

    @property
    def tokens(self) -> int:
        """Number of training tokens; before they are prepared, an estimate from the length of the texts."""
        facts = self.here.tokens
        return facts.train if facts else self.here.characters // _CHARACTERS_PER_TOKEN


def advice(plan: Plan) -> list[Advice]:
    """All applicable advice, the most important first."""
    found = (rule(plan) for rule in _RULES)
    return [piece for piece in found if piece is not None]


def _memory(plan: Plan) -> Advice | None:
    needed = plan.cost.training_bytes
    if plan.memory is None or needed <= plan.memory:
        return None
    text = _("Training would take about {needed} of memory, and {free} are free here.").format(
        needed=size(needed), free=size(plan.memory)
    )
    smaller = _batch_that_fits(plan)
    if smaller:
        batch, micro_batches = smaller
        action = _("{batch} sequences at a time").format(batch=number(batch))
        text = f"{text} " + _("Fewer sequences at a time, and more micro-batches in a step, learn the same.")
        changes = {"training.batch_size": batch, "training.gradient_accumulation_steps": micro_batches}
        return Advice("memory", text, action, changes)
    for name in reversed(preset_names()):
        preset = load_preset(name)
        changes = _shape(preset)
        fitting = plan.settings.replaced({**changes, "training.batch_size": preset.training.batch_size})
        if cost_of(fitting, plan.cost.vocab_size).training_bytes <= plan.memory:
            text = f"{text} " + _("A smaller model fits.")
            changes["training.batch_size"] = preset.training.batch_size
            return Advice("memory", text, _("Take the shape of “{preset}”").format(preset=name), changes)
    return None


def _batch_that_fits(plan: Plan) -> tuple[int, int] | None:
    """A micro-batch that fits into memory, and the number of them that gives the same batch."""
    batch, micro_batches = plan.settings.training.batch_size, plan.settings.training.gradient_accumulation_steps
    while batch > 1:
        batch, micro_batches = (batch + 1) // 2, micro_batches * 2
        changed = plan.settings.replaced({"training.batch_size": batch})
        if cost_of(changed, plan.cost.vocab_size).training_bytes <= (plan.memory or 0):
            return batch, micro_batches
    return None


def _shape(preset: Settings) -> dict[str, object]:
    """The model settings of a preset, except its vocabulary."""
    values = preset.model.model_dump(exclude={"vocab_size"})
    return {f"model.{name}": value for name, value in values.items()}


def _material(plan: Plan) -> Advice | None:
    standing = plan.here.steps
    if standing.data.value == "to do":
        text = _("There are no texts yet. Once you add some, the size of model they support is shown here.")
        return Advice("data", text, _("Add texts"), tab="data")
    if standing.tokenizer.value == "out of date":
        return Advice("tokenizer", _("The vocabulary, the texts or the tokenizer's settings have changed: the "
                                     "tokenizer should be retrained before the model."),
                      _("Go to Tokenizer"), tab="tokenizer")  # fmt: skip
    if plan.here.tokens is None or standing.tokens.value != "ready":
        return Advice("tokens", _("The tokens aren't prepared yet. With them the time can be measured here."),
                      _("Go to Tokenizer"), tab="tokenizer")  # fmt: skip
    return None


def _warm_up(plan: Plan) -> Advice | None:
    training = plan.settings.training
    if training.warmup_steps * 2 < training.max_steps or training.warmup_steps < 2:
        return None
    shorter = max(1, training.max_steps // 10)
    text = _("The learning rate would rise for {warmup} of {steps} steps: it would hardly ever reach its maximum.")
    return Advice("warm-up", text.format(warmup=number(training.warmup_steps), steps=number(training.max_steps)),
                  _("Warm up for {steps} steps").format(steps=number(shorter)),
                  {"training.warmup_steps": shorter})  # fmt: skip


def _passes(plan: Plan) -> Advice | None:
    if not plan.tokens or plan.tokens_seen <= MOST_PASSES * plan.tokens:
        return None
    times, steps = plan.tokens_seen / plan.tokens, plan.settings.training.max_steps
    text = _("Your texts make {tokens} tokens: in {steps} steps the model sees them {times} times. After about {most} "
             "times it learns them by heart instead of the language.").format(
                 tokens=short_number(plan.tokens), steps=number(steps), times=number(times),
                 most=MOST_PASSES)  # fmt: skip
    return _with_steps("passes", text, plan, MOST_PASSES * plan.tokens / plan.tokens_of_step)


def _too_short(plan: Plan) -> Advice | None:
    """The run ends long before the model has seen enough tokens, though there are texts for more."""
    parameters = plan.cost.parts.total
    enough = min(BEST_TOKENS_PER_PARAMETER * parameters, MOST_PASSES * plan.tokens / 4)
    if not plan.tokens or plan.tokens_seen >= min(FEWEST_TOKENS_SEEN * parameters, enough / 4):
        return None
    text = _("In {steps} steps the model sees {seen} tokens, {ratio} per parameter: too few to learn much.")
    text = text.format(steps=number(plan.settings.training.max_steps), seen=short_number(plan.tokens_seen),
                       ratio=number(plan.tokens_seen / parameters, 1))  # fmt: skip
    return _with_steps("short", text, plan, enough / plan.tokens_of_step)


def _few_texts(plan: Plan) -> Advice | None:
    parameters = plan.cost.parts.total
    if not plan.tokens or plan.tokens >= FEW_TOKENS_PER_PARAMETER * parameters:
        return None
    smallest = cost_of(load_preset(preset_names()[0]), plan.cost.vocab_size).parts.total
    if parameters > smallest:
        text = _("Your texts hold {ratio} tokens for each parameter; about {best} is ideal. Add texts, or take a "
                 "smaller model.")  # fmt: skip
    else:
        text = _("Your texts hold {ratio} tokens for each parameter; about {best} is ideal. Add texts.")
    return Advice("texts", text.format(ratio=number(plan.tokens / parameters, 1), best=BEST_TOKENS_PER_PARAMETER),
                  _("Add texts"), tab="data")  # fmt: skip


def _vocabulary(plan: Plan) -> Advice | None:
    requested, times = plan.settings.model.vocab_size, plan.tokens / plan.cost.vocab_size
    fitting = 2 ** int(math.log2(max(_SMALLEST_VOCABULARY, plan.tokens / TIMES_PER_TOKEN)))
    if not plan.tokens or times >= TIMES_PER_TOKEN / 2 or fitting >= min(requested, plan.cost.vocab_size):
        return None
    share = plan.cost.parts.embedding / plan.cost.parts.total
    text = _("A vocabulary of {size} is large for these texts: each token comes only {times} times on average, and the "
             "embedding takes {share} of all parameters. The tokenizer then needs retraining.")  # fmt: skip
    text = text.format(size=number(plan.cost.vocab_size), times=number(times), share=percent(share))
    return Advice("vocabulary", text, _("Use {size} tokens").format(size=number(fitting)),
                  {"model.vocab_size": fitting})  # fmt: skip


def _time(plan: Plan) -> Advice | None:
    if plan.seconds_per_step is None:
        return None
    seconds = plan.seconds_per_step * plan.settings.training.max_steps
    if seconds <= LONG_SECONDS:
        return None
    text = _("At the speed measured here, training takes {time}. A shorter one shows sooner whether all is well; "
             "a run can be resumed.").format(time=duration(seconds))  # fmt: skip
    return _with_steps("time", text, plan, EVENING_SECONDS / plan.seconds_per_step)


def _with_steps(key: str, text: str, plan: Plan, steps: float) -> Advice:
    """Advice to change the number of steps, rounded down to two digits; the warm-up remains shorter."""
    digits = max(0, int(math.log10(max(1.0, steps))) - 1)
    rounded = max(1, int(steps / 10**digits) * 10**digits)
    changes: dict[str, object] = {"training.max_steps": rounded}
    if 2 * plan.settings.training.warmup_steps >= rounded:
        changes["training.warmup_steps"] = max(1, rounded // 10)
    return Advice(key, text, _("Train for {steps} steps").format(steps=number(rounded)), changes)


_RULES: tuple[Callable[[Plan], Advice | None], ...] = (
    _memory, _material, _warm_up, _vocabulary, _passes, _too_short, _time, _few_texts,
)  # fmt: skip
