"""Notebooks, LaTeX, e-mail and dumps of wikis: the text is read, and what is left out is counted."""

import base64
import bz2
import time
from pathlib import Path

import pytest

from llm_studio.data.sources.readers import mail, mediawiki
from llm_studio.data.sources.readers.inspect import inspect_path
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from tests.data.making import account_of, documents, latex, left_out, mailbox, notebook, wiki, written, zipped

PICTURE = (
    "Content-Type: image/png\nContent-Disposition: attachment; filename=a.png\nContent-Transfer-Encoding: base64\n\n"
)


def counts(path: Path) -> dict[str, int]:
    return {entry.reason: entry.count for entry in account_of(path).left_out}


# --- Notebooks -----------------------------------------------------------------------------------------------------


def test_a_notebook_is_the_text_and_the_code_of_its_cells(tmp_path: Path) -> None:
    printed = [{"output_type": "stream", "text": ["x" * 100]}, {"output_type": "display_data", "data": {}}]
    content = notebook(
        [("markdown", "# Foxes\nThey run."), ("code", "fox = 1\nprint(fox)"), ("raw", "")], outputs=printed
    )
    path = written(tmp_path, "a.ipynb", content)
    assert documents(path) == ["# Foxes\nThey run.\n\nfox = 1\nprint(fox)"]
    (entry,) = account_of(path).left_out
    assert (entry.reason, entry.first[0].detail) == ("what the code of a notebook printed", "6 outputs")


def test_a_notebook_of_version_3_is_read_and_other_json_is_none(tmp_path: Path) -> None:
    old = '{"metadata": {}, "nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1"}]}]}'
    assert documents(written(tmp_path, "a.ipynb", old)) == ["x = 1"]
    for content in ('{"text": "no"}', "[1]", "plain", '{"cells": [{"source": "cut'):
        with pytest.raises(SourceError, match=r"damaged|no text"):
            documents(written(tmp_path, "b.ipynb", content))


# --- LaTeX ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "text"), [
    ("A \\emph{fast} \\textbf{fox}.", "A fast fox."),
    ("one\ntwo % remark\nthree\n\nnext", "one two three\n\nnext"),
    ("\\section*{Foxes\\label{sec:a}}\nThey run.", "Foxes\n\nThey run."),
    ("L'\\'et\\'e \\`a No\\\"el, \\oe uvre, \\c{c}a, \\^{\\i}le", "L'été à Noël, œuvre, ça, île"),
    ("``Run'' --- 5\\,\\% \\& \\$3", "“Run” — 5\u202f% & $3"),
    ("\\og Cours\\fg{} dit-il", "«\u00a0Cours\u00a0» dit-il"),
    ("If $x_1 < 2$ then \\(y\\).", "If $x_1 < 2$ then $y$."),
    ("It is \\[ a = b \\label{e} \\] so.", "It is\n\n$$a = b$$\n\nso."),
    ("\\begin{align*}a &= b\\\\ c\\end{align*}", "\\begin{align}a &= b\\\\ c\\end{align}"),
    ("See \\ref{a} and \\cite[p.~3]{b,c}.", "See and."),
    ("\\begin{itemize}\\item one\n\\item two\\end{itemize}", "- one\n- two"),
    ("\\begin{figure}[ht]\\includegraphics[width=1cm]{a.png}\\caption{A den.}\\end{figure}", "A den."),
    ("\\href{http://a.b}{a link}, \\url{http://c.d}, \\textcolor{red}{red}", "a link, http://c.d, red"),
    ("run\\footnote{Or \\emph{walk}.} away", "run (Or walk.) away"),
    ("\\begin{verbatim}\n  a % b\n    {c}\n\\end{verbatim}", "a % b\n    {c}"),
    ("\\newcommand{\\fox}[1][a]{The #1}\\setlength{\\parindent}{0pt}Text", "Text"),
    ("costs 3$ and more", "costs 3$ and more"),
    ("\\begin{tabular}{ll}never closed", "never closed"),
    ("}}} {{{ \\end{x} \\", ""),
])  # fmt: skip
def test_latex_is_read_as_the_text_that_it_sets(tmp_path: Path, source: str, text: str) -> None:
    path = written(tmp_path, "a.tex", f"{source}\n")
    if text:
        assert documents(path) == [text]
    else:
        with pytest.raises(SourceError, match="no text"):
            documents(path)


def test_what_latex_leaves_out_is_counted(tmp_path: Path) -> None:
    body = "% a remark\nText.\n\\begin{tabular}{ll}a & b\\end{tabular}\n\\begin{tikzpicture}x\\end{tikzpicture}\n" * 2
    path = written(tmp_path, "a.tex", latex(body))
    assert documents(path) == ["Text.\n\nText."]
    assert {entry.reason: entry.first[0].detail for entry in account_of(path).left_out} == {
        "comments": "2", "tables and drawings in LaTeX": "4", "preambles of LaTeX": "24 characters",
    }  # fmt: skip


