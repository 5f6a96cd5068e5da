"""Inside, with a moment pinned beside the chosen one: each view shows the numbers of both."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.inside.ablation import AblationStudy
from llm_studio.workflows.inside.results import ModelPart
from llm_studio.workflows.inside.session import InsideSession, open_session
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training.train import train
from tests.ui.driver import Driver
from tests.ui.inside_page import TEXT, computed, ready, show


@pytest.fixture(scope="module")
def trained_once(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compared") / "project"
    shutil.copytree(prepared, root)
    train(Project.open(root), Job(), run="a")
    train(Project.open(root), Job(), run="b", changes={"training.max_steps": 12, "training.seed": 7})
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Project:
    shutil.copytree(trained_once, tmp_path / "trained")
    return Project.open(tmp_path / "trained")


def pin(driver: Driver, page: Any, text: str) -> None:
    """Choose the entry of *Compare* that holds a text."""
    page.timeline._menu.aboutToShow.emit()
    entry = next(action for action in page.timeline._menu.actions() if text in action.text())
    entry.trigger()
    computed(driver, page)


def test_a_moment_is_pinned_beside_another_and_let_go(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    run = page.runs.currentText()
    pin(driver, page, "step 0")
    assert page.timeline.pinned_line.isVisible() and page.timeline.pinned_name.text() == f"{run} · step 0"
    assert page.timeline.pinned_text.text() != page.timeline.written.text() != ""
    main, pinned = page.views.main, page.views.pinned
    assert pinned.isVisible() and pinned.title.text() == f"{run} · step 0" and main.title.text().startswith(run)
    for pane, name in ((main, f"{run}/best"), (pinned, f"{run}/0")):
        expected = open_session(trained, Job(), name).surprise(TEXT, Job())
        assert np.allclose(pane.surprise._found.bits[1:], expected.bits[1:], atol=1e-4)
    driver.click(page.timeline.unpin)
    computed(driver, page)
    assert not pinned.isVisible() and not page.timeline.pinned_line.isVisible() and not main.title.isVisible()


def test_the_pinned_moment_stays_while_the_slider_moves(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    pin(driver, page, "With this moment")
    before = page.views.pinned.surprise._found.bits_per_byte
    assert before == pytest.approx(page.views.main.surprise._found.bits_per_byte, abs=1e-5)
    driver.qtbot.keyClick(page.timeline.slider, Qt.Key.Key_Home)
    computed(driver, page)
    assert page.views.pinned.surprise._found.bits_per_byte == before
    assert page.views.main.surprise._found.bits_per_byte > before and page.views.main.title.text().endswith("step 0")


def test_the_pinned_moment_may_be_of_another_run(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "lens")
    other = next(run for run in ("a", "b") if run != page.runs.currentText())
    pin(driver, page, f"best of {other}")
    expected = open_session(trained, Job(), f"{other}/best").lens(TEXT, Job())
    assert page.views.pinned.title.text().startswith(f"{other} · ")
    assert (page.views.pinned.lens._found.guesses == expected.guesses).all()
    page.runs.setCurrentText(other)
    page.runs.activated.emit(page.runs.currentIndex())
    computed(driver, page)
    assert (page.views.main.lens._found.guesses == expected.guesses).all()  # now both are of that run


def test_a_text_is_read_by_both_models(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    pin(driver, page, "step 0")
    page.box.set_text("The dog ran home.")
    computed(driver, page)
    for pane in (page.views.main, page.views.pinned):
        assert "".join(token.text for token in pane.surprise._found.tokens) == "The dog ran home."


def test_what_is_chosen_in_one_is_chosen_in_the_other(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "attention")
    pin(driver, page, "step 0")
    main, pinned = page.views.main, page.views.pinned
    assert (pinned.attention.grid.row, pinned.attention.grid.column) == \
        (main.attention.grid.row, main.attention.grid.column)  # fmt: skip
    main.attention.grid.choose(1, 0)
    driver.qtbot.keyClick(main.attention.map, Qt.Key.Key_Up)
    assert (pinned.attention.grid.row, pinned.attention.grid.column) == (1, 0)
    assert pinned.attention._row == main.attention._row == len(main.attention._found.maps.tokens) - 2
    assert list(pinned.attention.arcs.line._weights) != list(main.attention.arcs.line._weights)
    driver.qtbot.keyClick(pinned.attention.grid, Qt.Key.Key_Up)  # and the other way round
    assert (main.attention.grid.row, main.attention.grid.column) == (0, 0)
    show(driver, page, "lens")
    assert pinned.lens.pane.grid.column == main.lens.pane.grid.column == len(main.lens._found.tokens) - 2
    driver.qtbot.keyClick(main.lens.pane.grid, Qt.Key.Key_Up)
    assert pinned.lens.pane.grid.row == main.lens.pane.grid.row == 1


def test_every_view_shows_both_models(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "embeddings")
    run = page.runs.currentText()
    sessions = [open_session(trained, Job(), f"{run}/{name}") for name in ("best", "0")]
    pin(driver, page, "step 0")
    panes = page.views.main, page.views.pinned
    token = sessions[0].vocabulary.named("the")
    driver.qtbot.keyClicks(panes[0].embeddings.token, "the")
    driver.qtbot.keyClick(panes[0].embeddings.token, Qt.Key.Key_Return)
    driver.click(panes[0].embeddings.draw)
    computed(driver, page)
    for pane, session in zip(panes, sessions, strict=True):
        assert [bar.token for bar in pane.embeddings.near.bars] == [
            one.id for one in session.similar_tokens(token)[:10]
        ]
        assert pane.embeddings.map.isVisible()
    show(driver, page, "contributions")
    explained = panes[0].contributions._found.parts.token.id
    last = len(sessions[0].ids(TEXT)) - 1
    for pane, session in zip(panes, sessions, strict=True):
        parts = session.contributions(TEXT, Job(), last, explained)  # the same token in both
        assert pane.contributions._found.parts.logit == pytest.approx(parts.logit, abs=1e-3)
    scales = [(bars._low, bars._high) for pane in panes for bars in (pane.contributions.grid, pane.contributions.heads)]
    assert len(set(scales)) == 1  # bars of the same length mean the same
    show(driver, page, "parts")
    driver.qtbot.keyClick(panes[0].parts.grid, Qt.Key.Key_Space)
    computed(driver, page)
    assert panes[1].parts.request() == panes[0].parts.request() == (ModelPart(0, "head", 0),)
    for pane, session in zip(panes, sessions, strict=True):
        assert f"{_without_a_head(session):.3f}" in pane.parts.reduced.text()


def _without_a_head(session: InsideSession) -> float:
    bits = AblationStudy(session, Job()).effect([ModelPart(0, "head", 0)], Job()).bits_per_byte
    assert bits is not None
    return bits


def test_both_are_saved_as_one_picture(driver: Driver, trained: Project, tmp_path: Path) -> None:
    page = ready(driver, trained)
    pin(driver, page, "step 0")
    page.views._save_to(str(tmp_path / "both.png"))
    page.views._save_to(str(tmp_path / "both.svg"))
    image, drawn = QImage(str(tmp_path / "both.png")), (tmp_path / "both.svg").read_text(encoding="utf-8")
    assert image.width() >= 2 * (page.views.main.width() + page.views.pinned.width())
    for pane in (page.views.main, page.views.pinned):
        assert pane.title.text() in drawn


@pytest.mark.parametrize("size", [(1024, 700), (1360, 860)])
def test_two_panes_fit_into_the_window(size: tuple[int, int], driver: Driver, trained: Project) -> None:
    driver.window.resize(*size)
    page = ready(driver, trained)
    pin(driver, page, "step 0")
    main, pinned = page.views.main, page.views.pinned
    assert page.minimumSizeHint().width() <= page.parentWidget().width()  # nothing is scrolled to the right
    beside = main.width() < page.views.width() * 0.6
    assert beside == (size[0] > 1024) and pinned.isVisible()
    assert pinned.y() == main.y() if beside else pinned.y() > main.y() + main.height()


def test_a_model_of_another_tokenizer_shows_the_same_character(driver: Driver, trained: Project) -> None:
    size = open_session(trained, Job(), "a/best").facts.vocab_size
    projects.change_settings(trained, {"model.vocab_size": size - 40})
    train_tokenizer(trained, Job())
    prepare_tokens(trained, Job())
    train(trained, Job(), run="c", changes={"training.max_steps": 5})
    page = ready(driver, trained, "lens")
    pin(driver, page, f"best of {'a' if page.runs.currentText() == 'c' else 'c'}")
    main, pinned = page.views.main, page.views.pinned
    assert len(main._starts) != len(pinned._starts)
    for column in (1, 5, len(main._starts) - 1):
        main.lens.pane.grid.choose(1, column)
        computed(driver, page)
        character, here = main._starts[column], pinned.lens.shown_position()
        ends = [*pinned._starts[1:], len(TEXT)]
        assert here > 0 and pinned._starts[here] <= character < ends[here]
    show(driver, page, "contributions")
    driver.click(main.contributions.guesses.bars[1])
    computed(driver, page)
    explained = [pane.contributions._found.parts.token.label for pane in (main, pinned)]
    assert explained[0] == explained[1] or explained[0].replace(" ", "·") in pinned.contributions.problem.text()


def test_a_pinned_run_that_is_deleted_is_let_go(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    other = next(run for run in ("a", "b") if run != page.runs.currentText())
    pin(driver, page, f"best of {other}")
    shutil.rmtree(trained.root / "checkpoints" / other)
    driver.session.refresh()
    computed(driver, page)
    assert page.moments.pinned is None and not page.views.pinned.isVisible()


def test_the_pinned_moment_survives_a_change_of_language(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "lens")
    pin(driver, page, "step 0")
    driver.window.choose_language("fr")
    driver.qtbot.waitUntil(lambda: "inside" in driver.window.pages, timeout=60_000)
    driver.settle()
    page = driver.page("inside")
    computed(driver, page)
    assert page.views.pinned.lens._found is not None and page.views.pinned.title.text().endswith("étape 0")
    driver.window.choose_language("en")
    driver.settle()
