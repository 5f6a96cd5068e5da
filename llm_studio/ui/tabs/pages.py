"""All pages by name. Importing this imports them, and the settings and workflows they need."""

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from llm_studio.ui.page import Page
from llm_studio.ui.tabs.data.page import DataPage
from llm_studio.ui.tabs.diagnostics.page import DiagnosticsPage
from llm_studio.ui.tabs.export import ExportPage
from llm_studio.ui.tabs.generation.page import GenerationPage
from llm_studio.ui.tabs.model.page import ModelPage
from llm_studio.ui.tabs.tokenizer.page import TokenizerPage
from llm_studio.ui.tabs.training.page import TrainingPage
from llm_studio.ui.tabs.understand import UnderstandPage

PAGES: dict[str, Callable[[QWidget], Page]] = {
    "data": DataPage, "tokenizer": TokenizerPage, "model": ModelPage, "training": TrainingPage,
    "generation": GenerationPage, "understand": UnderstandPage, "export": ExportPage, "diagnostics": DiagnosticsPage,
}  # fmt: skip