@pytest.mark.parametrize("source", [
    "\\begin{align}", "\\begin{tabular}", "\\verb|", "\\ref{", "{", "$", "\\[", "\\begin   ", "\\'", "%\n", "\\def\\a",
])  # fmt: skip
def test_latex_made_to_take_long_takes_no_longer_than_other_text(tmp_path: Path, source: str) -> None:
    path = written(tmp_path, "a.tex", "Text.\n" + source * (400_000 // len(source)))
    began = time.process_time()
    assert documents(path)[0].startswith("Text.")
    assert time.process_time() - began < 20


# --- E-mail --------------------------------------------------------------------------------------------------------


def test_each_message_of_a_mailbox_is_a_document_whatever_its_encoding(tmp_path: Path) -> None:
    text = "Voilà l'été."
    encoded = base64.b64encode(text.encode("cp1252")).decode()
    messages = [
        "Only ASCII.\n>From here on.",
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
        "Voil=C3=A0 l'=\n=C3=A9t=C3=A9.",
        f"Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\n{encoded}",
        "Content-Type: text/html; charset=utf-8\n\n<html><p>Voilà <b>l'été</b>.</p><script>x</script></html>",
        "Content-Type: text/plain; charset=nonsense\n\nVoilà l'été.",
    ]
    path = written(tmp_path, "a.mbox", mailbox(messages))
    assert documents(path) == ["Only ASCII.\nFrom here on.", *[text] * 4]
    assert not account_of(path).left_out


def test_attachments_and_messages_without_text_are_left_out_and_counted(tmp_path: Path) -> None:
    plain, page = "Content-Type: text/plain\n\nHello.\n", "Content-Type: text/html\n\n<p>Hello, page.</p>\n"
    both = f"Content-Type: multipart/alternative; boundary=in\n\n--in\n{page}--in\n{plain}--in--\n"
    whole = f"Content-Type: multipart/mixed; boundary=b\n\n--b\n{both}--b\n{PICTURE}iVBORw0KGgo=\n--b--\n"
    path = written(tmp_path, "a.mbox", mailbox([whole, "", "Bye."]))
    assert documents(path) == ["Hello.", "Bye."]
    assert left_out(account_of(path)) == {"attachments": ["a.mbox"], "without text": ["a.mbox, message 2"]}
    assert documents(written(tmp_path, "b.eml", whole)) == ["Hello."]


def test_a_saved_web_page_is_read_without_its_pictures_and_navigation(tmp_path: Path) -> None:
    head = 'From: <Saved by Blink>\nMIME-Version: 1.0\nContent-Type: multipart/related; type="text/html";\n'
    separator = "----MultipartBoundary--abc----"
    page = ("Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\nContent-Location: https://x.org/\n\n"
            "<html><head><meta charset=3D\"utf-8\"></head><body><nav><a href=3D\"/\">Home</a></nav>"
            "<p>Voil=C3=A0 l'=C3=A9t=C3=A9.</p></body></html>\n")  # fmt: skip
    parts = [page, *[f"{PICTURE}iVBORw0KGgo=\n"] * 60]
    body = "".join(f"--{separator}\n{part}\n" for part in parts) + f"--{separator}--\n"
    path = written(tmp_path, "page.mhtml", f'{head}\tboundary="{separator}"\n\n{body}')
    assert documents(path) == ["Voilà l'été."]
    assert counts(path) == {"attachments": 60}
    with pytest.raises(SourceError, match="is not a web page saved in one file"):
        documents(written(tmp_path, "other.mht", "Once upon a time."))


def test_a_large_attachment_is_not_held_and_what_is_cut_off_of_a_text_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "_MAX_ENCODED", 1000)
    monkeypatch.setattr(mail, "_MAX_HELD", 4000)
    picture = PICTURE + (("A" * 76 + "\n") * 1000)
    text = "Content-Type: text/plain\n\nAfter it.\n"
    mixed = f"Content-Type: multipart/mixed; boundary=b\n\n--b\n{picture}--b\n{text}--b--\n"
    path = written(tmp_path, "a.mbox", mailbox([mixed, "word " * 2000 + "\nmore\n" * 500]))
    assert documents(path)[0] == "After it."
    assert counts(path) == {"attachments": 1, "too long": 1}


def test_parts_in_parts_of_a_message_are_bounded_and_other_files_are_no_mailbox(tmp_path: Path) -> None:
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(1000)) + "text\n" * 1000
    path = written(tmp_path, "a.mbox", mailbox([deep, "Hello."]))
    began = time.process_time()
    assert documents(path) == ["Hello."] and left_out(account_of(path)) == {"can’t be read": ["a.mbox, message 1"]}
    assert time.process_time() - began < 20
    with pytest.raises(SourceError, match="is not a mailbox"):
        documents(written(tmp_path, "b.mbox", "Once upon a time."))


