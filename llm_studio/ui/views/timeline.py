"""The moments of a run on a slider, and what the model wrote at each of them."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QComboBox, QSizePolicy, QSlider, QStyle, QStyleOptionSlider, QWidget

from llm_studio.i18n import _, number
from llm_studio.ui import theme
from llm_studio.ui.icons import put_icon
from llm_studio.ui.widgets.basics import Card, as_plain_text, icon_button, label, row

if TYPE_CHECKING:
    from llm_studio.workflows.training.moments import RunMoment, RunMoments

_PLAY = 250
"""Milliseconds of a moment while they are played."""


class MomentSlider(QSlider):
    """A slider with a tick for each moment, longer where the model itself can be opened."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._long: list[bool] = []
        self.setAccessibleName(_("Moment of the run"))
        self.setPageStep(5)
        self.setFixedHeight(30)
        theme.notifier().changed.connect(self.update)

    def show_ticks(self, long: list[bool]) -> None:
        """As many moments as there are entries."""
        self._long = long
        self.setRange(0, max(0, len(long) - 1))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Ticks below the slider."""
        super().paintEvent(event)
        if len(self._long) < 2:
            return
        painter = QPainter(self)
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        handle = self.style().pixelMetric(QStyle.PixelMetric.PM_SliderLength, option, self)
        painter.setPen(QPen(theme.color("muted"), 1))
        room = self.width() - handle
        for index, long in enumerate(self._long):
            x = round(handle / 2 + room * index / (len(self._long) - 1)) + 0.5
            painter.drawLine(QPointF(x, self.height() - 1), QPointF(x, self.height() - (7 if long else 3)))


class Timeline(Card):
    """Chooses a moment. Its texts are there at once; the model of the nearest weights takes a moment."""

    step_chosen = Signal(int)
    """The step of a moment, by the user's hand or while it plays."""
    talk_requested = Signal()
    """The user wants to write with the model of this moment."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._moments: tuple[RunMoment, ...] = ()
        self.content.setContentsMargins(14, 8, 14, 10)
        self.content.setSpacing(4)
        self.play = icon_button("play", _("Play the moments"), self, self.toggle)
        self.slider = MomentSlider(self)
        self.where = label("", self, "value")
        self.where.setMinimumWidth(90)
        self.talk = self._talk_button()
        self.content.addLayout(row(self.play, self.slider, self.where, self.talk, spacing=12))
        self.prompts = QComboBox(self)
        self.prompts.setAccessibleName(_("The beginning that the model continues"))
        self.prompts.setMaximumWidth(220)
        self.written = label("", self, "muted")
        self.written.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.loss = label("", self, "caption")
        line = row(self.prompts, self.written, self.loss, spacing=10)
        line.setStretch(1, 1)
        self.content.addLayout(line)
        self._timer = QTimer(self, interval=_PLAY)
        self._timer.timeout.connect(self._go_on)
        self.slider.valueChanged.connect(self._on_moved)
        self.prompts.currentIndexChanged.connect(self._show_text)

    def _talk_button(self) -> QWidget:
        from llm_studio.ui.widgets.basics import button

        made = button(_("Talk to this one"), self, self.talk_requested.emit, "primary")
        made.setToolTip(_("Open Generation with the model of this moment"))
        return made

    # --- What is shown ------------------------------------------------------------------------------------------

    def show_moments(self, found: "RunMoments", step: int) -> None:
        """Show the moments of a run, at a step or the one nearest to it, silently."""
        self._moments = found.moments
        self.slider.blockSignals(True)
        self.slider.show_ticks([moment.has_weights for moment in found.moments])
        nearest = min(range(len(self._moments)), key=lambda n: abs(self._moments[n].step - step), default=0)
        self.slider.setValue(nearest)
        self.slider.blockSignals(False)
        self.slider.setEnabled(len(self._moments) > 1)
        self.play.setEnabled(len(self._moments) > 1)
        prompts = found.prompts()
        if prompts != tuple(self.prompts.itemText(n) for n in range(self.prompts.count())):
            chosen = self.prompts.currentText()
            self.prompts.blockSignals(True)
            self.prompts.clear()
            self.prompts.addItems(list(prompts))
            self.prompts.setCurrentIndex(max(0, self.prompts.findText(chosen)))
            self.prompts.blockSignals(False)
        for part in (self.prompts, self.written):
            part.setVisible(bool(prompts))
        self._show()

    def moment(self) -> "RunMoment | None":
        """The moment that is chosen."""
        place = self.slider.value()
        return self._moments[place] if place < len(self._moments) else None

    def text(self) -> str:
        """What the model wrote at this moment after the chosen beginning."""
        moment, prompt = self.moment(), self.prompts.currentText()
        return next((one.text for one in moment.texts if one.prompt == prompt), "") if moment else ""

    @property
    def is_playing(self) -> bool:
        """Whether the moments follow each other by themselves."""
        return self._timer.isActive()

    def _show(self) -> None:
        moment = self.moment()
        if moment is None:
            self.where.setText("")
            return
        self.where.setText(_("step {step}").format(step=number(moment.step)))
        loss = moment.validation_loss if moment.validation_loss is not None else moment.loss
        words = [_("{n} tokens read").format(n=number(moment.tokens))] if moment.tokens is not None else []
        words += [_("loss {loss}").format(loss=number(loss, 2))] if loss is not None else []
        self.loss.setText(" · ".join(words))
        self._show_text()

    @Slot()
    def _show_text(self) -> None:
        text = self.text()
        line = " ".join(text.split())
        room = max(0, self.written.width() - 4)
        self.written.setText(self.written.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, room))
        self.written.setToolTip(as_plain_text(text))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Another width shows more or less of the text."""
        super().resizeEvent(event)
        QTimer.singleShot(0, self, self._show_text)

    # --- Moving -------------------------------------------------------------------------------------------------

    @Slot(int)
    def _on_moved(self, _place: int) -> None:
        self._show()
        moment = self.moment()
        if moment is not None:
            self.step_chosen.emit(moment.step)

    @Slot()
    def toggle(self) -> None:
        """Play the moments from here, from the first one if this is the last; or stop."""
        if self.is_playing:
            self.stop()
            return
        if self.slider.value() == self.slider.maximum():
            self.slider.setValue(0)
        self._timer.start()
        self._show_play(_("Stop playing"), "pause")

    def stop(self) -> None:
        """Stay at this moment."""
        self._timer.stop()
        self._show_play(_("Play the moments"), "play")

    def _show_play(self, name: str, icon: str) -> None:
        put_icon(self.play, icon, "muted")
        self.play.setToolTip(name)
        self.play.setAccessibleName(name)

    @Slot()
    def _go_on(self) -> None:
        if self.slider.value() >= self.slider.maximum():
            self.stop()
        else:
            self.slider.setValue(self.slider.value() + 1)
