"""A tokenizer for the web page: what `resources/web/tokenizer.js` needs to give the same ids.

Its patterns are regular expressions for JavaScript with the flag u, with the same matches as in the library tokenizers:

    here                    JavaScript                          why
    \\s, \\S                  \\p{White_Space}, \\P{White_Space}    \\s differs: U+0085 and U+FEFF
    (?i:'s|'t|'re ...)      '(?:[sSſ]|[tT]|[rR][eE] ...)        older browsers can't switch flags within a pattern
"""

import json
from typing import TYPE_CHECKING, Any

from llm_studio.data.tokenizer import patterns
from llm_studio.errors import ProjectError
from llm_studio.i18n import _

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_O200K = "|".join((
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _ENDINGS + "?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + _ENDINGS + "?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
))  # fmt: skip
"""The pattern of GPT-4o's tokenizer, which can be imported."""
KNOWN = (patterns.QWEN2, patterns.LLAMA3, patterns.GPT2, _O200K)
"""The patterns that give the same words in a browser: those that the tests compare."""
_DIGIT, _DIGITS = r"\p{N}", r"\p{N}+"


def in_javascript(pattern: str) -> str:
    """One of the known patterns for JavaScript."""
    folded = ("[sSſ]", "[tT]", "[rR][eE]", "[vV][eE]", "[mM]", "[lL][lL]", "[dD]")
    pattern = pattern.replace(_ENDINGS, f"(?:'(?:{'|'.join(folded)}))")
    return pattern.replace(r"\s", r"\p{White_Space}").replace(r"\S", r"\P{White_Space}")


def for_page(tokenizer: "Tokenizer") -> dict[str, Any]:
    """The tokenizer as a JSON object. Raises ProjectError if it splits texts with another pattern."""
    content: dict[str, Any] = json.loads(tokenizer.to_json())
    model = content["model"]
    added: list[dict[str, Any]] = content.get("added_tokens") or []
    ids: dict[str, int] = {**model["vocab"], **{token["content"]: token["id"] for token in added}}
    byte_characters = set("".join(token for token in ids if len(token) == 1))
    names = [token["content"] for token in added]
    unknown = [token for token in model["vocab"] if not set(token) <= byte_characters]
    merges: list[int] = []
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        merges += [ids[left], ids[right], ids[left + right]]
    return {
        "tokens": sorted(ids, key=lambda token: ids[token]),
        "named": sorted({ids[name] for name in [*names, *unknown]}),
        "merges": merges,
        "ignore_merges": bool(model.get("ignore_merges")),
        "patterns": [in_javascript(pattern) for pattern in _patterns(content["pre_tokenizer"])],
        "added": _added(added),
    }


def _patterns(pre_tokenizer: dict[str, Any]) -> list[str]:
    """The patterns that split a text, in order."""
    found: list[str] = []
    steps: list[dict[str, Any]] = pre_tokenizer.get("pretokenizers") or [pre_tokenizer]
    for step in steps:
        kind = step["type"]
        if kind == "ByteLevel":
            found += [patterns.GPT2] if step.get("use_regex", True) else []
        elif kind == "Digits":
            found.append(_DIGIT if step.get("individual_digits") else _DIGITS)
        elif kind == "Split" and _is_known(step):
            found.append(step["pattern"]["Regex"])
        else:
            raise _refused()
    return found


def _is_known(split: dict[str, Any]) -> bool:
    pattern = split["pattern"].get("Regex")
    return pattern in KNOWN and split["behavior"] == "Isolated" and not split.get("invert")


def _added(tokens: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """The added tokens that are recognised in a text (not the special ones), longer ones first."""
    plain = [token for token in tokens if not token.get("special")]
    if any(token.get("single_word") or token.get("lstrip") or token.get("rstrip") for token in plain):
        raise _refused()
    return sorted(((token["content"], token["id"]) for token in plain), key=lambda pair: (-len(pair[0]), pair[0]))


def _refused() -> ProjectError:
    return ProjectError(
        _("The tokenizer of this model cuts texts into words in a way that the web page doesn't know."),
        _("Train a model with a tokenizer made here, or export this one in another format."),
    )
