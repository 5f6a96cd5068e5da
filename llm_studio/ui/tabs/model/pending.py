"""Settings that were changed in the form but aren't in config.yaml yet."""

from llm_studio.config import Settings
from llm_studio.errors import ConfigError


class PendingSettings:
    """Collects changes until a write of the settings starts, and keeps them until it has ended."""

    def __init__(self) -> None:
        self._unwritten: dict[str, object] = {}
        self._writing: dict[str, object] = {}

    def add(self, changes: dict[str, object]) -> None:
        """Add changes, by dotted name."""
        self._unwritten.update(changes)

    def begin_write(self) -> None:
        """The collected changes are being written."""
        self._writing, self._unwritten = self._unwritten, {}

    def end_write(self) -> None:
        """They are in the file, or could not be written."""
        self._writing = {}

    def forget(self) -> None:
        """Discard all changes: another project was opened."""
        self._unwritten, self._writing = {}, {}

    def applied_to(self, settings: Settings) -> Settings:
        """These settings with the pending changes; unchanged if the two are incompatible."""
        try:
            return settings.replaced({**self._writing, **self._unwritten})
        except ConfigError:
            return settings
