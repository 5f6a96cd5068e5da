"""Every fault of the network ends in completion, or in one sentence with everything kept; the second call goes on."""

import errno
import io
import logging
import socket
import threading
import time

import pyarrow.parquet as pq
import pytest

from llm_studio.data.sources.hub import requests
from llm_studio.data.sources.hub.plan import DownloadRequest
from llm_studio.errors import DownloadError, StorageError
from llm_studio.events import Event, to_json
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data.download import download, preview, search
from tests.hub.server import Hub
from tests.hub.shards import json_lines, parquet, readme, stories, tales, zipped
from tests.hub.taking import TALES, take, texts_in

TOKEN = "hf_neverToBeSeenAnywhere"


@pytest.fixture(autouse=True)
def tales_on_the_hub(hub: Hub) -> None:
    hub.add("me/tales", tales())


def begun(project: Project, documents: int = 300) -> None:
    """Some documents have come before the fault."""
    take(project, DownloadRequest("me/tales", max_documents=documents))


def test_a_connection_cut_in_the_middle_of_a_shard_goes_unnoticed(hub: Hub, empty: Project) -> None:
    hub.faults.cut_after = [0, 9000, 1, 5000, 7000]
    take(empty)
    assert texts_in(empty) == stories(0, 2000)
    assert not hub.faults.cut_after


def test_too_many_requests_are_waited_for_as_long_as_the_hub_asks(hub: Hub, empty: Project) -> None:
    hub.faults.errors, hub.faults.retry_after = [429, 0, 429], 1
    began = time.monotonic()
    take(empty)
    assert time.monotonic() - began >= 2
    assert texts_in(empty) == stories(0, 2000)


def test_a_server_error_that_passes_goes_unnoticed(hub: Hub, empty: Project) -> None:
    hub.faults.errors, hub.faults.api_errors = [500, 0, 503, 502], [500, 0, 500]
    take(empty)
    assert texts_in(empty) == stories(0, 2000)


@pytest.mark.parametrize(("status", "sentence"), [(500, r"HTTP 500.*download will resume"), (429, "too many requests")])
def test_one_that_stays_is_reported_and_the_second_call_goes_on(
    hub: Hub, empty: Project, status: int, sentence: str
) -> None:
    begun(empty)
    hub.faults.always = status
    with pytest.raises(DownloadError, match=sentence):
        take(empty)
    assert texts_in(empty) == stories(0, 300)
    hub.faults.always = None
    take(empty)
    assert texts_in(empty) == stories(0, 2000)


def test_a_connection_that_is_cut_for_good_keeps_what_came_through(hub: Hub, empty: Project) -> None:
    begun(empty)
    hub.faults.cut_after = [0, 20_000]  # the footer comes, and some of the texts
    hub.faults.errors = [0, 0, *[500] * 10]
    with pytest.raises(DownloadError, match="download will resume"):
        take(empty)
    before = len(texts_in(empty))
    assert before > 300
    hub.faults.cut_after, hub.faults.errors = [], []
    take(empty)
    assert texts_in(empty) == stories(0, 2000)


def test_a_truncated_file_is_reported(hub: Hub, empty: Project) -> None:
    begun(empty)
    hub.faults.truncated = 20_000
    with pytest.raises(DownloadError, match="doesn't match its checksum"):
        take(empty)
    assert texts_in(empty) == stories(0, 300)
    hub.faults.truncated = None
    take(empty)
    assert texts_in(empty) == stories(0, 2000)


def test_a_damaged_page_is_fetched_again_and_reported_if_it_stays(hub: Hub, empty: Project) -> None:
    begun(empty)
    hub.faults.damaged = [12_000]
    take(empty)
    assert texts_in(empty) == stories(0, 2000)


def test_damage_that_stays_is_reported_and_what_came_before_is_kept(hub: Hub, empty: Project) -> None:
    content = bytearray(parquet(stories(0, 1000)))
    column = pq.ParquetFile(io.BytesIO(bytes(content))).metadata.row_group(5).column(1)
    content[column.file_offset or column.dictionary_page_offset or column.data_page_offset + 200] ^= 0xFF
    good, card = parquet(stories(1000, 1100)), readme()
    hub.add("me/worn", {"train-0.parquet": bytes(content), "train-1.parquet": good, "README.md": card})
    with pytest.raises(DownloadError, match=r"train-0\.parquet.*doesn't match its checksum"):
        take(empty, DownloadRequest("me/worn"))
    kept = texts_in(empty, "worn")
    assert 0 < len(kept) < 1000
    assert kept == stories(0, len(kept))


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_a_wrong_checksum_is_found_and_nothing_of_that_file_is_kept(hub: Hub, empty: Project, ending: str) -> None:
    contents = [json_lines(stories(n * 500, n * 500 + 500)) for n in range(2)]
    contents = [zipped(content) for content in contents] if ending == ".jsonl.gz" else contents
    hub.add("me/lines", {f"train-{n}{ending}": content for n, content in enumerate(contents)} | {"README.md": readme()})
    wanted = DownloadRequest("me/lines", text_field="text")
    take(empty, DownloadRequest("me/lines", text_field="text", max_documents=600))
    place = contents[1].index(b"birds") if ending == ".jsonl" else len(contents[1]) // 2
    hub.faults.damaged = [place] * 9
    with pytest.raises(DownloadError, match=r"train-1.*doesn't match its checksum"):
        take(empty, wanted)
    assert texts_in(empty, "lines") == stories(0, 500), "the other file's documents stay"
    hub.faults.damaged = [place]  # once: it is fetched again by itself
    take(empty, wanted)
    assert texts_in(empty, "lines") == stories(0, 1000)


