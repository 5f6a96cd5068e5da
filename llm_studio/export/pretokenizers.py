"""llama.cpp's name for the way in which a tokenizer splits texts into words: it knows no patterns, only names.

Of the names with the same pattern, these don't remove the space before “!” when tokens are decoded, which French needs,
and merge like the library tokenizers. Llama 3's pattern has no such name: `dbrx` at least merges like ours.
"""

from typing import TYPE_CHECKING, Any, cast

from llm_studio.data.tokenizer.patterns import GPT2, LLAMA3, QWEN2
from llm_studio.errors import ProjectError
from llm_studio.i18n import _

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

_OF_PATTERN = {QWEN2: "qwen2", LLAMA3: "dbrx", GPT2: "trillion"}
_DIGITS_THEN_GPT2 = "smollm"


def pretokenizer_of(tokenizer: "Tokenizer") -> str:
    """The name. Raises ProjectError if llama.cpp has none, as for some imported tokenizers."""
    steps = _steps(tokenizer.pre_tokenizer())
    *before, last = steps
    if last.get("type") == "ByteLevel" and not tokenizer.ignores_merges():
        if not last.get("use_regex", True) and len(before) == 1 and before[0].get("type") == "Split":
            pattern = _pattern(before[0])
            if pattern in _OF_PATTERN:
                return _OF_PATTERN[pattern]
        if last.get("use_regex", True) and not before:
            return _OF_PATTERN[GPT2]
        if last.get("use_regex", True) and before == [{"type": "Digits", "individual_digits": True}]:
            return _DIGITS_THEN_GPT2
    raise ProjectError(
        _("llama.cpp has no name for the way in which this tokenizer cuts texts into words."),
        _("Export the model for Hugging Face, or train one with a tokenizer of this program."),
    )


def _steps(outer: dict[str, Any]) -> list[dict[str, Any]]:
    if outer.get("type") == "Sequence":
        return cast("list[dict[str, Any]]", outer.get("pretokenizers")) or [{}]
    return [outer]


def _pattern(split: dict[str, Any]) -> str:
    """The regular expression of a step that isolates its matches; "" for any other step."""
    isolated = str(split.get("behavior")).lower() == "isolated" and not split.get("invert")
    pattern = split.get("pattern")
    return str(cast("dict[str, Any]", pattern).get("Regex", "")) if isolated and isinstance(pattern, dict) else ""
