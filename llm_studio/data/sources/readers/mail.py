"""E-mail: mailboxes (.mbox) and single messages (.eml), and web pages that a browser saved as one (.mhtml).

One document per message: its text, without the header. Of alternative parts, the plain text is read, or else the HTML.
Attachments are left out and counted.
"""

import codecs
import email
import re
from collections.abc import Iterator
from email.message import Message
from typing import BinaryIO, NamedTuple

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import ATTACHED, EMPTY, PARTS, TOO_LONG, UNREADABLE
from llm_studio.data.sources.readers import html
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import no_text
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.errors import SourceError
from llm_studio.i18n import N_, _

SAVED_PAGES = (".mhtml", ".mht")
_MAX_HELD = 1 << 22
"""Bytes of a message that are kept: the text comes first."""
_MAX_ENCODED = 1 << 20
"""Bytes of a message after which lines of base64 are taken for an attachment."""
_MAX_PARTS = 50
"""Maximum number of multipart containers in a message: each costs time for every line."""
_LINE = 1 << 16
_BOUNDARY = re.compile(rb"boundary\s*=", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/=]{40,}\s*")
_HEADER = re.compile(rb"(?:From |[!-9;-~]{1,80}:)")
_ESCAPED = re.compile(rb">+From ")
_PLACE = N_("{path}, message {line}")


class _Raw(NamedTuple):
    """A message; `cut`: not all of it was kept."""

    content: bytes
    cut: bool


def read_mail(item: InputFile, context: Context) -> Iterator[Chunk]:
    """One document per message with a text."""
    account = context.account
    with item.open() as stream:
        _require_mail(item, stream.readline(_LINE))
    with item.open() as stream:
        for number, raw in enumerate(_messages(stream, item.suffix in (".mbox", ".mbx")), 1):
            context.job.check()
            try:
                found = _read(raw.content, context, item.suffix in SAVED_PAGES)
            except Exception:  # the library raises errors of many kinds on damaged messages
                account.leave_out_record(UNREADABLE, item.name, number, _PLACE)
                continue
            for _attachment in range(found.attachments):
                account.leave_out(PARTS, ATTACHED, item.name)
            if raw.cut and found.may_be_cut:
                account.leave_out(PARTS, TOO_LONG, _PLACE.format(path=item.name, line=number))
            if found.text:
                yield Chunk(found.text, True)
            else:
                account.leave_out_record(EMPTY, item.name, number, _PLACE)


def _require_mail(item: InputFile, line: bytes) -> None:
    if not line:
        raise no_text(item.name)
    if _HEADER.match(line.lstrip(codecs.BOM_UTF8)):
        return
    if item.suffix in SAVED_PAGES:
        raise SourceError(_("{path} is not a web page saved in one file.").format(path=item.name),
                          _("Save the page again, as .html, and add that."))  # fmt: skip
    raise SourceError(_("{path} is not a mailbox: it doesn't begin with the header of a message.").format(
        path=item.name), _("If it is plain text, give it a name that ends in .txt."))  # fmt: skip


def _messages(stream: BinaryIO, several: bool) -> Iterator[_Raw]:
    """The messages of a mailbox: each begins with a line “From …” after a blank line.

    `several`: the file is a mailbox; otherwise, it is a single message.
    """
    lines: list[bytes] = []
    length, cut, after_blank, at_start = 0, False, True, True
    while line := stream.readline(_LINE):
        if several and at_start and after_blank and line.startswith(b"From "):
            if lines:
                yield _Raw(b"".join(lines), cut)
            lines, length, cut = [], 0, False
            at_start = line.endswith(b"\n")
            continue
        if length > _MAX_HELD or (length > _MAX_ENCODED and _BASE64.fullmatch(line)):
            cut = True
        else:
            lines.append(line[1:] if several and at_start and _ESCAPED.match(line) else line)
            length += len(line)
        after_blank = at_start and not line.strip()
        at_start = line.endswith(b"\n")
    if lines:
        yield _Raw(b"".join(lines), cut)


class _Body(NamedTuple):
    """The text of a message, its number of attachments, and whether a cut may have shortened the text."""

    text: str
    attachments: int
    may_be_cut: bool


def _read(raw: bytes, context: Context, web_page: bool) -> _Body:
    """The text of a message. Raises errors of any kind."""
    if len(_BOUNDARY.findall(raw)) > _MAX_PARTS:
        raise ValueError("too many parts")
    message = email.message_from_bytes(raw)
    texts: list[str] = []
    attachments = 0
    may_be_cut = len(raw) > _MAX_HELD
    for part in _chosen(message):
        kind = part.get_content_type()
        is_text = kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment"
        if not is_text:
            attachments += 1
            continue
        may_be_cut = may_be_cut or str(part.get("Content-Transfer-Encoding", "")).strip().lower() == "base64"
        text = _decoded(part, context)
        text = _visible(text, web_page) if kind == "text/html" else text
        texts.append(text.replace("\r\n", "\n").replace("\r", "\n").strip())
    return _Body("\n\n".join(filter(None, texts)), attachments, may_be_cut)


def _chosen(message: Message) -> Iterator[Message]:
    """The parts of a message that aren't containers; of alternatives, only the preferred one."""
    if not message.is_multipart():
        yield message
        return
    parts = [part for part in message.get_payload() if isinstance(part, Message)]
    if message.get_content_type() == "multipart/alternative":
        parts.sort(key=_preference)
        parts = parts[:1]
    for part in parts:
        yield from _chosen(part)


def _preference(part: Message) -> int:
    kinds = [one.get_content_type() for one in part.walk()]
    return 0 if "text/plain" in kinds else 1 if "text/html" in kinds else 2


def _decoded(part: Message, context: Context) -> str:
    """The text of a part, decoded with the text encoding that it declares, or else with a likely one."""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    for codec in (_codec(part.get_content_charset()), "utf-8", context.options.encoding):
        try:
            if codec:
                return content.decode(codec)
        except UnicodeError:
            continue
    return content.decode("cp1252", "replace")


def _codec(charset: str | None) -> str | None:
    """The codec of a charset if it is a text encoding: some of Python's other codecs take extremely long."""
    try:
        name = codecs.lookup(charset or "").name
    except (LookupError, ValueError):
        return None
    if name in ("ascii", "iso8859-1"):
        return "cp1252"
    return name if name.startswith(("utf-", "iso", "cp", "koi8", "gb", "big5", "euc", "shift", "mac")) else None


def _visible(page: str, web_page: bool) -> str:
    """The visible text of a page; `web_page`: without its navigation."""
    visible = html.VisibleText(web_page)
    feed = html.parser(visible)
    feed.feed((page or " ").encode("utf-8", "replace"))
    html.finish(feed)
    return visible.take()
