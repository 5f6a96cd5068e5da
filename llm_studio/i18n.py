"""The user's language: one gettext catalogue for the core, the command line and the window.

English is in the source, inside `_()`; other languages are in `resources/i18n/<language>/LC_MESSAGES/`.
Numbers follow the language too: `2,13` and `142 000` in French.
"""

import gettext as _gettext
import locale
import os
import sys
from collections.abc import Callable

from llm_studio.paths import resource

LANGUAGE_NAMES = {"en": "English", "fr": "Français"}
"""Languages by their native names, so that users who can't read the current language find theirs."""
LANGUAGES = tuple(LANGUAGE_NAMES)
DOMAIN = "llm_studio"

_language = "en"
_catalogue: _gettext.NullTranslations = _gettext.NullTranslations()


def system_language() -> str:
    """The system's language if it is supported, otherwise English. `LLM_STUDIO_LANG` overrides it."""
    for variable in ("LLM_STUDIO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable)
        if value:
            return _supported(value)
    if sys.platform == "win32":
        import ctypes

        identifier = ctypes.windll.kernel32.GetUserDefaultUILanguage()
        return _supported(locale.windows_locale.get(identifier, ""))
    return "en"


def _supported(name: str) -> str:
    code = name[:2].lower()
    return code if code in LANGUAGES else "en"


def activate(language: str) -> None:
    """Use `language` from now on."""
    global _language, _catalogue
    _language = _supported(language)
    _catalogue = _gettext.translation(DOMAIN, resource("i18n"), [_language], fallback=True)


def language() -> str:
    """The current language."""
    return _language


def _(message: str) -> str:
    """`message` in the user's language."""
    return _catalogue.gettext(message)


def translated(message: str) -> str:
    """A message marked with `N_`, in the user's language; other texts are returned unchanged."""
    return _catalogue.gettext(message) if message else ""  # the translation of "" is the catalogue's header


def translator(language: str) -> Callable[[str], str]:
    """Like `translated`, in `language` instead of the user's: for files in several languages."""
    catalogue = _gettext.translation(DOMAIN, resource("i18n"), [language], fallback=True)
    return lambda message: catalogue.gettext(message) if message else ""


def ngettext(one: str, many: str, count: int) -> str:
    """`one` or `many`, by the plural rule of the user's language. The caller fills in the count."""
    return _catalogue.ngettext(one, many, count)


def N_(message: str) -> str:  # noqa: N802  the name that gettext's tools look for
    """Mark `message` for extraction; it is translated where it is shown."""
    return message


def number(value: float, digits: int = 0) -> str:
    """Format `value` with grouped thousands, in the user's language: 12,400.5 or 12 400,5."""
    text = f"{value:,.{digits}f}"
    if _language == "fr":
        text = text.replace(",", "\u202f").replace(".", ",")
    return text


def short_number(value: float) -> str:
    """Format `value` with three digits and k, M or G: 142 k, 8.4 M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * limit:
            scaled = value / limit
            return _with_unit(number(scaled, 0 if scaled >= 99.95 else 1), unit)
    return number(value, 0 if float(value).is_integer() else 1)


def percent(fraction: float, digits: int = 0) -> str:
    """Format a fraction as a percentage: 12 %, 99.5 %; positive values are never shown as 0.0 % but as < 0.1 %."""
    if fraction > 0 and round(100 * fraction, digits) == 0:
        return f"<\u00a0{_with_unit(number(10.0**-digits, digits), '%')}"
    return _with_unit(number(100 * fraction, digits), "%")


def size(count: float, short: bool = False) -> str:
    """Format a number of bytes: 1.1 MB, 1,1 Mo (powers of ten, as disks are sold); `short`: 129 MB, not 129.3."""
    unit = _("B")
    for limit, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            return _with_unit(number(count / limit, 0 if short and count >= 10 * limit else 1), prefix + unit)
    return _with_unit(number(count), unit)


def duration(seconds: float) -> str:
    """Format a duration: 42 s, 3 min 20 s, 1 h 04 min."""
    whole = round(seconds)
    if whole < 60:
        return _with_unit(str(whole), "s")
    if whole < 3600:
        return _with_unit(str(whole // 60), "min", f"{whole % 60:02d}", "s")
    return _with_unit(str(whole // 3600), "h", f"{whole % 3600 // 60:02d}", "min")


def time_limit(minutes: float) -> str:
    """Format a round duration, as users choose one: 30 min, 2 h, 1 h 30 min."""
    seconds = round(60 * minutes)
    if seconds >= 3600 and seconds % 3600 == 0:
        return _with_unit(number(seconds // 3600), "h")
    if 60 <= seconds < 3600 and seconds % 60 == 0:
        return _with_unit(str(seconds // 60), "min")
    return duration(seconds)


def bits_per_byte(value: float | None) -> str:
    """Format a loss: 1.234 bits/byte, 1,234 bits/octet; “–” if it is unknown."""
    unit = _("bits/byte")
    return "–" if value is None else _with_unit(number(value, 3), unit)


def energy(joules: float) -> str:
    """Format an energy: 43.1 Wh, 1.2 kWh."""
    hours = joules / 3600
    return _with_unit(number(hours / 1000, 1), "kWh") if hours >= 1000 else _with_unit(number(hours, 1), "Wh")


def _with_unit(*parts: str) -> str:
    """Join numbers and units with no-break spaces."""
    return "\u00a0".join(parts)
