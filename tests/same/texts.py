"""Two projects, from their texts to their tokens."""

import json
import zipfile
from pathlib import Path

from tests.same.studio import Studio, settings

ALWAYS: dict[str, object] = {
    "training.threads": 1, "training.device": "cpu", "training.precision": "float32", "training.cuda_graphs": False,
    "training.checkpoint_minutes": 0, "training.seed": 5, "training.batch_size": 8, "training.max_steps": 60,
    "training.warmup_steps": 10, "training.eval_interval": 20, "training.eval_sequences": 16,
    "training.checkpoint_interval": 20, "model.vocab_size": 512, "model.max_seq_len": 64, "generation.max_tokens": 40,
    "generation.seed": 1, "training.sample_prompts": "[Once upon]",
}  # fmt: skip
"""Settings of both projects: a small vocabulary, and nothing that the clock or the machine decides."""
FRENCH: dict[str, object] = {
    "data.remove_html": True, "data.remove_invisible": True, "data.tidy_spaces": True, "data.languages": "[fr]",
    "data.remove_near_duplicates": True, "data.remove_repeated_lines": True, "data.min_characters": 20,
    "data.weights.mixed": 2, "tokenizer.split_digits": False,
}  # fmt: skip

_LINES = [
    f"The {animal} number {n} went to the {place}, and it was {colour} there."
    for n in range(8) for animal in ("cat", "dog", "hen") for place in ("wood", "mill") for colour in ("dark", "green")
]  # fmt: skip
_LIGNES = [
    f"Le {animal} numéro {n} est allé près de la {lieu}, où tout était {couleur} : « Ça alors ! » a-t-il crié."
    for n in range(8) for animal in ("chat", "poussin", "bœuf") for lieu in ("forêt", "rivière")
    for couleur in ("bleu", "âpre")
]  # fmt: skip


def write_files(root: Path) -> None:
    """A folder with a file of each simple kind, an archive, and conversations."""
    folder = root / "mixed"
    folder.mkdir()
    quoted = [line.replace('"', '""') for line in _LIGNES[:30]]
    subtitles = [f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{line}\n" for n, line in enumerate(_LINES[:30], 1)]
    leaves = ("\n".join(_LIGNES[4 * n : 4 * n + 8]) for n in range(20))
    pages = "".join(f"<h2>Page</h2><p>{line} <b>Fin</b>&nbsp;!</p>" for line in _LIGNES[30:60])
    texts = {
        "plain.txt": "\n\n".join(_LINES[:40]), "notes.md": "# Un titre\n\n- " + "\n- ".join(_LIGNES[:20]),
        "table.csv": "id,text\n" + "".join(f'{n},"{line}"\n' for n, line in enumerate(quoted)),
        "records.jsonl": "".join(json.dumps({"n": n, "text": line}) + "\n" for n, line in enumerate(_LIGNES[40:80])),
        "page.html": f"<html><head><title>T</title><script>x()</script></head><body>{pages}</body></html>",
        "film.srt": "\n".join(subtitles), "twice.txt": "\n\n".join(_LINES[:40]),
        "wild.txt": "Un mot cou\u00adpé,\u0007 une espace\u200b fine.   <b>Gras</b> &amp; e\u0301crit.\n\n\n\n" * 5,
        "book.txt": "".join(f"Le titre courant\n\n{leaf}\n\n{n}\n\f" for n, leaf in enumerate(leaves, 1)),
        "short.jsonl": '{"text": "Trop court."}\n',
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    (folder / "windows.txt").write_bytes("\r\n\r\n".join(_LIGNES[60:]).encode("cp1252"))
    with zipfile.ZipFile(root / "packed.zip", "w") as packed:
        for name in ("plain.txt", "table.csv"):
            packed.writestr(zipfile.ZipInfo(f"inside/{name}"), texts[name].upper())
    talks = [
        {"messages": [{"role": "user", "content": f"Where is the {animal} number {n}?"},
                      {"role": "assistant", "content": f"The {animal} number {n} is in the {place}."}]}
        for n in range(60) for animal, place in (("cat", "wood"), ("dog", "mill"))
    ]  # fmt: skip
    (root / "talk.jsonl").write_text("".join(json.dumps(talk) + "\n" for talk in talks), encoding="utf-8")


def collect(studio: Studio) -> None:
    """Both projects and their texts."""
    write_files(studio.root)
    for name in ("plain.txt", "table.csv", "records.jsonl", "page.html", "film.srt", "windows.txt"):
        studio.show(f"look {name}", "look", f"mixed/{name}", drop={"refused"})
    studio.show("look packed.zip", "look", "packed.zip", drop={"refused"})
    for language, changes in (("en", ALWAYS), ("fr", ALWAYS | FRENCH)):
        studio.output("new", language, "--preset", "nano", "--lang", language)
        stories = ("--dataset", "stories", "--lang", language, "--max-samples", "500", "--seed", "3")
        studio.show(f"download {language} stories", "download", language, *stories)
        for path in ("mixed", "packed.zip", "talk.jsonl"):
            studio.show(f"download {language} {path}", "download", language, "--dataset", path)
        studio.show(f"config {language}", "config", language, *settings(changes))
        studio.show(f"clean {language}", "clean", language, "--set", "data.max_characters=3000")
        studio.show(f"stats {language}", "stats", language)
    studio.output("download", "fr", "--dataset", "mixed/table.csv", "--text-field", "text", "--max-samples", "5")
    studio.output("download", "fr", "--remove", "talk")
    studio.show("datasets", "datasets", drop={"about"})


def prepare(studio: Studio) -> None:
    """Tokenizers and tokens."""
    for project in ("en", "fr"):
        studio.show(f"train-tokenizer {project}", "train-tokenizer", project)
        studio.show(f"prepare {project}", "prepare", project)
        studio.show(f"config {project} prepared", "config", project)
        studio.show(f"stats {project} prepared", "stats", project)
