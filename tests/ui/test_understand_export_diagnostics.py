"""The tabs Understand, Export and Diagnostics, driven as a user would."""

import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel

import llm_studio
from llm_studio import i18n
from llm_studio.export.formats import FORMATS
from llm_studio.jobs import Job
from llm_studio.paths import resource
from llm_studio.project import Project
from llm_studio.runs import registry
from llm_studio.ui import tabs, theme
from llm_studio.ui.language import set_language
from llm_studio.ui.tabs.export.controller import EXPORT
from llm_studio.ui.tabs.understand.documents import lesson
from llm_studio.ui.tasks import Task
from llm_studio.ui.widgets import markdown
from llm_studio.workflows.training.train import train
from tests.export.toy import TOY
from tests.ui.driver import Driver

PAGES = [(language, name) for language in i18n.LANGUAGES for name in tabs.lessons()]

# --- Understand -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "name"), PAGES)
def test_every_page_is_there_and_every_link_leads_somewhere(qapp: QApplication, language: str, name: str) -> None:
    set_language(language)
    text = resource("learn", language, f"{name}.md").read_text(encoding="utf-8")
    assert 400 <= len(text.split()) <= 950
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert any(link.startswith("source:") for link in links)
    for link in links:
        if link.startswith("source:"):
            assert (Path(llm_studio.__file__).parent / link.removeprefix("source:")).is_file(), link
        elif not link.startswith("http"):
            page, _mark, anchor = link.partition("#")
            document = lesson(page.removesuffix(".md") or name)
            assert not anchor or anchor in [known for _level, known, _text in document.headings], link


def test_both_languages_explain_the_same(qapp: QApplication) -> None:
    for name in tabs.lessons():
        outlines = []
        for language in i18n.LANGUAGES:
            set_language(language)
            outlines.append([level for level, _anchor, _text in lesson(name).headings])
        assert outlines[0] == outlines[1], name


def test_headings_of_the_same_words_have_anchors_of_their_own() -> None:
    document = markdown.render("# A & b?\n\n## A b\n\n## A b\n")
    assert [anchor for _level, anchor, _text in document.headings] == ["a-b", "a-b-1", "a-b-2"]


def test_help_opens_the_page_of_each_tab(driver: Driver) -> None:
    page = driver.page("understand")
    for tab in tabs.TABS:
        driver.window.go_to(tab.name)
        driver.window.explain()
        assert page.isVisible()
        if tab.lesson:
            assert page.index.pages.currentItem().data(Qt.ItemDataRole.UserRole) == tab.lesson
    driver.window.go_to("start")
    driver.window.explain()
    assert page.browser.toPlainText().startswith("Data: what the model learns from")
    driver.window.explain()  # there is no lesson about the tab itself
    assert page.browser.toPlainText().startswith("Data:")


def test_links_lead_to_places_pages_sources_and_back(driver: Driver) -> None:
    page = driver.page("understand")
    page.browser.anchorClicked.emit(QUrl("training.md#overfitting"))
    assert page.browser.toPlainText().startswith("Training")
    assert page.browser.verticalScrollBar().value() > 0
    page.browser.anchorClicked.emit(QUrl("source:model/attention.py"))
    assert "class CausalSelfAttention" in page.browser.toPlainText()
    page.browser.anchorClicked.emit(QUrl("source:../../README.md"))
    assert "is not part of" in page.browser.toPlainText()
    for _times in range(2):
        driver.click("Back", page)
    assert page.browser.toPlainText().startswith("Training")
    driver.click("Back", page)
    assert page.browser.toPlainText().startswith("Data")
    assert not page.back.isEnabled()


