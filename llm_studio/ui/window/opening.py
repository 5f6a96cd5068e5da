"""Models that someone shared: chosen in a dialog or dropped on the window, and opened in the background."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QMimeData, QObject, Qt, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QWidget

from llm_studio.i18n import N_, _
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tabs.generation import TAB as GENERATION
from llm_studio.ui.tasks import BackgroundJob, Query
from llm_studio.ui.widgets.drop_veil import DropVeil
from llm_studio.ui.window.closing import Closing
from llm_studio.ui.window.session import Session
from llm_studio.ui.window.start_page import START

if TYPE_CHECKING:
    from llm_studio.jobs import Job
    from llm_studio.workflows.opening import OpenedModel

RECOGNISE, OPEN = "model/recognise", "model/open"


class ModelOpener(QObject):
    """Opens a model as a new project."""

    tab_requested = Signal(str)
    """The tab to show after a model was opened."""

    def __init__(self, session: Session, preferences: Preferences, closing: Closing, window: QWidget) -> None:
        super().__init__(window)
        self._session, self._preferences, self._closing, self._window = session, preferences, closing, window
        self._veil = DropVeil(window)
        window.setAcceptDrops(True)
        window.installEventFilter(self)
        session.succeeded.connect(self._on_succeeded)
        closing.folder_chosen.connect(self._on_chosen)

    @Slot()
    def choose(self) -> None:
        """Ask for a zip, or for the config.json of a Hugging Face folder."""
        dialog = QFileDialog(self._window, _("Open a model"), str(self._preferences.folder_for_projects()))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters([_("Models: zip, or the config.json of a folder") + " (*.zip config.json)"])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._on_chosen)
        dialog.open()

    @Slot(str)
    def _on_chosen(self, path: str) -> None:
        self.take(Path(path))

    def take(self, path: Path) -> None:
        """If there is a model at `path`, ask for the location of its project; otherwise open the project at `path`."""
        self._session.start(Query(RECOGNISE, _recognition(path), outlives_project=True))

    @Slot(str, object)
    def _on_succeeded(self, key: str, result: Any) -> None:
        if key == RECOGNISE:
            path, found, name = result
            if found is None:
                self._closing.open_folder(str(path))
            else:
                self._ask(found, name)
        elif key == OPEN:
            self._closing.open_project(result.project)
            self.tab_requested.emit(GENERATION.name)

    def _ask(self, model: Path, name: str) -> None:
        from llm_studio.ui.dialogs.open_model import OpenModelDialog

        dialog = OpenModelDialog(model, name, self._preferences, self._window)
        dialog.accepted_at.connect(self._open)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(Path, Path)
    def _open(self, model: Path, root: Path) -> None:
        def work(job: "Job") -> "OpenedModel":
            from llm_studio.workflows.opening import open_model

            return open_model(model, root, job)

        self._session.start(BackgroundJob(OPEN, work, N_("Opening the model"), START, outlives_project=True))

    # --- Dropping -------------------------------------------------------------------------------------------------

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's
        """Accept a zip or folder that is dropped where no other widget accepts it."""
        if isinstance(event, QDragEnterEvent):
            if _dropped(event.mimeData()) is None:
                event.ignore()
                return True
            self._veil.cover(_("Drop to open this model"), True)
            _accept_copy(event)
        elif event.type() == QEvent.Type.DragLeave:
            self._veil.hide()
            event.accept()
        elif event.type() == QEvent.Type.Drop and isinstance(event, QDropEvent):
            self._veil.hide()
            _accept_copy(event)
            path = _dropped(event.mimeData())
            if path is not None:
                self.take(path)
        else:
            return super().eventFilter(watched, event)
        return True


def _recognition(path: Path) -> "Callable[[Job], tuple[Path, Path | None, str]]":
    def work(_job: "Job") -> tuple[Path, Path | None, str]:
        from llm_studio.workflows import opening

        found = opening.recognise(path)
        if found is None and not path.is_dir():
            raise opening.no_model(path)
        return path, found, "" if found is None else opening.proposed_name(found)

    return work


def _dropped(data: QMimeData) -> Path | None:
    """The zip, folder or config.json that is being dragged, if it is a single one."""
    paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
    if len(paths) != 1:
        return None
    is_file = paths[0].suffix.lower() == ".zip" or paths[0].name == "config.json"
    return paths[0] if is_file or paths[0].is_dir() else None


def _accept_copy(event: QDropEvent) -> None:
    """Accept the drop as a copy: after a move, the file manager would delete the file."""
    event.setDropAction(Qt.DropAction.CopyAction)
    event.accept()