def test_a_silence_is_ended_by_a_new_connection(hub: Hub, empty: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "READ_TIMEOUT", 0.5)
    hub.faults.stall_after = 60_000
    take(empty)
    assert texts_in(empty) == stories(0, 2000)


def quickly_stopped(action) -> float:  # pyright: ignore
    """Seconds from the user's wish to the end of the job."""
    job, requested = Job(), []

    def stop() -> None:
        requested.append(time.monotonic())
        job.request_stop()

    timer = threading.Timer(0.7, stop)
    timer.start()
    try:
        action(job)
    finally:
        timer.join()
    return time.monotonic() - requested[0]


def test_a_download_can_be_stopped_during_a_silence(hub: Hub, empty: Project) -> None:
    begun(empty)
    hub.faults.stall_after = 10_000
    assert quickly_stopped(lambda job: download(empty, TALES, job)) < 2
    hub.faults.stall_after = None
    take(empty)
    assert texts_in(empty) == stories(0, 2000)


def test_a_search_and_a_look_can_be_stopped_during_a_silence(hub: Hub) -> None:
    from llm_studio.errors import Cancelled

    hub.faults.stall_api = True
    for action in (lambda job: search("tales", job), lambda job: preview("me/tales", None, None, job)):

        def stopped(job: Job, action=action) -> None:  # pyright: ignore
            with pytest.raises(Cancelled):
                action(job)

        assert quickly_stopped(stopped) < 2


def test_without_a_network_it_says_so_at_once_and_what_works(empty: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(empty)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for action in (take, lambda _project: search("tales", Job())):
        began = time.monotonic()
        with pytest.raises(DownloadError, match=r"offline.*built-in stories, and your own files"):
            action(empty)
        assert time.monotonic() - began < 3.5
    assert texts_in(empty) == stories(0, 300)


def test_a_hub_that_never_answers_counts_as_offline(empty: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_CONNECTION_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(DownloadError, match="offline"):
            take(empty)


def test_a_question_left_alone_that_fails_disturbs_no_other(hub: Hub) -> None:
    from huggingface_hub import close_session  # what the library does, in any thread, when a connection fails

    over = threading.Event()

    def fail() -> None:
        while not over.wait(0.0005):
            close_session()

    thread = threading.Thread(target=fail)
    thread.start()
    try:
        for _turn in range(40):
            assert [hit.dataset for hit in search("tales", Job())] == ["me/tales"]
    finally:
        over.set()
        thread.join()


def test_a_private_data_set_needs_the_token_which_is_shown_nowhere(
    hub: Hub, empty: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.add("me/secret", tales(), token=TOKEN, gated=True)
    secret = DownloadRequest("me/secret")
    with pytest.raises(DownloadError, match=r"only available when you are logged in.*hf auth login"):
        take(empty, secret)
    monkeypatch.setenv("HF_TOKEN", TOKEN + "x")
    with pytest.raises(DownloadError, match="you haven't accepted its conditions") as refusal:
        take(empty, secret)
    assert TOKEN not in str(refusal.value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    events: list[Event] = []
    download(empty, secret, Job(events.append))
    assert texts_in(empty, "secret") == stories(0, 2000)
    assert any("/resolve/" in path for path, _token in hub.tokens)
    said = "".join(map(to_json, events)) + caplog.text
    written = b"".join(path.read_bytes() for path in empty.root.rglob("*") if path.is_file())
    assert TOKEN not in said
    assert TOKEN.encode() not in written


def test_a_data_set_that_doesnt_exist_is_reported(empty: Project) -> None:
    with pytest.raises(DownloadError, match="it doesn't exist"):  # the hub says 401 to who isn't logged in
        take(empty, DownloadRequest("me/nothing"))


def test_a_full_disk_keeps_the_parts_before(hub: Hub, empty: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_studio.data.sources import sharded

    real, written = sharded.write_rows, []

    def filling(*arguments) -> None:  # pyright: ignore
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(real(*arguments))

    monkeypatch.setattr(sharded, "write_rows", filling)
    with pytest.raises(StorageError, match="The disk is full"):
        take(empty)
    before = texts_in(empty)
    assert 0 < len(before) < 2000
    assert before == stories(0, len(before))
    monkeypatch.setattr(sharded, "write_rows", real)
    take(empty)
    assert texts_in(empty) == stories(0, 2000)
