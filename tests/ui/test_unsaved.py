"""What is being written and isn't in the project yet outlives another language, and isn't lost unasked."""

from PySide6.QtWidgets import QMessageBox

from llm_studio.project import Project
from llm_studio.workflows.generation import chats
from tests.ui.driver import Driver

WRONG = "\nmodel: [not finished"


def write_wrong(driver: Driver) -> None:
    """Write something at the end of config.yaml that can't be saved."""
    page = driver.page("model")
    driver.click("config.yaml", page)
    driver.settle()
    page.file.text.appendPlainText(WRONG)
    driver.qtbot.waitUntil(lambda: "fix the marked" in page.file.state.text())


def test_a_wrong_config_yaml_outlives_another_language_and_is_saved_once_it_is_right(
    opened: Driver, project: Project
) -> None:
    write_wrong(opened)
    opened.window.choose_language("fr")
    opened.settle()
    page = opened.page("model")
    assert page.file.text.toPlainText().endswith(WRONG) and page.file.isVisible()
    assert page.file.list.isVisible(), "its mistakes are marked"
    assert WRONG not in project.config_file.read_text(encoding="utf-8")
    text = page.file.text.toPlainText().removesuffix(WRONG) + "\n# mine"
    page.file.text.selectAll()
    page.file.text.insertPlainText(text)
    opened.window.go_to("data")
    opened.settle()
    assert project.config_file.read_text(encoding="utf-8") == text
    assert not opened.summary


def test_a_right_config_yaml_is_saved_when_the_language_changes_while_it_is_written(
    opened: Driver, project: Project
) -> None:
    page = opened.page("model")
    opened.click("config.yaml", page)
    opened.settle()
    page.file.text.appendPlainText("# mine")
    opened.window.choose_language("fr")
    opened.settle()
    page = opened.page("model")
    assert project.config_file.read_text(encoding="utf-8") == page.file.text.toPlainText()
    assert "# mine" in page.file.text.toPlainText() and not page.file.is_changed
    assert not opened.summary


def test_a_prompt_being_written_stays_in_its_chat_in_another_language(opened: Driver, project: Project) -> None:
    for number in (1, 2):
        turns = (chats.Turn("Once"), chats.Turn("upon"))
        chats.write(project, chats.Chat(f"chat-20260101-00000{number}-000000", turns))
    older = chats.read(project, chats.listed(project)[-1].id)
    talk = opened.page("generation").talk
    talk.show_chat(older)
    talk.turns.edit_requested.emit(0)
    talk.box.setPlainText("There was a dragon")
    opened.window.choose_language("fr")
    opened.window.choose_language("en")  # before all pages are made
    opened.settle()
    talk = opened.page("generation").talk
    opened.settle()
    assert talk.box.toPlainText() == "There was a dragon"
    assert talk.chat.id == older.id and talk.editing == 0


def test_closing_asks_before_a_config_yaml_that_cant_be_saved_is_lost(opened: Driver, project: Project) -> None:
    before = project.config_file.read_text(encoding="utf-8")
    write_wrong(opened)
    opened.window.go_to("data")
    opened.window.closing.restart()
    opened.click("Keep editing", opened.dialog(QMessageBox))
    assert opened.window.isVisible() and not opened.window.closing.will_restart
    page = opened.window.pages["model"]
    assert page.isVisible() and page.file.text.toPlainText().endswith(WRONG)  # type: ignore[attr-defined]
    assert not opened.window.close()
    opened.click("Discard", opened.dialog(QMessageBox))
    opened.qtbot.waitUntil(lambda: not opened.window.isVisible())
    assert project.config_file.read_text(encoding="utf-8") == before


def test_nothing_is_requested_where_all_can_be_saved(opened: Driver, project: Project) -> None:
    page = opened.page("model")
    opened.click("config.yaml", page)
    opened.settle()
    page.file.text.appendPlainText("# mine")
    assert opened.window.close()
    assert "# mine" in project.config_file.read_text(encoding="utf-8")


def test_leaving_the_project_asks_too(opened: Driver, project: Project) -> None:
    write_wrong(opened)
    opened.window.closing.close_project()
    opened.click("Keep editing", opened.dialog(QMessageBox))
    assert opened.session.project is project
    opened.window.closing.close_project()
    opened.click("Discard", opened.dialog(QMessageBox))
    opened.settle()
    assert opened.session.project is None
