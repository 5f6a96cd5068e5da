"""A model that someone gave away: dropped onto the window or chosen, then one talks to it."""

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog

from llm_studio.export import archive, hf
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs.locate import locate
from llm_studio.ui.dialogs.open_model import OpenModelDialog
from llm_studio.workflows.training.train import train
from tests.ui.driver import Driver


@pytest.fixture(scope="module")
def given(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a zip and a Hugging Face folder of a model."""
    root = tmp_path_factory.mktemp("given")
    shutil.copytree(prepared, root / "project")
    project = Project.open(root / "project")
    train(project, Job(), run="first", changes={"training.max_steps": 4})
    archive.write(locate(project), root / "modèle d'Été.zip", {}, Job())
    hf.write(locate(project), root / "modèle hf", {}, Job())
    return root


def drop(driver: Driver, path: Path) -> bool:
    """Drag a file over the window and drop it; whether it was taken."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    place, actions = QPointF(300, 300), Qt.DropAction.CopyAction
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(place.toPoint(), actions, data, buttons, keys)
    assert driver.window.models.eventFilter(driver.window, enter)
    if not enter.isAccepted():
        return False
    return driver.window.models.eventFilter(driver.window, QDropEvent(place, actions, data, buttons, keys))


@pytest.mark.parametrize("name", ["modèle d'Été.zip", "modèle hf"])
def test_a_dropped_model_becomes_a_project_and_writes(driver: Driver, given: Path, tmp_path: Path, name: str) -> None:
    assert drop(driver, given / name)
    dialog = driver.dialog(OpenModelDialog)
    assert dialog.name.text() == Path(name).stem and dialog.place.text() == str(tmp_path / "projects")
    dialog.name.setText("chez moi")
    driver.click(dialog.open_button)
    driver.qtbot.waitUntil(lambda: driver.session.project is not None, timeout=60_000)
    driver.settle()
    assert driver.session.project is not None and driver.session.project.root == tmp_path / "projects" / "chez moi"
    page = driver.window.pages["generation"]
    assert page.isVisible()
    driver.qtbot.waitUntil(page.talk.composer.go.isEnabled, timeout=60_000)
    assert not driver.summary


def test_a_model_that_is_dropped_on_the_data_tab_is_not_taken_for_texts(driver: Driver, given: Path) -> None:
    driver.open(Project.open(given / "project"))
    page = driver.page("data")
    driver.settle()
    data, texts = QMimeData(), QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(given / "modèle d'Été.zip"))])
    texts.setUrls([QUrl.fromLocalFile(__file__)])
    taken = []
    for mime in (data, texts):
        event = QDragEnterEvent(QPointF(9, 9).toPoint(), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton,
                                Qt.KeyboardModifier.NoModifier)  # fmt: skip
        assert page.drop_zone.eventFilter(page, event)
        taken.append(event.isAccepted())
    assert taken == [False, True]


def test_a_model_is_chosen_on_the_start_page(driver: Driver, given: Path) -> None:
    driver.click("Open a model…")
    dialog = driver.dialog(QFileDialog)
    dialog.setDirectory(str(given / "modèle hf"))
    dialog.selectFile("config.json")
    dialog.accept()
    question = driver.dialog(OpenModelDialog)
    assert question.name.text() == "modèle hf"
    question.reject()
    driver.settle()
    assert driver.session.project is None and not driver.summary


def test_what_is_no_model_is_named(driver: Driver, given: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    (tmp_path / "half.zip").write_bytes((given / "modèle d'Été.zip").read_bytes()[:2000])
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    assert not drop(driver, tmp_path / "a.txt")
    assert drop(driver, tmp_path / "texts.zip")
    assert "it holds no model of this program" in driver.problem().what.text()
    driver.problem().reject()
    assert drop(driver, tmp_path / "half.zip")
    driver.qtbot.waitUntil(lambda: "its end is missing" in driver.problem().what.text(), timeout=60_000)
    assert driver.problem().to_do.text() == "Copy or download it again."
    driver.problem().reject()
    assert drop(driver, given / "project")
    driver.settle()
    assert driver.session.project is not None and driver.session.project.root == given / "project"


def test_a_damaged_one_is_one_sentence_and_leaves_nothing(driver: Driver, given: Path, tmp_path: Path) -> None:
    shutil.copytree(given / "modèle hf", tmp_path / "damaged")
    with (tmp_path / "damaged" / "model.safetensors").open("r+b") as stream:
        stream.truncate(1000)
    assert drop(driver, tmp_path / "damaged")
    driver.click(driver.dialog(OpenModelDialog).open_button)
    assert "can't be " in driver.problem().what.text()
    driver.settle()
    assert not (tmp_path / "projects" / "damaged").exists() and driver.session.project is None


@pytest.mark.parametrize("name", ["modèle hf", "project"])
def test_open_takes_the_folder_of_a_model_as_well_as_that_of_a_project(
    driver: Driver, given: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(*_arguments: object) -> str:
        return str(given / name)

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", chosen)
    driver.window.closing.choose_folder()
    if name == "project":
        driver.qtbot.waitUntil(lambda: driver.session.project is not None, timeout=60_000)
        assert driver.session.project is not None and driver.session.project.root == given / name
    else:
        driver.dialog(OpenModelDialog).reject()
    driver.settle()
    assert not driver.summary
