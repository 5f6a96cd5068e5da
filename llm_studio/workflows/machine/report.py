"""The report on this machine as a text to send to someone, without anything that identifies the user."""

import getpass
import re
from collections.abc import Sequence
from pathlib import Path

from llm_studio import __version__
from llm_studio.i18n import _
from llm_studio.paths import log_folder
from llm_studio.workflows.machine.diagnosis import Finding

_LOG_LINES = 60
_SHORTEST_NAME = 3
"""Minimum length of a user's name to mask it everywhere; a shorter one is masked in paths only."""


def as_text(findings: Sequence[Finding], log_lines: int = _LOG_LINES) -> str:
    """The findings and the last lines of the program's log; the user's home and name are masked."""
    lines = [_("LLM Studio {version}, report on this machine").format(version=__version__), ""]
    for finding in findings:
        lines.append(f"{'✓' if finding.ok else '!'} {finding.name:<18} {finding.value}")
        if finding.cure and not finding.ok:
            lines.append(f"  {'':<18} → {finding.cure}")
    logged = end_of_log(log_lines)
    if logged:
        lines += ["", _("The last lines of the log:"), *logged]
    return masked("\n".join(lines)) + "\n"


def masked(text: str, home: Path | None = None, user: str | None = None) -> str:
    """`text` with the user's home folder as ~ and their name as <user>."""
    home = Path.home() if home is None else home
    user = _user() if user is None else user
    forms = {str(home), home.as_posix(), str(home).replace("\\", "\\\\")}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) > 1:  # some service accounts have the home "/", the start of every path
            text = re.sub(rf"{re.escape(form)}(?![\w])", "~", text, flags=re.IGNORECASE)
    if not user:
        return text
    edges = (r"(?<![\w])", r"(?![\w])") if len(user) >= _SHORTEST_NAME else (r"(?<=[/\\])", r"(?=[/\\])")
    return re.sub(edges[0] + re.escape(user) + edges[1], "<user>", text, flags=re.IGNORECASE)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name
        return ""


def end_of_log(count: int) -> list[str]:
    """The last lines of the program's log; empty if it can't be read."""
    try:
        with (log_folder() / "llm-studio.log").open("rb") as stream:
            length = stream.seek(0, 2)
            stream.seek(max(0, length - 200 * count))
            return stream.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []
