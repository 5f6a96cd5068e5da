"""Short stories generated from a grammar and a seed: training texts that need no network.

The grammar of a language is every ``*.yaml`` in ``resources/stories/<language>/``, merged. A file may have five keys:

``names: {f: ..., m: ...}``     given names by gender.
``nouns: {category: ...}``      "clé f", "étoiles fp", "héron m *" (``*``: no elision before it). English: "key",
                                "apples p" (plural), "water u" (uncountable), "queen f" (she); unmarked: "it".
``adjectives: {category: ...}`` French: "rouge", "gris", "beau|belle|beaux|belles|bel" if its forms are irregular (the
                                fifth one is used before a vowel); a leading ``<`` puts it before the noun.
                                English: a single form.
``rules: {name: ...}``          building blocks, each a list of alternative templates.
``plots: [{id, roles, story}]`` ``story`` is a list of beats joined by spaces; a beat is a template or a list of
                                alternatives; ``---`` starts a new paragraph.

A list of words may also be written as a text with commas; a list of templates or beats as a text with one per line (a
YAML ``|`` block, which needs no quotes).

Each role is bound once per story, to a different word: ``hero: person`` (or ``person f``, ``person m``,
``person fox``: of the same gender as the role ``fox``, which must precede it), ``thing: noun toy`` (or
``noun toy|tool``, or just ``toy``), ``colour: adj colour``.

Templates:

``{a|b|}``                      one of the alternatives; they nest and may be empty.
``<name>``                      a rule. ``<name who=friend>``: in the rule, ``who`` refers to the role ``friend``.
``[thing]``                     the text of the role.
``[un thing] [le thing]``       with a determiner that agrees (words.py lists them); ``[Le thing]``: capitalized.
                                Names take no article: ``[le hero]`` and ``[the hero]`` are "Anna", ``[du hero]``
                                "d'Anna".
``[un @size @colour thing]``    with adjectives, in agreement and order: drawn from a category, or bound to a role.
``[@mood hero]``                the adjective alone, in agreement with the role.
``[noun:food] [du noun:food]``  a noun drawn from a category, not used by a role. Also ``noun:food|drink``.
``[hero.il] [hero.Il]``         a pronoun or ending that agrees; words.py lists them (``[hero.e]``: "", e, s, es).
``[hero:lui|elle]``             text by gender and number. French: m|f, m|f|plural or m|f|mp|fp. English: m|f for
                                persons and singular|plural for nouns, m|f|other, or m|f|singular|plural.
``[hero+friend.il]``            several roles together, with agreement in the plural (also with ``:`` and ``@``).

Each beat is capitalized, and so is the text after ". " (also after "« " in French, "! " and "? " in English). French
words are elided automatically ("que Anna", "le arbre"), except before ``*`` ("le *haut") and after a hyphen
("prends-le avec toi"). Spaces around empty alternatives are removed. A mistake in a grammar raises a ValueError that
names the file, the plot and the template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, cast

import yaml

from llm_studio.data.sources.stories.templates import Part, Telling, TemplateCompiler, capital, choice, nouns_of
from llm_studio.data.sources.stories.words import SPOKEN, Lexicon, Noun
from llm_studio.paths import resource

LANGUAGES = tuple(SPOKEN)
PARAGRAPH = "\n\n"

# libyaml reads a grammar ten times faster, if PyYAML was built with it.
_Loader = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def generate_stories(language: str, count: int, seed: int = 0) -> Iterator[str]:
    """Yield `count` stories, generated one at a time; story number i depends on (seed, i) and the grammar only."""
    if language not in LANGUAGES:
        raise ValueError(f"no stories in {language!r}: the languages are {', '.join(LANGUAGES)}")
    grammar = load_grammar(language)
    first = (seed % 2**64) << 64  # Random() ignores the sign of an integer
    for index in range(count):
        yield grammar.generate_story(Random(first + index))


@dataclass(frozen=True, slots=True)
class Plot:
    """A compiled plot: `casting` binds its roles, then `beats` generate its text."""

    name: str
    casting: list[Callable[[Telling], None]]
    beats: list[Part]


@dataclass(frozen=True, slots=True)
class Grammar:
    """The compiled plots of one language."""

    lexicon: Lexicon
    plots: list[Plot]

    def generate_story(self, rng: Random, plot: Plot | None = None) -> str:
        """Generate one story, from a random plot unless one is given."""
        draw = rng.random  # Python guarantees that this method returns the same numbers in all versions
        chosen = plot or self.plots[int(draw() * len(self.plots))]
        telling = Telling(draw)
        for cast_role in chosen.casting:
            cast_role(telling)
        texts = [beat if isinstance(beat, str) else beat(telling).strip(" ") for beat in chosen.beats]
        text = " ".join([capital(text) for text in texts if text])
        return self.lexicon.language.polish(text.replace(f" {PARAGRAPH} ", PARAGRAPH))


@cache
def load_grammar(language: str) -> Grammar:
    """Read and compile all files of a language. Every plot is checked, so that generating a story can't fail."""
    return read_grammar(language, sorted(resource("stories", language).glob("*.yaml")))


