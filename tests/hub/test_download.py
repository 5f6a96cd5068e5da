"""Downloads from the hub, without faults: what comes, how far, and going on."""

import io
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio.data.sources import store
from llm_studio.data.sources.hub import plan
from llm_studio.data.sources.hub.plan import DownloadRequest
from llm_studio.data.sources.manifest import manifest_path
from llm_studio.errors import Cancelled, DownloadError, SourceError, StorageError
from llm_studio.events import Event, Fetched
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data import sources
from llm_studio.workflows.data.download import download, is_incomplete, resume_download, unfinished, wanted
from tests.hub.server import Hub
from tests.hub.shards import json_lines, parquet, readme, squeezed, stories, tales, zipped
from tests.hub.taking import TALES, stopping_after, take, take_and_report, texts_in


def test_all_documents_come_once_and_in_order(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    source = take(empty)
    assert texts_in(empty) == stories(0, 2000)
    assert (source.documents, source.options["state"]) == (2000, "complete")
    assert source.options["licence"] == "mit"
    assert not unfinished(empty)


def test_a_cap_in_documents_or_megabytes_is_kept_and_can_be_raised(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    assert take(empty, DownloadRequest("me/tales", max_documents=350)).documents == 350
    assert texts_in(empty) == stories(0, 350)
    assert [(rest.documents, rest.state) for rest in unfinished(empty)] == [(350, "capped")]
    hub.requests.clear()
    source = take(empty, DownloadRequest("me/tales", max_bytes=400_000))
    assert 400_000 <= source.bytes < 401_000
    take(empty)
    assert texts_in(empty) == stories(0, 2000)


def test_what_has_come_isnt_fetched_again(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    take(empty, DownloadRequest("me/tales", max_documents=1500))
    hub.requests.clear()
    take(empty)
    fetched = {path for method, path, _ in hub.requests if method == "GET" and "/cdn/" in path}
    assert len(fetched) == 1 and "train-00001" in fetched.pop()
    hub.requests.clear()
    _, summary = take_and_report(empty)
    assert not hub.requests, "all is there"
    assert "there already" in summary[0]


def test_some_articles_dont_fetch_the_whole_dump(hub: Hub, empty: Project) -> None:
    texts = [os.urandom(20_000).hex() for _ in range(1000)]
    hub.add("me/big", {"data/train-00000-of-00001.parquet": parquet(texts, 20), "README.md": readme()})
    assert take(empty, DownloadRequest("me/big", max_documents=30)).documents == 30
    assert hub.sent < 0.6 * 20_000_000, "what the connection had under way is not the dump"


def test_other_columns_are_left_on_the_hub(hub: Hub, empty: Project) -> None:
    texts = stories(0, 300)
    table = pa.table({"image": [os.urandom(20_000) for _ in texts], "text": texts})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=100)
    hub.add("me/wide", {"train.parquet": sink.getvalue()})
    source = take(empty, DownloadRequest("me/wide", text_field="text"))
    assert source.documents == 300
    hub.sent = 0
    assert texts_in(empty, source.name) == texts


@pytest.mark.parametrize(("ending", "packed"), [(".jsonl", bytes), (".jsonl.gz", zipped), (".jsonl.zst", squeezed),
                                                (".jsonl.xz", lzma.compress)])  # fmt: skip
def test_lines_of_json_come_too_and_go_on(hub: Hub, empty: Project, ending: str, packed) -> None:  # pyright: ignore
    files = {f"train-{n}{ending}": packed(json_lines(stories(n * 500, n * 500 + 500))) for n in range(2)}
    hub.add("me/tales", {**files, "README.md": readme()})
    take(empty, DownloadRequest("me/tales", max_documents=700))
    take(empty)
    assert texts_in(empty) == stories(0, 1000)


def test_comma_separated_values_come_too(hub: Hub, empty: Project) -> None:
    rows = "".join(f'{n};"{text}"\n' for n, text in enumerate(stories(0, 50)))
    card = readme("configs:", "- config_name: default", '  sep: ";"', "  data_files: all.csv")
    hub.add("me/tales", {"all.csv": ("id;text\n" + rows).encode(), "README.md": card})
    take(empty)
    assert texts_in(empty) == stories(0, 50)


def test_stopping_keeps_what_has_come_and_the_next_call_goes_on(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    source = download(empty, TALES, stopping_after(3))
    assert is_incomplete(source)
    assert 0 < source.documents < 2000
    assert texts_in(empty) == stories(0, source.documents)
    assert [(rest.name, rest.state) for rest in unfinished(empty)] == [("tales", "incomplete")]
    assert not is_incomplete(take(empty, unfinished(empty)[0].wanted))
    assert texts_in(empty) == stories(0, 2000)


def test_stopping_at_once_leaves_nothing(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    job = Job()
    job.request_stop()
    with pytest.raises(Cancelled):
        download(empty, TALES, job)
    assert not list(empty.raw.iterdir())


@given(st.lists(st.one_of(st.integers(1, 12), st.sampled_from([-40, -333, -1000, -1234])), max_size=5))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_it_is_interrupted_no_document_is_lost_or_comes_twice(
    hub: Hub, tmp_path: Path, steps: list[int]
) -> None:
    """Stops after so many reports, caps where negative."""
    hub.add("me/tales", tales())
    project = Project(tmp_path / f"{len(list(tmp_path.iterdir()))}")
    project.raw.mkdir(parents=True)
    for step in steps:
        if step > 0:
            try:
                download(project, TALES, stopping_after(step))
            except Cancelled:
                assert not texts_in(project)
        else:
            take(project, DownloadRequest("me/tales", max_documents=-step))
        so_far = texts_in(project)
        assert so_far == stories(0, len(so_far))
    take(project)
    assert texts_in(project) == stories(0, 2000)


def test_a_killed_download_goes_on_where_it_was(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom llm_studio.data.sources.hub import download, plan\n"
        "from llm_studio.jobs import Job\nfrom llm_studio.project import Project\n"
        "from llm_studio.workflows.data.download import download as take\n"
        "download.MAX_PART_BYTES = 100_000\ntold = []\n"
        "def report(event):\n    told.append(event)\n    len(told) == 4 and os._exit(9)\n"
        "take(Project.open(Path(sys.argv[1])), plan.DownloadRequest('me/tales'), Job(report))\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(empty.root)], check=False)
    assert killed.returncode == 9
    before = texts_in(empty)
    assert 0 < len(before) < 2000
    assert before == stories(0, len(before)), "what is on the disk can be used at once"
    take(empty)
    assert texts_in(empty) == stories(0, 2000)


def test_a_newer_version_on_the_hub_is_reported_and_the_old_one_gone_on_with(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    take(empty, DownloadRequest("me/tales", max_documents=100))
    hub.add("me/tales", {"train.parquet": parquet(["all", "different"])})
    source, summary = take_and_report(empty)
    assert "has changed on the hub since" in summary[0]
    assert texts_in(empty) == stories(0, 2000)
    assert source.documents == 2000


def test_a_version_that_the_hub_has_no_longer_is_reported(hub: Hub, empty: Project) -> None:
    repository = hub.add("me/tales", tales())
    take(empty, DownloadRequest("me/tales", max_documents=100))
    old = repository.sha
    hub.add("me/tales", {"train.parquet": parquet(["all", "different"])})
    del repository.versions[old]
    with pytest.raises(DownloadError, match=r"no longer on the hub.*can be used"):
        take(empty)
    assert texts_in(empty) == stories(0, 100)


def test_progress_tells_documents_bytes_speed_and_time(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    events: list[Event] = []
    download(empty, DownloadRequest("me/tales", max_documents=1200), Job(events.append))
    summary = [event for event in events if isinstance(event, Fetched)]
    assert [event.documents for event in summary] == sorted(event.documents for event in summary)
    last = summary[-1]
    assert (last.done, last.total, last.unit) == (1200, 1200, "documents")
    assert last.bytes > 100_000 and last.speed > 0 and last.seconds_left is not None


def test_the_column_is_guessed_or_named_and_wrong_names_are_reported(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", {"train.parquet": parquet(stories(0, 30), column="story")})
    with pytest.raises(DownloadError, match=r"no field “text”.*id, story"):
        take(empty, DownloadRequest("me/tales", text_field="text"))
    assert take(empty).options["text_field"] == "story"
    with pytest.raises(DownloadError, match=r"holds the field “story”"):
        take(empty, DownloadRequest("me/tales", text_field="id"))
    with pytest.raises(DownloadError, match=r"no split “dev”.*train"):
        take(empty, DownloadRequest("me/tales", split="dev"))


def test_configurations_must_be_named_where_there_are_several(hub: Hub, empty: Project) -> None:
    files = {f"{lang}/train.parquet": parquet([f"{lang} {n}" for n in range(20)]) for lang in ("en", "fr")}
    card = readme("configs:", "- config_name: en", "  data_files: en/*", "- config_name: fr", "  data_files: fr/*")
    hub.add("me/words", {**files, "README.md": card})
    with pytest.raises(DownloadError, match=r"several configurations.*en, fr"):
        take(empty, DownloadRequest("me/words"))
    with pytest.raises(DownloadError, match=r"no configuration “de”.*en, fr"):
        take(empty, DownloadRequest("me/words", config="de"))
    source = take(empty, DownloadRequest("me/words", config="fr"))
    assert (source.name, source.documents) == ("words-fr", 20)


def test_a_data_set_that_is_a_program_is_refused_and_its_conversion_taken(hub: Hub, empty: Project) -> None:
    script = {"tales.py": b"raise SystemExit('never run')", "README.md": readme()}
    repository = hub.add("me/tales", script)
    with pytest.raises(DownloadError, match=r"running code of its authors, which LLM Studio never does"):
        take(empty)
    repository.commit({"default/train/0000.parquet": parquet(stories(0, 40))}, "refs/convert/parquet")
    take(empty)
    assert texts_in(empty) == stories(0, 40)


def test_conversations_are_rendered(hub: Hub, empty: Project) -> None:
    pytest.importorskip("llm_studio.data.sources.conversations")
    turns = [
        [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": "A number."}] for n in range(30)
    ]
    sink = io.BytesIO()
    pq.write_table(pa.table({"messages": turns, "source": ["x"] * 30}), sink)
    hub.add("me/chats", {"train.parquet": sink.getvalue()})
    take(empty, DownloadRequest("me/chats"))
    assert texts_in(empty, "chats")[2] == "<|user|>What is 2?<|assistant|>A number."
    assert json.loads(manifest_path(empty.raw, "chats").read_text(encoding="utf-8"))["conversations"] is True


def test_records_without_text_are_passed_over(hub: Hub, empty: Project) -> None:
    texts = [text if n % 3 else ("", None, "  ")[n % 9 // 3] for n, text in enumerate(stories(0, 90))]
    hub.add("me/tales", {"train.parquet": parquet(texts)})  # pyright: ignore  some are None
    take(empty, DownloadRequest("me/tales", max_documents=20))
    take(empty)
    assert texts_in(empty) == [text for n, text in enumerate(stories(0, 90)) if n % 3]


def test_a_text_inside_other_fields_is_found_and_lists_are_joined(hub: Hub, empty: Project) -> None:
    texts = stories(0, 30)
    sink = io.BytesIO()
    columns = {"id": list(range(30)), "article": [{"title": "T", "lines": text.split(": ")} for text in texts]}
    pq.write_table(pa.table(columns), sink)
    hub.add("me/news", {"train.parquet": sink.getvalue()})
    assert take(empty, DownloadRequest("me/news")).options["text_field"] == "article.lines"
    assert texts_in(empty, "news") == [text.replace(": ", "\n") for text in texts]
    with pytest.raises(DownloadError, match=r"The field “id” is not a text.*article\.title, article\.lines"):
        take(Project.create(empty.root.parent / "other", empty.settings()), DownloadRequest("me/news", text_field="id"))


def test_a_disk_without_room_is_reported_before_and_keeps_what_came(
    hub: Hub, empty: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("me/tales", tales())
    free = [0]
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": free.pop(0) if free else 0})())
    with pytest.raises(StorageError, match="are needed in"):
        take(empty)
    assert not list(empty.raw.iterdir()), "nothing is left behind"
    free[:] = [10**12] * 3  # it fills up after two parts
    with pytest.raises(StorageError, match="are needed in"):
        take(empty)
    monkeypatch.undo()
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    before = texts_in(empty)
    assert 0 < len(before) < 2000
    take(empty)
    assert texts_in(empty) == stories(0, 2000)


def test_a_removed_source_begins_again(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    take(empty, DownloadRequest("me/tales", max_documents=10))
    store.remove_source(empty.raw, "tales")
    assert not plan.load_plans(empty.raw) and not store.list_sources(empty.raw)
    assert take(empty, DownloadRequest("me/tales", max_documents=5)).documents == 5


def test_names_of_data_sets_are_understood() -> None:
    assert wanted("stories.txt") is None
    assert wanted("hf:me/tales:fr", split="test", max_megabytes=2) == DownloadRequest(
        "me/tales", "fr", "test", None, None, 2_000_000
    )
    french = wanted("wikipedia", lang="fr", max_documents=10_000)
    assert french == DownloadRequest("wikimedia/wikipedia", "20231101.fr", "train", "text", 10_000)
    assert wanted("tinystories", lang="fr") == wanted("tinystories-fr")
    for wrong in ("hf:", "hf:me", "hf:me/", "hf:a/b/c", "hf:a b/c"):
        with pytest.raises(DownloadError, match="not the name of a dataset"):
            wanted(wrong)
    with pytest.raises(DownloadError, match="leave out “hf:”"):
        wanted(f"hf:{Path(__file__).parent}")
    with pytest.raises(SourceError, match="write hf:owner/name"):
        sources.look(Path("owner/name"), Job())
    with pytest.raises(DownloadError, match="isn't available in the language “de”"):
        wanted("dolly", lang="de")


def test_a_program_without_a_console_downloads_too(hub: Hub, empty: Project) -> None:
    """The libraries' progress bars would write to a standard error that isn't there."""
    hub.add("me/tales", tales(shards=20, each=50))
    code = (
        "import sys\nsys.stdout = sys.stderr = None\nfrom pathlib import Path\n"
        "from llm_studio.data.sources.hub.plan import DownloadRequest\nfrom llm_studio.jobs import Job\n"
        "from llm_studio.project import Project\nfrom llm_studio.workflows.data.download import download\n"
        "done = download(Project.open(Path(sys.argv[1])), DownloadRequest('me/tales'), Job())\n"
        "sys.exit(0 if done.documents == 1000 else 1)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(empty.root)], check=True, capture_output=True
    )
    assert not ended.stdout and not ended.stderr
    assert texts_in(empty) == stories(0, 1000)


def test_a_conversation_whose_turns_are_columns_is_taken_as_the_catalogue_names_it(hub: Hub, empty: Project) -> None:
    table = pa.table({"instruction": ["What is 1?", "What is 2?"], "response": ["One.", "Two."]})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    hub.add("me/asked", {"train.parquet": sink.getvalue()})
    source = take(empty, DownloadRequest("me/asked", text_field=""))
    assert source.conversations
    assert texts_in(empty, "asked")[1] == "<|user|>What is 2?<|assistant|>Two."


def test_going_on_keeps_the_cap_it_was_begun_with_or_takes_another(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    take(empty, DownloadRequest("me/tales", max_documents=100))
    assert resume_download(empty, "tales", Job()).documents == 100
    assert resume_download(empty, "tales", Job(), max_documents=150).documents == 150
    assert resume_download(empty, "tales", Job(), everything=True).documents == 2000
    assert texts_in(empty) == stories(0, 2000)
    with pytest.raises(DownloadError, match="complete"):
        resume_download(empty, "tales", Job())