class Catcher(QObject):
    """Takes web addresses in place of the browser."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.opened: list[str] = []

    @Slot(QUrl)
    def take(self, url: QUrl) -> None:
        self.opened.append(url.toString())


def test_web_links_open_in_the_browser(driver: Driver) -> None:
    page = driver.page("understand")
    catcher = Catcher(page)
    QDesktopServices.setUrlHandler("https", catcher, "take")
    page.browser.anchorClicked.emit(QUrl("https://example.org/a"))
    QDesktopServices.unsetUrlHandler("https")
    assert catcher.opened == ["https://example.org/a"]
    assert page.browser.toPlainText().startswith("Data")


def test_search_finds_every_occurrence_and_goes_round(driver: Driver) -> None:
    page = driver.page("understand")
    page.show_target("model")
    driver.qtbot.keyClicks(page.find_bar.search, "residual")
    count = page.browser.toPlainText().lower().count("residual")
    assert page.find_bar.found.text() == f"1 of {count}"
    for _times in range(count):
        driver.click("Next occurrence", page)
    assert page.find_bar.found.text() == f"1 of {count}"
    driver.click("Previous occurrence", page)
    assert page.find_bar.found.text() == f"{count} of {count}"
    page.find_bar.search.setText("no such words")
    assert page.find_bar.found.text() == "not found"
    assert not page.find_bar.following.isEnabled()


def test_the_page_is_painted_again_with_the_theme_at_the_same_place(driver: Driver) -> None:
    page = driver.page("understand")
    page.browser.verticalScrollBar().setValue(100)
    driver.window.choose_theme("dark")
    assert theme.DARK.sunken.lower() in page.browser.toHtml().lower()
    assert page.browser.verticalScrollBar().value() == 100


# --- Export -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_run(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny project with a run of ten steps."""
    root = tmp_path_factory.mktemp("with_run") / "project"
    shutil.copytree(prepared, root)
    train(Project.open(root), Job(), run="first", changes={"training.max_steps": 10})
    return root


@pytest.fixture
def trained(driver: Driver, with_run: Path, tmp_path: Path) -> Driver:
    """The window with a copy of it open."""
    shutil.copytree(with_run, tmp_path / "with_run")
    driver.open(Project.open(tmp_path / "with_run"))
    return driver


def choose_file(driver: Driver, path: Path) -> None:
    driver.click("Export as zip…")
    dialog = driver.dialog(QFileDialog)
    dialog.setDirectory(str(path.parent))
    dialog.selectFile(path.name)
    dialog.accept()


def test_without_a_run_it_says_what_to_do(opened: Driver) -> None:
    page = opened.page("export")
    assert page.empty.isVisible()
    assert not page.primary.isVisible()
    opened.click("Go to Training", page)
    assert opened.window.pages["training"].isVisible()


def test_a_checkpoint_is_exported_as_a_zip(trained: Driver, tmp_path: Path) -> None:
    page = trained.page("export")
    trained.settle()
    assert page.checkpoints.chosen().is_best
    trained.click(page.file.panel.switches["with_training"])
    target = tmp_path / "modèle.zip"
    choose_file(trained, target)
    trained.running(EXPORT)
    trained.settle()
    with zipfile.ZipFile(target) as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert {"model.safetensors", "tokenizer.json", "config.yaml", "optimizer.safetensors"} <= names
    assert page.result.isVisible()
    assert str(target) in page.result.path.text()
    assert page.primary.isEnabled()
    assert trained.button("Open the folder", page).isVisible()
    assert not trained.summary


def test_the_archive_shows_what_will_be_in_it(trained: Driver) -> None:
    page = trained.page("export")
    trained.settle()
    without = page.file.panel.files._values["total"].text()
    assert page.file.panel.files._values["optimizer.safetensors"].text() == "left out"
    trained.click(page.file.panel.switches["with_training"])
    assert page.file.panel.files._values["total"].text() != without
    page.checkpoints.table.selectRow(len(page.controller.checkpoints) - 1)
    assert page.checkpoints.chosen().model.step == min(one.model.step for one in page.controller.checkpoints)


