"""Search, preview, catalogue, and the commands for them."""

import io
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_studio import i18n
from llm_studio.cli.app import DONE, PROBLEM, WRONG_USAGE, main
from llm_studio.data.sources.hub.plan import DownloadRequest
from llm_studio.errors import DownloadError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data.download import catalogue, preview, search, wanted
from tests.hub.server import Hub
from tests.hub.shards import parquet, readme, stories, tales
from tests.hub.taking import texts_in


def test_a_search_finds_the_most_downloaded_first(hub: Hub) -> None:
    hub.add("me/tales", tales(), downloads=10, likes=3)
    hub.add("you/tall-tales", {"README.md": readme("size_categories: 1M<n<10M")}, downloads=500, gated=True)
    hub.add("them/other", {"README.md": readme()})
    first, second = search("tales", Job())
    assert (first.dataset, first.downloads, first.documents, first.gated) == ("you/tall-tales", 500, "1M<n<10M", True)
    assert (second.dataset, second.likes, second.licence, second.languages) == ("me/tales", 3, "mit", ("en", "fr"))
    assert second.size and second.size > 10_000
    assert len(search("tales", Job(), 1)) == 1
    assert search("  ", Job()) == [] == search("nothing like this", Job())


def test_a_look_shows_columns_splits_rows_and_the_guessed_text(hub: Hub) -> None:
    hub.add("me/tales", tales())
    look = preview("me/tales", None, None, Job())
    assert (look.config, look.split, look.splits) == ("default", "train", ("train", "test"))
    assert (look.columns, look.field, look.licence) == ({"id": "str", "text": "str"}, "text", "mit")
    assert len(look.rows) == 10 and look.rows[1]["text"] == stories(1, 2)[0]
    assert look.text == stories(0, 1)[0]
    assert preview("me/tales", None, "test", Job()).rows[0]["text"].startswith("Story 10000")


def test_a_look_at_long_and_strange_values_is_short(hub: Hub) -> None:
    table = pa.table({
        "text": ["word " * 100_000] * 3, "picture": [b"\x00" * 9000] * 3, "numbers": [list(range(5000))] * 3,
        "translation": [{"en": "one", "fr": "un"}] * 3,
    })  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(table, sink)
    hub.add("me/strange", {"train.parquet": sink.getvalue()})
    look = preview("me/strange", None, None, Job())
    assert look.field == "text"
    assert all(len(value) <= 600 for row in look.rows for value in row.values())


def test_a_look_fetches_little(hub: Hub) -> None:
    import os

    hub.add("me/big", {"train.parquet": parquet([os.urandom(10_000).hex() for _ in range(2000)], 2000)})
    assert len(preview("me/big", None, None, Job()).rows) == 10
    assert hub.sent < 10_000_000


def test_a_look_at_pictures_says_that_there_are_no_texts(hub: Hub) -> None:
    hub.add("me/pictures", {f"train/{n}.png": b"\x89PNG" for n in range(3)})
    with pytest.raises(DownloadError, match="holds no readable texts"):
        preview("me/pictures", None, None, Job())


def test_the_catalogue_is_complete_and_in_both_languages() -> None:
    entries = catalogue()
    assert len(entries) >= 15
    assert len({entry.key for entry in entries}) == len(entries)
    assert sum("fr" in entry.languages for entry in entries) >= 5
    assert any(entry.conversations for entry in entries)
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.dataset), entry.key
        assert entry.name and entry.split and (entry.field or entry.conversations)
        assert set(entry.about) == {"en", "fr"}
        assert all(text.endswith(".") and len(text) < 160 for text in entry.about.values()), entry.key
        assert entry.about["en"] != entry.about["fr"]
        assert "'" not in entry.about["fr"], "a typographic apostrophe is ’"
        assert set(entry.in_languages.values()) <= {other.key for other in entries}
        large = entry.size is None or entry.size > 2000
        assert entry.max_documents or not large or (entry.documents or 10**9) < 200_000, entry.key
        assert isinstance(wanted(entry.key), DownloadRequest)
    i18n.activate("fr")
    assert "histoires" in entries[0].description


def test_the_commands(hub: Hub, empty: Project, capsys: pytest.CaptureFixture[str]) -> None:
    hub.add("me/tales", tales(), downloads=12)
    assert main(["datasets"]) == DONE
    assert "wikipedia" in capsys.readouterr().out
    assert main(["search", "tales"]) == DONE
    assert "hf:me/tales" in capsys.readouterr().out
    assert main(["search", "tales", "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["figures"]["found"][0]["downloads"] == 12
    root = str(empty.root)
    command = ["download", root, "--dataset", "hf:me/tales", "--split", "train", "--text-field", "text"]
    assert main([*command, "--max-samples", "120"]) == DONE
    assert "120 documents" in capsys.readouterr().out
    assert main([*command, "--max-megabytes", "1"]) == DONE
    assert texts_in(empty) == stories(0, 2000), "there is less than a megabyte"
    assert main(["download", root, "--dataset", "hf:me/nothing"]) == PROBLEM
    assert "it doesn't exist" in capsys.readouterr().err
    assert main(["download", root, "--dataset", "stories", "--lang", "de"]) == WRONG_USAGE
