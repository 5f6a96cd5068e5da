"""How fast a training run goes, over its last steps."""

from dataclasses import dataclass

_MEMORY = 0.95


@dataclass
class Throughput:
    """Exponential means over the last twenty steps or so; evaluations and saves are not counted."""

    _tokens: float = 0.0
    _seconds: float = 0.0
    _weight: float = 0.0

    def add(self, tokens: int, seconds: float) -> None:
        """Count one step."""
        self._tokens = _MEMORY * self._tokens + tokens
        self._seconds = _MEMORY * self._seconds + seconds
        self._weight = _MEMORY * self._weight + 1

    @property
    def tokens_per_second(self) -> float:
        """Tokens trained on in a second."""
        return self._tokens / self._seconds if self._seconds else 0.0

    @property
    def seconds_per_step(self) -> float:
        """Seconds of an optimizer update."""
        return self._seconds / self._weight if self._weight else 0.0
