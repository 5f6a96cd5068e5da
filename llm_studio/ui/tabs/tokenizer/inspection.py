"""Looking into the project's tokenizer: what is asked in the background for the tab, and where it is shown."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget

from llm_studio.errors import StudioError
from llm_studio.events import Event, Progress
from llm_studio.i18n import _, number
from llm_studio.ui.page import Page
from llm_studio.ui.tabs.tokenizer.playground import MergesCard, Playground
from llm_studio.ui.tabs.tokenizer.settings import CurveCard, QualityCard
from llm_studio.ui.tabs.tokenizer.vocabulary import VocabularyCard
from llm_studio.ui.tasks import Query
from llm_studio.workflows.tokenizer import figures as tokenizer_figures
from llm_studio.workflows.tokenizer import lab as tokenizer_lab

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.tokenizer.figures import Counts, Figures
    from llm_studio.workflows.tokenizer.lab import Lab, TokenizerBench

BENCH, COUNT, MEASURE = "tokenizer/bench", "tokenizer/count", "tokenizer/measure"


class LookingPage(Page):
    """Loads the tokenizer when the tab comes to the screen, counts and measures it, and fills the cards with it."""

    def __init__(self, title: str, subtitle: str, parent: QWidget) -> None:
        super().__init__(title, subtitle, parent)
        self._lab: Lab | None = None
        self._counts: Counts | None = None
        self._counted, self._measured = "", ""
        """What was counted and measured last, or is being so."""
        self.bench: TokenizerBench | None = None
        self.preparing = False
        """The prepared tokens are being written: they aren't to be read meanwhile."""
        self.columns = QWidget(self)
        self.playground = Playground(self.columns)
        self.merges = MergesCard(self.columns)
        self.vocabulary = VocabularyCard(self.columns)
        self.quality, self.curve = QualityCard(self.columns), CurveCard(self.columns)
        self.playground.word_chosen.connect(self.merges.show_word)
        self.vocabulary.chosen.connect(self._on_vocabulary)
        self.context.listen(BENCH, succeeded=self._on_bench)
        self.context.listen(COUNT, reported=self._on_counting, succeeded=self._on_counts, failed=self._on_count_failed,
                    cancelled=self._on_count_cancelled)  # fmt: skip
        self.context.listen(
            MEASURE,
            reported=self._on_measuring,
            succeeded=self._on_figures,
            failed=self._on_measure_failed,
            cancelled=self._on_measure_cancelled,
        )

    def bench_shown(self) -> None:
        """The tokenizer was looked at anew."""

    def open_project(self, project: "Project | None") -> None:
        """Forget the project before."""
        super().open_project(project)
        self.bench = None
        self._take_lab(None)
        self.playground.forget()

    def show_overview(self, overview: "Overview") -> None:
        """Look at the tokenizer if the tab is on the screen."""
        super().show_overview(overview)
        self.playground.begin(overview.settings.project.language)
        if self.isVisible():
            self._ask_bench()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """The tab comes to the screen: what it shows is looked up now, not before."""
        super().showEvent(event)
        self._ask_bench()

    def _ask_bench(self) -> None:
        if self.project is None or self.overview is None:
            return
        project, known = self.project, self._lab
        self.context.request(Query(BENCH, lambda job: tokenizer_lab.open_bench(project, known)))

    def _take_lab(self, lab: "Lab | None") -> None:
        self._lab, self._counts = lab, None
        self._counted = self._measured = ""
        self.quality.show_figures(None)
        self.quality.show_counts(None)
        self.quality.say("")
        self.curve.curve.show_points(())
        self.vocabulary.show_lab(lab, None)
        self.merges.show_word(None)
        self.playground.show_lab(lab)

    @Slot(object)
    def _on_bench(self, bench: "TokenizerBench") -> None:
        self.bench = bench
        if bench.lab is not self._lab:
            self._take_lab(bench.lab)
        self.bench_shown()
        project, lab = self.project, bench.lab
        if project is None or lab is None:
            return
        if not bench.tokens and (self._counted or self._counts):
            self._counted, self._counts = "", None
            self.quality.show_counts(None)
            self.vocabulary.show_lab(lab, None)
        elif bench.tokens and bench.tokens != self._counted and not self.preparing:
            self._counted = bench.tokens
            self.context.request(Query(COUNT, lambda job: tokenizer_figures.count_tokens(project, lab, job),
                                 page_shows_errors=True))  # fmt: skip
        if bench.corpus and bench.corpus != self._measured:
            self._measured = bench.corpus
            self.quality.say(_("Measuring…"))
            self.context.request(Query(MEASURE, lambda job: tokenizer_figures.measure(project, lab, job),
                                 page_shows_errors=True))  # fmt: skip

    @Slot(object)
    def _on_counting(self, event: Event) -> None:
        if isinstance(event, Progress) and event.total and event.done < event.total:
            share = number(100 * event.done / event.total)
            self.vocabulary.say_counting(_("Counting the tokens: {share} %").format(share=share))

    @Slot(object)
    def _on_counts(self, counts: "Counts") -> None:
        self._counts = counts
        self.quality.show_counts(counts)
        if self._lab is not None:
            self.vocabulary.show_lab(self._lab, counts)

    @Slot(object)
    def _on_count_failed(self, error: BaseException) -> None:
        self.vocabulary.say_counting(error.what if isinstance(error, StudioError) else str(error))

    @Slot()
    def _on_count_cancelled(self) -> None:
        self._counted = ""

    @Slot(object)
    def _on_measuring(self, event: Event) -> None:
        if isinstance(event, Progress) and event.total:
            share = number(100 * event.done / event.total)
            self.quality.say(_("{task}: {share} %").format(task=event.task, share=share))

    @Slot(object)
    def _on_figures(self, figures: "Figures") -> None:
        self.quality.show_figures(figures)
        self.quality.say("")
        self.curve.curve.show_points(figures.curve)

    @Slot(object)
    def _on_measure_failed(self, error: BaseException) -> None:
        self.quality.say(error.what if isinstance(error, StudioError) else str(error))

    @Slot()
    def _on_measure_cancelled(self) -> None:
        self._measured = ""
        self.quality.say("")

    @Slot(int)
    def _on_vocabulary(self, token: int) -> None:
        if self._lab is not None:
            self.merges.show_word(self._lab.token_built(token))
