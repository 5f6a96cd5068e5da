"""The page of the tab Export: select a checkpoint and a format, see what the export contains, and write it."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QStandardPaths, Qt, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.page import Page
from llm_studio.ui.tabs.export.cards import CheckpointCard, ProgressCard, ResultCard
from llm_studio.ui.tabs.export.controller import ExportController
from llm_studio.ui.tabs.export.formats import ContentCard, FormatsCard
from llm_studio.ui.tabs.training import TAB as TRAINING
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import EmptyState, button
from llm_studio.workflows import export

if TYPE_CHECKING:
    from llm_studio.workflows.export import Format, ModelRef
    from llm_studio.workflows.overview import Project


class ExportPage(Page):
    """Checkpoints and formats on the left, the content of the export on the right."""

    def __init__(self, parent: QWidget) -> None:
        subtitle = _("Take a trained model along: to keep it, to share it, or to use it in other programs.")
        super().__init__(_("Export"), subtitle, parent)
        self.controller = ExportController(self.context)
        self.primary = button("", self, self._choose_place, "primary")
        self.head_buttons.addWidget(self.primary)
        self.empty = EmptyState(
            self, _("Nothing to export yet"),
            _("A model can be exported as soon as a run has saved its first checkpoint."), _("Go to Training"),
        )  # fmt: skip
        self._content = QWidget(self)
        self.checkpoints = CheckpointCard(self._content)
        self.formats = FormatsCard(self._content, export.FORMATS.values(), _(export.MEMORIZED_TEXTS))
        self.file = ContentCard(self._content, export.FORMATS.values())
        self.progress = ProgressCard(self._content)
        self.result = ResultCard(self._content)
        self.first = (self.checkpoints.table, self.primary)
        self._lay_out()
        self._connect()
        self._show_nothing()

    def _lay_out(self) -> None:
        columns = QHBoxLayout(self._content)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(GAP)
        left, right = QVBoxLayout(), QVBoxLayout()
        for column, cards in (
            (left, (self.checkpoints, self.formats)),
            (right, (self.file, self.progress, self.result)),
        ):
            column.setSpacing(GAP)
            for card in cards:
                column.addWidget(card)
        left.setStretchFactor(self.checkpoints, 1)
        right.addStretch(1)
        columns.addLayout(left, 3)
        columns.addLayout(right, 2)
        self.body.addWidget(self.empty, 1)
        self.body.addWidget(self._content, 1)

    def _connect(self) -> None:
        controller = self.controller
        controller.runs_changed.connect(self._show_runs)
        controller.checkpoints_changed.connect(self._show_checkpoints)
        controller.export_changed.connect(self._show_export)
        controller.progressed.connect(self.progress.show_progress)
        controller.exported.connect(self.result.show_result)
        self.empty.pressed.connect(self._go_to_training)
        self.checkpoints.run_chosen.connect(controller.choose_run)
        self.checkpoints.checkpoint_changed.connect(self._show_file)
        self.formats.changed.connect(self._show_file)
        self.file.changed.connect(self._show_file)
        self.file.destination_chosen.connect(self._put_into_program)
        self.progress.stop_requested.connect(controller.stop)

    def open_project(self, project: "Project | None") -> None:
        """Show nothing until the overview is known."""
        super().open_project(project)
        self._show_nothing()

    def _show_nothing(self) -> None:
        self.checkpoints.show_runs([], "")
        self.checkpoints.show_checkpoints([], "")
        self.result.hide()
        self.progress.hide()
        self._show_state()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Read the checkpoints when the page is first visible."""
        super().showEvent(event)
        for panel in self.file.panels.values():
            panel.show_destination(panel.form.destination is not None and panel.form.destination.find() is not None)
        self.controller.set_visible(True)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  Qt's
        """Read nothing while the page is hidden."""
        super().hideEvent(event)
        self.controller.set_visible(False)

    # --- Showing ----------------------------------------------------------------------------------------------

    @Slot()
    def _show_runs(self) -> None:
        if self.overview is not None:
            self.checkpoints.show_runs(self.overview.runs, self.controller.run)
        self._show_state()

    @Slot()
    def _show_checkpoints(self) -> None:
        self.checkpoints.show_checkpoints(self.controller.checkpoints, self.controller.problem)

    @Slot()
    def _show_file(self) -> None:
        self.file.show_format(self.formats.chosen())
        self._show_state()

    @Slot()
    def _show_export(self) -> None:
        if self.controller.is_exporting:
            self.progress.begin()
            self.result.hide()
        else:
            self.progress.hide()
        self._show_state()

    def _show_state(self) -> None:
        has_run, chosen, form = bool(self.controller.run), self.checkpoints.chosen(), self.file.panel.form
        obstacle = chosen.obstacles.get(form.name, "") if chosen else ""
        can_export = chosen is not None and not obstacle and not self.controller.is_exporting
        self.empty.setVisible(not has_run)
        self._content.setVisible(has_run)
        self.primary.setText(_(form.action))
        self.primary.setVisible(has_run)
        self.primary.setEnabled(can_export)
        self.file.show_content(chosen, obstacle, can_export)

    # --- What the user does -----------------------------------------------------------------------------------

    @Slot()
    def _go_to_training(self) -> None:
        self.context.tab_requested.emit(TRAINING.name)

    def _choose_place(self) -> None:
        """Ask where to write: a file, whose name gets its suffix, or the folder in which to create a new one."""
        chosen, form = self.checkpoints.chosen(), self.file.panel.form
        if chosen is None or self.project is None:
            return
        documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        name = export.default_name(self.project, chosen.model, form)
        if form.is_folder:
            title = _("Where to make the folder “{name}”").format(name=name)
            dialog = QFileDialog(self, title, documents)
            dialog.setFileMode(QFileDialog.FileMode.Directory)
            dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        else:
            kind = _("{format} files").format(format=_(form.title))
            dialog = QFileDialog(self, _("Export the model"), documents, f"{kind} (*{form.suffix})")
            dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
            dialog.setDefaultSuffix(form.suffix.removeprefix("."))
            dialog.selectFile(name)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._export)
        dialog.open()

    @Slot()
    def _put_into_program(self) -> None:
        """Write to the folder of the program that the format declares."""
        self._begin(export.destined)

    @Slot(str)
    def _export(self, place: str) -> None:
        """Write the chosen file, or a new folder in the chosen folder."""

        def target(project: "Project", model: "ModelRef", form: "Format") -> Path:
            is_folder = form.is_folder
            return (
                export.free_name(Path(place) / export.default_name(project, model, form)) if is_folder else Path(place)
            )

        self._begin(target)

    def _begin(self, target: "Callable[[Project, ModelRef, Format], Path]") -> None:
        chosen, panel, project = self.checkpoints.chosen(), self.file.panel, self.project
        if chosen is not None and project is not None:
            place = functools.partial(target, project, chosen.model, panel.form)
            self.controller.export(chosen, panel.form, place, panel.options())
