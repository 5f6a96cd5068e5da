"""The template language of the built-in stories, compiled once into closures.

`grammar.py` describes the syntax of templates. Everything is checked when they are compiled (braces, rules, roles,
categories), so that generating a story is only drawing and joining.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from llm_studio.data.sources.stories.words import Adjective, Lexicon, Noun


@dataclass(slots=True)
class Telling:
    """The state of a story while it is generated.

    `draw` returns random numbers in [0, 1), `nouns` and `adjectives` are those bound to roles, `taken` the words used.
    """

    draw: Callable[[], float]
    nouns: dict[str, Noun] = field(default_factory=dict[str, Noun])
    adjectives: dict[str, Adjective] = field(default_factory=dict[str, Adjective])
    taken: set[str] = field(default_factory=set[str])

    def pick(self, pool: Sequence[Word]) -> Word:
        """Draw a word from `pool`; if the story has used it, take the next one that is unused."""
        size = len(pool)
        start = int(self.draw() * size)
        word = pool[start]
        for step in range(1, size):
            if word.text not in self.taken:
                break
            word = pool[(start + step) % size]
        self.taken.add(word.text)
        return word


Word = TypeVar("Word", Noun, Adjective)
Piece = Callable[[Telling], str]
Part = str | Piece  # a constant text, or a function that generates it

_TOKEN = re.compile(r"\[[^][]*\]|<[^<>]*>|[{|}]|[^][<>{|}]+")
_SLOT = re.compile(
    r"(?:(?P<determiner>\w+) )?(?P<adjectives>(?:@\w+ )*)(?P<subject>noun:[\w|]+|\w+(?:\+\w+)*)"
    r"(?:\.(?P<pronoun>\w+)|:(?P<alternatives>.*))?"
)


class TemplateCompiler:
    """Compiles the templates of one plot, whose roles are `nouns` and `adjectives` (their names)."""

    def __init__(self, lexicon: Lexicon, nouns: set[str], adjectives: set[str]) -> None:
        self._lexicon, self._nouns, self._adjectives = lexicon, nouns, adjectives
        self._rules: dict[tuple[str, str], Part | None] = {}  # None while a rule is being compiled
        self._aliases: dict[str, str] = {}  # parameters of the rule being compiled -> the plot's roles

    def compile(self, template: str) -> Part:
        """Compile a template. Raises a ValueError that names it and the templates through which it was reached."""
        try:
            tokens = _TOKEN.findall(template)
            if "".join(tokens) != template:
                raise ValueError("a [ ] or < > is left open")
            return self._sequence(tokens[::-1], nested=False)
        except ValueError as error:
            raise ValueError(f"{template!r}: {error}") from None

    def _sequence(self, tokens: list[str], *, nested: bool) -> Part:
        """Consume `tokens` from their end, up to the } of this level if `nested`."""
        options: list[list[Part]] = [[]]
        while tokens:
            match token := tokens.pop():
                case "{":
                    options[-1].append(self._sequence(tokens, nested=True))
                case "}" if nested:
                    return choice([join(parts) for parts in options])
                case "|" if nested:
                    options.append([])
                case "}" | "|":
                    raise ValueError(f"{token} outside of {{ }}")
                case _:
                    options[-1].append(self._part(token))
        if nested:
            raise ValueError("a { is left open")
        return join(options[0])

    def _part(self, token: str) -> Part:
        if token.startswith("["):
            return self._slot(token[1:-1])
        return self._rule(token[1:-1]) if token.startswith("<") else token

    def _rule(self, call: str) -> Part:
        """Compile a call of a rule: "name" or "name parameter=role ..."."""
        name, *arguments = call.split() or [""]
        if name not in self._lexicon.rules:
            raise ValueError(f"unknown rule {name!r}")
        outer = self._aliases
        given = [argument.partition("=") for argument in arguments]
        aliases = outer | {parameter: outer.get(role, role) for parameter, _, role in given}
        key = (name, str(sorted(aliases.items())))
        if key not in self._rules:
            self._rules[key], self._aliases = None, aliases
            try:
                self._rules[key] = choice([self.compile(template) for template in self._lexicon.rules[name]])
            finally:
                self._aliases = outer
        part = self._rules[key]
        if part is None:
            raise ValueError(f"rule {name!r} contains itself")
        return part

    def _slot(self, inner: str) -> Part:
        match = _SLOT.fullmatch(inner)
        if match is None:
            raise ValueError(f"can't read [{inner}]")
        determiner, subject = match["determiner"] or "", match["subject"]
        sources = [self._adjective(name[1:]) for name in match["adjectives"].split()]
        if "+" not in subject and self._aliases.get(subject, subject) in self._adjectives:
            adjective = self._adjective(subject)
            return lambda telling: adjective(telling).text
        noun = self._subject(subject)
        if (match["pronoun"] or match["alternatives"] is not None) and (determiner or sources):
            raise ValueError(f"[{inner}]: a determiner or an adjective goes with a noun, not with . or :")
        if match["pronoun"]:
            return self._agreeing(noun, match["pronoun"])
        if match["alternatives"] is not None:
            return self._spread(noun, match["alternatives"])
        if sources and not determiner and not subject.startswith("noun:"):
            return lambda telling: " ".join([s(telling).forms[noun(telling).kind] for s in sources])
        return self._phrase(determiner, sources, noun)

    def _adjective(self, name: str) -> Callable[[Telling], Adjective]:
        """A function that returns the adjective of a role, or draws one from a category."""
        role = self._aliases.get(name, name)
        if role in self._adjectives:
            return lambda telling: telling.adjectives[role]
        if not self._lexicon.adjectives.get(name):
            raise ValueError(f"unknown adjectives {name!r}")
        pool = self._lexicon.adjectives[name]
        return lambda telling: telling.pick(pool)

    def _subject(self, subject: str) -> Callable[[Telling], Noun]:
        """A function that returns the noun of a role or of several roles together, or draws one from a category."""
        if subject.startswith("noun:"):
            pool = nouns_of(self._lexicon, subject.removeprefix("noun:"))
            return lambda telling: telling.pick(pool)
        roles = [self._aliases.get(name, name) for name in subject.split("+")]
        for role in roles:
            if role not in self._nouns:
                raise ValueError(f"unknown role {role!r}")
        if len(roles) == 1:
            role = roles[0]
            return lambda telling: telling.nouns[role]
        mixed, feminine = (Noun("", kind) for kind in self._lexicon.language.plural)
        feminines = self._lexicon.language.feminines
        return lambda telling: feminine if all(telling.nouns[r].kind in feminines for r in roles) else mixed

    def _agreeing(self, noun: Callable[[Telling], Noun], pronoun: str) -> Part:
        pronouns = self._lexicon.language.pronouns
        row = pronouns.get(pronoun) or pronouns.get(pronoun.lower())
        if row is None:
            raise ValueError(f"unknown pronoun {pronoun!r}: known are {', '.join(pronouns)}")
        forms = row if pronoun in pronouns else tuple(map(capital, row))
        return lambda telling: forms[noun(telling).kind]

    def _spread(self, noun: Callable[[Telling], Noun], alternatives: str) -> Part:
        texts = alternatives.split("|")
        spread = self._lexicon.language.spread.get(len(texts))
        if spread is None:
            raise ValueError(f"{alternatives!r} should have 2, 3 or 4 alternatives")
        forms = [texts[index] for index in spread]
        return lambda telling: forms[noun(telling).kind]

    def _phrase(
        self, determiner: str, sources: list[Callable[[Telling], Adjective]], noun: Callable[[Telling], Noun]
    ) -> Part:
        language = self._lexicon.language
        article = determiner if determiner in language.determiners else determiner.lower()
        if article and article not in language.determiners:
            known = ", ".join(language.determiners)
            raise ValueError(f"unknown determiner {determiner!r}: known are {known}")
        if not article and not sources:
            return lambda telling: noun(telling).text
        if article == determiner:
            return lambda telling: language.phrase(article, [s(telling) for s in sources], noun(telling))
        return lambda telling: capital(language.phrase(article, [s(telling) for s in sources], noun(telling)))


def nouns_of(lexicon: Lexicon, categories: str) -> list[Noun]:
    """The nouns of a category ("toy") or of several ("toy|tool"). Raises ValueError if one is unknown."""
    for category in categories.split("|"):
        if not lexicon.nouns.get(category):
            raise ValueError(f"unknown nouns {category!r}")
    return [noun for category in categories.split("|") for noun in lexicon.nouns[category]]


def join(parts: list[Part]) -> Part:
    """The parts, one after the other."""
    if all(isinstance(part, str) for part in parts):
        return "".join(cast("list[str]", parts))
    if len(parts) == 1:
        return parts[0]
    pieces = [_piece(part) for part in parts]
    return lambda telling: "".join([piece(telling) for piece in pieces])


def choice(options: list[Part]) -> Part:
    """One of the options, drawn at random."""
    size = len(options)
    if size == 1:
        return options[0]
    if all(isinstance(option, str) for option in options):
        texts = cast("list[str]", options)
        return lambda telling: texts[int(telling.draw() * size)]
    pieces = [_piece(option) for option in options]
    return lambda telling: pieces[int(telling.draw() * size)](telling)


def capital(text: str) -> str:
    """`text` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def _piece(part: Part) -> Piece:
    return (lambda _: part) if isinstance(part, str) else part
