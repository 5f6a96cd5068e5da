"""The parts of the Windows check that need no Windows."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.catalogue import source_messages
from tests.windows import check, gpu, imports
from tests.windows.check import Machine

SHOW = "import os; print(os.environ.get('ONEDNN_MAX_CPU_ISA'), os.environ.get('DNNL_MAX_CPU_ISA'))"
FOLDER = r"C:\Programs\LLM Studio"


class Uninstalling(Machine):
    """A Windows with a copy of the program whose uninstaller ends with `status`; no copy where it is None."""

    def __init__(self, status: int | None) -> None:
        super().__init__("", "")
        self.status, self.scripts = status, list[str]()

    def run(self, *command: str, timeout: float = 900, captured: bool = True) -> subprocess.CompletedProcess[bytes]:
        self.scripts.append(command[-1])
        found = FOLDER.encode() if self.status is not None else b""
        return subprocess.CompletedProcess(command, self.status or 0, found, b"")


def commit(folder: Path, text: str) -> None:
    (folder / "file.txt").write_text(text, encoding="utf-8")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    subprocess.run(["git", *who, "commit", "--quiet", "-m", text], cwd=folder, check=True)


def test_a_second_check_in_the_same_folder_builds_from_a_fresh_clone(tmp_path: Path) -> None:
    source, checkout = tmp_path / "source", tmp_path / "out" / "checkout"
    subprocess.run(["git", "init", "--quiet", str(source)], check=True)
    commit(source, "first")
    check.clone(source, checkout)
    (checkout / "dist").mkdir()
    (checkout / "dist" / "old.txt").write_text("", encoding="utf-8")
    (checkout / "dist" / "old.txt").chmod(stat.S_IREAD)
    commit(source, "second")
    check.clone(source, checkout)
    assert (checkout / "file.txt").read_text(encoding="utf-8") == "second"
    assert not (checkout / "dist").exists()


def test_the_settings_of_an_installed_program_are_put_back(tmp_path: Path) -> None:
    folder = tmp_path / "LLM Studio"
    folder.mkdir()
    (folder / "window.json").write_text("the user's", encoding="utf-8")
    for _again in range(2):
        with pytest.raises(KeyError), check.put_aside(folder):
            assert not folder.exists(), "the check starts without settings"
            folder.mkdir()
            (folder / "threads.json").write_text("the check's", encoding="utf-8")
            raise KeyError("whatever goes wrong")
        assert [path.name for path in folder.iterdir()] == ["window.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["LLM Studio"]


def test_settings_put_aside_by_a_check_that_was_killed_are_kept(tmp_path: Path) -> None:
    folder, killed = tmp_path / "LLM Studio", tmp_path / "LLM Studio before check 1"
    for each in (folder, killed):
        each.mkdir()
        (each / "window.json").write_text(each.name, encoding="utf-8")
    with check.put_aside(folder):
        assert not folder.exists()
    for each in (folder, killed):
        assert (each / "window.json").read_text(encoding="utf-8") == each.name


def test_without_settings_nothing_is_put_aside_and_what_is_left_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "LLM Studio"
    with check.put_aside(folder):
        folder.mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["LLM Studio"], "not hidden from whoever looks"


def test_an_earlier_installation_is_uninstalled_and_its_settings_stay(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Uninstalling(0)
    assert check.uninstall_earlier(machine) == []
    assert "/KEEP=1" in machine.scripts[0]
    assert FOLDER in capsys.readouterr().out
    for script in (check.UNINSTALL, check.UNINSTALL_EARLIER):
        compile(script, "script", "exec")


def test_an_earlier_installation_that_is_running_is_a_problem() -> None:
    (problem,) = check.uninstall_earlier(Uninstalling(1))
    assert FOLDER in problem and "close the program" in problem


def test_no_earlier_installation_is_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.uninstall_earlier(Uninstalling(None)) == []
    assert "installation" not in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Wine runs elsewhere")
def test_under_wine_onednn_keeps_from_amx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in check.WITHOUT_AMX:
        monkeypatch.delenv(name, raising=False)
    wine = Machine("env", str(tmp_path)).run(sys.executable, "-c", SHOW)
    assert wine.stdout.split() == [b"AVX512_CORE_BF16"] * 2
    windows = Machine("env", "").run(sys.executable, "-c", SHOW)
    assert windows.stdout.split() == [b"None"] * 2, "a real Windows uses all that its processor has"


def test_the_gpu_check_expects_what_the_program_prints() -> None:
    messages = [str(message.id) for message in source_messages()]
    for phrase in (*gpu.DOWNLOADED, *gpu.DAMAGED, *gpu.REMOVED):
        assert any(phrase in message for message in messages), phrase


def test_a_library_whose_licence_is_not_distributed_is_a_fault(tmp_path: Path) -> None:
    for name in ("known-1.0", "forgotten-2.0"):
        folder = tmp_path / "_internal" / f"{name}.dist-info" / "licenses"
        folder.mkdir(parents=True)
        (folder / "LICENSE").write_text(f"The licence\n of {name}.", encoding="utf-8")
    (tmp_path / "LICENCES.txt").write_text("\ufeffThe licence of known-1.0.\n", encoding="utf-8")
    assert list(imports.unlicensed(tmp_path)) == ["forgotten-2.0.dist-info: its licence isn't in LICENCES.txt"]
