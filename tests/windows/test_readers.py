"""The samples that the packaged program has to read are read by the program from source, and the check sees faults."""

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from llm_studio.cli.app import main
from llm_studio.data.sources.account import KIND
from tests.data.samples import CHATS, TEXTS, Sample, lacking, samples
from tests.windows.readers import faults

SOUND = samples()


def program(*call: str) -> CompletedProcess[bytes]:
    """The command line from source, in this process."""
    shown, said = io.StringIO(), io.StringIO()
    with redirect_stdout(shown), redirect_stderr(said):
        code = main(list(call))
    return CompletedProcess(call, code, shown.getvalue().encode(), said.getvalue().encode())


def test_every_sample_is_read_as_it_should_be_and_accounted_for(tmp_path: Path) -> None:
    assert faults(program, tmp_path / "in", str(tmp_path / "in"), SOUND) == []


@pytest.mark.parametrize(("folder", "suffix", "missing"), [
    (TEXTS, ".pdf", ".pdf"), (TEXTS, ".tzst", ".tzst"), (CHATS, ".parquet", ".parquet of conversations"),
])  # fmt: skip
def test_a_kind_of_the_programs_table_without_a_sample_is_a_fault(folder: str, suffix: str, missing: str) -> None:
    assert lacking(SOUND) == []
    fewer = {**SOUND, folder: [sample for sample in SOUND[folder] if not sample.name.endswith(suffix)]}
    assert lacking(fewer) == [missing]


def test_what_is_read_otherwise_or_not_accounted_for_is_a_fault(tmp_path: Path) -> None:
    good = Sample("good.txt", b"Good.", ("Good.",))
    given = {TEXTS: [good, replace(good, name="bad.txt", content=b"Other."), Sample("lost.doc", b"", files=0),
                     Sample("more.txt", b"More.", ("More.",), {KIND: 7}, files=5)]}  # fmt: skip
    found = "\n".join(line for line in faults(program, tmp_path, str(tmp_path), given) if "no sample of" not in line)
    assert found.count("\n") == 4
    assert "not read as they should be: good.txt, bad.txt" in found and "in no sample: ['Other.']" in found
    assert "4 files seen, 3 read of 7, 1 left out" in found and "not {'of a kind" in found
    assert "a first look shows ['Other.', 'Good.', 'More.']" in found


def test_a_folder_that_cannot_be_read_and_a_program_that_fails_are_faults(tmp_path: Path) -> None:
    given = {TEXTS: [Sample("a.doc", b"", files=0)]}
    found = faults(program, tmp_path / "a", str(tmp_path / "a"), given)
    assert sum("could not be read" in line and "There are no texts in" in line for line in found) == 1

    def careless(*call: str) -> CompletedProcess[bytes]:
        return CompletedProcess(call, 0, b"", b"") if call[-1].endswith(".mobi") else program(*call)

    found = faults(careless, tmp_path / "c", str(tmp_path / "c"), {})
    assert found[-1].startswith("book.mobi was not refused")

    def broken(*call: str) -> CompletedProcess[bytes]:
        return CompletedProcess(call, 3, b"", b"It broke.")

    assert faults(broken, tmp_path / "b", "b", given)[-1] == "no project could be made: It broke."
