"""Reports each step of a run: to the log, to its listeners, and to the user if something is unusual."""

from llm_studio.config import Settings
from llm_studio.device import Compute, processes_here
from llm_studio.events import Notice, RolledBack, RunStarted, StepDone, StepSkipped
from llm_studio.i18n import _, number
from llm_studio.jobs import Job
from llm_studio.training.health.recovery import rollback_notice
from llm_studio.training.health.watch import LoadMonitor, LossMonitor, SpeedMonitor
from llm_studio.training.progress import TrainingProgress
from llm_studio.training.step import StepOutcome, smaller_batch_notice
from llm_studio.training.throughput import Throughput
from llm_studio.training.writer import RunWriter


class StepReporter:
    """Reports the events of one run."""

    def __init__(self, writer: RunWriter, job: Job, vocab_size: int, settings: Settings, compute: Compute) -> None:
        self._writer, self._job, self._compute = writer, job, compute
        self._minutes = settings.training.minutes
        self._watch = LossMonitor(vocab_size, settings.training.warmup_steps)
        self._pace = SpeedMonitor(compute.device)
        self._load = LoadMonitor() if compute.device == "cpu" and processes_here() == 1 else None
        self._throughput = Throughput()

    def started(self, run: str, step: int, max_steps: int, parameters: int, data: str) -> None:
        """The run starts, or resumes after `step` steps. `data` is the fingerprint of its tokens."""
        here = self._compute
        self._writer.report(
            RunStarted(run, step, max_steps, parameters, here.device, here.precision, here.threads, data,
                       self._minutes)
        )  # fmt: skip

    def step(self, now: TrainingProgress, loss: float, rate: float, outcome: StepOutcome, tokens: int, seconds: float,
             steps: int, left: float | None) -> None:  # fmt: skip
        """A step on `tokens` tokens took `seconds`; `steps` is the length of the run, `rate` the learning rate.

        `left`: the remaining seconds, if the run is limited by time.
        """
        self._throughput.add(tokens, seconds)
        left = (steps - now.step) * self._throughput.seconds_per_step if left is None else left
        speed = self._throughput.tokens_per_second
        self._writer.report(StepDone(now.step, loss, rate, outcome.norm, now.tokens, speed, left))
        load = self._load.warning() if self._load else None
        for warning in (self._watch.warning(now.step, loss), self._pace.warning(seconds), load):
            if warning:
                self._job.report(Notice(warning, "warning"))

    def skipped(self, step: int, loss: float, norm: float) -> None:
        """The gradients of this step were not finite, and it was skipped."""
        self._writer.report(StepSkipped(step, loss, norm))
        text = _("At step {step} the loss is no longer a number: the step is skipped.").format(step=number(step))
        self._job.report(Notice(text, "warning"))

    def gone_back(self, now: TrainingProgress, diverged_at: int) -> None:
        """Training has rolled back to an earlier step."""
        factor = now.recovery.rate_factor
        self._writer.cut_log(now.step, now.evaluated)
        self._writer.report(RolledBack(now.step, diverged_at, factor))
        self._job.report(rollback_notice(diverged_at, now.step, factor))

    def halved(self, smaller: Settings, step: int) -> None:
        """Micro-batches are smaller from this step on."""
        self._pace.reset()
        self._job.report(smaller_batch_notice(smaller, step))
