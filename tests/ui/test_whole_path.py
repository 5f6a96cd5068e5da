"""The whole way through the window, by clicking: from a new project to a text that its model writes."""

from pathlib import Path

from PySide6.QtCore import Qt

from llm_studio.ui.dialogs.new_project import NewProjectDialog
from llm_studio.ui.tasks import TRAINING
from llm_studio.workflows.generation import chats
from llm_studio.workflows.training import runs
from tests.tiny import SETTINGS
from tests.ui.driver import LONG, Driver


def test_from_a_new_project_to_generated_text(driver: Driver, tmp_path: Path) -> None:
    driver.click("New project…")
    dialog = driver.dialog(NewProjectDialog)
    dialog.name.setText("first")
    driver.click("Create the project", dialog)
    driver.settle()
    project = driver.session.project
    assert project is not None
    driver.session.change_settings({**SETTINGS, "generation.max_tokens": 10})
    driver.settle()

    data = driver.page("data")
    data.cards.count.setValue(300)
    driver.click(data.cards.add)
    driver.settle()
    assert driver.session.overview is not None
    assert driver.session.overview.sources[0].documents == 300

    tokenizer = driver.page("tokenizer")
    driver.click("Train the tokenizer", tokenizer)
    driver.settle()
    driver.click("Prepare the tokens →", tokenizer)
    driver.settle()
    driver.click("Continue to the model →", tokenizer)

    model = driver.window.pages["model"]
    assert model.isVisible()
    driver.click("Train this model →", model)

    training = driver.window.pages["training"]
    assert training.isVisible()
    driver.click("Start training", training)
    driver.running(TRAINING)
    driver.qtbot.waitUntil(lambda: not driver.session.is_running(TRAINING), timeout=LONG)
    driver.settle()
    assert runs.listed(project)[0].state == "finished"

    generation = driver.page("generation")
    driver.qtbot.waitUntil(generation.talk.go.isEnabled, timeout=LONG)
    driver.qtbot.keyClicks(generation.talk.box, "Once upon a time")
    driver.qtbot.keyClick(generation.talk.box, Qt.Key.Key_Return)
    driver.settle()
    chat = chats.newest(project)
    assert chat is not None
    assert chat.turns[0].prompt == "Once upon a time"
    assert 0 < len(chat.turns[0].tokens) <= 10
    assert not driver.summary
