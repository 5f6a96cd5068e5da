"""Inside, driven as a user does: a text is read; tokens, heads, cells and parts are chosen; moments pass."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog

from llm_studio.i18n import number
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.ui.views import contributions, pictures
from llm_studio.ui.views.levels import attention_levels
from llm_studio.workflows.inside.results import (
    AttentionMaps,
    Contributions,
    Guess,
    HeadKinds,
    ModelPart,
    TextWindow,
)
from llm_studio.workflows.inside.session import open_session
from llm_studio.workflows.training.train import train
from tests.ui.driver import LONG, Driver
from tests.ui.inside_page import TEXT, computed, ready, show


@pytest.fixture(scope="module")
def trained_once(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("inside") / "project"
    shutil.copytree(prepared, root)
    train(Project.open(root), Job(), run="a")
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Project:
    shutil.copytree(trained_once, tmp_path / "trained")
    return Project.open(tmp_path / "trained")


def test_without_a_model_it_says_what_to_do(opened: Driver) -> None:
    page = opened.page("inside")
    opened.settle()
    assert page.empty.isVisible() and not page.timeline.isVisible()
    opened.click("Go to Training", page)
    assert opened.window.pages["training"].isVisible()


def test_the_text_is_tinted_by_the_bits_of_the_model(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    session = open_session(trained, Job(), "a/best")
    expected = session.surprise(TEXT, Job())
    view = page.views.main.surprise
    assert view._found is not None and np.allclose(view._found.bits[1:], expected.bits[1:], atol=1e-4)
    assert f"{expected.bits_per_byte:.3f}" in view.total.text()
    tints = [chip.tint for chip in view.tokens._chips]
    assert tints[int(expected.bits[1:].argmax())] == max(tints)
    assert view.tokens.current() == int(expected.bits[1:].argmax())  # begins with the most surprising token


def test_a_token_is_replaced_by_a_guess_and_the_rest_changes(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    view = page.views.main.surprise
    driver.qtbot.keyClick(view.tokens, Qt.Key.Key_Home)
    driver.qtbot.keyClick(view.tokens, Qt.Key.Key_Right)
    before = view._found
    guess = next(bar for bar in view.guesses.bars if bar.isVisible() and bar.isEnabled()
                 and bar.token != before.tokens[2].id)  # fmt: skip
    word = view._names.text(guess.token)
    driver.click(guess)
    computed(driver, page)
    assert page.box.text() == before.tokens[1].text + word + "".join(one.text for one in before.tokens[3:])
    assert view._found is not before and view._found.bits_per_byte != before.bits_per_byte
    assert "the text before" in view.facts.text()


def test_a_typed_word_keeps_the_space_of_the_token_it_replaces(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    view = page.views.main.surprise
    index = next(n for n, one in enumerate(view._found.tokens[1:]) if one.label.startswith(" "))
    driver.qtbot.keyClick(view.tokens, Qt.Key.Key_Home)
    for _step in range(index):
        driver.qtbot.keyClick(view.tokens, Qt.Key.Key_Right)
    driver.qtbot.keyClicks(view.other, "zebra")
    driver.qtbot.keyClick(view.other, Qt.Key.Key_Return)
    computed(driver, page)
    assert " zebra" in page.box.text() and view.other.text() == ""


def test_a_head_and_a_token_of_it_are_chosen(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "attention")
    view = page.views.main.attention
    maps = view._found.maps
    view.grid.choose(0, 0)
    driver.qtbot.keyClick(view.grid, Qt.Key.Key_Right)
    driver.qtbot.keyClick(view.grid, Qt.Key.Key_Down)
    assert (view.grid.row, view.grid.column) == (1, 1) and view._single.heading.text().startswith("L2H2")
    driver.qtbot.keyClick(view.map, Qt.Key.Key_Up)
    row = maps.window.length - 2
    line = view.arcs.line
    assert line.current == row and len(line._weights) == row + 1
    assert sum(line._weights) == pytest.approx(1, abs=0.01)
    assert list(line._weights) == maps.weights[1, 1, row, : row + 1].tolist()
    driver.qtbot.keyClick(line, Qt.Key.Key_Home)
    assert line.current == 0 and page.views.main._position == 0


@pytest.mark.parametrize("length", [1, 64, 65, 130, 512])
def test_a_thumbnail_of_a_long_text_hides_no_strong_weight(length: int) -> None:
    weights = np.random.default_rng(0).random((2, 1, length, length)).astype(np.float16) ** 8
    maps = AttentionMaps((), TextWindow(0, length, 0), weights)
    found = attention_levels(maps, HeadKinds((), np.zeros((2, 1, 0), np.float32), ((None,), (None,)), 0.4, 4))
    assert found.levels.shape == weights.shape and max(found.thumbnails.shape[2:]) <= 64
    assert (found.thumbnails.max(axis=(2, 3)) == found.levels.max(axis=(2, 3))).all()
    assert np.abs((found.levels / 255.0) ** 2 - weights).max() < 0.01


def test_all_heads_of_a_deep_model_are_seen_in_a_low_window(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "attention")
    driver.window.resize(1360, 700)
    maps = AttentionMaps((), TextWindow(0, 4, 0), np.zeros((12, 12, 4, 4), np.float16))
    grid = page.views.main.attention.grid
    grid.show_levels(attention_levels(maps))
    driver.qtbot.wait(100)
    assert grid.place(11, 11).bottom() <= grid.height() <= grid.parentWidget().height()


def test_heads_that_do_something_known_are_named_with_their_score(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "attention")
    kinds = page.views.main.attention._found.kinds
    assert kinds is not None
    from llm_studio.ui.views.head_grid import kind_of

    for layer, names in enumerate(kinds.names):
        for head, name in enumerate(names):
            shown = kind_of(kinds, layer, head)
            score = float(kinds.scores[layer, head].max())
            assert (f"{score:.2f}" in shown) == (name is not None)


def test_the_lens_ends_with_what_the_model_predicts(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "lens")
    view, surprise = page.views.main.lens, open_session(trained, Job(), "a/best").surprise(TEXT, Job())
    found, grid = view._found, view.pane.grid
    assert found.guesses[-1, :, 0].tolist() == surprise.next_tokens[:, 0].tolist()
    assert grid.row == 2 and len([bar for bar in view.guesses.bars if bar.isVisible()]) == 5
    driver.qtbot.keyClick(grid, Qt.Key.Key_Up)
    driver.qtbot.keyClick(grid, Qt.Key.Key_Left)
    assert (grid.row, grid.column) == (1, len(found.tokens) - 2)
    assert view.guesses.bars[0].token == found.guesses[1, grid.column, 0]
    show(driver, page, "surprise")
    assert page.views.main.surprise.tokens.current() == grid.column - 1  # the same token in every view


def test_of_a_text_longer_than_the_context_the_chosen_window_is_shown(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "attention", TEXT * 6)
    view = page.views.main.attention
    assert view._found.maps.window.start == 0 and "The model reads the tokens 0 to 31" in view.about.text()
    show(driver, page, "surprise")
    driver.qtbot.keyClick(page.views.main.surprise.tokens, Qt.Key.Key_End)
    show(driver, page, "lens")
    window, count = page.views.main.lens._found.window, len(page.views.main.surprise._found.tokens)
    assert window.start + window.length == count and str(window.start) in page.views.main.lens.span.text()
    show(driver, page, "attention")
    assert view._found.maps.window == window and view.arcs.line.current == window.length - 1


def test_the_bars_of_the_contributions_add_up_to_the_logit(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "contributions")
    view, session = page.views.main.contributions, open_session(trained, Job(), "a/best")
    driver.qtbot.keyClick(view.tokens, Qt.Key.Key_Home)
    driver.qtbot.keyClick(view.tokens, Qt.Key.Key_Right)
    computed(driver, page)
    assert view.request().token is None and view._found.parts.position == 1
    driver.click(view.guesses.bars[2])
    computed(driver, page)
    token = view.guesses.bars[2].token
    ids = session.ids(TEXT)
    logits = session.model.logits(session.model.hidden(torch.tensor([ids[:2]])))
    logit = float(logits[0, -1, token].detach())
    bars = [value for row in view.grid._rows for value in row.values if value is not None]
    assert sum(bars) == pytest.approx(logit, abs=1e-3) and view._found.parts.token.id == token
    assert number(logit, 2).replace("-", "−") in view.sum.text()
    for layer in range(2):  # and the heads of a layer to its attention
        view.grid.choose(layer, 0)
        heads = [row.values[0] for row in view.heads._rows]
        assert sum(heads) == pytest.approx(view.grid._rows[layer].values[0], abs=1e-3)


@pytest.mark.parametrize("learned", [False, True])
def test_every_part_of_a_model_has_its_bar(learned: bool) -> None:
    """With learned positions and biases, as in GPT-2, there are more of them."""
    random = np.random.default_rng(0)
    heads, forward = random.normal(size=(3, 4)).astype(np.float32), random.normal(size=3).astype(np.float32)
    bias = random.normal(size=3).astype(np.float32) * learned
    parts = Contributions(1, Guess(5, "a", 0.5), None, 0.0, 1.25, 0.5 * learned, heads, bias, forward, -0.75 * learned)
    bars = [value for _layer, row in contributions._rows_of(parts) for value in row.values if value is not None]
    assert sum(bars) == pytest.approx(parts.total(), abs=1e-5) and len(bars) == 3 * 2 + (3 if learned else 1)


def test_the_lead_of_a_token_is_explained_too(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "contributions")
    view = page.views.main.contributions
    first, second = (bar.token for bar in view.guesses.bars[:2])
    driver.click("Its lead", view)
    computed(driver, page)
    chances = {one.id: one.probability for one in view._found.guesses}
    lead = sum(value for row in view.grid._rows for value in row.values if value is not None)
    assert math.exp(lead) == pytest.approx(chances[first] / chances[second], rel=1e-2)
    driver.qtbot.keyClick(view.grid, Qt.Key.Key_Right)
    assert view.grid.column == 1 and "feed-forward" in view.grid.accessibleDescription()


def test_heads_are_measured_once_for_each_moment_and_after_their_maps(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "surprise")
    assert not page.look._sessions.kinds  # nothing shows them
    show(driver, page, "attention")
    assert len(page.look._sessions.kinds) == 1
    measured = page.views.main.attention._found.kinds
    driver.qtbot.keyClick(page.timeline.slider, Qt.Key.Key_Home)
    computed(driver, page)
    driver.qtbot.keyClick(page.timeline.slider, Qt.Key.Key_End)
    computed(driver, page)
    assert page.views.main.attention._found.kinds is measured


def test_neighbours_come_first_and_a_map_on_request(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "embeddings")
    view = page.views.main.embeddings
    session = open_session(trained, Job(), "a/best")
    token = session.vocabulary.named("the")
    driver.qtbot.keyClicks(view.token, "the")
    driver.qtbot.keyClick(view.token, Qt.Key.Key_Return)
    computed(driver, page)
    near = session.similar_tokens(token)
    assert [bar.token for bar in view.near.bars] == [one.id for one in near[:10]]
    assert not view.map.isVisible()
    driver.click("All", view)
    driver.click(view.draw)
    computed(driver, page)
    assert view.map.isVisible() and len(view.map._ids) == session.facts.vocab_size
    place = view.map.place(5)
    driver.qtbot.keyClick(view.map, Qt.Key.Key_Plus)
    driver.qtbot.keyClick(view.map, Qt.Key.Key_Left)
    assert view.map.place(5) != place
    driver.click(view.near.bars[0])
    computed(driver, page)
    assert view.map._token == near[0].id


def test_what_is_no_token_is_said_and_nothing_is_lost(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "embeddings")
    view = page.views.main.embeddings
    driver.qtbot.keyClicks(view.token, "incomprehensibilities")
    driver.qtbot.keyClick(view.token, Qt.Key.Key_Return)
    computed(driver, page)
    assert "incomprehensibilities" in view.problem.text() and view.near.bars[0].isVisible()


def test_without_a_part_the_model_is_worse_and_with_all_it_is_whole_again(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained, "parts")
    view = page.views.main.parts
    assert view.reduced.text() == view.intact.text() != "–" and view.text.toPlainText()
    for _step in range(3):  # to the feed-forward network of the first layer
        driver.qtbot.keyClick(view.grid, Qt.Key.Key_Right)
    driver.qtbot.keyClick(view.grid, Qt.Key.Key_Space)
    computed(driver, page)
    assert view.request() == (ModelPart(0, "feed_forward"),) and view.reduced.text() != view.intact.text()
    driver.click(view.measure)
    computed(driver, page)
    assert set(view.grid._worth) == {"L1H1", "L1H2", "L1.attention", "L1.feed_forward",
                                     "L2H1", "L2H2", "L2.attention", "L2.feed_forward"}  # fmt: skip
    driver.click(view.all_on)
    computed(driver, page)
    assert view.reduced.text() == view.intact.text()


def test_moments_change_the_texts_at_once_and_then_the_model(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    last, timeline = page.views.main.surprise._found.bits_per_byte, page.timeline
    written = timeline.text()
    driver.qtbot.keyClick(timeline.slider, Qt.Key.Key_Home)
    assert timeline.where.text() == "step 0" and timeline.text() not in ("", written)  # nothing was waited for
    computed(driver, page)
    assert "step 0" in page.subtitle.text() and page.views.main.surprise._found.bits_per_byte > last
    driver.qtbot.keyClick(timeline.slider, Qt.Key.Key_Right)
    assert timeline.moment().step == 1
    computed(driver, page)


def test_the_moments_play_to_the_end(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    timeline = page.timeline
    timeline._timer.setInterval(5)
    driver.click(timeline.play)
    assert timeline.is_playing and timeline.slider.value() == 0  # from the first one, as the last was shown
    driver.qtbot.waitUntil(lambda: not timeline.is_playing, timeout=LONG)
    computed(driver, page)
    assert timeline.moment().step == 30 and "step 30" in page.subtitle.text()


def test_the_model_of_a_moment_can_be_talked_to(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    driver.qtbot.keyClick(page.timeline.slider, Qt.Key.Key_Home)
    computed(driver, page)
    driver.click("Talk to this one", page)
    driver.settle()
    generation: Any = driver.window.pages["generation"]
    assert generation.isVisible() and generation.choice.current() == ("a", "0", 0)


@pytest.mark.parametrize("view", ["surprise", "attention", "lens", "contributions", "embeddings", "parts"])
def test_every_view_is_saved_as_a_picture(view: str, driver: Driver, trained: Project, tmp_path: Path) -> None:
    page = ready(driver, trained, view)
    shown = page.views.main.views[view]
    for kind in ("png", "svg"):
        pictures.save(shown, tmp_path / f"{view}.{kind}")
    image = QImage(str(tmp_path / f"{view}.png"))
    assert image.width() == 2 * shown.width() and image.height() == 2 * shown.height()
    drawn = (tmp_path / f"{view}.svg").read_text(encoding="utf-8")
    assert shown.sentence.text().split()[0] in drawn and drawn.rstrip().endswith("</svg>")
    assert sorted(path.name for path in tmp_path.glob("*.?*g")) == [f"{view}.png", f"{view}.svg"]


def test_no_view_makes_the_page_scroll_sideways_in_the_smallest_window(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    driver.window.choose_language("fr")
    driver.settle()
    driver.window.resize(1024, 700)
    page = driver.page("inside")
    area = page.parent().parent()
    for view in page.views.main.views:
        show(driver, page, view)
        driver.qtbot.waitUntil(lambda: driver.window.width() == 1024)
        driver.qtbot.wait(50)
        assert area.horizontalScrollBar().maximum() == 0, view


def test_the_lens_shows_whole_columns_and_the_chosen_one_at_any_width(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    show(driver, page, "lens")
    pane = page.views.main.lens.pane
    for width in (1024, 1111, 1360):
        driver.window.resize(width, 700)
        driver.qtbot.waitUntil(lambda width=width: driver.window.width() == width)
        driver.qtbot.wait(50)
        bar, grid = pane.horizontalScrollBar(), pane.grid
        assert bar.maximum() > 0 and bar.value() % grid.wide == 0
        area = grid.place(grid.row, grid.column)
        assert bar.value() + 92 <= area.left() and area.right() <= bar.value() + pane.viewport().width()


def test_a_moment_without_texts_shows_those_of_the_nearest_one(driver: Driver, trained: Project) -> None:
    page = ready(driver, trained)
    found = page._found
    without = [replace(one, texts=()) if n % 3 else one for n, one in enumerate(found.moments)]
    page.timeline.show_moments(replace(found, moments=tuple(without)), without[1].step)
    nearest = without[0]
    prompt = page.timeline.prompts.currentText()
    text = next(one.text for one in nearest.texts if one.prompt == prompt)
    assert page.timeline.text() == f"(step {nearest.step}) {text}"


def test_the_picture_is_saved_where_the_dialog_says(driver: Driver, trained: Project, tmp_path: Path) -> None:
    page = ready(driver, trained)
    page.views._save_svg()
    driver.dialog(QFileDialog).fileSelected.emit(str(tmp_path / "mine.svg"))
    assert (tmp_path / "mine.svg").stat().st_size > 1000
    driver.dialog(QFileDialog).reject()
    page.views._save_to(str(tmp_path / "absent" / "mine.svg"))
    driver.settle()
    assert "absent" in page.notice.text.text()


def test_the_text_and_the_view_survive_a_change_of_language(driver: Driver, trained: Project) -> None:
    ready(driver, trained, "lens")
    driver.window.choose_language("fr")
    driver.qtbot.waitUntil(lambda: "inside" in driver.window.pages, timeout=LONG)
    driver.settle()
    page = driver.page("inside")
    computed(driver, page)
    assert page.box.text() == TEXT and page.views.current() == "lens" and page.title.text() == "À l’intérieur"
    assert page.views.main.lens.pane.grid.isVisible() and page.views.main.lens._found is not None
    driver.window.choose_language("en")
    driver.settle()
