"""The tab Model: a form and a file that stay equal, a drawing and a cost that follow, and advice that acts."""

import re
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextCursor
from pytestqt.qtbot import QtBot

from llm_studio.config import SECTIONS, Settings
from llm_studio.config.presets import load_preset, preset_names
from llm_studio.gpu.why import why_no_gpu
from llm_studio.model.cost import count_parameters
from llm_studio.project import Project
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.tabs.model.blocks import INNER, blocks
from llm_studio.ui.tabs.model.fields import WholeNumber
from llm_studio.ui.widgets.architecture import Architecture
from tests.ui.driver import LONG, Driver


def write(driver: Driver, path: str, text: str, *, leave: bool = True) -> None:
    """Type into a field of the form, and press Enter."""
    page = driver.page("model")
    editor = page.form.fields[path].editor
    line = editor.lineEdit() if isinstance(editor, WholeNumber) else editor
    line.setFocus()
    line.selectAll()
    driver.qtbot.keyClicks(line, text)
    if leave:
        driver.qtbot.keyClick(line, Qt.Key.Key_Return)


def write_yaml(driver: Driver, old: str, new: str) -> None:
    """Replace a piece of the file's text by typing."""
    text = driver.page("model").file.text
    place = text.toPlainText().index(old)
    cursor = text.textCursor()
    cursor.setPosition(place)
    cursor.setPosition(place + len(old), QTextCursor.MoveMode.KeepAnchor)
    text.setTextCursor(cursor)
    driver.qtbot.keyClicks(text, new)


def settings(driver: Driver) -> Settings:
    """What the project's file holds."""
    driver.session.flush_settings()
    driver.settle()
    assert driver.session.project is not None
    return driver.session.project.settings()


def marked(page: Any) -> dict[str, str]:
    """The fields that are marked as wrong, with what is said."""
    return {path: f.message.text() for path, f in page.form.fields.items() if f.editor.property("role") == "wrong"}


def test_the_form_shows_every_declared_setting(opened: Driver) -> None:
    page = opened.page("model")
    declared = {f"{s}.{name}" for s in ("model", "training") for name in SECTIONS[s].model_fields}
    assert set(page.form.fields) == declared
    titles = [info.title for section in ("model", "training") for info in SECTIONS[section].model_fields.values()]
    assert all(titles)  # each setting declares its name for people
    shown = settings(opened)
    for path, made in page.form.fields.items():
        section, name = path.split(".")
        value = getattr(getattr(shown, section), name)
        assert made.value() == (list(value) if isinstance(value, tuple) else value)
        title = made.title.text().replace("\N{ZERO WIDTH SPACE}", "")
        assert f"({name})" in title or title == name
        assert made.editor.accessibleName() and made.caption.text()


def test_a_change_in_the_form_is_written_and_comments_stay(opened: Driver, project: Project) -> None:
    file = project.config_file
    file.write_text(file.read_text(encoding="utf-8") + "\n# mine\n", encoding="utf-8")
    write(opened, "model.n_layers", "3")
    write(opened, "training.learning_rate", "3e-4")
    page = opened.page("model")
    page.form.fields["training.sample_prompts"].editor.setPlainText("Once\nIl était")
    page.form.take()
    now = settings(opened)
    assert (now.model.n_layers, now.training.learning_rate) == (3, 3e-4)
    assert now.training.sample_prompts == ("Once", "Il était")
    assert "# mine" in file.read_text(encoding="utf-8")
    assert page.form.fields["training.learning_rate"].editor.text() == "3e-4"
    assert "n_layers: 3" in page.file.text.toPlainText()
    assert not opened.summary


def test_every_wrong_field_is_marked_and_nothing_wrong_is_written(opened: Driver) -> None:
    page = opened.page("model")
    before = settings(opened)
    write(opened, "model.d_model", "33")
    write(opened, "training.learning_rate", "fast")
    wrong = marked(page)
    assert not page.train_button.isEnabled()
    assert set(wrong) == {"model.d_model", "training.learning_rate"}
    assert "multiple of 2" in wrong["model.d_model"] and "must be a number" in wrong["training.learning_rate"]
    write(opened, "training.max_steps", "40")  # what is right is written all the same
    assert settings(opened) == before.replaced({"training.max_steps": 40})
    assert set(marked(page)) == {"model.d_model", "training.learning_rate"}
    assert page.form.fields["model.d_model"].value() == 33  # an overview came: it stays
    assert not page.train_button.isEnabled()
    write(opened, "model.n_heads", "11")  # rotary positions need an even width: still wrong
    assert "model.d_model" in marked(page)
    write(opened, "model.d_model", "44")
    write(opened, "training.learning_rate", "0.01")
    assert not marked(page)
    assert (settings(opened).model.d_model, settings(opened).model.n_heads) == (44, 11)
    assert page.train_button.isEnabled()


