"""System errors are explained in the user's language."""

import errno
import os
import socket
from pathlib import Path

import pytest

from llm_studio import files, i18n
from llm_studio.errors import StorageError, reason_of


@pytest.mark.parametrize("number, french", [
    (errno.ENOENT, "fichier ou dossier introuvable"), (errno.EISDIR, "c’est un dossier"),
    (errno.EIO, "le disque signale une erreur"), (errno.EHOSTDOWN, "l’autre ordinateur est éteint ou injoignable"),
])  # fmt: skip
def test_a_system_error_is_explained_in_french(number: int, french: str) -> None:
    i18n.activate("fr")
    assert reason_of(OSError(number, os.strerror(number))) == french


def test_a_folder_that_is_missing_is_named_in_french(tmp_path: Path) -> None:
    i18n.activate("fr")
    with pytest.raises(StorageError, match="dossier introuvable") as raised, files.translate_os_errors(tmp_path):
        (tmp_path / "absent" / "a.txt").write_text("a", encoding="utf-8")
    assert "No such file" not in str(raised.value)


def test_the_network_is_explained_too() -> None:
    assert reason_of(TimeoutError("The read operation timed out")) == "no answer in time"
    assert reason_of(socket.gaierror(-2, "Name or service not known")) == "its address was not found"


def test_an_error_without_a_known_number_keeps_its_own_words_in_one_line() -> None:
    assert reason_of(OSError(99_999, "Quota of\n the server.")) == "Quota of the server"
    assert reason_of(ValueError("embedded null byte")) == "embedded null byte"
    assert reason_of(OSError()) == "OSError"
