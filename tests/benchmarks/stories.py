"""The built-in stories: speed, variety, and losses of n-gram counts compared with a Transformer's."""

import itertools
import re
import tempfile
import time
from hashlib import blake2b
from pathlib import Path

from llm_studio.data.sources.stories.grammar import generate_stories
from llm_studio.jobs import Job
from llm_studio.workflows.quickstart import quickstart

STORIES = 100_000
STEPS = 1000


def main() -> None:
    """Print the figures of both languages."""
    for language in ("en", "fr"):
        began, size = time.perf_counter(), 0
        seen: set[bytes] = set()
        for story in generate_stories(language, STORIES):
            content = story.encode()
            size += len(content)
            seen.add(blake2b(content, digest_size=16).digest())
        seconds = time.perf_counter() - began
        words = itertools.chain.from_iterable(re.findall(r"\w+", s.lower()) for s in generate_stories(language, 20_000))
        print(f"{language}: {size / 1e6 / seconds:.1f} MB/s, {STORIES - len(seen)} equal stories of {STORIES:,}, "
              f"{len(set(words)):,} words, {size / STORIES:.0f} bytes a story")  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            made = quickstart(Path(folder) / "q", language, Job(), lambda _step: None, STEPS)
            print(f"    loss: unigram {made.unigram_loss:.2f}, bigram {made.bigram_loss:.2f}, "
                  f"Transformer after {STEPS} steps {made.run.best_loss:.2f}")  # fmt: skip
            print(f"    {made.stories[0]}")