def test_a_wrong_setting_among_the_folded_ones_unfolds_them(opened: Driver) -> None:
    page = opened.page("model")
    field = page.form.fields["training.beta1"]
    assert not field.isVisible()
    write(opened, "training.beta1", "2")
    assert field.isVisible() and "less than 1" in field.message.text()


def test_simple_settings_come_first_and_the_fold_is_remembered(opened: Driver) -> None:
    form = opened.page("model").form

    def shown() -> list[str]:
        return [path for path, field in form.fields.items() if field.isVisible()]

    simple = ["model.d_model", "model.n_layers", "model.max_seq_len", "training.minutes", "training.max_steps"]
    assert shown() == simple
    opened.click("More settings ▾", form)
    assert len(shown()) == len(form.fields) and Preferences.load().more_settings
    opened.window.choose_language("fr")  # makes the page again
    opened.settle()
    form = opened.page("model").form
    assert len(shown()) == len(form.fields)
    opened.click("Plus de réglages ▴", form)
    assert shown() == simple and not Preferences.load().more_settings


def test_a_setting_that_advice_changes_is_shown(opened: Driver) -> None:
    form = opened.page("model").form
    warm_up = form.fields["training.warmup_steps"]
    write(opened, "training.warmup_steps", "30")
    opened.settle()
    assert not warm_up.isVisible()
    opened.click("Warm up for 3 steps")
    opened.qtbot.waitUntil(lambda: not warm_up.visibleRegion().isEmpty(), timeout=5000)
    assert not Preferences.load().more_settings  # the user has not asked for them


def test_nothing_is_requested_when_an_overview_comes(opened: Driver) -> None:
    page = opened.page("model")
    requested: list[object] = []
    page.context.settings_requested.connect(requested.append)
    for _time in range(3):
        opened.session.refresh()
        opened.settle()
    page.form.take()
    page.file.save()
    opened.settle()
    assert requested == []


def test_what_is_being_typed_survives_an_overview(opened: Driver) -> None:
    page = opened.page("model")
    write(opened, "model.d_ff", "9", leave=False)
    opened.click("config.yaml", page)
    opened.settle()
    write_yaml(opened, "n_heads: 2", "n_heads: zwei")
    page.file.check()
    opened.session.refresh()
    opened.settle()
    assert "n_heads: zwei" in page.file.text.toPlainText()
    assert settings(opened).model.d_ff == 9


def test_drawing_cost_and_shares_follow_while_typing(opened: Driver) -> None:
    page = opened.page("model")
    before = page.facts.cost.values._values["parameters"].text()
    write(opened, "model.n_layers", "20", leave=False)
    assert page.facts.cost.values._values["parameters"].text() != before
    assert page.facts.cost.values._values["file"].text().endswith("kB")
    frame = page.architecture.drawing.blocks["attention"].parentWidget()
    assert frame.accessibleName() == "20 layers"
    opened.settle()
    assert "free memory" in page.facts.cost._under.text()
    assert "feed-forward" in page.facts.shares.bar.accessibleDescription()


def test_a_block_says_what_it_is_by_mouse_and_by_keyboard(opened: Driver) -> None:
    page = opened.page("model")
    drawing: Architecture = page.architecture.drawing
    opened.click(drawing.blocks["attention"])
    assert page.architecture.name.text() == "Causal attention"
    assert "softmax" in page.architecture.formula.text() and "in each layer" in page.architecture.count.text()
    drawing.blocks["attention"].setFocus()
    opened.qtbot.keyClick(drawing.blocks["attention"], Qt.Key.Key_Down)
    assert drawing.current() == "attention_norm"
    assert page.architecture.name.text() == "RMSNorm"
    assert all(block.accessibleName() for block in drawing.blocks.values() if block.isVisible())
    opened.click("Read more in Understand")
    assert opened.window.pages["understand"].isVisible()


