"""Short tales told from a grammar and a seed: something to learn from without a network.

A language's grammar is every ``*.yaml`` of ``resources/stories/<language>/``, merged. A file may hold any of five keys:

``names: {f: ..., m: ...}``     given names by gender.
``nouns: {category: ...}``      "clé f", "étoiles fp", "héron m *" (``*``: no elision before it). English: "key",
                                "apples p" (plural), "water u" (uncountable), "queen f" (she); no mark: an "it".
``adjectives: {category: ...}`` French: "rouge", "gris", "beau|belle|beaux|belles|bel" where the -e and -s rules fail
                                (the fifth form stands before a vowel); a leading ``<`` puts it before the noun.
                                English: plain.
``rules: {name: ...}``          building blocks, each a list of alternative templates.
``plots: [{id, roles, story}]`` ``story`` is a list of beats joined by spaces; a beat is a template or a list of
                                alternatives; ``---`` starts a new paragraph.

Where a list of words stands, a text with commas may stand; where a list of templates or beats stands, a text with
one per line (YAML's ``|`` block: nothing to quote there).

Roles are bound once per story, all different: ``hero: person`` (or ``person f``, ``person m``, ``person fox``: of the
same gender as the role fox, written before), ``thing: noun toy`` (or ``noun toy|tool``, or just ``toy``),
``colour: adj colour``.

Templates:

``{a|b|}``                      one of the alternatives; they nest and may be empty.
``<name>``                      a rule. ``<name who=friend>``: inside it, ``who`` means our role ``friend``.
``[thing]``                     the role's own text.
``[un thing] [le thing]``       with a determiner that agrees (story_words.py lists them); ``[Le thing]``: a capital.
                                Names do without: ``[le hero]`` is "Anna", ``[du hero]`` "d'Anna"; ``[the hero]`` too.
``[un @size @colour thing]``    with adjectives, agreed and placed: a fresh one of the category, or a role that is one.
``[@mood hero]``                the adjective alone, agreeing with the role.
``[noun:food] [du noun:food]``  a fresh noun instead of a role; it is none of the roles. ``noun:food|drink`` too.
``[hero.il] [hero.Il]``         a pronoun or ending that agrees; story_words.py lists them (``[hero.e]``: "", e, s, es).
``[hero:lui|elle]``             text by kind. French: m|f, m|f|plural or m|f|mp|fp. English: m|f for persons and
                                singular|plural for nouns, m|f|other, or m|f|singular|plural.
``[hero+friend.il]``            several roles together, agreeing in the plural (also with ``:`` and ``@``).

Each beat starts with a capital, and so does what follows ". " (also "« " in French, "! " and "? " in English).
French elides by itself ("que Anna", "le arbre"), except before ``*`` ("le *haut") and after a hyphen ("prends-le avec
toi"). Spaces left by empty alternatives go away. A mistake in a grammar is a ValueError that names file, plot and
template.
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

# libyaml reads a grammar ten times faster, where PyYAML was built with it.
_Loader = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def generate_stories(language: str, count: int, seed: int = 0) -> Iterator[str]:
    """Yield `count` stories, made one at a time; story number i depends on (seed, i) and the grammar only."""
    if language not in LANGUAGES:
        raise ValueError(f"no stories in {language!r}: the languages are {', '.join(LANGUAGES)}")
    grammar = load_grammar(language)
    first = (seed % 2**64) << 64  # Random() ignores an integer's sign, so seed -1 must not reach it as such
    for index in range(count):
        yield grammar.tell(Random(first + index))


@dataclass(frozen=True, slots=True)
class Plot:
    """A compiled plot: `casting` binds its roles, in order; then its beats are told."""

    name: str
    casting: list[Callable[[Telling], None]]
    beats: list[Part]


@dataclass(frozen=True, slots=True)
class Grammar:
    """All the plots of one language, ready to be told."""

    lexicon: Lexicon
    plots: list[Plot]

    def tell(self, rng: Random, plot: Plot | None = None) -> str:
        """One story; its plot is drawn unless given."""
        draw = rng.random  # the method whose numbers Python promises to keep from version to version
        chosen = plot or self.plots[int(draw() * len(self.plots))]
        telling = Telling(draw)
        for cast_role in chosen.casting:
            cast_role(telling)
        told = [beat if isinstance(beat, str) else beat(telling).strip(" ") for beat in chosen.beats]
        text = " ".join([capital(beat) for beat in told if beat])
        return self.lexicon.language.polish(text.replace(f" {PARAGRAPH} ", PARAGRAPH))


@cache
def load_grammar(language: str) -> Grammar:
    """Read and compile every file of a language; each plot is checked here, so that telling can't fail."""
    return read_grammar(language, sorted(resource("stories", language).glob("*.yaml")))


def read_grammar(language: str, files: Iterable[Path]) -> Grammar:
    """Merge the files of a grammar. ValueError: a mistake in one of them, named."""
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
    """Add one file's words and rules to those of the others."""
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
    """A list of texts, or one text cut at the separator; spaces made single."""
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
    """How a role is bound: "person", "person f", "person <role>", "adj category", "noun category" or "category"."""
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
    """The nouns or names that a role may be."""
    what, _, detail = spec.partition(" ")
    if what != "person":
        return nouns_of(lexicon, detail if what == "noun" else spec)
    if detail and detail not in lexicon.names:
        raise ValueError(f"{detail!r} is neither a gender nor a role")
    return lexicon.names[detail] if detail else [name for names in lexicon.names.values() for name in names]
