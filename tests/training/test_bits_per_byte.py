"""A run reports each validation loss in bits per byte too, and shows none where an earlier version trained it."""

import json
import math
import re
import zipfile
from pathlib import Path

import pytest

from llm_studio import files, records
from llm_studio.cli.app import DONE, main
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens import batches
from llm_studio.data.tokens.dataset import open_tokens
from llm_studio.events import Evaluated
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, record, registry
from llm_studio.workflows import export
from llm_studio.workflows.training import curves
from llm_studio.workflows.training.train import train
from tests.talk import add_talk
from tests.training.test_resume import StopAt


def evaluations(project: Project, job: Job | None = None, **changes: object) -> list[Evaluated]:
    """The evaluations of a new run, or of one that is resumed."""
    heard: list[Evaluated] = []
    train(project, job or Job(lambda event: heard.append(event) if isinstance(event, Evaluated) else None),
          **{"changes": {"training.max_steps": 12}, **changes})  # type: ignore[arg-type]  # fmt: skip
    return heard


def bytes_and_tokens(project: Project, answers: bool = False) -> tuple[int, int]:
    """Of the targets that a run is evaluated on: their bytes, by decoding them one by one, and their number."""
    tokenizer = Tokenizer.load(project.tokenizer_file)
    with open_tokens(project.processed) as tokens:
        targets = batches.evaluation_sequences(tokens, 16, 32)[:, 1:]
        if answers:
            targets = targets[batches.evaluation_answer_mask(tokens, 16, 32)]
    special = set(tokenizer.markers.values())
    text = b"".join(tokenizer.token_bytes(token) for token in targets.flatten().tolist() if token not in special)
    return len(text), targets.size


def forget_bits(project: Project, run: str) -> None:
    """Make the files of a run those of an earlier version."""
    folder = registry.folder(project, run)
    known = records.load(folder / record.FILE)
    assert known is not None
    del known["bytes_per_token"]
    files.write_json(folder / record.FILE, known)
    for saved in checkpoint.listed(folder):
        content = checkpoint.record_of(saved.path)
        assert content is not None
        del content["bytes_per_token"], content["fingerprint"]
        files.write_json(saved.path / checkpoint.RECORD, {**content, "fingerprint": files.fingerprint(content)})
    log = project.log_file(run)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line.pop("bits_per_byte", None)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.mark.parametrize("answers", [False, True])
def test_each_evaluation_is_in_bits_per_byte_of_what_counts(project: Project, answers: bool) -> None:
    if answers:
        add_talk(project, 200)
    loss_on = "answers" if answers else "all"
    heard = evaluations(project, changes={"training.max_steps": 12, "training.loss_on": loss_on})
    size, count = bytes_and_tokens(project, answers)
    assert len(heard) == 3
    for event in heard:
        assert event.bits_per_byte == pytest.approx(event.loss / math.log(2) * count / size)
    lowest = min(event.bits_per_byte or math.inf for event in heard)
    assert registry.read(project, "run-1").best_bits_per_byte == pytest.approx(lowest)
    assert curves.read(project, "run-1", Job()).last_bits_per_byte == heard[-1].bits_per_byte
    saved = checkpoint.best(checkpoint.listed(registry.folder(project, "run-1")))
    assert saved is not None and saved.bits_per_byte == pytest.approx(lowest)


def test_a_run_of_an_earlier_version_shows_none_and_gets_them_when_it_is_resumed(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    train(project, StopAt(7).job, changes={"training.max_steps": 12})
    forget_bits(project, "run-1")
    assert registry.read(project, "run-1").best_bits_per_byte is None
    assert [one.bits_per_byte for one in export.candidates(project, "run-1")] == [None, None]
    for command in ("runs", "curve", "export"):
        arguments = ["--to", "zip", "--out", str(project.root)] if command == "export" else []
        assert main([command, str(project.root), *arguments]) == DONE
    shown = capsys.readouterr().out
    assert re.search(r"^run-1 +stopped +7 / 12 +\d\.\d+ +\d\.\d+ +– +", shown, re.MULTILINE)
    assert not re.search(r"Loss \(validation\).*bits/byte", shown)

    resumed = evaluations(project, run="run-1", resume=True)
    assert resumed and all(event.bits_per_byte is not None for event in resumed)
    assert registry.read(project, "run-1").best_bits_per_byte == resumed[-1].bits_per_byte
    known = curves.read(project, "run-1", Job())
    assert known.bits_per_byte_until(5) is None and known.last_bits_per_byte == resumed[-1].bits_per_byte


def test_bits_per_byte_stand_beside_each_loss(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(project.root)
    assert main(["train", root, "--set", "training.max_steps=12"]) == DONE
    printed = capsys.readouterr()
    assert re.search(r"best validation loss \d\.\d{3} · \d\.\d{3}\u00a0bits/byte\.", printed.out)
    assert re.search(r"step 12: validation loss \d\.\d{3} \(\d\.\d{3}\u00a0bits/byte\)", printed.err)
    assert main(["curve", root]) == DONE
    rows = capsys.readouterr().out.splitlines()
    for name in ("Loss (validation)", "best so far", "bigram", "unigram", "random guessing"):
        (row,) = [row for row in rows if name in row]
        assert re.search(r"\d\.\d{3} · \d\.\d{3}\u00a0bits/byte$", row), row
    assert main(["curve", root, "--json"]) == DONE
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures["bits_per_byte"] >= figures["best_bits_per_byte"] > 0
    assert figures["baselines"]["bits_per_byte"].keys() == {"chance", "unigram", "bigram"}
    assert main(["runs", root, "--json"]) == DONE
    (run,) = json.loads(capsys.readouterr().out)["figures"]["runs"]
    assert run["best_bits_per_byte"] == figures["best_bits_per_byte"]


def test_an_exported_checkpoint_keeps_its_bits_per_byte(project: Project, tmp_path: Path) -> None:
    train(project, Job(), changes={"training.max_steps": 12})
    model, exported = export.export(project, Job(), "zip", out=tmp_path)
    with zipfile.ZipFile(exported.path) as archive:
        archive.extractall(tmp_path)
    unpacked = checkpoint.read(tmp_path / model.name.replace("/", "-"))
    checkpoint.verify(unpacked)
    assert model.checkpoint and unpacked.bits_per_byte == model.checkpoint.bits_per_byte is not None
    readme = (unpacked.path / "README.txt").read_text(encoding="utf-8")
    assert f"({unpacked.bits_per_byte:.3f}\u00a0bits/byte)" in readme
