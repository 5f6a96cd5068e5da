"""The cards of Diagnostics: nothing is said twice, and the log that the manual promises is there."""

from pathlib import Path

from PySide6.QtWidgets import QLabel

from llm_studio.gpu import card
from llm_studio.paths import log_folder
from llm_studio.workflows.machine.diagnosis import Finding, diagnose
from tests.ui.driver import Driver


def test_the_end_of_the_log_is_on_the_page(opened: Driver, home: Path) -> None:
    (home / "logs").mkdir(parents=True, exist_ok=True)
    (log_folder() / "llm-studio.log").write_text("\n".join(f"line {n} of the log" for n in range(1000)))
    page = opened.page("diagnostics")
    opened.settle()
    opened.click("Refresh", page)
    opened.settle()
    lines = page.log.text.toPlainText().splitlines()
    assert lines[-1] == "line 999 of the log" and 100 <= len(lines) < 1000


def test_a_missing_driver_is_not_ticked_and_advice_about_the_gpu_stands_once(opened: Driver) -> None:
    page = opened.page("diagnostics")
    opened.settle()
    page.report.show_findings([Finding("NVIDIA driver", "none", False), Finding("GPU", "No card.", False, "Buy one.")])
    shown = [made.text() for made in page.report.findChildren(QLabel) if made.isVisible()]
    assert "✓" not in shown and "Buy one." not in shown and "" not in shown
    if card.driver() is None:
        assert not next(finding for finding in diagnose(Path.cwd()) if finding.name == "NVIDIA driver").ok
