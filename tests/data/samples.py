"""Small files of every kind that can be read, with what is to be read in each of them.

The program is given them from source and packaged, see tests/windows/readers.py. The kinds are those of the program's
own table: a new one is a fault until `one_of_each` in making.py has a file of it, or `_texts` below. One that only the
content of a file tells, as whose export a chat is, is a sample in `_texts` or `_chats`.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llm_studio.data.sources.account import (
    ATTACHMENTS,
    COMMENTS,
    EMPTY,
    HIDDEN,
    HIDDEN_SHEETS,
    KIND,
    NO_ANSWER,
    PAGE_WITHOUT_TEXT,
    RUNNING_HEADS,
    SYSTEM_LINES,
    UNREADABLE,
)
from llm_studio.data.sources.readers.items import suffix_of
from llm_studio.data.sources.readers.kinds import SUFFIXES, kind_of, may_be_chat
from tests.data.making import (
    docx,
    drawn,
    epub,
    odt,
    one_of_each,
    paragraph,
    parquet,
    pdf,
    rows,
    tarred,
    text_at,
    xlsx,
    zipped,
)

TEXTS, CHATS, WHATSAPP = "textes d’été", "chats", "WhatsApp"
OPTIONS: Mapping[str, Sequence[str]] = {TEXTS: (), CHATS: (), WHATSAPP: ("--as", "conversations")}
"""The folders of samples, and the options that each is read with."""


@dataclass(frozen=True)
class Sample:
    """A file, the documents in it, and how often something is left out of it for each reason.

    `files`: how many files are read in it; several in an archive, none where it is left out itself.
    """

    name: str
    content: bytes
    documents: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    files: int = 1


def samples() -> dict[str, Sequence[Sample]]:
    """The samples in each folder."""
    return {TEXTS: [*_of_each_suffix(), *_texts(), *_others()], CHATS: _chats(), WHATSAPP: _whatsapp()}


def lacking(given: Mapping[str, Sequence[Sample]]) -> list[str]:
    """The suffixes of the program's table of kinds without a sample, or without one that holds conversations."""
    texts = {suffix_of(sample.name) for sample in given.get(TEXTS, ()) if sample.documents}
    chats = {kind_of(suffix_of(sample.name)) for sample in given.get(CHATS, ()) if sample.documents}
    of_chats = [suffix for suffix in SUFFIXES if may_be_chat(suffix) and kind_of(suffix) not in chats]
    return [suffix for suffix in SUFFIXES if suffix not in texts] + [
        f"{suffix} of conversations" for suffix in of_chats
    ]


def _of_each_suffix() -> list[Sample]:
    """A sample for every suffix: those of one kind are read alike."""
    made = {suffix_of(name): name for name in one_of_each()}
    found: list[Sample] = []
    for suffix in (*SUFFIXES, ""):
        kind = kind_of(suffix)
        alike = [suffix, *(reversed(kind.suffixes) if kind and suffix else ())]
        like = next((made[one] for one in alike if one in made), None)
        if like:
            text = f"The fox in the file {suffix or 'README'} ran over the hill."
            name = like if suffix in made else f"a{suffix}"
            found.append(Sample(name, one_of_each(text)[like], (text,)))
    return found


# --- Texts --------------------------------------------------------------------------------------------------------

ENCODED = {
    "utf-8-sig": "Le renard et l’œuf, à l’été : « là-bas » — 日本.",
    "utf-16": "Un œuf, deux œufs ; 3 € en été. Жили-были 😀",
    "utf-16-be": "Once there was a fox in the wood, and a mother with an egg.",
    "utf-32": "Il y avait une forêt, où vivait un cœur.",
    "cp1252": "Elève à l'école, où il a été très sage. Ça va bien, merci.",
    "cp850": "Die Straße ist schön, die Bäume grün, und über dem Tor läuft ein Mädchen.",
    "mac_roman": "El niño soñó con una canción; ¿dónde está? Mañana será otro día.",
    "cp1250": "Była sobie mała łódka, a w niej dziewczęta śpiewały wesołą pieśń.",
    "koi8_r": "Жили-были старик со старухой у самого синего моря.",
    "cp1253": "Μια φορά κι έναν καιρό ήταν ένας βασιλιάς.",
    "cp1254": "Bir varmış bir yokmuş, küçük bir köyde yaşayan güzel bir kız varmış.",
    "cp1256": "كان يا ما كان في قديم الزمان ملك عظيم",
    "shift_jis": "昔々あるところに、おじいさんとおばあさんが住んでいました。",
    "gb18030": "从前有一个国王，他住在一座很大的城堡里。",
    "euc_kr": "옛날 옛적에 한 임금님이 큰 성에 살았습니다.",
}
"""A sentence in each of the encodings that are told apart by their first bytes, and in some that are guessed."""
LONG = "Été : l’œuf & la « forêt » — "
"""Begins texts with signs that a file of markup, or of one code page, can't hold as they are."""


