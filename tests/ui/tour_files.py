"""The scene of the tour that adds people's files: the look at each before it is taken, and what is said of it after."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from llm_studio.jobs import Job
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources

if TYPE_CHECKING:
    from llm_studio.project import Project
    from llm_studio.ui.tabs.data.page import DataPage
    from tests.ui.tour import Tour

_POLISH = "Zażółć gęślą jaźń. Była sobie mała dziewczynka, która żyła z matką w chatce na skraju lasu."
_CHAT = """[12/03/2024, 18:02:11] Camille: On se retrouve où ce soir ?
[12/03/2024, 18:03:40] Nora: Devant la bibliothèque, à sept heures.
[12/03/2024, 18:03:58] Camille: Parfait. J’apporte les cahiers.
[12/03/2024, 18:05:10] Nora: Et moi le thé.
"""
_BOOK = """The Project Gutenberg eBook of The Fox

This ebook is for the use of anyone anywhere in the United States.

*** START OF THE PROJECT GUTENBERG EBOOK THE FOX ***

The fox lived at the edge of the wood. Every morning it went down to the river, and every evening it came home.

*** END OF THE PROJECT GUTENBERG EBOOK THE FOX ***

Updated editions will replace the previous one.
"""


def files(tour: "Tour") -> None:
    """Files of all kinds: the encoding that isn't certain, chats, what is left out, mojibake and licences."""
    folder = tour.folder / "files"
    made = projects.new_project(tour.folder / ("lectures" if tour.look.language == "fr" else "readings"), "nano",
                                tour.look.language)  # fmt: skip
    tour.window.closing.open_project(made)
    tour.window.go_to("data")
    tour.settle()
    page = cast("DataPage", tour.window.pages["data"])
    for name, path in (("encoding", _table(folder)), ("chat-export", _export(folder)), ("chat", _chat(folder)),
                       ("mixed-folder", _mixed(folder))):  # fmt: skip
        _look(tour, name, page, path)
    _add(tour, made, folder)
    for name in ("mixed", "conversations"):
        _choose(page, made, name)
        tour.settle()
        tour.picture(f"data-files-{name}")
    _choose(page, made, "mixed")
    tour.settle()
    tour.dialog("left-out", page.account.show_list.click)
    _choose(page, made, "mojibake")
    tour.settle()
    tour.picture("data-files-mojibake")
    tour.dialog("notes", page.sources.notes.click)
    for rule in ("remove_licence", "repair_mojibake"):
        _show_rule(tour, page, rule)


def _choose(page: "DataPage", project: "Project", name: str) -> None:
    page.sources.table.selectRow([source.name for source in sources.all_sources(project)].index(name))


def _look(tour: "Tour", name: str, page: "DataPage", path: Path) -> None:
    """The dialog before a file is taken, once it has been read."""

    def show() -> None:
        page.own_files.take([path])
        tour.settle()

    tour.dialog(f"look-{name}", show)


def _show_rule(tour: "Tour", page: "DataPage", rule: str) -> None:
    """What a rule of cleaning would change, before it is switched on."""

    def show() -> None:
        page.figures.show_cleaning(rule)
        tour.settle()

    tour.dialog(f"rule-{rule.replace('_', '-')}", show)


def _add(tour: "Tour", project: "Project", folder: Path) -> None:
    """Add what was looked at, and a book, as the dialog does."""
    book = _written(folder, "fox.txt", _BOOK)
    mojibake = "Le soir tombait. L’été, déjà, s’éloignait.\n" * 4
    wrong = _written(folder, "mojibake.txt", mojibake.encode().decode("cp1252", "replace"))
    for path in (_mixed(folder), _export(folder), wrong, book):
        sources.add_files(project, path, Job())
    tour.window.session.refresh()
    tour.settle()


def _written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _table(folder: Path) -> Path:
    """Polish in an encoding that several fit."""
    return _written(folder, "bajki.csv", f"id;tekst\n1;{_POLISH}\n2;{_POLISH}\n".encode("cp1250"))


def _export(folder: Path) -> Path:
    """Two conversations, as chat programs export them."""
    spoken = (("human", "Pourquoi le ciel est-il bleu ?"), ("assistant", "L’air diffuse surtout la lumière bleue."))
    messages = [{"sender": sender, "text": text} for sender, text in spoken]
    records = [{"uuid": str(n), "name": f"Conversation {n}", "chat_messages": messages} for n in (1, 2)]
    return _written(
        folder, "conversations.json", json.dumps([*records, {"uuid": "3", "name": "", "chat_messages": []}])
    )


def _chat(folder: Path) -> Path:
    return _written(folder, "Camille et Nora.txt", _CHAT)


def _mixed(folder: Path) -> Path:
    """A folder as people have them."""
    for n in range(1, 13):
        _written(folder, f"mixed/chapter-{n:02}.txt", f"Chapter {n}. The fox went on until the evening.\n")
    for name in ("cover.png", "letter.doc", "song.mp3", ".DS_Store"):
        _written(folder, f"mixed/{name}", b"\x00\x01")
    _written(folder, "mixed/rows.jsonl", '{"text": "A record that is read."}\n{"text"\n{"text": ""}\n')
    return folder / "mixed"
