"""The checksums of the token files: every change is found, wherever it is; older files are verified too."""

import json
import sys
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio.data.tokens import token_files
from llm_studio.data.tokens.dataset import open_tokens
from llm_studio.data.tokens.token_files import BlockChecksums, TokenFile
from llm_studio.errors import DamagedTokensError, DataError
from llm_studio.project import Project

any_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)


def through(file: TokenFile) -> int:
    """The number of blocks read."""
    return sum(1 for _ in file.verify())


@given(st.lists(st.binary(max_size=40)), st.integers(1, 16))
def test_the_pieces_that_a_file_is_written_in_dont_matter(pieces: list[bytes], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_files, "BLOCK", block)
        sums = BlockChecksums()
        for piece in pieces:
            sums.add(piece)
        content = b"".join(pieces)
        blocks = [content[start : start + block] for start in range(0, len(content), block)]
        assert sums.text() == "".join(f"{crc32(one):08x}" for one in blocks)


@any_folder
@given(st.binary(min_size=1, max_size=200), st.data())
def test_every_flipped_bit_is_found(tmp_path: Path, content: bytes, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_files, "BLOCK", 16)
        sums, path = BlockChecksums(), tmp_path / "train.bin"
        sums.add(content)
        file = TokenFile(path, "", sums.text())
        path.write_bytes(content)
        assert through(file) == -(-len(content) // 16)
        place = data.draw(st.integers(0, 8 * len(content) - 1))
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        seen = 0
        with pytest.raises(DamagedTokensError, match=r"train\.bin has changed.*Run “llm-studio prepare” again"):
            for _ in file.verify():
                seen += 1
        assert seen == place // 128  # the blocks before it, and no more
        for other in (content[:-1], content + b"\0"):
            path.write_bytes(other)
            with pytest.raises(DamagedTokensError):
                through(file)


def test_all_files_of_a_project_are_verified(project: Project) -> None:
    with open_tokens(project.processed) as tokens:
        files = tokens.files
    assert [file.path.name for file in files] == ["train.bin", "val.bin"]
    for file in files:
        assert len(file.crc32) == 8 * through(file)
    val = project.processed / "val.bin"
    with val.open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\xff")
    through(files[0])
    with pytest.raises(DamagedTokensError, match=r"val\.bin"):
        through(files[1])
    val.unlink()
    with pytest.raises(DataError, match="can't be read"):
        through(files[1])


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file can't be replaced there")
def test_files_of_tokens_prepared_meanwhile_are_not_compared_with_the_sums_of_those_before(project: Project) -> None:
    with open_tokens(project.processed) as tokens:
        files = tokens.files
        new = project.processed / "new.bin"
        new.write_bytes(b"others")
        new.replace(project.processed / "val.bin")
        assert through(files[0]) and not through(files[1])


def test_tokens_of_earlier_versions_are_verified_as_a_whole(project: Project) -> None:
    meta = json.loads(project.tokens_meta.read_text())
    del meta["block"], meta["train"]["crc32"], meta["validation"]["crc32"]
    project.tokens_meta.write_text(json.dumps(meta))
    with open_tokens(project.processed) as tokens:
        fingerprint, files = tokens.fingerprint, tokens.files
    assert all(not file.crc32 and through(file) for file in files)
    with (project.processed / "train.bin").open("r+b") as stream:
        stream.write(b"\1")
    with pytest.raises(DamagedTokensError, match=r"train\.bin"):
        through(files[0])
    meta["block"], meta["train"]["crc32"] = 123, "of other blocks"  # of a program to come
    project.tokens_meta.write_text(json.dumps(meta))
    with open_tokens(project.processed) as tokens:
        assert tokens.fingerprint == fingerprint and not tokens.files[0].crc32
