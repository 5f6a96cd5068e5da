"""LM Studio's folder of models: a GGUF file in MODELS/publisher/model/ appears in its list at once."""

from dataclasses import dataclass
from pathlib import Path

from llm_studio import files, records

PUBLISHER = "llm-studio"
_POINTER = ".lmstudio-home-pointer"
"""A file in the user's folder that contains the path of LM Studio's folder, if that isn't the default."""
_HOMES = (".lmstudio", ".cache/lm-studio")
_LONGEST_PATH = 4096


@dataclass(frozen=True)
class _Settings:
    """The part of LM Studio's settings that is read."""

    downloadsFolder: str = ""  # noqa: N815  as LM Studio writes it


def models_folder() -> Path | None:
    """The folder for models of this publisher; None if LM Studio was never started on this computer."""
    try:
        home = _home(Path.home())
        if home is None:
            return None
        settings = records.recall(home / "settings.json", _Settings, newest=None) or _Settings()
        chosen = Path(settings.downloadsFolder) if settings.downloadsFolder else home / "models"
        return (chosen if chosen.is_absolute() and chosen.is_dir() else home / "models") / PUBLISHER
    except (OSError, RuntimeError, ValueError):  # no home folder, a name that the system refuses
        return None


def _home(user: Path) -> Path | None:
    try:
        named = Path(files.read_text(user / _POINTER, most=_LONGEST_PATH).strip())
        if named.is_absolute() and named.is_dir():
            return named
    except (OSError, UnicodeError):
        pass
    return next((user / name for name in _HOMES if (user / name).is_dir()), None)
