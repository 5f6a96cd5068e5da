"""Special files and links in a folder of texts: refused, or left out, and always named."""

import os
import socket
import sys
from pathlib import Path

import pytest

from llm_studio.cli.app import main
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.read import SourceReader
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data import sources

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there, links need a privilege")
unix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes in folders")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two texts, a link from one to the other's folder, and beside them a private folder."""
    made, private = tmp_path / "texts", tmp_path / "private"
    (made / "more").mkdir(parents=True)
    (private / "deep").mkdir(parents=True)
    (made / "a.txt").write_text("First text.", encoding="utf-8")
    (made / "more" / "b.txt").write_text("Second text.", encoding="utf-8")
    (private / "passwd").write_text("Private words.", encoding="utf-8")
    (private / "deep" / "c.txt").write_text("Deep words.", encoding="utf-8")
    return made


def read(path: Path, follow_links: bool = False) -> tuple[list[str], list[str]]:
    """The documents, and the notices."""
    notices: list[str] = []
    reader = SourceReader(path, ReadOptions(follow_links=follow_links), notices.append, Job())
    return [chunk.text.rstrip() for chunk in reader.chunks()], notices


def test_a_link_out_of_a_folder_of_texts_is_left_out_and_named(folder: Path) -> None:
    (folder / "passwd.txt").symlink_to("../private/passwd")
    (folder / "elsewhere").symlink_to(folder.parent / "private")
    texts, notices = read(folder)
    assert texts == ["First text.", "Second text."]
    assert len(notices) == 2
    assert str(folder / "elsewhere") in notices[0] and str(folder / "passwd.txt") in notices[1]
    assert all("private" in notice and "--follow-links" in notice for notice in notices)


def test_with_follow_links_each_folder_they_lead_to_is_read_once(folder: Path) -> None:
    (folder / "passwd.txt").symlink_to("../private/passwd")
    (folder / "elsewhere").symlink_to(folder.parent / "private")
    (folder / "again").symlink_to(folder.parent / "private")
    (folder.parent / "private" / "back").symlink_to(folder)
    (folder.parent / "private" / "up").symlink_to(folder.parent)
    texts, notices = read(folder, follow_links=True)
    assert sorted(texts) == ["Deep words.", "First text.", "Private words.", "Private words.", "Second text."]
    assert not notices


def test_a_link_inside_the_folder_is_no_matter(folder: Path) -> None:
    (folder / "again").symlink_to("more")
    (folder / "up").symlink_to(".")
    assert read(folder) == (["First text.", "Second text."], [])
    (folder / "c.txt").symlink_to("more/b.txt")
    assert read(folder) == (["First text.", "Second text.", "Second text."], [])


def test_a_link_to_nothing_or_to_itself_is_named_and_the_rest_read(folder: Path) -> None:
    (folder / "gone.txt").symlink_to("nothing.txt")
    (folder / "loop.txt").symlink_to("loop.txt")
    texts, notices = read(folder)
    assert texts == ["First text.", "Second text."]
    assert len(notices) == 2 and "gone.txt" in notices[0] and "loop.txt" in notices[1]


def test_a_linked_folder_and_a_linked_file_that_the_user_names_are_read(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    (folder.parent / "one.txt").symlink_to(folder / "a.txt")
    assert read(folder.parent / "link")[0] == ["First text.", "Second text."]
    assert read(folder.parent / "one.txt")[0] == ["First text."]


def test_a_folder_of_nothing_but_links_says_so(folder: Path) -> None:
    for path in (folder / "a.txt", folder / "more" / "b.txt"):
        path.unlink()
    (folder / "passwd.txt").symlink_to("../private/passwd")
    with pytest.raises(SourceError, match=r"passwd.txt is a link to .*private/passwd, outside of the folder"):
        read(folder)
    seen = sources.look(folder, Job())
    assert seen.links == (str(folder / "passwd.txt"),) and seen.problem and not seen.documents


def special(folder: Path, name: str, kind: str) -> Path:
    """A special file of this kind."""
    path = folder / name
    if kind == "named pipe":
        os.mkfifo(path)
    elif kind == "socket":
        here = Path.cwd()
        os.chdir(folder)  # a socket's path may have 107 characters
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(name)
        bound.close()
        os.chdir(here)
    else:
        path.symlink_to("/dev/zero")
    return path


@unix
@pytest.mark.parametrize("kind", ["named pipe", "socket", "device"])
@pytest.mark.parametrize("suffix", [".txt", ".csv", ".zip", ".pdf", ".parquet", ".txt.gz", ".docx", ".json"])
def test_a_special_file_is_refused_at_once(tmp_path: Path, kind: str, suffix: str) -> None:
    path = special(tmp_path, f"a{suffix}", kind)
    for attempt in (lambda: read(path), lambda: sources.look(path, Job())):
        with pytest.raises(SourceError, match=f"it is a {kind}, not a file"):
            attempt()


@unix
@pytest.mark.parametrize("kind", ["named pipe", "socket"])
def test_a_special_file_among_texts_is_named_and_the_rest_read(folder: Path, kind: str) -> None:
    special(folder, "z.txt", kind)
    texts, notices = read(folder)
    assert texts == ["First text.", "Second text."]
    assert len(notices) == 1 and "z.txt" in notices[0] and kind in notices[0]
    seen = sources.look(folder, Job())
    assert len(seen.refused) == 1 and kind in seen.refused[0][1]


@unix
def test_a_device_linked_from_a_folder_of_texts_is_refused_even_when_followed(folder: Path) -> None:
    special(folder, "z.txt", "device")
    texts, notices = read(folder, follow_links=True)
    assert texts == ["First text.", "Second text."]
    assert len(notices) == 1 and "device" in notices[0]


def test_the_command_line_follows_no_link_without_its_option(
    folder: Path, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "passwd.txt").symlink_to("../private/passwd")
    assert main(["look", str(folder)]) == 0
    assert "Left out: links that lead out of the folder" in capsys.readouterr().out
    assert main(["download", str(project.root), "--dataset", str(folder)]) == 0
    captured = capsys.readouterr()
    assert "2 documents" in captured.out and "passwd.txt is a link to" in captured.err
    assert main(["download", str(project.root), "--dataset", str(folder), "--follow-links"]) == 0
    captured = capsys.readouterr()
    assert "3 documents" in captured.out and "link" not in captured.err
    assert main(["look", str(folder), "--follow-links"]) == 0
    assert "Private words." in capsys.readouterr().out
