"""The language of the window, Qt's own dialogs included."""

from PySide6.QtCore import QLibraryInfo, QLocale, QTranslator
from PySide6.QtWidgets import QApplication

from llm_studio import i18n

_translator: QTranslator | None = None


def set_language(language: str) -> None:
    """Use a language from now on. What is on the screen already stays as it is."""
    global _translator
    i18n.activate(language)
    QLocale.setDefault(QLocale(language))
    app = QApplication.instance()
    if app is None:
        return
    if _translator is not None:
        app.removeTranslator(_translator)
    _translator = QTranslator(app)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if language != "en" and _translator.load(f"qtbase_{language}", folder):
        app.installTranslator(_translator)