def _texts() -> list[Sample]:
    return [
        *(Sample(f"{codec}.txt", text.encode(codec), (text,)) for codec, text in ENCODED.items()),
        Sample("line ends.txt", b"One line,\r\nanother.\r\rAnd a third.", ("One line,\nanother.\n\nAnd a third.",)),
        Sample("été à l’école/n° 1/Renard.txt", b"A folder with accents.", ("A folder with accents.",)),
        *_tables(), *_documents(), *_pdfs(), *_archives(),
    ]  # fmt: skip


def _tables() -> list[Sample]:
    french = [f"L'été de l'élève n° {n}, à l'école." for n in range(3)]
    lines = [
        json.dumps({"text": LONG + "lines"}),
        '{"text": ""}',
        json.dumps({"text": LONG + "more"}, ensure_ascii=False),
    ]
    sheet = [["id", "text"], ["1", LONG + "sheet"], ["2", LONG + "row"]]
    return [
        Sample("Excel.csv", rows(french, ";", ["id", "titre", "corps"]).encode("cp1252"), tuple(french)),
        Sample("quotes.csv", rows(['A "quoted" word,\nand a line.', "Another; row."]).encode(),
               ('A "quoted" word,\nand a line.', "Another; row.")),
        Sample("some without text.jsonl", "\n".join(lines).encode(), (LONG + "lines", LONG + "more"), {EMPTY: 1}),
        Sample("by name.json", json.dumps({"a": {"text": LONG + "a"}, "b": {"text": LONG + "b"}}).encode(),
               (LONG + "a", LONG + "b")),
        Sample("columns.parquet", parquet({"id": ["1", "2"], "text": [LONG + "1", LONG + "2"]}),
               (LONG + "1", LONG + "2")),
        Sample("hidden sheet.xlsx", xlsx(sheet, [["id", "text"], ["1", "Not shown."]], hidden=[1]),
               (LONG + "sheet", LONG + "row"), {HIDDEN_SHEETS: 1}),
    ]  # fmt: skip


def _documents() -> list[Sample]:
    marked = LONG.replace("&", "&amp;")
    head = "<head><title>Not read</title><style>p {color: red}</style></head>"
    page = f"<html>{head}<h1>{marked}title</h1><script>no()</script><p>caf&eacute; &#233;t&eacute;</p></html>"
    in_rtf = "".join(letter if letter < "\x80" else f"\\u{ord(letter)}?" for letter in LONG)
    spoken = f"1\n00:00:01,000 --> 00:00:02,000\n<i>{LONG}un,</i>\n\n2\n00:00:02,000 --> 00:00:03,000\n<b>deux.</b>\n"
    return [
        Sample("accents.html", page.encode(), (f"{LONG}title\n\ncafé été",)),
        Sample("book.epub", epub({"one": f"<p>{marked}one</p>", "two": f"<p>{marked}two</p>"}, ("two", "one")),
               (f"{LONG}two\n\n{LONG}one",)),
        Sample("accents.docx", docx(paragraph(marked + "one") + paragraph("two")), (f"{LONG}one\n\ntwo",)),
        Sample("comment.odt", odt(f"<text:h>{marked}title</text:h><text:p>one<office:annotation><text:p>remark</text:p>"
                                  "</office:annotation> two</text:p>"), (f"{LONG}title\n\none two",), {COMMENTS: 1}),
        Sample("accents.rtf", f"{{\\rtf1\\ansi\\uc1 {in_rtf}rtf\\par caf\\'e9}}".encode(), (f"{LONG}rtf\n\ncafé",)),
        Sample("film.srt", spoken.encode(), (f"{LONG}un, deux.",)),
    ]  # fmt: skip


def _pdfs() -> list[Sample]:
    def column(letter: str, x: float) -> Sequence[tuple[float, float, str]]:
        return [(x, 700 - 14 * n, f"{letter}{n:02} words run on and on to here") for n in range(29)] + [
            (x, 700 - 14 * 29, f"{letter}29 words end here.")
        ]

    left, right = column("L", 72), column("R", 332)
    mixed = [line for pair in zip(left, right, strict=True) for line in pair]
    pages = [
        text_at([(250, 770, "A TALE OF TWO FOXES"), (300, 30, f"– {n} –"),
                 *((72.0, 700.0 - 14 * k, f"Page {n} has line {k} about the year {1900 + n}.") for k in range(20))])
        for n in range(3, 6)
    ]  # fmt: skip
    tale = ["\n".join(f"Page {n} has line {k} about the year {1900 + n}." for k in range(20)) for n in range(3, 6)]
    columns = (" ".join(line for _x, _y, line in side) for side in (left, right))
    return [
        Sample("two columns.pdf", drawn(text_at(mixed)), ("\n\n".join(columns),)),
        Sample("running heads.pdf", drawn(*pages), ("\n\n".join(tale),), {RUNNING_HEADS: 1}),
        Sample("été.pdf", pdf(["Le cœur de la « forêt », en", "été : un extraor-", "dinaire œuf."], []),
               ("Le cœur de la « forêt », en été : un extraordinaire œuf.",), {PAGE_WITHOUT_TEXT: 1}),
    ]  # fmt: skip


