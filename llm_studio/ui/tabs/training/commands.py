"""What the user can ask for on the tab Training."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot

from llm_studio.ui.page import Page
from llm_studio.ui.tabs.training import tasks
from llm_studio.ui.tasks import TRAINING

if TYPE_CHECKING:
    from llm_studio.workflows.generation.favourites import Favourite


class TrainingCommands(Page):
    """Turns wishes into tasks of the open project; knows nothing of what is on the screen."""

    def _on_start(self) -> None:
        if self.project is not None:
            self.context.request(tasks.train(self.project))

    @Slot(str)
    def _resume(self, run: str) -> None:
        if self.project is not None:
            self.context.request(tasks.train(self.project, run))

    @Slot(str, int)
    def _train_further(self, run: str, steps: int) -> None:
        if self.project is not None:
            self.context.request(tasks.train(self.project, run, {"training.max_steps": steps}))

    @Slot(str, str)
    def _rename(self, old: str, new: str) -> None:
        if self.project is not None:
            self.context.request(tasks.rename(self.project, old, new))

    @Slot(str)
    def _delete(self, run: str) -> None:
        if self.project is not None:
            self.context.request(tasks.delete(self.project, run))

    @Slot(object, bool)
    def _on_favourite(self, favourite: "Favourite", kept: bool) -> None:
        if self.project is not None:
            self.context.request(tasks.keep(self.project, favourite, kept))

    def _on_save(self) -> None:
        self.context.save_requested.emit(TRAINING)

    @Slot(str, int)
    def _on_talk(self, run: str, step: int) -> None:
        self.context.checkpoint_requested.emit(run, step)
