"""Errors for the user about files that can't be read."""

import contextlib
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Generator

from llm_studio.errors import DamagedFileError, SourceError, SpecialFileError, reason_of
from llm_studio.i18n import _, size


def no_text(name: str) -> SourceError:
    """The error for a file that contains no text."""
    return SourceError(_("There is no text in {path}.").format(path=name), _("Choose another file."))


def too_large(name: str, limit: int) -> SourceError:
    """The error for a file that is too large to be held in memory as a whole."""
    return SourceError(
        _("{path} is too large to be read: more than {size}.").format(path=name, size=size(limit)),
        _("Split it into smaller ones, or save it as plain text (.txt)."),
    )


def damaged(name: str, reason: object) -> DamagedFileError:
    """The error for a file that is damaged, cut off, or not of the kind that its suffix indicates."""
    text = " ".join(str(reason).split())[:200].rstrip(".")
    what, to_do = _("“{name}” is damaged."), _("Download or save it again, then check that it opens normally.")
    return DamagedFileError(what.format(name=name), to_do, name, text or _("cut off"))


def password_protected(name: str) -> SourceError:
    """The error for a file that requires a password."""
    return SourceError(
        _("{path} is encrypted or protected by a password.").format(path=name),
        _("Save an unprotected copy with the program it was made with, and add that."),
    )


@contextlib.contextmanager
def translate_read_errors(name: str) -> Generator[None]:
    """Translate errors of the operating system and of damaged archives into SourceError."""
    try:
        yield
    except PermissionError as error:
        raise SourceError(
            _("There is no permission to read {path}.").format(path=name),
            _("Close the program that uses it, or ask its owner for permission."),
        ) from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, NotImplementedError) as error:
        raise damaged(name, error) from error
    except UnicodeError as error:
        raise damaged(name, error) from error
    except io.UnsupportedOperation as error:
        raise damaged(name, error) from error
    except SpecialFileError as error:
        raise SourceError(_("{path} can't be read: {reason}.").format(path=name, reason=reason_of(error)),
                          _("Choose a file or a folder.")) from error  # fmt: skip
    except OSError as error:
        if error.errno is None:  # not from the system but from a library: a wrong checksum or signature
            raise damaged(name, error) from error
        raise SourceError(
            _("{path} can't be read: {reason}.").format(path=name, reason=reason_of(error)),
            _("Copy it to another disk and try again."),
        ) from error
