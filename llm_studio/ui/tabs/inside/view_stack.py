"""The views of a model, one at a time, with those of a pinned model beside them."""

from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QProgressBar, QToolButton, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.tabs.inside.questions import Answer
from llm_studio.ui.tabs.inside.view_pane import ViewPane
from llm_studio.ui.theme import GAP
from llm_studio.ui.views import pictures
from llm_studio.ui.widgets.basics import Segmented, icon_button, label, let_shrink, row

_LEAST, _LEAST_NARROW = 460, 730
"""Minimum height of a view in pixels, at full and at half width."""
_WIDE = 1000
"""Minimum width in pixels at which two panes are side by side instead of one below the other."""


class ViewStack(QWidget):
    """Selects the view that one or two panes show."""

    changed = Signal()
    """The queries of the views may have changed."""
    text_changed = Signal(str)
    """The text after the user has changed it in a view."""
    not_saved = Signal(str)
    """Why an image could not be saved."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.main = ViewPane(self)
        self.pinned: ViewPane | None = None
        """The views of the pinned model, created when first needed and hidden while none is pinned."""
        self._titles = "", ""
        names = {key: view.accessibleName() for key, view in self.main.views.items()}
        self.choice = Segmented(self, names, _("What is shown"))
        self.progress = QProgressBar(self)
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(120)
        self.progress.hide()
        self.slow = label(_("The larger the model and the text, the longer this takes."), self, "caption")
        self.slow.hide()
        self.sentence = label("", self, "muted", wrap=True)
        self.sentence.hide()
        self._panes = row(spacing=GAP)
        self._panes.addWidget(self.main, 1)
        self._shown = QWidget(self)
        """The widget that is saved as an image."""
        shown = QVBoxLayout(self._shown)
        shown.setContentsMargins(0, 0, 0, 0)
        shown.setSpacing(GAP)
        shown.addWidget(self.sentence)
        shown.addLayout(self._panes, 1)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(GAP)
        inside.addLayout(row(self.choice, None, self.slow, self.progress, self._save_button()))
        inside.addWidget(self._shown, 1)
        let_shrink(self, _LEAST)
        self.choice.chosen.connect(self._on_view)
        self._connect(self.main)

    def _save_button(self) -> QToolButton:
        made = icon_button("image", _("Save the picture"), self)
        made.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(made)
        menu.addAction(_("As PNG…"), self._save_png)
        menu.addAction(_("As SVG…"), self._save_svg)
        made.setMenu(menu)
        return made

    def _connect(self, pane: ViewPane) -> None:
        pane.chosen.connect(self._on_chosen)
        pane.text_changed.connect(self.text_changed)

    def panes(self) -> list[ViewPane]:
        """The panes that are shown."""
        return [self.main] + ([self.pinned] if self.pinned is not None and not self.pinned.isHidden() else [])

    def show_beside(self, title: str, pinned: str) -> None:
        """Show the titles of the two models, and the views of the pinned one. `pinned` is "" if none is pinned."""
        if (title, pinned) != self._titles:
            self._titles = title, pinned
            self._show_titles(title, pinned)
        self.changed.emit()

    def _show_titles(self, title: str, pinned: str) -> None:
        was_pinned = len(self.panes()) > 1
        if pinned and self.pinned is None:
            self.pinned = ViewPane(self)
            self._panes.addWidget(self.pinned, 1)
            self._connect(self.pinned)
        self.main.show_beside(title if pinned else "")
        self.sentence.setVisible(bool(pinned))
        if self.pinned is not None:
            if pinned and self.pinned.isHidden():
                self.pinned.follow(self.main)
            self.pinned.show_beside(pinned)
            self.pinned.setVisible(bool(pinned))
        if bool(pinned) != was_pinned:  # a new layout takes too long for every moment of a playback
            self._arrange()
            self._share_scale()

    def _arrange(self) -> None:
        """Put two panes side by side, or one below the other if the window is narrow."""
        panes, wide = self.panes(), self.width() >= _WIDE
        self._panes.setDirection(QHBoxLayout.Direction.LeftToRight if wide else QHBoxLayout.Direction.TopToBottom)
        for pane in panes:
            pane.set_narrow(wide and len(panes) > 1)
        self._fit_height()

    def _fit_height(self) -> None:
        """Set the minimum height to what the views need: with a deep model the page then scrolls."""
        panes, wide = self.panes(), self.width() >= _WIDE
        rows = 1 if wide else len(panes)
        needed = rows * max(pane.minimumSizeHint().height() if pane.isVisible() else 0 for pane in panes)
        least = _LEAST if len(panes) == 1 else _LEAST_NARROW if wide else 2 * _LEAST
        self.setMinimumHeight(max(least, needed + self.choice.sizeHint().height() + 2 * GAP))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Arrange the panes for the new width."""
        super().resizeEvent(event)
        self._arrange()

    def hasHeightForWidth(self) -> bool:  # noqa: N802  Qt's
        """Disable height-for-width: the views adapt to any height, however their sentences wrap."""
        return False

    def show_answer(self, pane: ViewPane, answer: Answer) -> None:
        """Show an answer in `pane`; the pinned pane follows what the main one selected by default."""
        self.show_progress(1)
        pane.show_answer(answer)
        if self.pinned is not None and self.pinned in self.panes():
            self.pinned.follow(self.main)
        self._share_scale()
        self._fit_height()
        self.changed.emit()

    def _share_scale(self) -> None:
        """Use the same scale in both panes."""
        views = [pane.current() for pane in self.panes()]
        limits = [view.limits() for view in views]
        known = [pair for pair in limits if pair is not None]
        for view in views if known else ():
            view.show_limits(min(low for low, _high in known), max(high for _low, high in known))

    def current(self) -> str:
        """The key of the view that is shown, as in `ViewPane.views`."""
        return self.choice.current()

    def choose(self, name: str) -> None:
        """Show the view with this key."""
        self.choice.choose(name)
        self._on_view(name)

    def forget(self) -> None:
        """Reset the views: another project has been opened."""
        for pane in (self.main, self.pinned):
            if pane is not None:
                pane.forget()
        self.stop_waiting()

    def stop_waiting(self) -> None:
        """Stop waiting: there will be no answer."""
        self.show_progress(1)
        for pane in self.panes():
            pane.give_up()

    @Slot(float)
    def show_progress(self, done: float) -> None:
        """Show the progress of a computation, from 0 to 1; hide the bar when it is done."""
        self.progress.setVisible(done < 1)
        self.slow.setVisible(done < 1 and self.width() >= _WIDE)
        self.progress.setRange(0, 1000)
        self.progress.setValue(round(1000 * done))

    @Slot(str)
    def _on_view(self, name: str) -> None:
        for pane in (self.main, self.pinned):
            if pane is not None:
                pane.choose(name)
        self.sentence.setText(self.main.current().sentence.text())
        self._fit_height()
        self.changed.emit()

    @Slot()
    def _on_chosen(self) -> None:
        """Let the other pane follow what was chosen in one."""
        here = self.sender()
        for pane in self.panes():
            if isinstance(here, ViewPane) and pane is not here:
                pane.follow(here)
        self._share_scale()
        self.changed.emit()

    # --- Images -------------------------------------------------------------------------------------------------

    @Slot()
    def _save_png(self) -> None:
        self._choose_file("png", _("Pictures (*.png)"))

    @Slot()
    def _save_svg(self) -> None:
        self._choose_file("svg", _("Drawings (*.svg)"))

    def _choose_file(self, kind: str, kinds: str) -> None:
        name = f"{self.current()}.{kind}"
        dialog = QFileDialog(self, _("Save the picture"), str(Path.home() / name), kinds)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(kind)
        dialog.selectFile(name)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._save_to)
        dialog.open()

    @Slot(str)
    def _save_to(self, path: str) -> None:
        try:
            pictures.save(self._shown, Path(path))
        except OSError as error:
            self.not_saved.emit(_("The picture could not be saved: {reason}.").format(reason=error))
