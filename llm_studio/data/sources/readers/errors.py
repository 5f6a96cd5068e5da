"""What can be wrong with a file that is read, as errors for the user."""

import contextlib
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Generator

from llm_studio.errors import SourceError
from llm_studio.i18n import _, size


class ArchiveBomb(SourceError):  # noqa: N818
    """An archive, `name`, that unpacks to too much: nothing more is read of it."""

    def __init__(self, name: str, what: str, to_do: str) -> None:
        super().__init__(what, to_do)
        self.name = name


def no_text(name: str) -> SourceError:
    """There is no text in the file."""
    return SourceError(_("There is no text in {path}.").format(path=name), _("Choose another file."))


def too_large(name: str, limit: int) -> SourceError:
    """A file that would have to be held as a whole, and can't."""
    return SourceError(
        _("{path} is too large to be read: more than {size}.").format(path=name, size=size(limit)),
        _("Split it into smaller ones, or save it as plain text (.txt)."),
    )


def damaged(name: str, reason: object) -> SourceError:
    """A file that isn't what its name says, or was cut off."""
    text = " ".join(str(reason).split())[:200].rstrip(".")
    return SourceError(
        _("{path} is damaged or not what its name says: {reason}.").format(path=name, reason=text or _("cut off")),
        _("Download or save it again; check that it opens in its usual program."),
    )


def password_protected(name: str) -> SourceError:
    """A file that asks for a password."""
    return SourceError(
        _("{path} is protected by a password or by encryption.").format(path=name),
        _("Save a copy without protection in its own program, and add that."),
    )


@contextlib.contextmanager
def translate_read_errors(name: str) -> Generator[None]:
    """Turn the operating system's refusals to read, and what archives say when damaged, into a SourceError."""
    try:
        yield
    except PermissionError as error:
        raise SourceError(
            _("{path} may not be read.").format(path=name),
            _("Close the program that uses it, or ask its owner for permission."),
        ) from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, NotImplementedError) as error:
        raise damaged(name, error) from error
    except UnicodeError as error:
        raise damaged(name, error) from error
    except io.UnsupportedOperation as error:
        raise damaged(name, error) from error
    except OSError as error:
        if error.errno is None:  # not the system but a library: a wrong checksum, a wrong first byte
            raise damaged(name, error) from error
        raise SourceError(
            _("{path} can't be read: {reason}.").format(path=name, reason=error.strerror or error),
            _("Copy it to another disk and try again."),
        ) from error
