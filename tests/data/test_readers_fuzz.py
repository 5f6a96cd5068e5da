"""Whatever bytes a file holds, it is read or refused with its name: no crash, no hang, nothing written."""

import random
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio.data.sources.readers.inspect import inspect_path
from llm_studio.data.sources.readers.kinds import SUFFIXES
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from tests.data.making import documents, one_of_each, wiki, written

SOUND = one_of_each()
PIECES = {
    "a.tex": [
        "\\", "{", "}", "[", "]", "$", "$$", "%", "\n", "\n\n", "\\begin{align}", "\\end{align}",
        "\\begin{tabular}", "\\end{tabular}", "\\footnote{", "\\newcommand", "\\'", "\\verb|", "\\item", "a", " ",
        "\\[",
    ],
    "a.xml": [
        "{{", "}}", "[[", "]]", "{|\n", "\n|}", "|", "&lt;ref&gt;", "&lt;/ref&gt;", "&lt;!--", "--&gt;", "==",
        "\n", "''", "a", " ", "http://", "[", "]", "File:", "&amp;nbsp;",
        "</text></revision></page><page><revision><text>",
    ],
    "a.mbox": [
        "From a\n", "\n", "\n\n", "--b", "--b--", "Content-Type: multipart/mixed; boundary=b\n", "=C3=", "text\n",
        "Content-Type: text/html; charset=x\n", "Content-Transfer-Encoding: base64\n", "QUJD\n", "<p>", ":", "é",
    ],
    "a.ipynb": [
        "{\"cells\": [", "{\"source\": \"a\"}", "{\"source\": [\"a\", 1]}", ", ", "]", "}", "\"worksheets\": [",
        "\"cells\": [", "{",
    ],
    "telegram.json": [
        "{\"type\": \"personal_chat\", \"messages\": [",
        "{\"type\": \"message\", \"from\": \"A\", \"text\": \"a\"}", ", ", "]",
        "{\"type\": \"message\", \"from\": \"B\", \"text\": [\"b\", {\"text\": 1}]}", "}",
        "\"chats\": {\"list\": [", "{", "[", "1",
    ],
}  # fmt: skip
IN_PROCESS = sorted(set(SOUND) - {"a.pdf"})
fuzz = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)


def read_or_refused(path: Path) -> None:
    """Both the reading and the first look end well, or with a sentence that names the file, in a moment."""
    began = time.monotonic()
    for _ in range(2):
        try:
            assert all(documents(path, notices=[]))
            inspect_path(path, ReadOptions(), Job())
        except SourceError as error:
            assert path.stem in error.what
            assert error.what.endswith(".")
    assert time.monotonic() - began < 20
    assert list(path.parent.iterdir()) == [path]


@fuzz
@given(st.sampled_from(SUFFIXES), st.binary(max_size=400))
def test_random_bytes_under_every_ending(tmp_path: Path, kind: str, content: bytes) -> None:
    if kind != ".pdf":
        path = written(tmp_path, f"a{kind}", content)
        read_or_refused(path)
        path.unlink()


@fuzz
@given(st.sampled_from(IN_PROCESS), st.data())
def test_sound_files_cut_off_or_damaged(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(SOUND[name])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = written(tmp_path, name, bytes(content[: cut or None]))
    read_or_refused(path)
    path.unlink()


@fuzz
@given(st.sampled_from(sorted(PIECES)), st.data())
def test_the_marks_of_a_kind_in_any_order(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = "".join(data.draw(st.lists(st.sampled_from(PIECES[name]), max_size=40)))
    if name == "a.xml":
        content = wiki([("A", "@")]).replace("@", content)
    path = written(tmp_path, name, content)
    read_or_refused(path)
    path.unlink()


@pytest.mark.parametrize("seed", range(3))
def test_damaged_pdfs(tmp_path: Path, seed: int) -> None:
    """A folder of them, so that one process serves all."""
    chance = random.Random(seed)
    for n in range(12):
        content = bytearray(SOUND["a.pdf"])
        for _ in range(chance.randrange(1, 8)):
            content[chance.randrange(9, len(content))] = chance.randrange(256)
        written(tmp_path, f"{n:02}.pdf", bytes(content[: chance.randrange(20, len(content))] if n % 2 else content))
    written(tmp_path, "99.txt", "text")
    with warnings.catch_warnings():
        assert documents(tmp_path, notices=[])[-1] == "text"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["text", "data", "messages", "a"]), inner)
    ),
    max_leaves=12,
)


@fuzz
@given(JSON, st.text(st.sampled_from('[]{},:"\\ae1 \n'), max_size=12))
def test_any_json_and_nearly_json(tmp_path: Path, content: object, after: str) -> None:
    import json

    for name in ("a.json", "a.jsonl"):
        path = written(tmp_path, name, json.dumps(content) + after)
        read_or_refused(path)
        path.unlink()


@fuzz
@given(st.text(st.sampled_from("<>/!-?[]&;=\"' apdivscriptnavbr\n\x01é"), max_size=120))
def test_any_markup(tmp_path: Path, content: str) -> None:
    path = written(tmp_path, "a.html", content)
    read_or_refused(path)
    path.unlink()


@fuzz
@given(st.text(st.sampled_from(",;\t|\"\\' \na1\r"), max_size=120))
def test_any_table(tmp_path: Path, content: str) -> None:
    for name in ("a.csv", "a.tsv", "a.srt"):
        path = written(tmp_path, name, content)
        read_or_refused(path)
        path.unlink()
