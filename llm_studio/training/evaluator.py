"""Evaluations during a run: validation loss and samples."""

from collections.abc import Callable

from llm_studio.device import Compute
from llm_studio.events import Notice, SampleWritten
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.training import evaluation
from llm_studio.training.saving import RunContext
from llm_studio.training.step import Updater


class Evaluator:
    """Evaluates the current model of one run until `job` is asked to stop; reports through `notify` if memory ran
    out."""

    def __init__(
        self, context: RunContext, update: Updater, compute: Compute, job: Job, notify: Callable[[Notice], object]
    ) -> None:
        self._context, self._update, self._notify = context, update, notify
        self._compute, self._job = compute, job

    def validation_loss(self) -> float | None:
        """The loss in nats per token; None if the job was stopped. Every process must call this."""
        settings, group = self._update.settings, self._context.group
        return evaluation.validation_loss(
            self._update.model, self._context.tokens, settings, self._compute, self._job, group
        )

    def write_samples(self, step: int) -> None:
        """Let the model complete the prompts of the run. Every process must call this."""
        model, context, settings = self._update.writer(), self._context, self._update.settings
        if model is None:
            return
        written = evaluation.say_samples(
            model, context.tokenizer, context.prompts, settings, self._job, context.learns_answers(settings),
            lambda prompt, text: context.writer.report(SampleWritten(step, prompt, text)),
        )  # fmt: skip
        if not written:
            self._notify(Notice(_("There was not enough memory to let the model write."), "warning"))
