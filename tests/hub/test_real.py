"""The weekly download from the real hub, tried on the hub on loopback."""

from pathlib import Path

from tests.hub import real
from tests.hub.server import Hub
from tests.hub.shards import parquet, readme, stories


def add(hub: Hub, wikipedia: int) -> None:
    """The two datasets under their names on the real hub, with so many documents of Wikipedia."""
    hub.add("roneneldan/TinyStories", {"data/train-00000-of-00001.parquet": parquet(stories(0, 150))})
    config = ("configs:", "- config_name: 20231101.fr", "  data_files: 20231101.fr/*")
    articles = parquet(stories(0, wikipedia))
    hub.add("wikimedia/wikipedia", {"20231101.fr/train-00000-of-00001.parquet": articles, "README.md": readme(*config)})


def test_the_weekly_download_succeeds_with_all_documents(hub: Hub, tmp_path: Path) -> None:
    add(hub, 150)
    assert real.main(tmp_path / "project") == 0


def test_the_weekly_download_fails_when_documents_are_missing(hub: Hub, tmp_path: Path) -> None:
    add(hub, 40)
    assert real.main(tmp_path / "project") == 1
