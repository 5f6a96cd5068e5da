"""The account of a download: every file of the repository and every record is read, or left out by reason and name."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio.cli.app import DONE, main
from llm_studio.data.sources import store
from llm_studio.data.sources.account import FILES, RECORDS, Account
from llm_studio.data.sources.hub.plan import DownloadRequest
from llm_studio.data.sources.manifest import manifest_path
from llm_studio.errors import Cancelled, DownloadError
from llm_studio.events import Event, Notice
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data import accounts
from llm_studio.workflows.data.download import download
from tests.data.making import left_out
from tests.hub.repositories import Content
from tests.hub.server import Hub
from tests.hub.shards import json_lines, parquet, readme, stories, tales
from tests.hub.taking import TALES, stopping_after, take, take_and_report, texts_in

SPLIT, ABOUT = "of another split or configuration of the dataset", "descriptions of a dataset"
EMPTY, NOT_REACHED = "without text", "not reached: enough documents were read"
NOT_DOWNLOADED = "not downloaded yet"


def account_of(project: Project) -> Account:
    (source,) = store.list_sources(project.raw)
    assert source.account is not None
    balanced(source.account)
    return source.account


def balanced(account: Account) -> None:
    assert account.files_seen == account.files_read + account.count_left_out(FILES)
    assert account.records_seen == account.records_read + account.count_left_out(RECORDS)


def with_gaps(shards: int = 2, each: int = 1000) -> dict[str, Content]:
    """Tales of which every fourth has no text."""
    files = tales(shards, each)
    for n in range(shards):
        texts = [text if number % 4 else "" for number, text in enumerate(stories(n * each, (n + 1) * each))]
        files[f"data/train-{n:05d}-of-{shards:05d}.parquet"] = parquet(texts)
    return files


WITH_TEXT = [text for number, text in enumerate(stories(0, 2000)) if number % 4]


def test_every_file_and_every_record_is_counted(hub: Hub, empty: Project) -> None:
    more: dict[str, Content] = {
        ".gitattributes": b"x",
        "cover.png": b"x",
        "data/train-empty.parquet": b"",
        "LICENSE": b"",
    }
    hub.add("me/tales", {**with_gaps(), **more})
    source, notices = take_and_report(empty)
    account = account_of(empty)
    assert (account.files_seen, account.files_read) == (8, 2)
    assert (account.records_seen, account.records_read) == (2000, 1500) == (2000, source.documents)
    reasons = {reason: names for reason, names in left_out(account).items() if reason != EMPTY}
    assert reasons == {
        "hidden": [".gitattributes"], ABOUT: ["LICENSE", "README.md"], "of a kind that isn’t read": ["cover.png"],
        SPLIT: ["data/test-00000-of-00001.parquet"],
    }  # fmt: skip
    empties = {entry.unit: [named.name for named in entry.first] for entry in account.left_out if entry.reason == EMPTY}
    assert empties == {
        FILES: ["data/train-empty.parquet"],
        RECORDS: [f"data/train-00000-of-00002.parquet, row {n}" for n in range(1, 41, 4)],
    }
    assert accounts.summary(account) == "6 of 8 files left out · 500 of 2,000 records left out"
    assert any(notice.startswith("500 records left out: without text (data/train-00000") for notice in notices)


def test_what_a_limit_leaves_on_the_hub_is_named(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", with_gaps())
    take(empty, DownloadRequest("me/tales", max_documents=300))
    account = account_of(empty)
    assert (account.files_read, account.records_seen, account.records_read) == (1, 400, 300)
    assert [(e.unit, e.count, e.first[0].name) for e in account.left_out if e.reason == NOT_REACHED] == [
        (FILES, 1, "data/train-00001-of-00002.parquet"), ("parts", 1, "data/train-00000-of-00002.parquet")
    ]  # fmt: skip
    take(empty, DownloadRequest("me/tales", max_bytes=300_000))
    assert account_of(empty).records_seen > 400
    take(empty)
    assert (account_of(empty).records_seen, account_of(empty).records_read) == (2000, 1500)
    assert NOT_REACHED not in left_out(account_of(empty))


@given(st.lists(st.one_of(st.integers(1, 12), st.sampled_from([-40, -333, -750, -1000])), max_size=5))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_however_it_is_interrupted_the_account_is_that_of_one_download(
    hub: Hub, tmp_path: Path, steps: list[int]
) -> None:
    """Stops after so many reports, limits where negative."""
    hub.add("me/tales", with_gaps())
    whole = Project(tmp_path / "whole")
    if not whole.raw.exists():
        whole.raw.mkdir(parents=True)
        take(whole)
    project = Project(tmp_path / f"{len(list(tmp_path.iterdir()))}")
    project.raw.mkdir(parents=True)
    for step in steps:
        try:
            if step > 0:
                download(project, TALES, stopping_after(step))
            else:
                take(project, DownloadRequest("me/tales", max_documents=-step))
        except Cancelled:
            continue
        assert account_of(project).records_read == len(texts_in(project))
    take(project)
    assert texts_in(project) == WITH_TEXT
    assert account_of(project) == account_of(whole)


def test_a_download_that_was_stopped_says_what_is_still_on_the_hub(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", with_gaps())
    source = download(empty, TALES, stopping_after(3))
    account = account_of(empty)
    assert account.records_read == source.documents < 1500
    assert NOT_DOWNLOADED in left_out(account)


def test_a_shard_that_was_damaged_on_the_way_is_counted_once(hub: Hub, empty: Project) -> None:
    files = {f"train-{n}.jsonl": json_lines([*stories(n * 500, n * 500 + 500), " "]) for n in range(2)}
    hub.add("me/tales", {**files, "README.md": readme()})
    take(empty, DownloadRequest("me/tales", max_documents=600))
    hub.faults.damaged = [files["train-1.jsonl"].index(b"birds")]
    take(empty)
    assert texts_in(empty) == stories(0, 1000)
    assert (account_of(empty).records_seen, account_of(empty).records_read) == (1002, 1000)


def test_a_record_of_another_type_is_left_out_and_the_others_are_read(hub: Hub, empty: Project) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    sink = io.BytesIO()
    pq.write_table(pa.table({"messages": [turns, turns[:1], turns, None]}), sink)
    hub.add("me/chats", {"train.parquet": sink.getvalue()})
    take(empty, DownloadRequest("me/chats"))
    account = account_of(empty)
    assert (account.records_seen, account.records_read) == (4, 2)
    assert left_out(account) == {
        "conversations without an answer of the assistant": ["train.parquet, row 2"],
        "not a conversation": ["train.parquet, row 4"],
    }


def test_a_download_of_an_earlier_version_has_no_account_and_can_be_continued(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    take(empty, DownloadRequest("me/tales", max_documents=100))
    path = manifest_path(empty.raw, "tales")
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["account"]
    for part in content["parts"]:
        del part["records"], part["left_out"]
    path.write_text(json.dumps(content), encoding="utf-8")
    take(empty)
    assert texts_in(empty) == stories(0, 2000)
    assert store.list_sources(empty.raw)[0].account is None


def test_a_dataset_without_any_text_is_refused_with_the_reason(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", {"train.parquet": parquet(["", " "])})
    events: list[Event] = []
    with pytest.raises(DownloadError, match="holds no texts"):
        download(empty, TALES, Job(events.append))
    (notice,) = (event.text for event in events if isinstance(event, Notice))
    assert notice == "2 records left out: without text (train.parquet, row 1, train.parquet, row 2)."


def test_the_command_line_shows_the_account(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.add("me/tales", with_gaps())
    assert main(["new", str(tmp_path / "p"), "--preset", "nano"]) == DONE
    capsys.readouterr()
    assert main(["download", str(tmp_path / "p"), "--dataset", "hf:me/tales", "--max-samples", "30"]) == DONE
    output = capsys.readouterr()
    assert "3 of 4 files left out · 10 of 40 records left out" in " ".join(output.out.split())
    assert "10 records left out: without text (data/train-00000-of-00002.parquet, row 1," in " ".join(
        output.err.split()
    )
    assert main(["download", str(tmp_path / "p"), "--dataset", "hf:me/tales", "--json"]) == DONE
    account = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]["account"]
    assert (account["records_seen"], account["records_read"], account["files_seen"]) == (2000, 1500, 4)


def test_what_no_one_misses_is_no_warning(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    events: list[Event] = []
    source = download(empty, TALES, Job(events.append))
    assert source.account is not None and accounts.is_expected(source.account)
    levels = {event.text: event.level for event in events if isinstance(event, Notice)}
    assert levels == {
        f"1 file left out: {ABOUT} (README.md).": "info",
        f"1 file left out: {SPLIT} (data/test-00000-of-00001.parquet).": "info",
    }
