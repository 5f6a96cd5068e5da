"""Limits on the expanded size of archives and Parquet files: a small malicious file could fill memory and disk."""

from llm_studio.errors import SourceError
from llm_studio.i18n import _, size

MAX_RATIO = 200
"""Maximum compression ratio: texts reach 3 or 4, tables 20."""
FREE_BYTES = 1 << 26
"""Number of expanded bytes allowed at any ratio."""
MAX_EXPANDED = 1 << 40
"""Maximum number of expanded bytes of one file."""


class ExpansionError(SourceError):
    """The file `name` expands to more than the limit: the rest of it isn't read."""

    def __init__(self, name: str, what: str, to_do: str) -> None:
        super().__init__(what, to_do)
        self.name = name


class Budget:
    """Limits the expanded size of the file `name` of `packed` bytes, including the files inside it.

    `outer`: the budget of the archive that contains the file, from which expanded bytes are deducted as well.
    `declared`: an expanded size that is allowed because it is known, such as that of a source.
    """

    def __init__(self, name: str, packed: int, outer: "Budget | None" = None, declared: int = 0) -> None:
        self._name = name
        self._limit = min(MAX_EXPANDED, max(FREE_BYTES, packed * MAX_RATIO, declared))
        self._outer = outer
        self._spent = 0

    def spend(self, count: int) -> None:
        """Count expanded bytes. Raises ExpansionError beyond the limit."""
        self._spent += count
        self.require(0)
        if self._outer is not None:
            self._outer.spend(count)

    def require(self, count: int) -> None:
        """Raise ExpansionError if `count` more bytes would exceed the limit."""
        if self._spent + count > self._limit:
            raise self._exceeded(self._name, self._limit)

    def _exceeded(self, name: str, limit: int) -> ExpansionError:
        return ExpansionError(
            name,
            _("{path} unpacks to far more than its size, like an archive bomb: reading stopped at {size}.").format(
                path=name, size=size(limit)
            ),
            _("If you trust it, unpack it yourself and add the folder."),
        )


class ParquetBudget(Budget):
    """The budget of a Parquet file, which can declare any number of empty or repeated values."""

    def _exceeded(self, name: str, limit: int) -> ExpansionError:
        return ExpansionError(
            name,
            _("{path} holds far more than its size allows, like an archive bomb: no more than {size} are read from "
              "such a small file.").format(path=name, size=size(limit)),
            _("If you trust it, save its texts as plain text (.txt) and add those."),
        )  # fmt: skip
