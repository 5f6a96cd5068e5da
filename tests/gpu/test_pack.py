"""A torch for the graphics card is used when it works, and never keeps the program from starting when it doesn't."""

import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from llm_studio import files
from llm_studio.errors import BusyError, Cancelled, DownloadError, PackError
from llm_studio.gpu import builds, card, pack
from llm_studio.jobs import Job
from llm_studio.workflows.machine import gpu as workflow
from tests.gpu import wheels
from tests.gpu.index import Faults, serving
from tests.gpu.test_why import AMPERE

START = (
    "import json, sys; from llm_studio.gpu import pack; from llm_studio.errors import PackError\n"
    "pack.offer_to_imports()\n"
    "try:\n    import torch\nexcept PackError as error:\n    print(json.dumps(['failed', str(error)])); sys.exit()\n"
    "print(json.dumps([torch.__version__, pack.in_use() is not None]))"
)
VERSION = "2.13.0+cu130"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM_STUDIO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def start(**environment: str) -> list[object]:
    """What `import torch` gives at the program's next start: its version, and whether it is the pack's."""
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True,
                          env={**os.environ, **environment})  # fmt: skip
    return json.loads(done.stdout)


def is_own(found: list[object]) -> bool:
    return found[1] is False and str(found[0]).partition("+")[0] == pack.own_version().partition("+")[0]


def folders() -> list[str]:
    return sorted(path.name for path in pack.folder().iterdir() if path.is_dir() and path.name != "downloads")


def test_a_pack_is_used_from_the_next_start_until_it_is_removed(tmp_path: Path) -> None:
    made = pack.install(wheels.make(tmp_path), Job())
    assert (made.version, made.problem, pack.installed()) == (VERSION, "", made)
    assert not list(made.path.rglob("*.lib")) and not list(made.path.rglob("*.h"))
    assert start() == [VERSION, True]
    pack.remove()
    assert folders() == []
    assert is_own(start())


def test_what_was_left_is_removed_later_but_nothing_that_is_being_put_in_place(tmp_path: Path) -> None:
    made = pack.install(wheels.make(tmp_path), Job())
    for name in ("2.12.0+cu126-dead", "2.13.0+cu130-beef.partial"):
        (pack.folder() / name).mkdir()
    with files.locked(pack.folder(), "pack", ""):
        pack.tidy()
        assert len(folders()) == 3
        with pytest.raises(BusyError):
            pack.install(wheels.make(tmp_path), Job())
    pack.tidy()
    assert folders() == [made.folder]


def test_a_pack_that_does_not_run_changes_nothing(tmp_path: Path) -> None:
    good = pack.install(wheels.make(tmp_path / "good"), Job())
    for code, said in ((wheels.FAILS, "1114"), (wheels.CRASHES, "code 0xc5"), ("ones = None", "AttributeError")):
        with pytest.raises(PackError, match=said):
            pack.install(wheels.make(tmp_path / "bad", code), Job())
    assert pack.installed() == good
    assert folders() == [good.folder]
    assert start() == [VERSION, True]


def test_a_library_that_vanishes_is_noticed_at_the_next_start(tmp_path: Path) -> None:
    needs = (
        "from pathlib import Path\nif not (Path(__file__).parent / 'lib' / 'c10.dll').exists(): raise OSError('c10')"
    )
    made = pack.install(wheels.make(tmp_path, wheels.WORKS + needs), Job())
    (made.path / "torch" / "lib" / "c10.dll").unlink()
    assert is_own(start())
    broken = pack.installed()
    assert broken and "c10" in broken.problem


def test_a_pack_that_fails_while_the_program_loads_it_is_not_used_again(tmp_path: Path) -> None:
    fails_in_the_program = "import os\nif 'BAD' in os.environ: raise OSError('no more')"
    pack.install(wheels.make(tmp_path, wheels.WORKS + fails_in_the_program), Job())
    failed = start(BAD="1")
    assert failed[0] == "failed" and "Start LLM Studio again" in str(failed[1])
    assert is_own(start())


def test_a_pack_that_ended_the_program_is_tried_before_it_is_used_again(tmp_path: Path) -> None:
    ends = f"import os\nif 'BAD' in os.environ: {wheels.CRASHES}"
    pack.install(wheels.make(tmp_path, wheels.WORKS + ends), Job())
    with pytest.raises(subprocess.CalledProcessError):
        start(BAD="1")
    assert is_own(start(BAD="1"))
    assert "ended the process" in (pack.installed() or pytest.fail("gone")).problem


