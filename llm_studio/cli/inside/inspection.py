"""The request of `inspect`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_studio.errors import StudioError
from llm_studio.i18n import _, number

if TYPE_CHECKING:
    from llm_studio.workflows.inside.session import InsideSession


@dataclass(frozen=True)
class Inspection:
    """What to inspect: a text, a position in it, and arguments that only some views need.

    `layer` and `head` are counted from 1, as users do; None means all.
    """

    session: "InsideSession"
    text: str
    ids: list[int]
    position: int
    count: int
    token: str | None = None
    versus: str | None = None
    layer: int | None = None
    head: int | None = None
    off: tuple[str, ...] = ()

    @property
    def window(self) -> int:
        """The index of the window that predicts the token after the position."""
        return self.session.window_at(len(self.ids), self.position)

    def named(self, name: str | None) -> int | None:
        """The token with this name, or None without a name. Raises StudioError."""
        return None if name is None else self.session.vocabulary.named(name)


def begin(
    session: "InsideSession", text: str, position: int | None, count: int, token: str | None, versus: str | None,
    layer: int | None, head: int | None, off: list[str],
) -> Inspection:  # fmt: skip
    """Create the requested inspection. Raises StudioError for a position, layer or head that doesn't exist."""
    ids = session.ids(text)
    limits = ((_("position"), position, 0, len(ids) - 1), (_("layer"), layer, 1, session.facts.n_layers),
              (_("head"), head, 1, session.facts.n_heads))  # fmt: skip
    for name, value, least, most in limits:
        if value is not None and not least <= value <= most:
            raise StudioError(
                _("There is no {name} {value}.").format(name=name, value=value),
                _("Choose a number from {least} to {most}.").format(least=number(least), most=number(most)),
            )
    at = len(ids) - 1 if position is None else position
    return Inspection(session, text, ids, at, count, token, versus, layer, head, tuple(off))
