"""Encodings: found for short texts too, chosen by the user where that isn't certain; mojibake is reported."""

import json
from pathlib import Path

import pytest

from llm_studio.cli.app import DONE, main
from llm_studio.data.mojibake import count_damaged_lines, repair
from llm_studio.data.sources.readers.charsets import rank_encodings
from llm_studio.data.sources.readers.inspect import inspect_path
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from tests.data.making import documents, written

TEXTS = {
    "Elève à l'école, où il a été très sage. Ça va bien, merci.": (
        "cp1252",
        "iso8859_15",
        "mac_roman",
        "cp850",
        "cp437",
    ),
    "Die Straße ist schön, die Bäume grün, und über dem Tor läuft ein Mädchen.": ("cp1252", "mac_roman", "cp850"),
    "El niño soñó con una canción; ¿dónde está? Mañana será otro día.": ("cp1252", "mac_roman", "cp850"),
    "C'era una volta un re. Perché era così triste? Non si sa più, città.": ("cp1252", "mac_roman", "cp850"),
    "Mökki oli metsän keskellä, ja äiti söi päärynää.": ("cp1252", "mac_roman", "cp850"),
    "Była sobie mała łódka, a w niej dziewczęta śpiewały wesołą pieśń.": ("cp1250", "iso8859_2"),
    "Příliš žluťoučký kůň úpěl ďábelské ódy.": ("cp1250", "iso8859_2"),
    "Жили-были старик со старухой у самого синего моря.": ("cp1251", "koi8_r", "cp866", "iso8859_5"),
    "Μια φορά κι έναν καιρό ήταν ένας βασιλιάς.": ("cp1253", "iso8859_7"),
    "Bir varmış bir yokmuş, küçük bir köyde yaşayan güzel bir kız varmış.": ("cp1254", "iso8859_9"),
    "Kartą gyveno senelis ir senelė, jie turėjo vištytę. Ąžuolas žaliuoja.": ("cp1257",),
    "đêm qua tôi đi chơi": ("cp1258",),
    "היה היה פעם מלך זקן שחי בארמון גדול": ("cp1255",),
    "كان يا ما كان في قديم الزمان ملك عظيم": ("cp1256",),
    "กาลครั้งหนึ่งนานมาแล้วมีเจ้าหญิงอยู่ในปราสาท": ("cp874",),
    "昔々あるところに、おじいさんとおばあさんが住んでいました。": ("shift_jis", "euc_jp"),
    "从前有一个国王，他住在一座很大的城堡里。": ("gb18030",),
    "從前有一個國王，他住在一座很大的城堡裡。": ("big5",),
    "옛날 옛적에 한 임금님이 큰 성에 살았습니다.": ("euc_kr",),
}


@pytest.mark.parametrize(("text", "codec"), [(text, codec) for text, codecs in TEXTS.items() for codec in codecs])
def test_one_sentence_is_enough_to_find_its_encoding(text: str, codec: str) -> None:
    found = rank_encodings(text.encode(codec))[0][0]
    assert text.encode(codec).decode(found) == text


@pytest.mark.parametrize("text", ["mööse", "A mööse once bit my sister", "l’œuf 3 €", "é", "naïve", "Ça"])
def test_a_word_is_taken_for_windows_1252(text: str) -> None:
    assert rank_encodings(text.encode("cp1252"))[0][0] == "cp1252"


def test_the_language_of_the_project_is_a_hint() -> None:
    content = "Gyvatė šliaužė".encode("cp1257")
    assert rank_encodings(content, "lt")[0][0] == "cp1257"
    assert rank_encodings("où".encode("cp1252"), "fr")[0][0] == "cp1252"


def test_another_encoding_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "Kartą gyveno senelė"
    path = written(tmp_path, "a.txt", text.encode("cp1257"))
    seen = inspect_path(path, ReadOptions(), Job())
    assert seen.encoding_guessed and seen.encoding_choices[0][1] == seen.encoding
    assert ("cp1257", "Windows-1257") in seen.encoding_choices
    assert documents(path, encoding="cp1257") == [text]
    root = str(tmp_path / "p")
    assert main(["new", root, "--preset", "nano"]) == DONE
    assert main(["download", root, "--dataset", str(path), "--encoding", "windows-1257"]) == DONE
    manifest = json.loads((tmp_path / "p" / "data" / "raw" / "a.meta.json").read_text(encoding="utf-8"))
    assert manifest["options"]["encoding"] == "windows-1257" and manifest["notes"] == []
    capsys.readouterr()
    assert main(["look", str(path), "--encoding", "cp1257"]) == DONE
    assert text in capsys.readouterr().out
    with pytest.raises(SourceError, match="no encoding “klingon”"):
        documents(path, encoding="klingon")


