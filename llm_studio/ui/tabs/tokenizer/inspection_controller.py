"""The project's tokenizer for inspection: loaded while the tab is visible, counted and measured in the background."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from llm_studio.errors import StudioError
from llm_studio.events import Event, Progress
from llm_studio.i18n import _, number
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tasks import Query
from llm_studio.workflows.tokenizer import figures as tokenizer_figures
from llm_studio.workflows.tokenizer import lab as tokenizer_lab

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.tokenizer.figures import Counts, Figures
    from llm_studio.workflows.tokenizer.lab import Lab, TokenizerBench

BENCH, COUNT, MEASURE = "tokenizer/bench", "tokenizer/count", "tokenizer/measure"


class InspectionController(Controller):
    """Holds the loaded tokenizer, how often each token occurs, and its quality on the project's texts."""

    lab_changed = Signal()
    """`lab` has changed or is None: counts and figures are unknown again."""
    bench_changed = Signal()
    """The tokenizer was loaded, or failed to load."""
    counts_changed = Signal()
    figures_changed = Signal(object)
    """Figures, measured on the project's texts."""
    counting = Signal(str)
    """The progress of counting, or why it failed."""
    measuring = Signal(str)
    """The progress of measuring, or why it failed; "" when it has ended."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.bench: TokenizerBench | None = None
        self.lab: Lab | None = None
        self.counts: Counts | None = None
        self._counted, self._measured = "", ""
        """Fingerprints of the inputs of the last, or the running, count and measurement."""
        self._visible = False
        self._preparing = False
        context.listen(BENCH, succeeded=self._on_bench)
        context.listen(COUNT, reported=self._on_counting, succeeded=self._on_counts, failed=self._on_count_failed,
                       cancelled=self._on_count_cancelled)  # fmt: skip
        context.listen(MEASURE, reported=self._on_measuring, succeeded=self._on_figures,
                       failed=self._on_measure_failed, cancelled=self._on_measure_cancelled)  # fmt: skip

    def open_project(self, project: "Project | None") -> None:
        """Forget the tokenizer."""
        self.bench = None
        self._set_lab(None)

    def show_overview(self, overview: "Overview") -> None:
        """Reload the tokenizer if it has changed."""
        self._load()

    def set_visible(self, visible: bool) -> None:
        """Whether the tab is visible: the tokenizer is loaded only then."""
        self._visible = visible
        self._load()

    def set_preparing(self, preparing: bool) -> None:
        """Whether the prepared tokens are being written, so must not be read: Windows can't replace an open file."""
        self._preparing = preparing
        if preparing:
            self.context.stop_requested.emit(COUNT)

    def _load(self) -> None:
        if self._visible and self.project is not None and self.overview is not None:
            project, known = self.project, self.lab
            self.context.request(Query(BENCH, lambda job: tokenizer_lab.open_bench(project, known)))

    def _set_lab(self, lab: "Lab | None") -> None:
        self.lab, self.counts = lab, None
        self._counted = self._measured = ""
        self.lab_changed.emit()

    def _on_bench(self, bench: "TokenizerBench") -> None:
        self.bench = bench
        if bench.lab is not self.lab:
            self._set_lab(bench.lab)
        self.bench_changed.emit()
        if self.project is not None and bench.lab is not None:
            self._count(self.project, bench.lab, bench.tokens)
            self._measure(self.project, bench.lab, bench.corpus)

    def _count(self, project: "Project", lab: "Lab", tokens: str) -> None:
        if not tokens and (self._counted or self.counts):
            self._counted, self.counts = "", None
            self.counts_changed.emit()
        elif tokens and tokens != self._counted and not self._preparing:
            self._counted = tokens
            self.context.request(
                Query(COUNT, lambda job: tokenizer_figures.count_tokens(project, lab, job), page_shows_errors=True)
            )

    def _measure(self, project: "Project", lab: "Lab", corpus: str) -> None:
        if corpus and corpus != self._measured:
            self._measured = corpus
            self.measuring.emit(_("Measuring…"))
            self.context.request(
                Query(MEASURE, lambda job: tokenizer_figures.measure(project, lab, job), page_shows_errors=True)
            )

    def _on_counting(self, event: Event) -> None:
        if isinstance(event, Progress) and event.total and event.done < event.total:
            percent = number(100 * event.done / event.total)
            self.counting.emit(_("Counting the tokens: {share}\u00a0%").format(share=percent))

    def _on_counts(self, counts: "Counts") -> None:
        self.counts = counts
        self.counts_changed.emit()

    def _on_count_failed(self, error: BaseException) -> None:
        self.counting.emit(error.what if isinstance(error, StudioError) else str(error))

    def _on_count_cancelled(self) -> None:
        self._counted = ""

    def _on_measuring(self, event: Event) -> None:
        if isinstance(event, Progress) and event.total:
            percent = number(100 * event.done / event.total)
            self.measuring.emit(_("{task}: {share}\u00a0%").format(task=event.task, share=percent))

    def _on_figures(self, figures: "Figures") -> None:
        self.figures_changed.emit(figures)
        self.measuring.emit("")

    def _on_measure_failed(self, error: BaseException) -> None:
        self.measuring.emit(error.what if isinstance(error, StudioError) else str(error))

    def _on_measure_cancelled(self) -> None:
        self._measured = ""
        self.measuring.emit("")
