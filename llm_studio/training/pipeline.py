"""Keeps an asynchronous device, such as a graphics card, busy: it should never wait for this program.

Reading a step's loss waits until it is computed. So the next step is started before the loss of the last one is read.
The device itself skips an update if the loss is not finite, and all other decisions can wait for one step.
"""

from collections.abc import Callable

from llm_studio.device import Compute
from llm_studio.training.cuda_graphs import GraphedSteps
from llm_studio.training.distributed import ProcessGroup
from llm_studio.training.step import PendingGradients, StepOutcome, Updater


def steps(update: Updater, compute: Compute, group: ProcessGroup) -> "StepPipeline":
    """The best `StepPipeline` for this device and group."""
    late = reads_late(compute, group)
    return StepPipeline(update, late, GraphedSteps(update, compute) if late else None)


def reads_late(compute: Compute, group: ProcessGroup) -> bool:
    """Whether a step's loss is read while the next step is being computed.

    Not with several processes, which share every decision, and not in float16, whose loss scale the next step needs.
    """
    return compute.device == "cuda" and group.count == 1 and compute.precision != "float16"


class StepPipeline:
    """Computes steps. `late`: an outcome is read after the weights have changed (unless it is not finite)."""

    def __init__(self, update: Updater, late: bool, graphs: GraphedSteps | None = None) -> None:
        self._update, self._late, self._graphs = update, late, graphs
        self._begun: PendingGradients | None = None

    @property
    def ahead(self) -> bool:
        """Whether the step after the last returned outcome is being computed and has changed weights."""
        return self._begun is not None

    def outcome(
        self, step: int, begin: Callable[[int], PendingGradients | None], rate: Callable[[int], float],
        next_may_start: Callable[[], bool],
    ) -> StepOutcome | None:  # fmt: skip
        """The outcome of the gradients of the step after `step` steps; None if the job was stopped before.

        `begin` starts the gradients of the step after the given one, or returns None if the job was stopped. `rate`
        returns a step's learning rate. `next_may_start`: whether nothing is due between this step and the next one.
        """

        def begin_and_change(after: int) -> PendingGradients | None:
            done = self._graphs.step(after, rate(after + 1)) if self._graphs else None
            begun = done or begin(after)
            if begun and self._late and not done:
                self._update.apply(rate(after + 1), begun.fine)
            return begun

        begun, self._begun = self._begun or begin_and_change(step), None
        if begun and self._late and next_may_start():
            self._begun = begin_and_change(step + 1)
        return begun.read() if begun else None

    def accept(self, rate: float) -> None:
        """Update the weights by the gradients of the last outcome."""
        if not self._late:
            self._update.apply(rate)

    def refuse(self) -> None:
        """Discard the gradients of the last outcome."""
        if not self._late:
            self._update.skip()

    def drop(self) -> None:
        """Discard a step in progress: the weights are about to be replaced."""
        self._begun = None