def read_grammar(language: str, files: Iterable[Path]) -> Grammar:
    """Merge and compile the files of a grammar. A mistake raises a ValueError that names the file."""
    lexicon = Lexicon(SPOKEN[language])
    plots: list[tuple[str, Mapping[str, Any]]] = []
    for path in files:
        content = cast("dict[str, Any]", yaml.load(path.read_text(encoding="utf-8"), _Loader) or {})
        plots += [(path.name, plot) for plot in content.pop("plots", ())]
        try:
            _add_words(lexicon, content)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None
    grammar = Grammar(lexicon, [])
    for file, plot in plots:
        try:
            grammar.plots.append(_compile_plot(lexicon, plot))
        except ValueError as error:
            raise ValueError(f"{file}: plot {plot.get('id', '?')}: {error}") from None
    if not plots:
        raise ValueError(f"the {language!r} stories have no plots")
    return grammar


def _add_words(lexicon: Lexicon, content: Mapping[str, Any]) -> None:
    """Add the words and rules of one file to the lexicon."""
    language = lexicon.language
    for key, entries in ((key, entries) for key, group in content.items() for entries in group.items()):
        name, values = entries
        match key:
            case "names":
                kind = language.kinds.index(name)
                lexicon.names.setdefault(name, []).extend(Noun(text, kind, proper=True) for text in _texts(values, ","))
            case "nouns":
                lexicon.nouns.setdefault(name, []).extend(map(language.noun, _texts(values, ",")))
            case "adjectives":
                lexicon.adjectives.setdefault(name, []).extend(map(language.adjective, _texts(values, ",")))
            case "rules":
                lexicon.rules.setdefault(name, []).extend(_texts(values, "\n"))
            case _:
                raise ValueError(f"unknown key {key!r}")


def _texts(value: Any, separator: str) -> list[str]:
    """A list of texts, or one text split at the separator; white space is collapsed, and empty texts are dropped."""
    texts: Any = value.split(separator) if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in cast("list[Any]", texts)):
        raise ValueError(f"{value!r} should be a text or a list of texts")
    texts = cast("list[str]", texts)
    return [text for text in (" ".join(text.split()) for text in texts) if text]


def _compile_plot(lexicon: Lexicon, plot: Mapping[str, Any]) -> Plot:
    missing = {"id", "roles", "story"} - set(plot)
    if missing:
        raise ValueError(f"no {', no '.join(sorted(missing))}")
    roles = {str(name): str(spec) for name, spec in plot["roles"].items()}
    adjectives = {name for name, spec in roles.items() if spec.startswith("adj ")}
    compiler = TemplateCompiler(lexicon, set(roles) - adjectives, adjectives)
    story = plot["story"].splitlines() if isinstance(plot["story"], str) else plot["story"]
    beats: list[Part] = []
    for beat in story:
        templates = _texts([beat] if isinstance(beat, str) else beat, "\n")
        if templates == ["---"]:
            beats.append(PARAGRAPH)
        elif templates:
            beats.append(choice([compiler.compile(template) for template in templates]))
    return Plot(str(plot["id"]), [_casting(lexicon, roles, name) for name in roles], beats)


def _casting(lexicon: Lexicon, roles: dict[str, str], role: str) -> Callable[[Telling], None]:
    """A function that binds a role: "person", "person f", "person <role>", "adj category", "[noun ]category"."""
    what, _, detail = roles[role].partition(" ")
    if what == "adj":
        if not lexicon.adjectives.get(detail):
            raise ValueError(f"role {role}: unknown adjectives {detail!r}")
        adjectives = lexicon.adjectives[detail]
        return lambda telling: telling.adjectives.__setitem__(role, telling.pick(adjectives))
    if what != "person" or detail not in roles:
        nouns = _pool(lexicon, roles[role])
        return lambda telling: telling.nouns.__setitem__(role, telling.pick(nouns))
    if detail not in list(roles)[: list(roles).index(role)]:
        raise ValueError(f"role {role}: {detail!r} must be written before")
    names = {lexicon.language.kinds.index(gender): names for gender, names in lexicon.names.items()}
    if not {noun.kind for noun in _pool(lexicon, roles[detail])} <= set(names):
        raise ValueError(f"role {role}: some words of {roles[detail]!r} don't have the gender of a name")
    return lambda telling: telling.nouns.__setitem__(role, telling.pick(names[telling.nouns[detail].kind]))


def _pool(lexicon: Lexicon, spec: str) -> list[Noun]:
    """The nouns or names to which a role may be bound."""
    what, _, detail = spec.partition(" ")
    if what != "person":
        return nouns_of(lexicon, detail if what == "noun" else spec)
    if detail and detail not in lexicon.names:
        raise ValueError(f"{detail!r} is neither a gender nor a role")
    return lexicon.names[detail] if detail else [name for names in lexicon.names.values() for name in names]
