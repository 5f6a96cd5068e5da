"""The command line, as used by people and scripts: its output, its files, its exit status."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llm_studio import i18n
from llm_studio.cli.app import DONE, INTERRUPTED, PROBLEM, WRONG_USAGE, main
from llm_studio.events import StepDone
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data import sources
from llm_studio.workflows.training import runs
from llm_studio.workflows.training.train import train
from tests.tiny import SETTINGS, project_with_tokens

WINDOWS = sys.platform == "win32"


def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real program in a separate process."""
    return subprocess.run(
        [sys.executable, "-m", "llm_studio", *arguments], input=stdin, capture_output=True, text=True,
        encoding="utf-8", env={**os.environ, "LLM_STUDIO_LANG": "en", **environment}, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project with two finished runs."""
    root = tmp_path_factory.mktemp("trained") / "mon llm"
    shutil.copytree(prepared, root)
    assert main(["train", str(root), "--run", "first"]) == DONE
    assert main(["train", str(root), "--run", "second", "--set", "training.max_steps=12"]) == DONE
    return root


def test_the_whole_way_from_a_text_file_to_writing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tmp_path / "contes.txt"
    tale = "Il était une fois un chat n° {} qui aimait la mer et le vent du soir."
    texts.write_text("\n\n".join(tale.format(i) for i in range(900)), encoding="utf-8")
    root = str(tmp_path / "mon-llm")
    assert main(["new", root, "--preset", "nano", "--lang", "fr"]) == DONE
    assert main(["config", root, *(f"--set={k}={json.dumps(v)}" for k, v in SETTINGS.items())]) == DONE
    assert main(["download", root, "--dataset", str(texts), "--separator", "blank"]) == DONE
    assert "900 documents" in capsys.readouterr().out
    assert main(["train-tokenizer", root, "--vocab-size", "300"]) == DONE
    assert re.search(r"\d\.\d\d characters per token, \d\.\d\d tokens per word", capsys.readouterr().out)
    assert main(["prepare", root]) == DONE
    assert main(["train", root, "--run", "a"]) == DONE
    assert "finished: 30 steps" in capsys.readouterr().out
    assert main(["generate", root, "--prompt", "Il était", "--max-tokens", "20", "--seed", "1"]) == DONE
    first = capsys.readouterr().out
    assert first.startswith("Il était") and len(first) > 15
    assert main(["generate", root, "--prompt", "Il était", "--max-tokens", "20", "--seed", "1"]) == DONE
    assert capsys.readouterr().out == first
    assert Project.open(Path(root)).settings().model.vocab_size == 300


def test_help_is_there_for_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == DONE
    commands = [
        "new",
        "download",
        "train-tokenizer",
        "prepare",
        "config",
        "train",
        "runs",
        "generate",
        "doctor",
        "quickstart",
    ]
    listed = capsys.readouterr().out
    for command in commands:
        assert command in listed
        assert main([command, "--help"]) == DONE
        assert "--json" in capsys.readouterr().out


def test_help_comes_without_what_takes_seconds_to_import() -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "llm_studio", "--help"], capture_output=True,
                          text=True, encoding="utf-8", check=True)  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "llm_studio.cli.app" in imported
    assert not imported & {"torch", "PySide6", "datasets", "pyarrow", "numpy", "transformers"}


@pytest.mark.parametrize("arguments", [
    ["trian", "x"], ["train"], ["new", "x", "--preset", "huge"], ["train", ".", "--set", "oops"],
    ["config", ".", "--unknown"], ["download", "."], ["download", ".", "--dataset", "stories", "--remove", "x"],
])  # fmt: skip
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == WRONG_USAGE
    assert capsys.readouterr().err


@pytest.mark.parametrize("arguments, sentence", [
    (["trian", "x"], "La commande 'trian' n’existe pas : vouliez-vous dire «\u00a0train\u00a0» ?"),
    (["train"], "Il manque DIR."),
    (["train", "x", "--minute", "3"], "Il n’y a pas d’option --minute"),
    (["train", "x", "--minutes"], "--minutes attend une valeur."),
    (["train", "x", "--fit=3"], "--fit n’attend pas de valeur."),
    (["train", "x", "--minutes", "abc"], "--minutes"),
    (["train", "x", "y"], "Arguments en trop"),
])  # fmt: skip
def test_wrong_usage_is_explained_in_french(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    i18n.activate("fr")
    assert main(arguments) == WRONG_USAGE
    shown = capsys.readouterr().err
    assert " ".join(sentence.split()) in " ".join(shown.split())
    assert not re.search(r"\b(option:|requires|does not|Try|Error|unexpected|valid)\b", shown)


@pytest.mark.parametrize("arguments, said", [
    (["train", "nowhere"], "no project"),
    (["generate", "nowhere"], "no project"),
    (["config", "PROJECT", "--set", "model.d_modell=3"], "did you mean “d_model”?"),
    (["config", "PROJECT", "--set", "model.d_model=33", "--set", "training.seed=x"], "must be a whole number, not 'x'"),
    (["train", "PROJECT", "--run", "first"], "already a run “first”"),
    (["train", "PROJECT", "--run", "a/b"], "can't be the name of a run"),
    (["train", "PROJECT", "--resume", "--run", "third"], "The runs are: first, second"),
    (["train", "PROJECT", "--set", "training.device=cuda"], "processor"),
    (["generate", "PROJECT", "--checkpoint", "7777"], "There are: "),
    (["generate", "PROJECT", "--checkpoint", "elsewhere"], "nor a checkpoint"),
    (["generate", "PROJECT", "--temperature", "-1"], "generation.temperature – must be at least 0, not -1"),
    (["generate", "PROJECT", "--checkpoint", "x" * 300], "nor a checkpoint"),
    (["generate", "PROJECT", "--checkpoint", "9" * 5000], "nor a checkpoint"),
    (["generate", "PROJECT", "--checkpoint", "²"], "“²” is neither a run of this project nor a checkpoint"),
    (["generate", "PROJECT", "--prompt", "\udcff"], "half of a character"),
    (["runs", "PROJECT", "--rename", "first", "second"], "already a run"),
    (["train", "x" * 300], "no project" if WINDOWS else "can't be read"),
    (["new", "x" * 300], "too long for Windows" if WINDOWS else "refuses this name"),
    (["config", "PROJECT", "--set", "model.d_model=" + "9" * 5000], "must be a whole number"),
    (["config", "PROJECT", "--set", "model.d_model={{x}: 3}"], "must be a whole number"),
    (["download", "PROJECT", "--remove", "../x"], "There is no source “../x”"),
    (["download", "PROJECT", "--dataset", "x" * 300], "neither a file nor a folder here, nor a known dataset"),
    (["download", "PROJECT", "--dataset", "nothing-here.txt"], "neither a file nor a folder here, nor a known dataset"),
])  # fmt: skip
def test_a_problem_is_explained_in_a_sentence_and_is_1(
    trained: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(trained) if a == "PROJECT" else a for a in arguments]) == PROBLEM
    captured = capsys.readouterr()
    assert said in captured.err and "Traceback" not in captured.err


def test_events_are_json_lines_of_one_schema(trained: Path) -> None:
    done = run("train", str(trained), "--run", "json", "--json", "--set", "training.max_steps=10")
    assert done.returncode == DONE, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(line["v"] == 1 for line in lines)
    kinds = {line["event"] for line in lines}
    assert {"run", "step", "evaluation", "sample", "moment", "checkpoint", "done"} <= kinds
    bits = [line["bits_per_byte"] for line in lines if line["event"] == "evaluation"]
    assert min(bits) == lines[-1]["figures"]["best_bits_per_byte"] > 0
    assert [line["step"] for line in lines if line["event"] == "step"] == list(range(1, 11))
    logged = [json.loads(line) for line in (trained / "logs" / "json.jsonl").read_text(encoding="utf-8").splitlines()]
    assert logged == [line for line in lines if line["event"] not in {"notice", "progress", "done"}]


def test_a_problem_is_an_event_too(tmp_path: Path) -> None:
    failed = run("train", str(tmp_path), "--json")
    assert failed.returncode == PROBLEM
    assert json.loads(failed.stdout)["event"] == "failed" and "no project" in json.loads(failed.stdout)["text"]


def test_the_prompt_comes_from_standard_input(trained: Path) -> None:
    done = run("generate", str(trained), "--prompt", "-", "--greedy", "--max-tokens", "5", stdin="Once upon a été")
    assert done.returncode == DONE, done.stderr
    assert done.stdout.startswith("Once upon a été")


def test_a_prompt_that_is_not_utf8_is_explained(trained: Path) -> None:
    command = [sys.executable, "-m", "llm_studio", "generate", str(trained), "--prompt", "-"]
    done = subprocess.run(command, input=b"\xff", capture_output=True, check=False,
                          env={**os.environ, "LLM_STUDIO_LANG": "en"})  # fmt: skip
    assert done.returncode == PROBLEM and done.stderr.startswith(b"The prompt is not UTF-8 text.")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_training_whose_reader_goes_is_saved(trained: Path, as_json: bool) -> None:
    name = f"read-{as_json}"
    command = [sys.executable, "-m", "llm_studio", "train", str(trained), "--run", name,
               "--set", "training.max_steps=100000", *(["--json"] if as_json else [])]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=None if as_json else subprocess.STDOUT,
                          env={**os.environ, "LLM_STUDIO_LANG": "en"}) as process:  # fmt: skip
        assert process.stdout
        for _line in range(5):
            assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == DONE
    run = runs.read(Project.open(trained), name)
    assert run.state == "stopped" and run.step > 0
    assert (trained / "checkpoints" / name / f"step-{run.step:06d}" / "checkpoint.json").exists()


def test_commands_shown_can_be_pasted_though_a_name_holds_spaces(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(trained), "--run", "my run", "--set", "training.max_steps=2", "--json"]) == DONE
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["next"] == f'llm-studio generate "{trained}" --run "my run" --prompt "..."', "another run is better"


WAYS_TO_STOP = [signal.CTRL_BREAK_EVENT] if sys.platform == "win32" else [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", WAYS_TO_STOP)
def test_interrupting_a_training_saves_it_and_is_130(trained: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "llm_studio", "train", str(trained), "--run", f"stopped-{number}", "--json",
               "--set", "training.max_steps=100000"]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, encoding="utf-8", env={**os.environ, "LLM_STUDIO_LANG": "en"},
        creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
    )  # fmt: skip
    assert process.stdout
    for line in process.stdout:
        if '"step": 20,' in line:
            try:
                process.send_signal(number)
            except (OSError, SystemError):  # Ctrl+Break goes through a console, and Wine's own tests have none
                process.kill()
                process.communicate()
                pytest.skip("no console to press Ctrl+Break in")
            break
    last = json.loads(process.communicate(timeout=60)[0].splitlines()[-1])
    assert process.returncode == INTERRUPTED
    assert last["event"] == "done" and "stopped and saved" in last["text"] and "--resume" in last["next"]
    assert last["figures"]["step"] >= 20


def test_runs_are_listed_compared_renamed_and_deleted(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(project.root)
    assert main(["runs", root]) == DONE and "No runs yet" in capsys.readouterr().out
    for name, rate in (("a", "1e-2"), ("b", "1e-3")):
        assert main(["train", root, "--run", name, "--set", f"training.learning_rate={rate}"]) == DONE
    capsys.readouterr()
    assert main(["runs", root]) == DONE
    table = capsys.readouterr().out
    assert re.search(
        r"^a +finished +30 / 30 +\d\.\d+ +\d\.\d+ +\d\.\d{3} +\d+\u00a0s +[\d.]+\u00a0[kM]B$", table, re.MULTILINE
    )
    assert main(["runs", root, "--compare", "a", "--compare", "b"]) == DONE
    assert re.search(r"training.learning_rate +0.01 +0.001", capsys.readouterr().out)
    assert main(["runs", root, "--rename", "a", "été 1"]) == DONE
    assert (Path(root) / "logs" / "été 1.jsonl").exists()
    assert main(["runs", root, "--delete", "b", "--json"]) == WRONG_USAGE
    assert main(["runs", root, "--delete", "b", "--yes"]) == DONE
    capsys.readouterr()
    assert main(["runs", root, "--json"]) == DONE
    assert [r["name"] for r in json.loads(capsys.readouterr().out)["figures"]["runs"]] == ["été 1"]
    assert not (Path(root) / "checkpoints" / "b").exists()


@pytest.mark.skipif(WINDOWS, reason="Windows sends no Ctrl+C to one process alone")
def test_deleting_a_run_asks_first_and_ctrl_c_ends_the_question(project: Project) -> None:
    root = str(project.root)
    assert main(["train", root, "--run", "a", "--set", "training.max_steps=1"]) == DONE
    assert run("runs", root, "--delete", "a", stdin="n\n").returncode == INTERRUPTED
    command = [sys.executable, "-m", "llm_studio", "runs", root, "--delete", "a"]
    # a process that ignores Ctrl+C, like those that a script starts in the background, passes this on to its children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env={**os.environ, "LLM_STUDIO_LANG": "en"}) as process:  # fmt: skip
        assert process.stdin and process.stdout
        assert process.stdout.read(8) == b"Delete \xe2"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == INTERRUPTED
    assert (project.checkpoints / "a").exists()
    assert run("runs", root, "--delete", "a", stdin="y\n").returncode == DONE
    assert not (project.checkpoints / "a").exists()


def test_a_source_is_removed_and_config_tells_where_the_steps_stand(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(project.root)
    assert main(["config", root]) == DONE
    assert "texts: ready · tokenizer: ready · tokens: ready" in capsys.readouterr().out.splitlines()[-1]
    assert main(["download", root, "--remove", "stories-en"]) == DONE
    assert not list(project.raw.iterdir())
    capsys.readouterr()
    assert main(["config", root, "--json"]) == DONE
    steps = json.loads(capsys.readouterr().out)["figures"]["steps"]
    assert steps == {"texts": "to do", "tokenizer": "out of date", "tokens": "out of date"}
    (project.raw / "bad.parquet").write_bytes(b"bad")
    assert main(["config", root, "--set", "model.d_model=64"]) == DONE
    assert "The source “bad” is damaged: its texts can't be read." in capsys.readouterr().err


def test_the_doctor_looks_at_the_disk_of_a_folder_to_come(tmp_path: Path) -> None:
    assert main(["doctor", str(tmp_path / "nowhere" / "at all")]) == DONE
    assert main(["doctor", "x" * 300]) == DONE


def test_the_gpu_command_tells_the_reason_and_goes_back_to_the_own_torch(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_studio.gpu import card, pack
    from tests.gpu import wheels

    monkeypatch.setenv("LLM_STUDIO_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(card, "driver", lambda: None)
    monkeypatch.setattr(card, "is_in_the_computer", lambda: True)
    assert main(["gpu"]) == DONE
    assert "1. Install the driver" in capsys.readouterr().out
    assert main(["gpu", "--from", str(wheels.make(tmp_path))]) == DONE
    assert "used from the next start on" in capsys.readouterr().out
    assert main(["doctor"]) == DONE
    assert "torch 2.13.0+cu130, used from the next start on" in capsys.readouterr().out
    assert main(["gpu", "--remove"]) == DONE
    assert pack.installed() is None
    assert main(["gpu", "--from", str(tmp_path / "absent.whl")]) == PROBLEM


def test_every_licence_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["licences"]) == DONE
    out = capsys.readouterr().out
    assert out.startswith("LLM Studio ") and "GNU LESSER GENERAL PUBLIC LICENSE" in out


def test_the_doctor_names_what_keeps_a_gpu_from_being_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == DONE
    findings = {f["name"]: f for f in json.loads(capsys.readouterr().out)["figures"]["findings"]}
    assert {"Python", "torch", "GPU", "Memory", "Disk", "Processor"} <= set(findings)
    assert findings["GPU"]["ok"] or findings["GPU"]["cure"]


def test_the_program_speaks_the_language_of_the_system(tmp_path: Path) -> None:
    english, french = (run("train", str(tmp_path), LLM_STUDIO_LANG=code) for code in ("en", "fr"))
    assert "There is no project" in english.stderr and "Il n’y a pas de projet" in french.stderr
    assert "Options" in run("train", "--help", LLM_STUDIO_LANG="fr").stdout


def test_quickstart_makes_all_and_goes_on_with_what_is_there(tmp_path: Path) -> None:
    root = tmp_path / "quick"
    for _time in range(2):
        done = run("quickstart", str(root), "--lang", "fr", "--steps", "5", "--json")
        assert done.returncode == DONE, done.stderr
        last = json.loads(done.stdout.splitlines()[-1])
        assert last["event"] == "done" and len(last["figures"]["stories"]) == 3
        assert last["figures"]["unigram_bits_per_byte"] > last["figures"]["bigram_bits_per_byte"] > 0
        assert all(story.startswith("Il était une fois") for story in last["figures"]["stories"])
    assert [p.name for p in (root / "data" / "raw").glob("*.parquet")] == ["stories-fr.parquet"]


def test_an_interrupted_quickstart_is_gone_on_with_in_its_own_language(tmp_path: Path) -> None:
    project = project_with_tokens(tmp_path / "quick", project__language="fr")
    half = Job(lambda event: isinstance(event, StepDone) and event.step == 8 and half.request_stop())
    assert not train(project, half, changes={"training.max_steps": 20}).finished
    done = run("quickstart", str(project.root), "--lang", "en", "--steps", "5", "--json")
    assert done.returncode == DONE, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])["figures"]
    assert figures["run"] == "run-1" and runs.read(project, "run-1").step == 20
    assert all(story.startswith("Il était une fois") for story in figures["stories"])
    again = run("quickstart", str(project.root), "--steps", "5", "--json")
    assert json.loads(again.stdout.splitlines()[-1])["figures"]["run"] == "run-2"


def test_the_quickstart_folder_is_named_after_its_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.setattr(
        "llm_studio.workflows.quickstart.quickstart", lambda folder, *_rest: made.append(folder) or 1 / 0
    )
    assert main(["quickstart", "--lang", "fr"]) == PROBLEM
    assert made == [Path("llm-studio-quickstart-fr")]


def test_texts_can_be_named_without_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tale.txt").write_text("Once there was a tale that was long enough to be kept, and it was. " * 3)
    assert main(["new", str(tmp_path / "p")]) == 0
    assert main(["download", str(tmp_path / "p"), str(tmp_path / "tale.txt")]) == 0
    assert [source.name for source in sources.all_sources(Project.open(tmp_path / "p"))] == ["tale"]
    capsys.readouterr()
    assert main(["download", str(tmp_path / "p"), "stories", "--dataset", "stories"]) == 2
    assert "once" in capsys.readouterr().err
