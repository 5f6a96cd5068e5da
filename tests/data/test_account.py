"""The account of an import: every file and record is read, or left out by name and reason."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio.cli.app import DONE, main
from llm_studio.data.sources import store
from llm_studio.data.sources.account import Account
from llm_studio.data.sources.manifest import manifest_path
from llm_studio.data.sources.readers.inspect import inspect_path
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data import accounts, sources
from tests.data.making import account_of, documents, left_out, written, zipped

KIND, HIDDEN, UNREADABLE = "of a kind that isn’t read", "hidden", "can’t be read"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return projects.new_project(tmp_path / "p", "nano", "en")


def mixed(folder: Path) -> Path:
    for name in ("b.unknown", "c.doc", "d.mp3", ".hidden.txt", ".git/config", "sub/e.png"):
        written(folder, f"in/{name}", "not read")
    written(folder, "in/a.txt", "one text")
    written(folder, "in/README", "another")
    written(folder, "in/f.txt", b"\0\1\2" * 50)
    return folder / "in"


def test_every_entry_of_a_mixed_folder_is_read_or_left_out_by_name(tmp_path: Path) -> None:
    account = account_of(mixed(tmp_path))
    assert (account.files_seen, account.files_read, account.files_left_out) == (9, 2, 7)
    assert left_out(account) == {
        KIND: ["b.unknown", "c.doc", "d.mp3", "sub/e.png"],
        HIDDEN: [".git", ".hidden.txt"],
        UNREADABLE: ["f.txt"],
    }
    unreadable = next(entry for entry in account.left_out if entry.reason == UNREADABLE)
    assert unreadable.first[0].detail.startswith("f.txt is not a text file")


def test_every_member_of_an_archive_is_read_or_left_out_by_name(tmp_path: Path) -> None:
    inner = zipped({"x.txt": "inside", "y.exe": b"MZ", "__MACOSX/x.txt": b"junk"})
    members = {"a.txt": "one", "NOEXT": "two", "dot.txt.": "three", "c.exe": b"MZ", "in.zip": inner, "bad.zip": b"PK"}
    account = account_of(written(tmp_path, "a.zip", zipped(members)))
    assert (account.files_seen, account.files_read) == (8, 4)
    assert left_out(account) == {
        KIND: ["c.exe", "in.zip › y.exe"], HIDDEN: ["in.zip › __MACOSX/x.txt"], UNREADABLE: ["bad.zip"],
    }  # fmt: skip


def test_two_members_of_one_name_are_both_read(tmp_path: Path) -> None:
    import io
    import zipfile

    stream = io.BytesIO()
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(stream, "w") as out:
        for name, text in (("same.txt", "first"), ("other.txt", "second"), ("same.txt", "third")):
            out.writestr(name, text)
    path = written(tmp_path, "a.zip", stream.getvalue())
    assert sorted(documents(path)) == ["first", "second", "third"]
    assert account_of(path) == Account(3, 3)


RECORDS = ['{"text": "good"}', '{"text": null}', '{"text": 12}', "{}", '{"text": ""}', '{"text":', "[1]",
           '{"text": ["a", "b"]}', '{"text": "last"}']  # fmt: skip


def test_a_file_with_bad_lines_keeps_its_good_ones(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", "\n".join(RECORDS))
    assert documents(path) == ["good", "a\n\nb", "last"]
    assert left_out(account_of(path)) == {
        "without text": ["a.jsonl, line 2", "a.jsonl, line 5"],
        "not a text in the field that holds it": ["a.jsonl, line 3"],
        "without the field that holds the text": ["a.jsonl, line 4"],
        "not JSON": ["a.jsonl, line 6"],
        "JSON, but not an object": ["a.jsonl, line 7"],
    }


def test_of_json_that_is_cut_off_the_beginning_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", '[{"text": "a"}, 7, {"text": "b"}, {"text": "c')
    assert documents(path) == ["a", "b"]
    assert left_out(account_of(path)) == {
        "JSON, but not an object": ["a.json, record 2"],
        "the rest of a file that is cut off or damaged": ["a.json, record 4"],
    }


# --- Random trees ------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a.txt", "b.txt", "c.md", "README", "d.unknown", "e.exe", ".hidden", "f.jsonl", "g.csv"])
CONTENT = st.sampled_from([b"words", b"", b"\0\0\0", b'{"text": "x"}', b"id,text\n1,words\n", b"\xff\xfe\0"])
FOLDERS = st.sampled_from(["", "sub/", "sub/deep/", ".git/", "__MACOSX/"])
FILES = st.dictionaries(st.tuples(FOLDERS, NAMES).map("".join), CONTENT, max_size=8)
Archive = tuple[dict[str, bytes], dict[str, bytes] | None]
ARCHIVES = FILES.flatmap(lambda outer: st.tuples(st.just(outer), st.none() | FILES))


def packed(outer: Mapping[str, bytes], inner: Mapping[str, bytes] | None) -> bytes:
    return zipped({**outer, **({"in.zip": zipped(inner)} if inner is not None else {})})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(FILES, st.none() | ARCHIVES)
def test_files_seen_are_files_read_and_files_left_out(
    tmp_path_factory: pytest.TempPathFactory, files: Mapping[str, bytes], archive: Archive | None
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    for name, content in {**files, "always.txt": b"always"}.items():
        written(folder, name, content)
    expected = len([name for name in files if not name.startswith(".git/")]) + 1
    expected += any(name.startswith(".git/") for name in files)  # a folder that isn't entered is one entry
    if archive is not None:
        outer, inner = archive
        written(folder, "z.zip", packed(outer, inner))
        members = len(outer) + (max(1, len(inner)) if inner is not None else 0)
        expected += max(1, members)
    account = account_of(folder)
    assert account.files_seen == expected
    assert account.files_seen == account.files_read + account.files_left_out
    assert "not reached: enough documents were read" not in left_out(account)
    named = [named.name for entry in account.left_out if entry.unit == "files" for named in entry.first]
    assert len(set(named)) == len(named)
    assert account.files_read == len(documents(folder))


# --- In a project, on the command line -----------------------------------------------------------------------------


def test_the_account_is_in_the_manifest_and_an_older_manifest_opens(project: Project, tmp_path: Path) -> None:
    source = sources.add_files(project, mixed(tmp_path), Job())
    assert store.list_sources(project.raw) == [source]
    assert source.account is not None and source.account.files_left_out == 7
    assert accounts.summary(source.account) == "7 of 9 files left out"
    path = manifest_path(project.raw, source.name)
    content = json.loads(path.read_text(encoding="utf-8"))
    newer = content | {"account": {**content["account"], "version": 99}}
    for other in ({k: v for k, v in content.items() if k != "account"}, newer):
        path.write_text(json.dumps(other), encoding="utf-8")
        (known,) = store.list_sources(project.raw)
        assert known.account is None and known.sha256 == source.sha256


def test_a_limit_of_documents_leaves_the_rest_of_the_files_unreached(project: Project, tmp_path: Path) -> None:
    for n in range(5):
        written(tmp_path, f"in/{n}.txt", "text")
    source = sources.add_files(project, tmp_path / "in", Job(), max_documents=2)
    assert source.account is not None and source.account.files_seen == 5
    assert accounts.summary(source.account) == "3 of 5 files left out"


def test_look_and_download_name_what_is_left_out(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = mixed(tmp_path)
    assert main(["look", str(folder)]) == DONE
    shown = capsys.readouterr().out
    for name in ("b.unknown", "c.doc", "d.mp3", "sub/e.png", ".git", ".hidden.txt", "f.txt"):
        assert name in shown
    assert "4 files left out: of a kind that isn’t read" in shown
    assert main(["download", str(project.root), "--dataset", str(folder)]) == DONE
    output = capsys.readouterr()
    assert "7 of 9 files left out" in output.out
    assert "4 files left out: of a kind that isn’t read (b.unknown, c.doc, d.mp3, sub/e.png)." in output.err
    assert main(["download", str(project.root), "--dataset", str(folder), "--json"]) == DONE
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert figures["account"]["files_seen"] == 9


def test_a_look_at_an_archive_has_the_same_account(tmp_path: Path) -> None:
    path = written(tmp_path, "a.zip", zipped({"a.txt": "one", "b.exe": b"MZ", "c.txt": b""}))
    seen = inspect_path(path, ReadOptions(), Job()).account
    assert seen == account_of(path)


def test_a_page_without_text_is_counted(tmp_path: Path) -> None:
    from tests.data.making import pdf

    account = account_of(written(tmp_path, "a.pdf", pdf(["A title page with text."], [], [], ["The end."])))
    assert left_out(account) == {"pages without text: pictures, or empty": ["a.pdf, page 2", "a.pdf, page 3"]}
