"""A large file is fetched whole or not at all, whatever happens on the way, and nothing comes twice."""

import hashlib
import threading
import time
from pathlib import Path

import pytest

from llm_studio.errors import Cancelled, DownloadError
from llm_studio.events import Event, Progress
from llm_studio.gpu import fetch
from llm_studio.jobs import Job
from tests.gpu.index import Faults, Index, serving

CONTENT = bytes(range(256)) * 20_000
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(fetch, "_RETRY_DELAYS", (0.01, 0.01))
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "torch+cu130-.whl").write_bytes(CONTENT)
    return tmp_path / "served"


def get(index: Index, target: Path, sha256: str = SUM, job: Job | None = None) -> None:
    fetch.fetch(f"{index.address}/cu130/torch%2Bcu130-.whl", target, sha256, job or Job(), "Fetching")


def ranges(index: Index) -> list[str]:
    return [requested for method, _path, requested in index.requests if method == "GET"]


def test_a_file_arrives_with_progress(folder: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    with serving(folder) as index:
        get(index, tmp_path / "here", job=Job(events.append))
    assert (tmp_path / "here").read_bytes() == CONTENT
    summary = [event for event in events if isinstance(event, Progress) and event.task == "Fetching"]
    assert summary[-1].done == summary[-1].total == pytest.approx(len(CONTENT) / 1e6)
    assert [path.name for path in tmp_path.iterdir()] == ["served", "here"] or len(list(tmp_path.iterdir())) == 2


def test_cut_connections_are_gone_on_with(folder: Path, tmp_path: Path) -> None:
    with serving(folder, Faults(cut_after=[1_000_000, 500_000, 7])) as index:
        get(index, tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == CONTENT
    assert ranges(index) == ["", "bytes=1000000-", "bytes=1500000-", "bytes=1500007-"]


def test_a_server_that_begins_again_each_time_gives_a_whole_file_too(folder: Path, tmp_path: Path) -> None:
    with serving(folder, Faults(cut_after=[1_000_000], no_ranges=True)) as index:
        get(index, tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == CONTENT


def test_errors_of_the_server_are_tried_again_and_then_explained(folder: Path, tmp_path: Path) -> None:
    with serving(folder, Faults(errors=[500, 429])) as index:
        get(index, tmp_path / "here")
    assert (tmp_path / "here").exists()
    with serving(folder, Faults(errors=[500] * 9)) as index, pytest.raises(DownloadError, match="HTTP 500"):
        get(index, tmp_path / "there")
    with serving(folder, Faults(errors=[404] * 9)) as index, pytest.raises(DownloadError, match="HTTP 404"):
        get(index, tmp_path / "there")
    assert len(index.requests) == 1  # what isn't there isn't asked for again
    assert not (tmp_path / "there").exists()


def test_what_came_before_all_tries_failed_is_kept_for_the_next_time(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "here"
    with serving(folder, Faults(cut_after=[1_000_000, 0, 0, 0])) as index, pytest.raises(DownloadError, match="cut"):
        get(index, target)
    assert not target.exists()
    assert fetch.here_already(target) == 1_000_000
    with serving(folder) as index:
        get(index, target)
    assert ranges(index) == ["bytes=1000000-"]
    assert target.read_bytes() == CONTENT


def test_a_stop_during_a_silence_takes_effect_at_once_and_keeps_what_came(folder: Path, tmp_path: Path) -> None:
    job = Job()
    target = tmp_path / "here"
    with serving(folder, Faults(stall_after=300_000)) as index:
        threading.Timer(0.5, job.request_stop).start()
        begun = time.monotonic()
        with pytest.raises(Cancelled):
            get(index, target, job=job)
        assert time.monotonic() - begun < 2.5
    assert fetch.here_already(target) == 300_000


def test_a_wrong_checksum_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    with serving(folder) as index, pytest.raises(DownloadError, match="damaged"):
        get(index, tmp_path / "here", sha256="0" * 64)
    assert not (tmp_path / "here").exists()
    assert fetch.here_already(tmp_path / "here") == 0


def test_nobody_answers(tmp_path: Path, folder: Path) -> None:
    with serving(folder) as index:
        pass
    with pytest.raises(DownloadError, match="can't be reached"):
        get(index, tmp_path / "here")
    with pytest.raises(DownloadError, match="can't be reached"):
        fetch.read_page(f"{index.address}/cu130/torch/")
    assert fetch.size_of(f"{index.address}/cu130/torch/") == 0


def test_a_whole_file_is_not_fetched_again_and_one_that_needs_only_its_check_is_finished(
    folder: Path, tmp_path: Path
) -> None:
    with serving(folder) as index:
        (tmp_path / "here.partial").write_bytes(CONTENT)
        get(index, tmp_path / "here")
        assert (tmp_path / "here").read_bytes() == CONTENT
        get(index, tmp_path / "here")
    assert len(index.requests) == 1
