"""A model that was trained on conversations is asked in Generation, and answers until the next turn would begin."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.generation import chats
from llm_studio.workflows.training.train import train
from tests.talk import add_talk
from tests.ui.driver import LONG, Driver


@pytest.fixture(scope="module")
def talker_once(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("talker") / "project"
    shutil.copytree(prepared, root)
    project = Project.open(root)
    train(project, Job(), run="plain", changes={"training.max_steps": 2})
    add_talk(project, 60)
    train(project, Job(), run="talker", changes={"training.max_steps": 2})
    project.change_settings({"generation.max_tokens": 6})
    return root


@pytest.fixture
def talker(talker_once: Path, tmp_path: Path) -> Project:
    shutil.copytree(talker_once, tmp_path / "talker")
    return Project.open(tmp_path / "talker")


def ready(driver: Driver, project: Project) -> Any:
    driver.open(project)
    page = driver.page("generation")
    driver.qtbot.waitUntil(page.talk.asking.isVisible, timeout=LONG)
    driver.settle()
    return page


def send(driver: Driver, page: Any, text: str) -> chats.Turn:
    driver.qtbot.keyClicks(page.talk.box, text)
    driver.qtbot.keyClick(page.talk.box, Qt.Key.Key_Return)
    driver.qtbot.waitUntil(lambda: not page.talk.is_writing, timeout=LONG)
    driver.settle()
    return page.talk.chat.turns[-1]


def test_a_model_of_conversations_is_requested_unless_the_switch_says_otherwise(
    driver: Driver, talker: Project
) -> None:
    page = ready(driver, talker)
    assert page.talk.asking.asks() and not page.talk.go.isEnabled(), "nothing is asked yet"
    driver.qtbot.keyClick(page.talk.box, Qt.Key.Key_Return)
    assert not page.talk.is_writing
    first = send(driver, page, "Who is Tom?")
    assert first.question and first.prompt == "Who is Tom?"
    driver.qtbot.keyClicks(page.talk.box, "Where is he?")
    caption = page.next.card.caption
    driver.qtbot.waitUntil(lambda: "The answer to “Where is he?”" in caption.text(), timeout=LONG)
    bar = next(bar for bar in page.next.card.bars.bars if bar.isEnabled() and bar.candidate().text.strip().isalpha())
    text = bar.candidate().text
    driver.click(bar)
    begun = page.talk.chat.turns[-1]
    assert (begun.question, begun.prompt, begun.text) == (True, "Where is he?", text)
    driver.click("Undo the last change", page)
    assert page.talk.box.toPlainText() == "Where is he?" and page.talk.asking.asks()
    driver.settle()
    page.talk.box.clear()
    second = send(driver, page, "Where is he?")
    assert second.question and [turn.prompt for turn in page.talk.chat.turns] == ["Who is Tom?", "Where is he?"]
    driver.click("Regenerate", page)
    driver.qtbot.waitUntil(lambda: not page.talk.is_writing, timeout=LONG)
    driver.settle()
    assert page.talk.chat.turns[-1].question and page.talk.chat.turns[-1].prompt == "Where is he?"
    driver.click("New text", page)
    plain = send(driver, page, "Once")
    assert not plain.question
    assert chats.newest(talker) == page.talk.chat
    page.talk.turns.views[1]._edit.click()
    assert page.talk.asking.asks(), "an edited question is asked again"


def test_a_model_of_plain_texts_has_no_switch(driver: Driver, talker: Project) -> None:
    page = ready(driver, talker)
    page.choice.run_box.setCurrentIndex(page.choice.run_box.findData("plain"))
    page.choice.run_box.activated.emit(page.choice.run_box.currentIndex())
    driver.settle()
    assert not page.talk.asking.isVisible() and page.talk.go.isEnabled()
    assert not send(driver, page, "Once").question
