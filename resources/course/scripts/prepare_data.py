"""Turn the texts in data/raw into tokens:  python scripts/prepare_data.py

A file .txt is one text; each line of a file .jsonl holds one, as in {"text": "Once upon a time..."}.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from src import ROOT, load_config
from src.data.tokenizer import Tokenizer

RAW, PROCESSED = ROOT / "data" / "raw", ROOT / "data" / "processed"


def texts(path: Path) -> Iterator[str]:
    """The texts in a file."""
    try:
        if path.suffix == ".txt":
            yield path.read_text(encoding="utf-8-sig")
            return
        with path.open(encoding="utf-8-sig") as lines:
            for line in lines:
                yield json.loads(line)["text"]
    except UnicodeDecodeError:
        raise SystemExit(f"{path} isn't in UTF-8: open it in an editor and save it with this encoding.") from None


def is_for_validation(text: str, fraction: float) -> bool:
    """Decided from the text alone, so that an equal one is always on the same side."""
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")
    return number < fraction * 2**64


# [if conversations]
def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text; in one that begins with <|user|>, those of the turns of a conversation."""
    if not text.startswith("<|user|>"):
        return tokenizer.encode(text)
    ids = []
    for turn in text.replace("<|user|>", "\0u").replace("<|assistant|>", "\0a").split("\0")[1:]:
        ids += [tokenizer.user if turn[0] == "u" else tokenizer.assistant, *tokenizer.encode(turn[1:])]
    return ids


# [else]
def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text."""
    return tokenizer.encode(text)


# [end]
# [if answers]
def targets(tokenizer: Tokenizer, ids: list[int]) -> list[bool]:
    """Which of these tokens, the last of which is <|endoftext|>, the model learns: all, of a conversation the answers.

    What ends an answer is learned, too, so that the model knows how to stop.
    """
    found, in_answer = [], tokenizer.user not in ids
    for token in ids:
        found.append(in_answer)
        if token in (tokenizer.user, tokenizer.assistant):
            in_answer = token == tokenizer.assistant
    return found


# [end]
def main() -> None:
    """Write train.bin and val.bin, and meta.json, which says what is in them."""
    config, tokenizer = load_config(), Tokenizer()
    kind = "uint16" if tokenizer.vocab_size <= 65_536 else "uint32"
    PROCESSED.mkdir(parents=True, exist_ok=True)
    files = {"train": PROCESSED / "train.bin", "val": PROCESSED / "val.bin"}
    sources = {"train": [], "val": []}
    counts = {"train": 0, "val": 0}
    # [if answers]
    masks = {"train": [], "val": []}
    # [end]
    with files["train"].open("wb") as train, files["val"].open("wb") as val:
        for path in sorted(path for path in RAW.iterdir() if path.suffix in (".txt", ".jsonl")):
            before = dict(counts)
            for text in texts(path):
                split = "val" if is_for_validation(text, config.data.validation_fraction) else "train"
                ids = [*encode(tokenizer, text), tokenizer.end_of_text]
                (train if split == "train" else val).write(np.array(ids, dtype=kind).tobytes())
                counts[split] += len(ids)
                # [if answers]
                masks[split] += targets(tokenizer, ids)
                # [end]
            for split, found in sources.items():
                found.append({"name": path.stem, "start": before[split], "end": counts[split], "weight": 1.0})
    # [if answers]
    for split, mask in masks.items():
        np.packbits(np.array(mask, dtype=bool), bitorder="little").tofile(PROCESSED / f"{split}.mask")
    # [end]
    meta = {"dtype": kind, "sources": sources["train"], "validation_sources": sources["val"]}
    (PROCESSED / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    print(f"{counts['train']:,} tokens to learn from, {counts['val']:,} for validation")


if __name__ == "__main__":
    main()
