"""`new` on a full disk, or killed: nothing is left that would make the same command fail."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_studio.cli.app import DONE, PROBLEM, main
from llm_studio.config.presets import load_preset
from llm_studio.errors import DiskFullError, ProjectError
from llm_studio.project import Project

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="no disks of a given size, no kills at a given moment")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for 64 KB and a few folders."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        sys.platform == "linux"
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=24", "tmpfs", str(disk)],
            capture_output=True,
            check=False,
        ).returncode
    )
    if not mounted:
        pytest.skip("no disk may be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(path: Path, room: int) -> None:
    """Fill the disk except for `room` bytes."""
    with path.open("wb", buffering=0) as stream:
        try:
            while stream.write(b"x" * 4096):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
    os.truncate(path, max(0, path.stat().st_size - room))


def contents(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@POSIX
@pytest.mark.parametrize("room", [0, 4096])
def test_on_a_full_disk_nothing_is_left_and_the_same_command_works_when_there_is_room(
    small_disk: Path, room: int, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_disk / "deep" / "mon-llm"
    fill(small_disk / "filler", room)
    assert main(["new", str(root), "--preset", "nano"]) == PROBLEM
    assert "The disk is full" in capsys.readouterr().err
    assert contents(small_disk) == {"filler"}
    (small_disk / "filler").unlink()
    assert main(["new", str(root), "--preset", "nano"]) == DONE
    assert Project.open(root).settings().project.name == "mon-llm"


@POSIX
def test_a_disk_without_room_for_folders_is_full_too(small_disk: Path) -> None:
    for number in range(19):
        (small_disk / str(number)).touch()
    with pytest.raises(DiskFullError):
        Project.create(small_disk / "mon-llm", load_preset("nano"))
    assert not (small_disk / "mon-llm").exists()
    (small_disk / "there").mkdir(exist_ok=True)  # an empty folder that the user created is kept
    with pytest.raises(DiskFullError):
        Project.create(small_disk / "there", load_preset("nano"))
    assert contents(small_disk / "there") == set()


KILLED = """
import os, signal, sys
from pathlib import Path
from llm_studio.config.presets import load_preset
from llm_studio.project import Project

settings, folder = load_preset("nano"), Path(sys.argv[1])
for moment in range(1, 1000):
    child = os.fork()
    if not child:
        left = moment
        def hook(event, arguments):
            global left
            changes = event in ("os.mkdir", "os.rename", "os.remove", "os.unlink", "os.replace")
            if changes or (event == "open" and (arguments[1] or "r")[0] in "wax"):
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        Project.create(folder / str(moment), settings)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        print(moment)
        break
"""


@POSIX
def test_killed_at_any_moment_the_same_command_works_again(tmp_path: Path) -> None:
    made = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=True)
    moments = int(made.stdout)
    assert moments > 8  # each folder, the temporary file and its new name
    begun = whole = 0
    for moment in range(1, moments):
        root = tmp_path / str(moment)
        begun += root.exists()
        if (root / "config" / "config.yaml").exists():  # killed after its last file was renamed
            whole += 1
        else:
            Project.create(root, load_preset("nano"))
        assert Project.open(root).settings() == load_preset("nano")
        assert contents(root) == contents(tmp_path / str(moments))
    print(f"{moments - 1} kills: {begun} had begun, {whole} had made the project")
    assert begun > 6 and whole < 2


@pytest.mark.parametrize(
    "foreign", ["letter.txt", "data/letter.txt", "data/raw/x.parquet", "config/other.yaml", "more/"]
)
def test_what_is_not_of_a_cut_off_creation_is_left_alone(tmp_path: Path, foreign: str) -> None:
    (tmp_path / "data" / "raw").mkdir(parents=True)
    path = tmp_path / foreign
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if foreign.endswith("/") else path.touch()
    before = contents(tmp_path)
    with pytest.raises(ProjectError, match="not empty and holds no project"):
        Project.create(tmp_path, load_preset("nano"))
    assert contents(tmp_path) == before
