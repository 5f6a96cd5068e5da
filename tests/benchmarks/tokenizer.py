"""Training a tokenizer: peak memory and time for texts of several kinds, and tokens by pattern.

    python -m tests.benchmarks.tokenizer [memory [KIND MEGABYTES] ...] [patterns]

Memory is that of the training process, a new one for each figure. `chinese` is text without spaces: characters sampled
by Zipf's law, in clauses of 9 characters on average. `english` is Wikipedia with every seventieth word replaced by one
that hardly occurs twice, so that the number of distinct words keeps growing. `letters` is a single word.

Patterns are compared by the tokens of held-out text, with the same vocabulary trained on the same text.
"""

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm_studio.config import TokenizerSettings
from llm_studio.data.corpus.corpus import TextSpan
from llm_studio.data.tokenizer.sample import MEMORY_BYTES
from llm_studio.data.tokenizer.training import train_tokenizer
from llm_studio.events import Event, Notice
from llm_studio.jobs import Job

REAL_TEXTS = next(
    (folder / "shared" / "data" for folder in Path(__file__).parents if (folder / "shared" / "data").is_dir()), None
)
MEMORY = (("chinese", 20), ("chinese", 60), ("chinese", 200), ("letters", 20), ("english", 200))
VOCABULARIES = (2048, 4096, 8192)
_VOCABULARY = 8192
_SPAN = 10_000
_CHARACTER_BYTES = {"chinese": 3, "english": 1, "letters": 1}


def main(names: "list[str] | None" = None) -> None:
    """Print the named figures, or all."""
    names = names or []
    if not names or names[0] == "memory":
        cases = list(zip(names[1::2], map(int, names[2::2]), strict=True)) or MEMORY
        for kind, megabytes in cases:
            _print_memory(kind, megabytes)
    if not names or names[0] == "patterns":
        print_patterns()


# --- Memory --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Texts:
    """Stands in for a corpus: synthetic training texts, generated while they are read."""

    kind: str
    megabytes: float
    conversations: frozenset[str] = frozenset()

    @property
    def train_characters(self) -> int:
        """Length of all texts."""
        return max(1, round(self.megabytes * 1e6 / _CHARACTER_BYTES[self.kind] / _SPAN)) * _SPAN

    def texts(self, _side: str) -> Iterator[TextSpan]:
        """The same texts each time."""
        make = {"chinese": _chinese, "english": _english, "letters": _letters}[self.kind]()
        for _span in range(self.train_characters // _SPAN):
            text = next(make)
            while len(text) < _SPAN:
                text += next(make)
            yield TextSpan(self.kind, text[:_SPAN], self.kind != "letters")


def _chinese() -> Iterator[str]:
    draw = np.random.default_rng(0)
    characters = np.array([chr(0x4E00 + code) for code in range(6000)])
    weights = 1 / np.arange(3, 6003)
    while True:
        text = "".join(characters[draw.choice(6000, _SPAN, p=weights / weights.sum())])
        start, clauses = 0, list[str]()
        for length in draw.poisson(8, _SPAN // 10) + 1:
            clauses.append(text[start : start + length] + ("。" if draw.random() < 0.35 else "，"))
            start += length
        yield "".join(clauses)


def _english() -> Iterator[str]:
    assert REAL_TEXTS is not None, "the real texts are not at hand"
    draw = random.Random(0)
    words = (REAL_TEXTS / "wikitext2-test.txt").read_text(encoding="utf-8").split(" ")
    while True:
        start = draw.randrange(len(words) - 3000)
        page = words[start : start + 3000]
        for place in range(0, 3000, 70):
            other = draw.choice(words)
            page[place] = page[place][: 1 + draw.randrange(5)] + other[len(other) // 2 :]
        yield " ".join(page)


def _letters() -> Iterator[str]:
    draw = np.random.default_rng(0)
    while True:
        yield draw.integers(97, 123, _SPAN, dtype=np.uint8).tobytes().decode()


def _print_memory(kind: str, megabytes: int) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.tokenizer", "--step", kind, str(megabytes)]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    print(f"{kind}, {megabytes} MB: peak memory {found['peak_mb']:.0f} MB, {found['seconds']:.0f} s, "
          f"{found['vocabulary']} tokens", *found["notices"], sep="\n    ", flush=True)  # fmt: skip


def trained_in(kind: str, megabytes: float, memory: int = MEMORY_BYTES) -> dict[str, Any]:
    """Train on texts of this kind, with `memory` bytes for words; call it in a new process."""
    notices: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.text)

    began = time.perf_counter()
    settings = TokenizerSettings(max_megabytes=200)
    texts = Texts(kind, megabytes)
    tokenizer = train_tokenizer(texts, _VOCABULARY, settings, Job(note), memory=memory)  # type: ignore[arg-type]
    return {"seconds": time.perf_counter() - began, "vocabulary": tokenizer.vocab_size, "notices": notices,
            "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6}  # fmt: skip


# --- Patterns ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Files:
    """Stands in for a corpus of these training texts."""

    documents: tuple[str, ...]
    conversations: frozenset[str] = frozenset()

    @property
    def train_characters(self) -> int:
        """Length of all texts."""
        return sum(map(len, self.documents))

    def texts(self, _side: str) -> Iterator[TextSpan]:
        """The texts, each as one document."""
        return (TextSpan("files", document, True) for document in self.documents)


def print_patterns() -> None:
    """Print the tokens of held-out text with the patterns of GPT-2 and Qwen2, at equal vocabulary sizes."""
    from llm_studio.data.tokenizer.patterns import GPT2, LLAMA3, QWEN2

    single = GPT2.replace(r" ?\p{N}+", r"\p{N}")
    for name, (training, held_out) in _splits().items():
        size = len(held_out.encode())
        for vocabulary in VOCABULARIES:
            counts = {}
            for title, pattern in {"GPT-2": single, "Qwen2": QWEN2, "Llama 3": LLAMA3}.items():
                made = train_tokenizer(Files(training), vocabulary, TokenizerSettings(), Job(), pattern)  # type: ignore[arg-type]
                counts[title] = len(made.encode(held_out))
            rates = ", ".join(f"{title} {count} ({size / count:.2f} bytes a token, {count / counts['GPT-2'] - 1:+.1%})"
                              for title, count in counts.items())  # fmt: skip
            print(f"{name}, vocabulary {vocabulary}: {rates}", flush=True)


def _splits() -> dict[str, tuple[tuple[str, ...], str]]:
    """Training texts and held-out text by language."""
    if REAL_TEXTS is None:
        print("the real texts are not at hand")
        return {}
    novels = [path.read_text(encoding="utf-8") for path in sorted((REAL_TEXTS / "french-novels").glob("*.txt"))]
    plays = (REAL_TEXTS / "tinyshakespeare.txt").read_text(encoding="utf-8")
    pages = [(REAL_TEXTS / f"wikitext2-{part}.txt").read_text(encoding="utf-8") for part in ("valid", "test")]
    end = len(plays) * 9 // 10
    return {"French novels": (tuple(novels[:-4]), "".join(novels[-4:])),
            "tinyshakespeare": ((plays[:end],), plays[end:]),
            "wikitext2": ((pages[0],), pages[1])}  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        print(json.dumps(trained_in(sys.argv[2], float(sys.argv[3]), *map(int, sys.argv[4:]))))
    else:
        main(sys.argv[1:])