# --- Wikis ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("markup", "text"), [
    ("'''Le renard''' est ''un'' [[mammifère|animal]] [[roux]].", "Le renard est un animal roux."),
    ("Un{{Infobox|a={{b|c}}|d}} renard<ref name=x>Une [[note]]</ref><ref name=y/>.", "Un renard."),
    ("== Vie ==\nIl court.\n=== Vide ===\n== Fin ==\n", "Vie\n\nIl court."),
    ("* un\n* deux\n# trois\n: retrait\n----\n", "- un\n- deux\n- trois\nretrait"),
    ("Avant\n{| class=x\n| a {{b}} || b\n{|\n|c\n|}\n|}\naprès", "Avant\n\naprès"),
    ("Un [[Fichier:R.jpg|thumb|Un [[renard]]]] ici. [[Category:X]] [[:Catégorie:Y]]", "Un ici. Catégorie:Y"),
    ("Voir [http://a.b le site] ou [http://c.d].<br>Fin <!-- caché -->", "Voir le site ou .\nFin"),
    ("Au {{s|XIX}}, {{lang|en|fox}} ({{API|x}}) de {{unité|5|km}}.", "Au XIXe siècle, fox de 5 km."),
    ("<math>x^2</math> et <nowiki>a</nowiki>&nbsp;b __TOC__", "$x^2$ et a\u00a0b"),
    ("{{{{{{ [[ }} ]] |} <ref", ""),
])  # fmt: skip
def test_the_markup_of_a_wiki_is_read_as_the_text_that_it_shows(tmp_path: Path, markup: str, text: str) -> None:
    path = written(tmp_path, "a.xml", wiki([("Renard", markup)]))
    if text:
        assert documents(path) == [f"Renard\n\n{text}"]
    else:
        assert documents(path)[0].startswith("Renard\n\n")


MORE = (
    '<page><title>Goupil</title><ns>0</ns><redirect title="Renard"/><revision><text>#R</text></revision></page>'
    "<page><title>Talk</title><ns>1</ns><revision><text>talk</text></revision></page>"
    "<page><title>Vide</title><ns>0</ns><revision><text/></revision></page>"
    "<page><title>Two</title><ns>0</ns><revision><text>old</text></revision><revision><text>new</text></revision></page>"
)


def test_pages_that_are_no_articles_are_left_out_and_counted(tmp_path: Path) -> None:
    content = wiki([("Renard", "Il court. {{x}}")], MORE).encode()
    for path in (written(tmp_path, "a.xml", content), written(tmp_path, "a.xml.bz2", bz2.compress(content))):
        assert documents(path) == ["Renard\n\nIl court.", "Two\n\nnew"]
        assert counts(path) == {
            "redirects of a wiki": 1, "pages of a wiki that are no articles: talk, templates, categories": 1,
            "without text": 1, "earlier versions of a page": 1,
            "templates, tables and files in the pages of a wiki": 1,
        }  # fmt: skip
        assert inspect_path(path, ReadOptions(), Job()).documents == ("Renard\n\nIl court.", "Two\n\nnew")


def test_of_a_dump_that_is_cut_off_the_pages_before_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediawiki, "_MAX_PAGE", 1000)
    content = wiki([("A", "Text."), ("Long", "x" * 100_000), ("B", "More.")] + [("C", "y" * 500)] * 200)
    path = written(tmp_path, "a.xml", content[:200_000])
    assert documents(path)[:2] == ["A\n\nText.", "B\n\nMore."]
    found = left_out(account_of(path))
    assert found["too long"] == ["a.xml, page 2"] and found["the rest of a file that is cut off or damaged"] == [
        "a.xml"
    ]


def test_other_xml_is_named_with_the_kinds_that_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is an XML file, which can't be read"):
        documents(written(tmp_path, "a.xml", "<settings><a/></settings>"))
    for n in range(3):
        written(tmp_path, f"in/{n}.xml", "<settings/>")
    written(tmp_path, "in/a.txt", "text")
    notices: list[str] = []
    assert documents(tmp_path / "in", notices) == ["text"] and not notices
    assert left_out(account_of(tmp_path / "in")) == {"of a kind that isn’t read": ["0.xml", "1.xml", "2.xml"]}
    seen = inspect_path(tmp_path / "in", ReadOptions(), Job())
    assert not seen.refused and seen.account.files_left_out == 3
    with pytest.raises(SourceError, match="XML file"):
        documents(written(tmp_path, "b.zip", zipped({"a.xml": "<a/>"})))


def test_entities_of_a_dump_are_not_expanded(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + wiki([("A", "x")]).replace(">x<", ">&b;<")
    with pytest.raises(SourceError, match="damaged"):
        documents(written(tmp_path, "a.xml", bomb))


@pytest.mark.parametrize("markup", ["{{", "[[", "<ref>", "<!--", "{|\n", "[http://a ", "'''", "==", "<math", "[[a|{{"])
def test_a_page_made_to_take_long_takes_no_longer_than_others(tmp_path: Path, markup: str) -> None:
    path = written(tmp_path, "a.xml", wiki([("A", "Text. " + markup * (200_000 // len(markup)))]))
    began = time.process_time()
    assert documents(path)[0].startswith("A\n\nText.")
    assert time.process_time() - began < 20