def test_a_chosen_encoding_leaves_unicode_alone(tmp_path: Path) -> None:
    written(tmp_path, "in/a.txt", "déjà")
    written(tmp_path, "in/b.txt", "déjà".encode("cp850"))
    written(tmp_path, "in/c.txt", "déjà".encode("utf-16"))
    assert documents(tmp_path / "in", encoding="cp850") == ["déjà"] * 3


def test_a_guess_that_is_not_certain_says_so(tmp_path: Path) -> None:
    notices: list[str] = []
    documents(written(tmp_path, "a.txt", "Příliš žluťoučký kůň.".encode("cp1250")), notices)
    (notice,) = notices
    assert notice.startswith("a.txt was read as Windows-1250.")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_read(tmp_path: Path, codec: str) -> None:
    text = "Once upon a time, l'été à l'école. " * 5
    assert documents(written(tmp_path, "a.txt", text.encode(codec))) == [text]


def test_stray_nul_characters_are_removed_and_counted(tmp_path: Path) -> None:
    notices: list[str] = []
    content = b"alpha:README\0002\0some text here\nbeta:notes\0001\0more\n" * 50
    assert documents(written(tmp_path, "a.txt", content), notices) == [content.replace(b"\0", b"").decode()]
    assert notices == ["a.txt was read as UTF-8. 200 NUL characters were removed."]
    assert documents(written(tmp_path, "b.txt", b"words " * 500_000 + b"\0")) == ["words " * 500_000]


# --- Mojibake ----------------------------------------------------------------------------------------------------


def damaged(text: str, codec: str) -> str:
    """`text`, saved as UTF-8 and read in another encoding."""
    return "".join(
        chr(byte) if (character := bytes([byte]).decode(codec, "replace")) == "\ufffd" else character
        for byte in text.encode()
    )


@pytest.mark.parametrize("codec", ["cp1252", "mac_roman", "cp850", "cp437", "cp1250", "cp1251"])
def test_french_that_was_decoded_wrongly_is_repaired(codec: str) -> None:
    text = "Déjà vu : l’été, où « l’œuf » à 3 € était… là — naïf, garçon !"
    assert repair(damaged(text, codec)) == text
    assert count_damaged_lines(f"{damaged(text, codec)}\nplain\n{text}") == 1


def test_other_alphabets_and_what_was_damaged_twice_are_repaired() -> None:
    for text in ("Жили-были старик со старухой", "日本語のテキスト", "a 😀 b"):
        assert repair(damaged(text, "cp1252")) == text
    assert repair(damaged(damaged("l’été déjà", "cp1252"), "cp1252")) == "l’été déjà"


@pytest.mark.parametrize("text", [
    *TEXTS, "MAÇÃ” e “ROMÃ», NÃO", "voilà\xa0», dit-il", "l’été”…", "√π ≤ 2 et √2", "„CASĂ”", "С.С.С.Р.» Р», С…",
    "┌──┬──┐\n│  ├──┤", "Âge, Ângelo, Â.", "¬p ∨ q", "ROMÂNIA",
])  # fmt: skip
def test_texts_that_are_right_stay_as_they_are(text: str) -> None:
    assert repair(text) == text
    assert count_damaged_lines(text) == 0


def test_a_file_of_mojibake_is_read_as_it_is_and_reported(tmp_path: Path) -> None:
    notices: list[str] = []
    text = "g√¢teaux √©quilibr√©s\nplain words\net puis voilà.\n"
    assert documents(written(tmp_path, "a.txt", text), notices) == [text]
    assert (
        len(notices) == 1 and notices[0].startswith("a.txt looks wrongly decoded") and "1 of the 3 lines" in notices[0]
    )


BLOCK = 1 << 18


@pytest.mark.parametrize("before", [BLOCK - 1, BLOCK, BLOCK + 1])
def test_a_character_that_is_cut_where_a_block_ends_is_utf_8(before: int, tmp_path: Path) -> None:
    notices: list[str] = []
    text = "a" * ((1 << 15) + before) + "é" + "b" * BLOCK
    assert documents(written(tmp_path, "a.txt", text), notices) == [text]
    assert notices == []


def test_a_lone_byte_at_the_end_of_a_block_is_found_though_the_next_is_ascii(tmp_path: Path) -> None:
    notices: list[str] = []
    damaged_text = b"a" * ((1 << 15) + BLOCK - 1) + b"\xc3" + b"b" * BLOCK
    assert documents(written(tmp_path, "a.txt", damaged_text), notices) != []
    assert len(notices) == 1