def test_a_run_that_has_saved_nothing_yet_says_when_it_will(trained: Driver) -> None:
    project = trained.session.project
    assert project is not None
    run = registry.listed(project)[0]
    for step in (project.checkpoints / run.name).glob("step-*"):
        shutil.rmtree(step)
    registry.write(project, replace(run, state="running", max_steps=150))
    with project.writing(f"run-{run.name}"):
        page = trained.page("export")
        trained.session.refresh()
        trained.settle()
        assert page.controller.problem == "The first checkpoint will be saved at step 5, or sooner."


@pytest.fixture
def toy_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second format in the table; to be requested before the window is made."""
    monkeypatch.setitem(FORMATS, TOY.name, TOY)


def test_a_format_in_the_table_can_be_chosen_with_its_options(
    toy_format: None, driver: Driver, with_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(with_run, tmp_path / "with_run")
    driver.open(Project.open(tmp_path / "with_run"))
    page = driver.page("export")
    driver.settle()
    assert page.formats.isVisible() and page.primary.text() == "Export as zip…"
    page.formats.choose("toy")
    assert page.primary.text() == "Export as a toy…" and "with_training" not in page.file.panel.switches
    assert page.file.panel.files._values["total"].text() == "about 100\u00a0B"
    page.file.panel.choices["case"].setCurrentIndex(1)
    driver.click(page.file.panel.switches["loud"])
    assert page.file.panel.files._values["total"].text() == "about 1.0\u00a0kB"
    driver.click(page.primary)
    dialog = driver.dialog(QFileDialog)
    dialog.setDirectory(str(tmp_path))
    dialog.selectFile("names")
    dialog.accept()
    driver.settle()
    text = (tmp_path / "names.txt").read_text(encoding="utf-8")
    assert "case=upper\nloud=True\n" in text and "embeddings.token.weight" in text


def test_a_folder_is_made_in_the_one_that_is_chosen_and_never_replaced(trained: Driver, tmp_path: Path) -> None:
    page = trained.page("export")
    trained.settle()
    trained.click(page.formats.choices["hf"])
    for suffix in ("", "-2"):
        trained.click("Export for Hugging Face…")
        dialog = trained.dialog(QFileDialog)
        dialog.setDirectory(str(tmp_path))
        dialog.selectFile(str(tmp_path))
        dialog.accept()
        trained.settle()
        made = tmp_path / f"with_run-first-step-000010-hf{suffix}"
        assert (made / "config.json").exists() and str(made) in page.result.path.text()
    assert not trained.summary


def test_a_format_that_has_no_place_for_the_model_says_what_to_train(
    driver: Driver, prepared: Path, tmp_path: Path
) -> None:
    shutil.copytree(prepared, tmp_path / "waves")
    project = Project.open(tmp_path / "waves")
    train(project, Job(), run="a", changes={"training.max_steps": 2, "model.positions": "sinusoidal"})
    driver.open(project)
    page = driver.page("export")
    driver.settle()
    assert page.primary.isEnabled() and page.file.obstacle.isHidden()
    driver.click(page.formats.choices["gguf"])
    assert not page.primary.isEnabled()
    assert (
        "sinusoidal positions" in page.file.obstacle.text() and "train a model with RoPE" in page.file.obstacle.text()
    )
    assert "may reproduce passages" in " ".join(one.text() for one in page.formats.findChildren(QLabel))


def test_a_model_is_put_into_lm_studio_where_that_is_installed(
    trained: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    page = trained.page("export")
    trained.settle()
    page.formats.choose("gguf")
    assert not page.file.panel.destination.isVisible()
    (tmp_path / ".lmstudio").mkdir()
    trained.page("training")
    assert trained.page("export") is page
    trained.click("Put into LM Studio", page)
    trained.settle()
    (made,) = (tmp_path / ".lmstudio" / "models" / "llm-studio").iterdir()
    assert made.name == "with_run-first-step-000010-gguf" and list(made.glob("*.gguf"))


def test_a_stopped_export_leaves_no_file(trained: Driver, tmp_path: Path) -> None:
    """The job is real; the weights are made larger, so that there is time to stop it."""
    from llm_studio.runs import checkpoint

    page = trained.page("export")
    trained.settle()
    with (page.checkpoints.chosen().model.path / checkpoint.MODEL).open("r+b") as stream:
        stream.truncate(400_000_000)
    choose_file(trained, tmp_path / "out.zip")
    trained.running(EXPORT)
    trained.click("Stop the export", page)
    trained.settle()
    assert not list(tmp_path.glob("out.zip*"))
    assert page.progress.isHidden()
    assert page.primary.isEnabled()
    assert not trained.summary


def test_a_damaged_checkpoint_is_reported_once(trained: Driver, tmp_path: Path) -> None:
    page = trained.page("export")
    trained.settle()
    (page.checkpoints.chosen().model.path / "model.safetensors").write_bytes(b"nothing")
    choose_file(trained, tmp_path / "out.zip")
    trained.settle()
    assert "is damaged" in trained.problem().what.text()
    assert len(trained.summary) == 1
    assert not (tmp_path / "out.zip").exists()


def test_the_choice_survives_a_refresh_and_is_forgotten_with_the_project(trained: Driver) -> None:
    page = trained.page("export")
    trained.settle()
    page.checkpoints.table.selectRow(len(page.controller.checkpoints) - 1)
    step = page.checkpoints.chosen().model.step
    page.controller.refresh()
    trained.settle()
    assert page.checkpoints.chosen().model.step == step
    trained.window.closing.close_project()
    trained.settle()
    assert page.checkpoints.chosen() is None
    assert page.checkpoints.runs.count() == 0


# --- Diagnostics ------------------------------------------------------------------------------------------------


def test_the_report_is_shown_and_copied_with_the_user_masked(opened: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened.page("diagnostics")
    opened.settle()
    names = [finding.name for finding in page.diagnosis.findings]
    assert {"Python", "torch", "Memory", "Disk"} <= set(names)
    monkeypatch.setenv("HOME", str(Path(page.diagnosis.findings[1].value.split(", ")[1]).parent))
    opened.click("Copy everything", page)
    opened.settle()
    text = QGuiApplication.clipboard().text()
    assert "torch" in text
    assert str(Path.home()) not in text
    opened.click("Refresh", page)
    assert not page.again.isEnabled()
    opened.settle()
    assert page.again.isEnabled()


def test_the_gauges_move_only_while_they_are_seen(opened: Driver) -> None:
    page = opened.page("diagnostics")
    opened.qtbot.waitUntil(lambda: page.gauges.processor.value.text().endswith("%"), timeout=20_000)
    assert "of" in page.gauges.memory.value.text()
    assert "free" in page.gauges.disk.value.text()
    opened.window.go_to("understand")
    assert not page.readings.is_active
    requested: list[Task] = []
    opened.session.started.connect(requested.append)
    opened.settle()
    assert not requested
    opened.window.go_to("diagnostics")
    assert page.readings.is_active
    opened.window.go_to("data")
    opened.settle()


def test_a_graphics_card_has_gauges_of_its_own(opened: Driver) -> None:
    from llm_studio.workflows.machine.gauges import Gpu, look

    page = opened.page("diagnostics")
    page.readings.set_visible(False)
    opened.settle()
    reading = look(Path.home())
    for cards in ((Gpu("RTX 3060", 97.0, 7_900_000_000, 8_000_000_000, 71),), ()):
        page.gauges.show_reading(replace(reading, gpus=cards), None)
        assert len(page.gauges.gpus) == len(cards)
        for use, memory in page.gauges.gpus:
            assert (use.name.text(), use.value.text(), use.note.text()) == ("RTX 3060", "97\u00a0%", "71\u00a0°C")
            assert memory.bar.property("role") == "warn"
            assert use.bar.property("role") != "warn"
