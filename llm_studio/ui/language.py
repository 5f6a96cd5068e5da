"""The language of the window, including Qt's own dialogs."""

from PySide6.QtCore import QLibraryInfo, QLocale, QTranslator
from PySide6.QtWidgets import QApplication

from llm_studio import i18n
from llm_studio.paths import resource

_translators: list[QTranslator] = []


def set_language(language: str) -> None:
    """Use a language from now on. Existing widgets are unchanged."""
    i18n.activate(language)
    QLocale.setDefault(QLocale(language))
    app = QApplication.instance()
    if app is None:
        return
    for translator in _translators:
        app.removeTranslator(translator)
        translator.deleteLater()
    _translators.clear()
    if language == "en":
        return
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    # Qt's own catalogue, then ours for missing messages
    for file in (f"{folder}/qtbase_{language}.qm", str(resource("i18n", language, "qt.qm"))):
        translator = QTranslator(app)
        if translator.load(file):
            app.installTranslator(translator)
        _translators.append(translator)