def _archives() -> list[Sample]:
    members = {f"été/{name}": content for name, content in one_of_each("The fox in an archive.").items()}
    inner = tarred({"a.pdf": pdf(["The fox in a nested archive."]), "__MACOSX/a.txt": b"x"})
    nested = zipped({"in.tar.gz": gzip.compress(inner), "program.exe": b"MZ", "broken.docx": b"PK"})
    return [
        Sample("all.zip", zipped(members), ("The fox in an archive.",) * len(members), files=len(members)),
        Sample("all.tar", tarred(members), ("The fox in an archive.",) * len(members), files=len(members)),
        Sample("nested.zip", nested, ("The fox in a nested archive.",), {HIDDEN: 1, KIND: 1, UNREADABLE: 1}),
    ]  # fmt: skip


def _others() -> list[Sample]:
    """Files in a folder that are left out."""
    return [
        Sample("old.doc", b"\xd0\xcf\x11\xe0", left_out={KIND: 1}, files=0),
        Sample("picture.png", b"\x89PNG", left_out={KIND: 1}, files=0),
        Sample(".hidden.txt", b"Hidden.", left_out={HIDDEN: 1}, files=0),
        Sample("binary.txt", b"\0\1\2" * 50, left_out={UNREADABLE: 1}, files=0),
        Sample("broken.pdf", b"%PDF-1.4\n" + b"no more of it " * 9, left_out={UNREADABLE: 1}, files=0),
        Sample("scanned.pdf", pdf([]), left_out={UNREADABLE: 1}, files=0),
    ]


# --- Conversations ------------------------------------------------------------------------------------------------


def _chats() -> list[Sample]:
    def said(name: str) -> tuple[str, str, str]:
        question, answer = f"Où est {name} ?", f"Là, « {name} »."
        return question, answer, f"<|user|>{question}<|assistant|>{answer}"

    found: list[Sample] = []
    for name, record in _records().items():
        question, answer, text = said(name)
        exported = json.dumps([record], ensure_ascii=False).replace("QUESTION", question).replace("ANSWER", answer)
        found.append(Sample(f"{name}.json", exported.encode(), (text,)))
        found.append(Sample(f"{name}.jsonl", exported[1:-1].encode(), (text,)))
    question, answer, text = said("table")
    found.append(Sample("table.csv", f'question,answer\n"{question}","{answer}"\n'.encode(), (text,)))
    question, answer, text = said("sheet")
    found.append(Sample("sheet.xlsx", xlsx([["prompt", "response"], [question, answer]]), (text,)))
    question, answer, text = said("Parquet")
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    found.append(Sample("turns.parquet", parquet({"messages": [turns]}), (text,)))
    question, answer, text = said("plain")
    found.append(Sample("plain.txt", f"User: {question}\nAssistant: {answer}\n---\nUser: {question}\n---\n"
                        f"User: {question}\nAssistant: {answer}\n".encode(), (text, text), {NO_ANSWER: 1}))  # fmt: skip
    return found


def _records() -> dict[str, object]:
    """A conversation as each program exports it."""

    def node(parent: str | None, role: str, text: str) -> dict[str, object]:
        content = {"content_type": "text", "parts": [text]}
        return {"parent": parent, "message": {"author": {"role": role}, "content": content}}

    tree = {
        "r": {"message": None, "parent": None}, "q": node("r", "user", "QUESTION"),
        "x": node("q", "assistant", "An answer that was replaced."), "a": node("q", "assistant", "ANSWER"),
    }  # fmt: skip
    return {
        "ChatGPT": {"title": "A title", "mapping": tree, "current_node": "a"},
        "Claude": {"uuid": "1", "chat_messages": [{"sender": "human", "text": "QUESTION"},
                                                  {"sender": "assistant", "text": "ANSWER"}]},
        "Gemini": {"contents": [{"role": "user", "parts": [{"text": "QUESTION"}]},
                                {"role": "model", "parts": [{"text": "ANSWER"}]}]},
        "OpenAI": {"messages": [{"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": "ANSWER"}]},
        "ShareGPT": {"conversations": [{"from": "human", "value": "QUESTION"}, {"from": "gpt", "value": "ANSWER"}]},
        "Alpaca": {"instruction": "QUESTION", "input": "", "output": "ANSWER"},
    }  # fmt: skip


def _whatsapp() -> list[Sample]:
    exported = (
        "\u200e[12/03/2024, 21:45:01] Messages and calls are end-to-end encrypted.\n"
        "[12/03/2024, 21:45:12] Zoé: Tu viens demain ?\n[12/03/2024, 21:46:00] Max: Oui !\net mardi aussi\n"
        "[12/03/2024, 21:46:09] Max: \u200eimage omitted\n[13/03/2024, 08:00:00] Zoé: Bonjour\n"
    )
    read = ("<|user|>Tu viens demain ?<|assistant|>Oui !\net mardi aussi",)
    out = {SYSTEM_LINES: 1, ATTACHMENTS: 1, NO_ANSWER: 1}
    android = exported.replace("[", "").replace("] ", " - ")
    return [Sample("iPhone.txt", exported.encode(), read, out), Sample("Android.txt", android.encode(), read, out)]
