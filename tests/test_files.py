"""Files are complete or absent, and locks are held by the system."""

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_studio import files
from llm_studio.errors import BusyError, SpecialFileError, StorageError, reason_of


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "été" / "a.txt"
    files.write_text(path, "one")
    with pytest.raises(RuntimeError), files.atomic_write(path) as beside:
        beside.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == "one"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_stays_where_the_new_one_can_not_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "step-000001", Path.rename
    with files.atomic_folder(path) as beside:
        (beside / "a").write_text("old", encoding="utf-8")

    def rename(source: Path, target: Path) -> Path:
        if source == files.being_written(path):
            raise OSError(errno.EIO, "Input/output error")
        return real(source, target)

    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(files, "_PATIENCE", ())
    with pytest.raises(StorageError), files.atomic_folder(path) as beside:
        (beside / "a").write_text("new", encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert (path / "a").read_text(encoding="utf-8") == "old"


def test_a_folder_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "step-000001"
    for content in ("old", "new"):
        with files.atomic_folder(path) as beside:
            (beside / "a").write_text(content, encoding="utf-8")
    with pytest.raises(RuntimeError), files.atomic_folder(path) as beside:
        (beside / "a").write_text("half", encoding="utf-8")
        raise RuntimeError
    assert (path / "a").read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number, said", [
    (errno.ENOSPC, "The disk is full"), (errno.EACCES, "may not be written"), (errno.EROFS, "may not be written"),
    (errno.ENAMETOOLONG, "refuses this name"), (errno.EFBIG, "too large for this disk"),
    (errno.EIO, "could not be written"),
    (errno.ENOTDIR, "not a folder"), (errno.EISDIR, "it is a folder"), (errno.EEXIST, "it exists already"),
    (errno.ENOENT, "folder not found"),
])  # fmt: skip
def test_the_systems_refusals_are_explained(tmp_path: Path, number: int, said: str) -> None:
    with pytest.raises(StorageError, match=said), files.translate_os_errors(tmp_path):
        raise OSError(number, os.strerror(number))


def test_too_little_room_is_said_with_figures(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"1,000,000\.0\u00a0GB are needed"):
        files.require_space(tmp_path, 10**15)


def test_a_lock_keeps_another_process_out_and_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, time\nfrom llm_studio import files\n"
        "with files.locked(pathlib.Path(sys.argv[1]), 'run', ''):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout and other.stdout.readline() == "held\n"
        assert files.is_locked(tmp_path, "run")
        with pytest.raises(BusyError, match="someone else"), files.locked(tmp_path, "run", "someone else"):
            pass
    finally:
        other.kill()
        other.communicate()
    assert not files.is_locked(tmp_path, "run")
    with files.locked(tmp_path, "run", ""):
        pass


def test_asking_about_a_lock_keeps_no_one_from_taking_it(tmp_path: Path) -> None:
    def look() -> None:
        while not done.is_set():
            files.is_locked(tmp_path, "run")

    done = threading.Event()
    with files.locked(tmp_path, "run", ""):
        pass
    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _time in range(300):
            with files.locked(tmp_path, "run", "someone else"):
                pass
    finally:
        done.set()
        looking.join()


def test_a_file_that_vanishes_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"123")
    stat = Path.stat

    def vanishing(path: Path, **options: bool) -> os.stat_result:
        if path.name == "b":
            raise FileNotFoundError(errno.ENOENT, "gone")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", vanishing)
    assert files.folder_size(tmp_path) == 5


def test_a_fingerprint_depends_on_content_not_on_order() -> None:
    assert files.fingerprint({"a": 1, "b": [2]}) == files.fingerprint({"b": [2], "a": 1})
    assert files.fingerprint({"a": 1}) != files.fingerprint({"a": 2})


def special_files(folder: Path) -> dict[str, Path]:
    """One special file of each kind that any user may create or open."""
    os.mkfifo(folder / "pipe")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(folder / "socket"))
    bound.close()
    (folder / "link").symlink_to("/dev/zero")
    return {"a named pipe": folder / "pipe", "a socket": folder / "socket", "a device": folder / "link"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes in folders")
@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device"])
@pytest.mark.parametrize("read", [files.open_regular, files.require_regular, files.read_bytes, files.sha256_of])
def test_a_special_file_is_refused_at_once(
    tmp_path: Path, kind: str, read: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may have 107 characters
    path = special_files(Path())[kind]
    with pytest.raises(SpecialFileError) as raised:
        read(path)
    assert reason_of(raised.value) == f"it is {kind}, not a file"


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="needs devices in folders")
def test_a_device_is_not_replaced_by_a_file() -> None:
    with pytest.raises(StorageError, match="it is a device, not a file"):
        files.write_text(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()
    assert not Path("/dev/null.partial").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes in folders")
def test_a_pipe_that_takes_a_files_place_is_refused_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_yet_there(_path: Path) -> None:
        pass

    monkeypatch.setattr(files, "require_regular", not_yet_there)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SpecialFileError):
        files.open_regular(tmp_path / "pipe")


@pytest.mark.skipif(sys.platform == "win32", reason="there, links need a privilege")
def test_a_regular_file_is_read_directly_and_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\r\ntwo")
    (tmp_path / "link").symlink_to("a")
    assert files.read_bytes(tmp_path / "link") == b"one\r\ntwo"
    assert files.read_text(tmp_path / "a") == "one\ntwo"
    with pytest.raises(IsADirectoryError):
        files.open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        files.open_regular(tmp_path / "none")
