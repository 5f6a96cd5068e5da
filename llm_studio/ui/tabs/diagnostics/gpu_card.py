"""Why no graphics card is used, with the solution; and, in the packaged program, installing a torch that uses it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QFileDialog

from llm_studio.i18n import N_, _, size
from llm_studio.jobs import Job
from llm_studio.ui.page import Page
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tasks import BackgroundJob, Query, Task, Write
from llm_studio.ui.widgets.basics import Card, button, label, row

if TYPE_CHECKING:
    from llm_studio.workflows.machine.gpu import GpuStatus, Offer, Pack

INSTALL = "diagnostics/gpu/install"
_STANDING, _OFFER, _REMOVE = "diagnostics/gpu", "diagnostics/gpu/offer", "diagnostics/gpu/remove"


class GpuCard(Card):
    """Shows the reason and two steps. *Enable my GPU* looks up the download and shows its size before it starts.

    Part of the page of Diagnostics, whose context it uses. Hidden while a card is used and there is nothing to report.
    """

    leads = Signal(bool)
    """Whether the page's primary action is now one of this card's."""

    def __init__(self, page: Page) -> None:
        super().__init__(page, _("Why no graphics card is used"))
        self._page = page
        self._offered: Offer | None = None
        self.what = label("", self, wrap=True, selectable=True)
        self.steps = (label("", self, wrap=True, selectable=True), label("", self, wrap=True, selectable=True))
        self.pack = label("", self, "muted", wrap=True, selectable=True)
        self.enable = button(_("Enable my GPU"), self, self._ask, "primary")
        self.fetch = button("", self, self._fetch, "primary")
        tip = _("The PyTorch wheel, downloaded on another computer and brought on a USB stick")
        self.choose = button(_("From a file…"), self, self._choose_file, "", tip)
        self.cancel = button(_("Not now"), self, self._show_beginning, "link")
        self.restart = button(_("Restart LLM Studio"), self, page.context.restart_requested.emit, "primary")
        self.remove = button(_("Remove the GPU pack"), self, self._remove, "link")
        for part in (self.what, *self.steps, self.pack):
            self.content.addWidget(part)
        self.content.addLayout(row(self.enable, self.fetch, self.choose, self.cancel, self.restart, self.remove, None))
        self._standing: GpuStatus | None = None
        self.hide()
        page.context.listen(_STANDING, succeeded=self._show)
        page.context.listen(
            _OFFER, succeeded=self._show_offer, failed=self._show_problem, cancelled=self._show_beginning
        )
        page.context.listen(INSTALL, started=self._on_started, succeeded=self._on_installed, failed=self._show_problem,
                    cancelled=self._on_cancelled)  # fmt: skip
        page.context.listen(_REMOVE, succeeded=self._on_removed)

    def look(self) -> None:
        """Request the status."""
        self._page.context.request(Query(_STANDING, lambda job: _look(), page_shows_errors=True, outlives_project=True))

    # --- Showing ----------------------------------------------------------------------------------------------

    def _show(self, status: "GpuStatus") -> None:
        self._standing = status
        self._show_beginning()

    @Slot()
    def _show_beginning(self) -> None:
        """Show the reason and the first button, or what the installed pack needs."""
        if self._standing is None:
            return
        why, pack = self._standing.why, self._standing.pack
        self.setVisible(why is not None or pack is not None)
        self.heading.setText(_("Why no graphics card is used") if why else _("The graphics card is in use"))
        self.what.setText(why.what if why else "")
        self.what.setVisible(why is not None)
        for number, step in enumerate(self.steps):
            step.setText(f"{number + 1}.  {why.steps[number]}" if why else "")
            step.setVisible(why is not None)
        self._say(_words(self._standing))
        waits = pack is not None and not self._standing.used and not pack.problem
        self._offer_buttons(
            *((self.enable,) if why and why.pack and not waits else ()),
            *((self.restart,) if waits else ()),
            *((self.remove,) if pack else ()),
        )

    def _show_offer(self, offered: "Offer") -> None:
        self._offered = offered
        self._say(
            _("{wheel}, for {card}: {size} to download from {server}. It takes {kept} in {folder}, where "
              "{free} are free; unpacking needs {needed}.").format(
                wheel=offered.wheel.name, card=offered.card, size=size(offered.bytes), kept=size(offered.kept),
                server=offered.wheel.url.split("/")[2], folder=offered.folder, free=size(offered.free),
                needed=size(offered.needed)),
            _("{size} are already downloaded.").format(size=size(offered.here_already)) if offered.here_already else "",
        )  # fmt: skip
        self.fetch.setText(_("Download {size}").format(size=size(offered.bytes - offered.here_already)))
        self._offer_buttons(self.fetch, self.choose, self.cancel)
        self.fetch.setEnabled(offered.free > offered.needed)

    @Slot()
    def _on_cancelled(self) -> None:
        self._show_beginning()
        self._say(_("Stopped. What was downloaded is kept; the download will resume."))

    def _show_problem(self, error: BaseException) -> None:
        self._show_beginning()
        self._say(str(error))
        self.setVisible(True)
        self._offer_buttons(self.enable, self.choose)

    def _say(self, *texts: str) -> None:
        text = " ".join(filter(None, texts))
        self.pack.setText(text)
        self.pack.setVisible(bool(text))

    def _offer_buttons(self, *shown: object) -> None:
        for one in (self.enable, self.fetch, self.choose, self.cancel, self.restart, self.remove):
            one.setVisible(one in shown)
            one.setEnabled(True)
        self.leads.emit(any(one in shown for one in (self.enable, self.fetch, self.restart)))

    # --- Requests ---------------------------------------------------------------------------------------------

    @Slot()
    def _ask(self) -> None:
        self.enable.setEnabled(False)
        self._say(_("Finding the version for this card…"))
        self._offer_buttons(self.choose, self.cancel)
        self._page.context.request(Query(_OFFER, _offer, page_shows_errors=True, outlives_project=True))

    @Slot()
    def _fetch(self) -> None:
        offered = self._offered
        if offered is not None:
            self._begin(lambda job: _install(offered, job))

    @Slot()
    def _choose_file(self) -> None:
        path, _kind = QFileDialog.getOpenFileName(self, _("The PyTorch wheel"), "", _("Wheels (*.whl)"))
        if path:
            self.take_file(Path(path))

    def take_file(self, path: Path) -> None:
        """Install the torch in a wheel."""
        self._begin(lambda job: _install_file(path, job))

    def _begin(self, work: Callable[[Job], "Pack"]) -> None:
        self._page.context.request(
            BackgroundJob(
                INSTALL,
                work,
                N_("Enabling the GPU"),
                "diagnostics",
                page_shows_errors=True,
                outlives_project=True,
                keep_awake=True,
            )
        )

    def _on_started(self, _task: Task) -> None:
        self._say(_("In progress: the status bar shows the progress and can stop it."))
        self._offer_buttons()

    def _on_installed(self, _pack: "Pack") -> None:
        self._page.context.toast_requested.emit(Toast(_("The GPU pack is installed: restart LLM Studio to use it.")))
        self.look()

    @Slot()
    def _remove(self) -> None:
        self._page.context.request(Write(_REMOVE, lambda job: _take_away(), outlives_project=True))

    def _on_removed(self, _result: object) -> None:
        self._page.context.toast_requested.emit(Toast(_("The PyTorch of the program is used from the next start on.")))
        self.look()


def _words(status: "GpuStatus") -> str:
    """The state of the pack in words, "" if there is none."""
    pack = status.pack
    if pack is None:
        return ""
    if pack.problem:
        return pack.summary
    if status.used:
        return _("The GPU pack (PyTorch {version}) is in use.").format(version=pack.version)
    return _("The GPU pack (PyTorch {version}) is installed; it is used from the next start on.").format(
        version=pack.version
    )


def _look() -> "GpuStatus":
    from llm_studio.workflows.machine.gpu import gpu_status

    return gpu_status()


def _offer(job: Job) -> "Offer":
    from llm_studio.workflows.machine.gpu import offer

    return offer(job)


def _install(offered: "Offer", job: Job) -> "Pack":
    from llm_studio.workflows.machine.gpu import install

    return install(offered, job)


def _install_file(path: Path, job: Job) -> "Pack":
    from llm_studio.workflows.machine.gpu import install_file

    return install_file(path, job)


def _take_away() -> None:
    from llm_studio.workflows.machine.gpu import remove

    remove()
