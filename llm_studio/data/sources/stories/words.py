"""The words of the built-in stories: agreement, determiners, word order and spelling, in French and English.

`grammar.py` describes the format of a grammar; this module has the rules of each language and knows nothing about
plots.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, eq=False)
class Noun:
    """A noun or a given name. `kind` is its gender and number: an index into `Language.kinds`."""

    text: str
    kind: int
    proper: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Adjective:
    """`forms`: one per kind of noun; `linked`: the masculine singular before a vowel ("bel"); `before`: it precedes the
    noun."""

    text: str
    forms: tuple[str, ...]
    linked: str
    before: bool


@dataclass(frozen=True, slots=True)
class Language:
    """The rules of one language.

    The row of a determiner has its form for each kind, then its form before a vowel for each kind.
    """

    kinds: tuple[str, ...]
    default_kind: str | None
    plural: tuple[int, int]  # the kind of a group, and of a group of feminines only
    feminines: tuple[int, ...]
    spread: Mapping[int, tuple[int, ...]]  # for 2, 3 or 4 alternatives: the index of that for each kind
    determiners: Mapping[str, tuple[str, ...]]
    before_names: Mapping[str, str]  # forms of determiners before given names
    pronouns: Mapping[str, tuple[str, ...]]
    starts_with_vowel: Callable[[str], object]
    adjective: Callable[[str], Adjective]
    polish: Callable[[str], str]

    def noun(self, entry: str) -> Noun:
        """Parse an entry such as "vieux chêne m" or "héron m *". Raises ValueError."""
        words = entry.removesuffix("*").split()
        star = "*" if entry.endswith("*") else ""
        if len(words) > 1 and words[-1] in self.kinds:
            return Noun(star + " ".join(words[:-1]), self.kinds.index(words[-1]))
        if self.default_kind is None:
            raise ValueError(f"{entry!r} must end with one of {', '.join(self.kinds)}")
        return Noun(star + " ".join(words), self.kinds.index(self.default_kind))

    def phrase(self, determiner: str, adjectives: list[Adjective], noun: Noun) -> str:
        """Determiner, adjectives and noun, in order and in agreement; `determiner` may be empty."""
        text, kind, moved = noun.text, noun.kind, False
        for adjective in reversed(adjectives):
            form = adjective.forms[kind]
            if not adjective.before:
                text = f"{text} {form}"
                continue
            moved = True
            text = f"{adjective.linked if kind == 0 and self.starts_with_vowel(text) else form} {text}"
        if not determiner:
            return text
        if noun.proper and determiner in self.before_names:
            return self.before_names[determiner] + text
        row = self.determiners[determiner]
        if moved:  # "des étoiles", but "de belles étoiles"
            row = self.determiners.get(determiner + "+", row)
        return row[kind + len(self.kinds) if self.starts_with_vowel(text) else kind] + text


def _determiners(table: str) -> dict[str, tuple[str, ...]]:
    """Parse lines "name: forms [/ forms before a vowel]"; `_` in a form stands for a space."""
    rows: dict[str, tuple[str, ...]] = {}
    for line in table.strip().splitlines():
        name, _, forms = line.partition(":")
        plain, _, vowel = forms.partition("/")
        cells = plain.split() + (vowel or plain).split()
        rows[name.strip()] = tuple(c.replace("_", " ") + ("" if c.endswith("'") else " ") for c in cells)
    return rows


def _pronouns(table: str) -> dict[str, tuple[str, ...]]:
    """Parse lines "name: one form per kind"; `-` is the empty form."""
    pairs = (line.split(":") for line in table.strip().splitlines())
    return {name.strip(): tuple(f.replace("-", "") for f in forms.split()) for name, forms in pairs}


_TOO_MANY_SPACES = re.compile(r" +(?=[ ,.])")


def _tidy(text: str, sentence_start: re.Pattern[str]) -> str:
    return sentence_start.sub(lambda match: match[0].upper(), _TOO_MANY_SPACES.sub("", text))


# ---------------------------------------------------------------------------------------------------- French

_FRENCH_ELISION = re.compile(
    r"(?<![\w'*-])(?:([jlmtsdnJLMTSDN]|(?:[Jj]us|[Ll]ors|[Pp]uis|[Qq]uoi)?[Qq]u)e|([Ll])a|([Ss])i(?= ils?\b))"
    r" (?=[aeiouâàéèêëîïôûœhAEIOUÂÀÉÈÊÎÔŒH]|y )"
)
# Not after ! and ?: lower case is intended there ("« Viens ! dit-il. Vite ! »").
_FRENCH_SENTENCE_START = re.compile(r"(?:\.|«) [a-zà-ÿœ]")
_FRENCH_FEMININES = (
    ("eux", "euse"),
    ("er", "ère"),
    ("if", "ive"),
    ("el", "elle"),
    ("en", "enne"),
    ("on", "onne"),
)


def _french_adjective(entry: str) -> Adjective:
    """Parse "<petit" or "<beau|belle|beaux|belles|bel"; regular forms are derived. Raises ValueError."""
    before, entry = entry.startswith("<"), entry.removeprefix("<")
    forms = entry.split("|")
    if len(forms) not in (1, 4, 5):
        raise ValueError(f"{entry!r}: one, four or five forms are needed")
    if len(forms) == 1:
        feminine = entry if entry.endswith("e") else entry + "e"
        for ending, replacement in _FRENCH_FEMININES:
            if entry.endswith(ending):
                feminine = entry.removesuffix(ending) + replacement
        plural = entry[:-1] + "ux" if entry.endswith("al") else entry if entry[-1] in "sx" else entry + "s"
        forms = [entry, feminine, plural, feminine + "s"]
    return Adjective(forms[0], tuple(forms[:4]), forms[-1] if len(forms) == 5 else forms[0], before)


def _french_polish(text: str) -> str:
    """Elide ("le arbre", "si il"), then remove the `*` that prevents elision."""
    return _tidy(_FRENCH_ELISION.sub(r"\1\2\3'", text).replace("*", ""), _FRENCH_SENTENCE_START)


_FRENCH = Language(
    kinds=("m", "f", "mp", "fp"),
    default_kind=None,
    plural=(2, 3),
    feminines=(1, 3),
    spread={2: (0, 1, 0, 1), 3: (0, 1, 2, 2), 4: (0, 1, 2, 3)},
    determiners=_determiners("""
        un: un une des des
        un+: un une de de / un une d' d'
        le: le la les les / l' l' les les
        du: du de_la des des / de_l' de_l' des des
        au: au à_la aux aux / à_l' à_l' aux aux
        de: de de de de / d' d' d' d'
        ce: ce cette ces ces / cet cette ces ces
        mon: mon ma mes mes / mon mon mes mes
        ton: ton ta tes tes / ton ton tes tes
        son: son sa ses ses / son son ses ses
        notre: notre notre nos nos
        votre: votre votre vos vos
        leur: leur leur leurs leurs
        quel: quel quelle quels quelles
        aucun: aucun aucune aucuns aucunes
    """),
    before_names={"le": "", "un": "", "du": "de ", "au": "à "},
    pronouns=_pronouns("""
        il: il elle ils elles
        le: le la les les
        lui: lui elle eux elles
        leur: lui lui leur leur
        celui: celui celle ceux celles
        tout: tout toute tous toutes
        e: - e s es
        est: est est sont sont
        a: a a ont ont
        était: était était étaient étaient
        avait: avait avait avaient avaient
    """),
    starts_with_vowel=re.compile("[aeiouâàéèêëîïôûœhAEIOUÂÀÉÈÊÎÔŒH]").match,
    adjective=_french_adjective,
    polish=_french_polish,
)

# ---------------------------------------------------------------------------------------------------- English


def _english_adjective(entry: str) -> Adjective:
    return Adjective(entry, (entry,) * 5, entry, before=True)


_ENGLISH_SENTENCE_START = re.compile(r"[.!?] [a-z]")


def _english_polish(text: str) -> str:
    return _tidy(text, _ENGLISH_SENTENCE_START)


_ENGLISH = Language(
    kinds=("m", "f", "n", "p", "u"),
    default_kind="n",
    plural=(3, 3),
    feminines=(1,),
    spread={2: (0, 1, 0, 1, 0), 3: (0, 1, 2, 2, 2), 4: (0, 1, 2, 3, 2)},
    determiners=_determiners("""
        a: a a a some some / an an an some some
        the: the the the the the
        this: this this this these this
        that: that that that those that
        my: my my my my my
        your: your your your your your
        his: his his his his his
        her: her her her her her
        its: its its its its its
        our: our our our our our
        their: their their their their their
        no: no no no no no
        another: another another another other more
    """),
    before_names={"the": "", "a": ""},
    pronouns=_pronouns("""
        he: he she it they it
        him: him her it them it
        his: his her its their its
        own: his hers its theirs its
        himself: himself herself itself themselves itself
        was: was was was were was
        is: is is is are is
        has: has has has have has
        does: does does does do does
        s: s s s - s
    """),
    starts_with_vowel=re.compile("(?!uni|uku|use|usu|one|eu)[aeiou]|hour|honest", re.IGNORECASE).match,
    adjective=_english_adjective,
    polish=_english_polish,
)

SPOKEN = {"en": _ENGLISH, "fr": _FRENCH}


@dataclass(slots=True)
class Lexicon:
    """The words and rules of one language's grammar."""

    language: Language
    names: dict[str, list[Noun]] = field(default_factory=dict[str, list[Noun]])
    nouns: dict[str, list[Noun]] = field(default_factory=dict[str, list[Noun]])
    adjectives: dict[str, list[Adjective]] = field(default_factory=dict[str, list[Adjective]])
    rules: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