@pytest.mark.parametrize("files, said", [
    ({"../outside.txt": b"out"}, "damaged"), ({"C:/outside.txt": b"out"}, "damaged"),
    ({"/outside.txt": b"out"}, "damaged"), ({"torch\\..\\..\\x": b"out"}, "damaged"),
])  # fmt: skip
def test_a_wheel_that_leads_out_of_its_folder_is_refused(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    with pytest.raises(PackError, match=said):
        pack.install(wheels.make(tmp_path / "wheel", files=files), Job())
    assert not list(tmp_path.rglob("outside.txt"))
    assert pack.installed() is None


def test_a_damaged_file_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="damaged"):
        pack.install(wheels.make(tmp_path, damaged=True), Job())
    whole = wheels.make(tmp_path)
    whole.write_bytes(whole.read_bytes()[:-500])
    with pytest.raises(PackError, match="damaged"):
        pack.install(whole, Job())
    for name in ("notes.whl", "torch-2.13.0+cu130-cp27-cp27m-win32.whl", wheels.name("1.13.0+cu130")):
        with pytest.raises(PackError, match="isn't a wheel of torch for this program"):
            pack.install(wheels.make(tmp_path, file=name), Job())
    with pytest.raises(PackError, match="no file"):
        pack.install(tmp_path / "absent" / wheels.name(), Job())
    assert folders() == []


def test_a_file_that_the_wheels_own_list_lacks_is_refused(tmp_path: Path) -> None:
    wheel = wheels.make(tmp_path)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("torch/sitecustomize.py", b"print('unlisted')")
    with pytest.raises(PackError, match="damaged"):
        pack.install(wheel, Job())
    assert folders() == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes in folders")
def test_a_pipe_in_place_of_a_wheel_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / wheels.name())
    with pytest.raises(PackError, match="named pipe"):
        pack.install(tmp_path / wheels.name(), Job())


def test_stopping_while_it_is_unpacked_leaves_nothing(tmp_path: Path) -> None:
    job = Job(lambda event: job.request_stop())
    with pytest.raises(Cancelled):
        pack.install(wheels.make(tmp_path), job)
    assert pack.installed() is None
    assert folders() == []


def test_only_wheels_for_this_program_are_offered_and_its_own_version_is_preferred() -> None:
    names = [wheels.name(f"{version}+cu130") for version in ("2.10.0", "2.11.0", "2.12.1", "2.13.0", "2.14.0")]
    found = [builds.Wheel(name, "", "") for name in [*names, wheels.name("2.13.0+cu130", "cp39-cp39-win32"), "x.whl"]]
    assert str((builds.best(found, "2.12.1+cpu") or pytest.fail("none")).version) == "2.12.1+cu130"
    assert str((builds.best(found, "2.12.0+cpu") or pytest.fail("none")).version) == "2.13.0+cu130"
    assert builds.best(found[:1], "2.12.0") is None


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, and a card for which they are."""
    monkeypatch.setattr(card, "driver", lambda: AMPERE)
    wheels.make(tmp_path / "served", version="2.13.0+cu126")
    return tmp_path / "served"


def test_a_pack_is_offered_with_its_size_fetched_and_used(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(served) as index:
        monkeypatch.setenv("LLM_STUDIO_TORCH_INDEX", index.address)
        offered = workflow.offer(Job())
        assert offered.wheel.version.local == "cu126"  # there is none for the better build
        assert offered.bytes == (served / offered.wheel.name).stat().st_size
        assert offered.card == "GeForce RTX 3060"
        assert offered.needed > offered.kept > offered.bytes
        workflow.install(offered, Job())
    assert start() == ["2.13.0+cu126", True]
    assert not list((pack.folder() / "downloads").iterdir())


def test_a_fetch_that_was_stopped_goes_on_from_there(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = Faults(stall_after=100)
    with serving(served, faults) as index:
        monkeypatch.setenv("LLM_STUDIO_TORCH_INDEX", index.address)
        job = Job()
        threading.Timer(0.5, job.request_stop).start()
        with pytest.raises(Cancelled):
            workflow.install(workflow.offer(Job()), job)
        faults.stall_after = None
        offered = workflow.offer(Job())
        assert offered.here_already == 100
        workflow.install(offered, Job())
        assert ("bytes=100-") in [requested for _method, _path, requested in index.requests]
    assert start()[1] is True


def test_without_a_card_or_a_build_there_is_one_sentence(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(served.parent / "empty") as index:
        monkeypatch.setenv("LLM_STUDIO_TORCH_INDEX", index.address)
        with pytest.raises(DownloadError, match="no build for this card"):
            workflow.offer(Job())
    with serving(served, Faults(wrong_sum=True)) as index:
        monkeypatch.setenv("LLM_STUDIO_TORCH_INDEX", index.address)
        with pytest.raises(DownloadError, match="checksum"):
            workflow.install(workflow.offer(Job()), Job())
    with serving(served, Faults(no_sum=True)) as index:
        monkeypatch.setenv("LLM_STUDIO_TORCH_INDEX", index.address)
        with pytest.raises(DownloadError, match="no build for this card"):
            workflow.offer(Job())  # what can't be verified isn't offered
    monkeypatch.setattr(card, "driver", lambda: None)
    with pytest.raises(PackError, match="No NVIDIA driver answers"):
        workflow.offer(Job())
