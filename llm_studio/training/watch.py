"""Looks at the losses as they come and says early when a training goes nowhere."""

import math
from collections import deque
from dataclasses import dataclass, field

from llm_studio.errors import TrainingError
from llm_studio.i18n import _, number

_WINDOW = 50
_PATIENCE = 200
"""Steps after the warm-up in which something must have been learned."""


@dataclass
class Watch:
    """Follows the training loss of one run, in nats per token."""

    vocab_size: int
    warmup_steps: int
    _recent: deque[float] = field(default_factory=lambda: deque[float](maxlen=_WINDOW))
    _said: bool = False

    def check_finite(self, step: int, loss: float, gradient_norm: float) -> None:
        """Raise TrainingError when a loss or a gradient is no longer a number: call before the weights change."""
        if math.isfinite(loss) and math.isfinite(gradient_norm):
            return
        raise TrainingError(
            _("At step {step} the loss is no longer a number: the training has diverged.").format(step=number(step)),
            _("Go on from the last checkpoint with a lower learning rate: --resume --set training.learning_rate=..."),
        )

    def warning(self, step: int, loss: float) -> str | None:
        """A sentence, once, when the loss of this step shows that nothing is learned."""
        self._recent.append(loss)
        if self._said or step < self.warmup_steps + _PATIENCE or len(self._recent) < _WINDOW:
            return None
        mean, chance = sum(self._recent) / _WINDOW, math.log(self.vocab_size)
        if mean < 0.97 * chance:
            return None
        self._said = True
        return _(
            "Nothing is learned: after {step} steps the loss is {loss}, where guessing at random gives {chance}. "
            "Stop, and try a learning rate three times lower, or ten times higher if it was tiny."
        ).format(step=number(step), loss=number(mean, 2), chance=number(chance, 2))
