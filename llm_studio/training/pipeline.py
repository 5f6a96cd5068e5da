"""Where the device computes beside this program, as a graphics card does, it should never wait for this program.

To know a step's loss is to wait until it is computed. So the next step is begun before the loss of the last one is
read: no weight changes where the loss is not a number, which the device sees to by itself, and all other decisions can
wait for one step.
"""

from collections.abc import Callable

from llm_studio.device import Compute
from llm_studio.training.cuda_graphs import GraphedSteps
from llm_studio.training.distributed import ProcessGroup
from llm_studio.training.step import PendingGradients, StepOutcome, Updater


def steps(update: Updater, compute: Compute, group: ProcessGroup) -> "StepPipeline":
    """The steps of a training run, as they are best done there."""
    late = reads_late(compute, group)
    return StepPipeline(update, late, GraphedSteps(update, compute) if late else None)


def reads_late(compute: Compute, group: ProcessGroup) -> bool:
    """Whether a step's loss is read when the next one is on its way.

    Several processes put every decision to all, and float16 has a scale that the next step depends on.
    """
    return compute.device == "cuda" and group.count == 1 and compute.precision != "float16"


class StepPipeline:
    """Computes steps. `late`: the weights have already changed when an outcome is known, unless it is NaN."""

    def __init__(self, update: Updater, late: bool, graphs: GraphedSteps | None = None) -> None:
        self._update, self._late, self._graphs = update, late, graphs
        self._begun: PendingGradients | None = None

    @property
    def ahead(self) -> bool:
        """Whether the step after the one whose outcome was last given is being computed, and has changed weights."""
        return self._begun is not None

    def outcome(
        self, step: int, begin: Callable[[int], PendingGradients | None], rate: Callable[[int], float],
        goes_on: Callable[[], bool],
    ) -> StepOutcome | None:  # fmt: skip
        """What the gradients of the step after `step` steps are like; None when the job was stopped before.

        `begin` gives the gradients of the step after so many steps, None when the job was stopped; `rate` that of a
        step. `goes_on`: whether nothing is to be done between the step asked for and the one after it.
        """

        def begin_and_change(after: int) -> PendingGradients | None:
            done = self._graphs.step(after, rate(after + 1)) if self._graphs else None
            begun = done or begin(after)
            if begun and self._late and not done:
                self._update.apply(rate(after + 1), begun.fine)
            return begun

        begun, self._begun = self._begun or begin_and_change(step), None
        if begun and self._late and goes_on():
            self._begun = begin_and_change(step + 1)
        return begun.read() if begun else None

    def accept(self, rate: float) -> None:
        """Change the weights by the gradients of the last outcome."""
        if not self._late:
            self._update.apply(rate)

    def refuse(self) -> None:
        """Change no weight by them."""
        if not self._late:
            self._update.skip()

    def drop(self) -> None:
        """Forget what is on its way: the weights are about to be others."""
        self._begun = None