def test_the_blocks_together_have_all_parameters() -> None:
    for name in preset_names():
        for changes in ({}, {"model.tie_embeddings": False, "model.bias": True, "model.norm": "layernorm"}):
            model = load_preset(name).replaced(changes).model
            parts = count_parameters(model, 5000)
            facts = blocks(model, parts, 5000)
            each = {key: block.count * (model.n_layers if key in INNER else 1) for key, block in facts.items()}
            assert sum(each.values()) == parts.total


def test_a_preset_is_applied_and_taken_back(opened: Driver) -> None:
    page = opened.page("model")
    before = opened.session.project.config_file.read_text(encoding="utf-8")  # type: ignore[union-attr]
    assert page.presets.current() == ""
    mini = next(text for text in (b.text() for b in page.presets._buttons.values()) if text.startswith("Mini"))
    assert mini == "Mini 6\u00a0M"
    opened.click(mini)
    opened.settle()
    assert settings(opened).model == load_preset("mini").model
    assert page.presets.current() == "mini"
    assert page.form.fields["model.d_model"].value() == 256
    opened.click("Undo")
    opened.settle()
    assert opened.session.project.config_file.read_text(encoding="utf-8") == before  # type: ignore[union-attr]
    assert page.presets.current() == ""


def test_the_file_is_checked_marked_and_saved(opened: Driver, qtbot: QtBot) -> None:
    page = opened.page("model")
    opened.click("config.yaml", page)
    opened.settle()
    write_yaml(opened, "max_steps: 30", "max_steps: 3x")
    qtbot.waitUntil(lambda: bool(page.file.problems), timeout=5000)
    line = page.file.text.toPlainText().split("max_steps")[0].count("\n") + 1
    assert page.file.list.item(0).text().startswith(f"line {line}: training.max_steps: must be a whole number")
    assert len(page.file.text.extraSelections()) == 2
    assert not opened.button("Form", page).isEnabled()
    assert settings(opened).training.max_steps == 30
    write_yaml(opened, "max_steps: 3x", "max_steps: 35 # best")
    qtbot.waitUntil(lambda: settings(opened).training.max_steps == 35, timeout=5000)  # by itself, after a pause
    qtbot.waitUntil(lambda: not page.file.is_changed, timeout=5000)
    opened.click("Form", page)
    assert page.form.fields["training.max_steps"].value() == 35
    write(opened, "training.max_steps", "36")
    assert settings(opened).training.max_steps == 36
    assert re.search(r"max_steps: 36 +# best", page.file.text.toPlainText())


def test_two_hands_on_the_file_are_reported_and_neither_is_lost(opened: Driver, project: Project) -> None:
    page = opened.page("model")
    opened.click("config.yaml", page)
    opened.settle()
    write_yaml(opened, "max_steps: 30", "max_steps: 44")
    text = project.config_file.read_text(encoding="utf-8")
    project.config_file.write_text(text.replace("warmup_steps: 5", "warmup_steps: 6"), encoding="utf-8")
    opened.session.refresh()
    opened.settle()
    assert page.file._conflict.isVisible()
    page.file.save()
    assert settings(opened).training.max_steps == 30
    opened.click("Keep mine")
    assert settings(opened).training.max_steps == 44
    assert not page.file._conflict.isVisible()
    opened.qtbot.keyClicks(page.file.text, " ")
    opened.click("Discard")
    assert not page.file.is_changed


def test_a_file_broken_by_hand_opens_with_its_errors_marked(driver: Driver, project: Project) -> None:
    text = project.config_file.read_text(encoding="utf-8")
    project.config_file.write_text(text.replace("n_layers: 2", "n_layer: 2"), encoding="utf-8")
    driver.open(project)
    page = driver.page("model")
    driver.settle()
    assert page.file.text.isVisible() and not page.form.isVisible()
    assert "did you mean “n_layers”" in page.file.list.item(0).text()
    assert not page.train_button.isEnabled()
    write_yaml(driver, "n_layer:", "n_layers:")
    page.file.save()
    driver.settle()
    assert page.settings.views._buttons["form"].isEnabled() and page.train_button.isEnabled()
    driver.click("Form", page)
    assert page.form.fields["model.n_layers"].value() == 2
    project.config_file.write_bytes(b"model: \xff\xfe")
    driver.session.refresh()
    driver.settle()
    assert "UTF-8" in page.file.list.item(0).text()


