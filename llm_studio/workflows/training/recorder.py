"""Keeps the record of one run up to date during training: its inputs, hardware and software, and progress."""

import platform
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from llm_studio import __version__
from llm_studio.config import Settings
from llm_studio.device import Compute, processor_name
from llm_studio.project import Project
from llm_studio.workflows.machine.gauges import energy_joules

if TYPE_CHECKING:
    from llm_studio.runs.loop_state import LoopState
    from llm_studio.runs.record import Run
    from llm_studio.training.trainer import Trainer


class RunRecorder:
    """Writes the record of the run `name`, new or resumed, from the training and the saving thread."""

    def __init__(
        self, project: Project, name: str, settings: Settings, data: str, compute: Compute, origin: str | None
    ) -> None:
        import torch

        from llm_studio.runs import record, registry

        self._project = project
        self._alone = threading.Lock()
        run = record.new(name, settings, 0, torch.__version__, data)
        if origin is not None:
            run = replace(run, continued_from=origin)
        elif registry.exists(project, name):
            before = registry.read(project, name)
            run = replace(run, created=before.created, continued_from=before.continued_from, joules=before.joules)
        else:  # the clock may have been set back
            run = replace(run, created=registry.after_all(project, run.created))
        self.run: Run = replace(run, machine=run.machine | machine(compute))
        self._compute = compute
        self._joules = joules_used(compute)

    @property
    def continued(self) -> bool:
        """Whether it started with the weights of another run."""
        return bool(self.run.continued_from)

    def learned_of(self, trainer: "Trainer") -> None:
        """Add the facts about the model and its training data."""
        self.run = replace(
            self.run, parameters=trainer.parameters, conversations=trainer.learns_conversations,
            bytes_per_token=trainer.bytes_per_token,
        )  # fmt: skip

    def write(self, how: str, state: "LoopState", settings: Settings) -> "Run":
        """Record the state `how` of the run, one of `Run.state`, and its progress `state`."""
        from llm_studio.runs import registry

        with self._alone:
            self._count_energy()
            self.run = replace(
                self.run, state=how, step=state.step, seconds=state.seconds, train_loss=state.train_loss,
                best_loss=state.best_loss, settings=settings.to_dict(), history=state.history,
                max_steps=settings.training.max_steps,
            )  # fmt: skip
            registry.write(self._project, self.run)
            return self.run

    def _count_energy(self) -> None:
        """Add the energy used since the last call."""
        before, self._joules = self._joules, joules_used(self._compute)
        if before is not None and self._joules is not None:  # the counter restarts from 0 with the driver
            self.run = replace(self.run, joules=(self.run.joules or 0.0) + max(0.0, self._joules - before))

    def saved(self, state: "LoopState", settings: Settings) -> None:
        """The run was saved and continues."""
        self.write("running", state, settings)

    def waiting(self, waits: bool) -> None:
        """The run starts to wait for the disk, or continues."""
        from llm_studio.runs import registry

        with self._alone:
            self.run = replace(self.run, state="waiting" if waits else "running")
            registry.write(self._project, self.run)

    def discard(self) -> None:
        """Remove everything of the run."""
        from llm_studio.runs import registry

        registry.discard(self._project, self.run.name)


def joules_used(compute: Compute) -> float | None:
    """Energy used by the graphics cards since some fixed time; None if none computes or it isn't available."""
    return energy_joules() if compute.device == "cuda" else None


def machine(compute: Compute) -> dict[str, str]:
    """The hardware and settings of this machine for a run, besides the versions of system, Python and torch."""
    import psutil
    import torch

    memory = psutil.virtual_memory().total
    found = {
        "program": __version__, "processor": processor_name(), "architecture": platform.machine(),
        "cores": str(psutil.cpu_count(logical=False) or 0), "memory": str(memory), "device": compute.device,
        "precision": compute.precision, "threads": str(compute.threads),
    }  # fmt: skip
    if compute.device == "cuda":
        card = torch.cuda.get_device_properties(torch.cuda.current_device())
        found |= {"gpu": card.name, "gpu_memory": str(card.total_memory), "cuda": torch.version.cuda or ""}
    return found
