"""A small source of conversations, made from templates."""

import random
from collections.abc import Iterator

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.conversations import ASSISTANT, USER
from llm_studio.data.sources.store import write_source
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.tokenizer.prepare import prepare_tokens

NAMES = ("Tom", "Mia", "Ben", "Lily", "Sam", "Anna")
ANIMALS = ("cat", "dog", "bird", "fish", "frog", "rabbit")
COLOURS = ("red", "blue", "green", "yellow", "white", "black")
PLACES = ("garden", "house", "park", "forest")


def turns(chance: random.Random) -> tuple[str, str]:
    """A question and its answer."""
    name, animal, colour, place = (chance.choice(words) for words in (NAMES, ANIMALS, COLOURS, PLACES))
    return chance.choice([
        (f"What is the name of the {animal}?", f"The {animal} is called {name}."),
        (f"Where is the {colour} {animal}?", f"The {colour} {animal} is in the {place}."),
        (f"Who is {name}?", f"{name} is a little {colour} {animal}."),
        (f"What colour is the {animal} in the {place}?", f"The {animal} in the {place} is {colour}."),
    ])  # fmt: skip


def conversations(count: int, seed: int = 0) -> Iterator[str]:
    """`count` conversations of one to three questions, rendered."""
    chance = random.Random(seed)
    for _ in range(count):
        several = (turns(chance) for _ in range(chance.choice([1, 1, 2, 3])))
        yield "".join(f"{USER}{question}{ASSISTANT}{answer}" for question, answer in several)


def add_talk(project: Project, count: int) -> None:
    """Add the source “chat” to a project with a tokenizer, and prepare its tokens again."""
    chunks = (Chunk(text, True) for text in conversations(count))
    write_source(project.raw, "chat", "chat", chunks, Job(), conversations=True)
    prepare_tokens(project, Job())