def test_the_time_is_measured_by_itself_and_again_after_a_change(opened: Driver, qtbot: QtBot) -> None:
    page = opened.page("model")
    shown = page.facts.cost.values._values["time"]
    qtbot.waitUntil(lambda: page.step_time.measured_seconds is not None, timeout=LONG)
    assert shown.text().startswith("≈") and not page.facts.cost._note.isVisible()
    write(opened, "training.max_steps", "50", leave=False)  # more steps of the same kind: no need to measure again
    assert shown.text().startswith("≈")
    write(opened, "model.n_layers", "3", leave=False)
    assert shown.text() == "–"
    opened.click("Measure")
    qtbot.waitUntil(lambda: page.step_time.measured_seconds is not None, timeout=LONG)
    opened.settle()
    assert not opened.summary


@pytest.mark.parametrize(
    ("name", "value"), [("training.optimizer", "muon"), ("training.activation_checkpointing", True)]
)
def test_the_time_of_another_kind_of_step_is_not_that_of_the_one_before(
    opened: Driver, qtbot: QtBot, name: str, value: object
) -> None:
    page = opened.page("model")
    qtbot.waitUntil(lambda: page.step_time.measured_seconds is not None, timeout=LONG)
    page.config.change({name: value})
    page.plan.preview(page.plan.settings.replaced({name: value}))
    assert page.step_time.forecast is None
    qtbot.waitUntil(lambda: page.step_time.measured_seconds is not None, timeout=LONG)


def test_the_tabs_model_and_training_show_one_forecast(opened: Driver, qtbot: QtBot) -> None:
    """An estimate by both or, as soon as either has measured, what was measured by both."""
    write(opened, "training.max_steps", "60000")
    model, training = opened.page("model"), opened.window.pages["training"]

    def times() -> tuple[str, str]:
        opened.settle()
        shown = model.facts.cost.values._values["time"].text().removeprefix("≈ ")
        return shown, training.plan._text.text()

    qtbot.waitUntil(lambda: model.step_time.measured_seconds is not None, timeout=LONG)
    shown, planned = times()
    assert f"About {shown} for" in planned
    write(opened, "training.gradient_accumulation_steps", "9000", leave=True)  # too long to be measured unasked
    opened.page("training")
    opened.settle()
    assert "estimate" in training.plan._text.text()
    opened.click("Measure", training.plan)
    opened.settle()
    opened.page("model")
    qtbot.waitUntil(lambda: model.step_time.measured_seconds is not None, timeout=LONG)
    shown, planned = times()
    assert f"About {shown} for" in planned


def test_what_cannot_be_measured_says_why(opened: Driver, qtbot: QtBot) -> None:
    page = opened.page("model")
    opened.settle()
    assert opened.session.project is not None
    page.config.change({"training.device": "cuda"})
    page.plan.preview(page.plan.settings.replaced({"training.device": "cuda"}))
    reason = why_no_gpu()
    assert reason is not None
    qtbot.waitUntil(lambda: reason.what in page.facts.cost._note.text(), timeout=LONG)
    opened.settle()
    assert not opened.summary


def test_a_job_stops_a_measurement(opened: Driver) -> None:
    from llm_studio.ui.tasks import BackgroundJob

    page = opened.page("model")
    write(opened, "training.gradient_accumulation_steps", "4")
    opened.settle()
    page.step_time.begin()
    assert opened.session.is_running("model/probe")
    opened.session.start(BackgroundJob("other", lambda job: None, "Something else"))
    opened.settle()
    assert page.step_time.measured_seconds is None or not opened.session.is_running("model/probe")
    assert not opened.summary


def test_advice_acts(opened: Driver) -> None:
    page = opened.page("model")
    write(opened, "training.warmup_steps", "30")
    opened.settle()
    opened.click("Warm up for 3 steps")
    assert settings(opened).training.warmup_steps == 3
    assert page.form.fields["training.warmup_steps"].value() == 3
    opened.click("Train this model →")
    assert opened.window.pages["training"].isVisible()


def test_another_project_shows_nothing_of_the_one_before(opened: Driver, tmp_path: Any) -> None:
    from llm_studio.workflows.projects import new_project

    page = opened.page("model")
    write(opened, "model.d_model", "33")
    other = new_project(tmp_path / "other", "medium")
    opened.open(other)
    page = opened.page("model")
    opened.settle()
    assert not marked(page)
    assert page.form.fields["model.d_model"].value() == 512
    assert "d_model: 512" in page.file.text.toPlainText()
    assert page.presets.current() == "medium"
    assert other.settings().model == load_preset("medium").model
