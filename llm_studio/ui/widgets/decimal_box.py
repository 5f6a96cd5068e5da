"""A spin box for decimals that accepts a point and a comma in every language."""

import re

from PySide6.QtCore import QLocale
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QDoubleSpinBox

_THOUSANDS = re.compile(r"\D*[1-9]\d{0,2}[.,]\d{3}\D*")


def with_its_point(text: str, locale: QLocale) -> str:
    """A typed number with the decimal separator of `locale`; 1,500 keeps its thousands separator in English."""
    point = locale.decimalPoint()
    foreign = "," if point == "." else "."
    if point in text or text.count(foreign) != 1:
        return text
    if foreign == locale.groupSeparator() and _THOUSANDS.fullmatch(text):
        return text
    return text.replace(foreign, point)


class DecimalBox(QDoubleSpinBox):
    """Qt's own silently drops a foreign decimal separator: 0.7 becomes 7 in French, as 0,7 does in English."""

    def validate(self, text: str, at: int) -> tuple[QValidator.State, str, int]:
        """Replace a foreign separator, unless more digits may still make it a thousands separator."""
        ours = with_its_point(text, self.locale())
        if "," not in text or self.locale().groupSeparator() != ",":
            return super().validate(ours, at)
        state = super().validate(ours, at)[0]
        return super().validate(text, at) if state == QValidator.State.Invalid else (state, text, at)

    def valueFromText(self, text: str) -> float:  # noqa: N802  Qt's
        """The typed number."""
        return super().valueFromText(with_its_point(text, self.locale()) if self.decimals() else text)
