"""Text to token ids and back: byte-level BPE in the Hugging Face `tokenizers` format.

A token is a string of bytes, so every text can be encoded and decoded exactly. Special tokens are markers between
texts, never part of one: if a text contains `<|endoftext|>`, it is encoded as those thirteen characters.
"""

import codecs
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from llm_studio.config import LARGEST_VOCABULARY, SPECIAL_TOKENS
from llm_studio.errors import TokenizerError, reason_of
from llm_studio.files import fingerprint, read_text, write_text
from llm_studio.i18n import _, number

if TYPE_CHECKING:
    import tokenizers

MOST_BYTES = 48_000_000
"""Size limit of a `tokenizer.json`: enough for the largest vocabulary, with long tokens."""
_MOST_MERGES = 2 * LARGEST_VOCABULARY
"""Tokenizers converted from OpenAI's have about two merges per token, one for each way to build it."""
_MOST_MARKS = 3 * LARGEST_VOCABULARY + 4 * _MOST_MERGES
SEGMENT_CHARACTERS = 16_384
"""Long texts are encoded in segments of this many characters: the library slows down on longer ones."""

# --- Splitting long texts ------------------------------------------------------------------------------------

_SPACES, _WORD_ENDS = " \t\u3000", "\n\r,.!?;:，。！？；：、"
_SAFE_CUT = re.compile(rf"[{_SPACES}{_WORD_ENDS}](?:(?<=[^\W_].)|(?<=\S[{_SPACES}]))", re.DOTALL)
"""The same as `is_safe_cut`. It starts with a set of characters, which `re` finds fast."""
_NEAR = 200
"""Characters that are searched backwards, one by one; nearly always a few are enough."""


def is_safe_cut(text: str, position: int) -> bool:
    """Whether the two parts of `text`, encoded separately, give the same ids as the whole.

    That holds for the pre-tokenizers of GPT-2, Qwen2, Llama 3, cl100k and o200k, with or without single digits:
    - before a space or tab that follows another character: white space only ever begins a word;
    - before the end of a line or a punctuation mark that follows a letter or digit. After punctuation, the end of a
      line belongs to the punctuation; an apostrophe may begin the end of a word ("it's") and isn't among the marks.

    Python counts a few more characters as white space than the library, and no more as letters or digits: the rule
    is the stricter of the two.
    """
    before, after = text[position - 1], text[position]
    return (after in _SPACES and not before.isspace()) or (after in _WORD_ENDS and before.isalnum())


def first_safe_cut(text: str, start: int) -> int | None:
    """The first safe position after `start`; None if there is none."""
    found = _SAFE_CUT.search(text, start + 1)
    return found.start() if found else None


def last_safe_cut(text: str, start: int, stop: int) -> int | None:
    """The last safe position after `start` and at most `stop`, which must be before the end of `text`."""
    near = max(start, stop - _NEAR)
    for cut in range(stop, near, -1):
        if is_safe_cut(text, cut):
            return cut
    places = [found.start() for found in _SAFE_CUT.finditer(text, start + 1, near + 1)]
    return places[-1] if places else None


def split_safely(text: str, limit: int) -> Iterator[str]:
    """Split `text` into segments of at most `limit` characters, at safe positions if possible."""
    start = 0
    while len(text) - start > limit:
        end = last_safe_cut(text, start, start + limit) or start + limit
        yield text[start:end]
        start = end
    yield text[start:]


# --- Bytes and the characters that represent them ------------------------------------------------------------


def _byte_of_character() -> dict[str, int]:
    """The byte alphabet of GPT-2: printable bytes represent themselves, the others are characters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


class StreamDecoder:
    """Decodes ids one at a time. It never returns half a character, and U+FFFD only for invalid bytes."""

    def __init__(self, token_bytes: Callable[[int], bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    @property
    def is_inside_character(self) -> bool:
        """Whether the bytes so far end within a character."""
        return bool(self._decoder.getstate()[0])

    def push(self, token: int) -> str:
        """Return the characters that `token` completes: often none, or several."""
        return self._decoder.decode(self._token_bytes(token))

    def finish(self) -> str:
        """Return what is left when no token follows: U+FFFD for an incomplete character, else nothing."""
        return self._decoder.decode(b"", final=True)


# --- The tokenizer -------------------------------------------------------------------------------------------


class Tokenizer:
    """A byte-level BPE tokenizer that reproduces every text exactly. Created by `load`, `from_json` or training."""

    def __init__(self, content: dict[str, Any]) -> None:
        """`content` is the object of a `tokenizer.json`. Raises TokenizerError."""
        try:
            # Settings for batches or BPE dropout that other programs leave in the file would change the ids.
            content = {**content, "truncation": None, "padding": None, "model": {**content["model"], "dropout": None}}
            added = {str(token["content"]): int(token["id"]) for token in content.get("added_tokens") or []}
            vocabulary = _checked_vocabulary(content, added)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise _unusable(_("it is damaged")) from error
        self._content = content
        self._library = _library_tokenizer(content)
        self._bytes = _bytes_of_tokens(vocabulary, added)
        self._require_round_trip(vocabulary)
        self.vocab_size = len(self._bytes)
        """Ids are 0 to vocab_size - 1."""
        self.end_of_text = vocabulary[SPECIAL_TOKENS[0]]
        """Id of `<|endoftext|>`, which follows each document."""
        self.markers = {name: vocabulary[name] for name in SPECIAL_TOKENS if name in vocabulary}
        """Ids of the special tokens: an imported tokenizer may have no `<|user|>` and `<|assistant|>`."""
        self.fingerprint = fingerprint(content)
        """Two tokenizers with the same fingerprint give the same ids."""

    @staticmethod
    def load(path: Path) -> "Tokenizer":
        """Load a `tokenizer.json`. Raises TokenizerError if it is missing or can't be used."""
        content = read_content(path)
        try:
            return Tokenizer(content)
        except TokenizerError as error:
            raise _in_file(path, error) from error

    @staticmethod
    def from_json(text: str) -> "Tokenizer":
        """The tokenizer with this content of `tokenizer.json`. Raises TokenizerError."""
        return Tokenizer(_parsed(text))

    def to_json(self) -> str:
        """The tokenizer in the Hugging Face `tokenizers` format."""
        return json.dumps(self._content, ensure_ascii=False, indent=1) + "\n"

    def save(self, path: Path) -> None:
        """Write `tokenizer.json` atomically."""
        write_text(path, self.to_json())

    def vocabulary(self) -> dict[str, int]:
        """Every token, as it is written in tokenizer.json, with its id."""
        model: dict[str, int] = self._content["model"]["vocab"]
        return {
            **model,
            **{str(token["content"]): int(token["id"]) for token in self._content.get("added_tokens") or []},
        }

    def added_tokens(self) -> dict[str, bool]:
        """The tokens besides those of the BPE model, and whether each is special."""
        return {str(token["content"]): bool(token.get("special")) for token in self._content.get("added_tokens") or []}

    def merges(self) -> list[str]:
        """The merges in order, each as its two tokens with a space between them."""
        merges: list[str | list[str]] = self._content["model"]["merges"]
        return [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]

    def pre_tokenizer(self) -> dict[str, Any]:
        """How texts are split into words, as declared in tokenizer.json."""
        return dict(self._content.get("pre_tokenizer") or {})

    def ignores_merges(self) -> bool:
        """Whether a word that is a token is encoded as that token, regardless of the merges."""
        return bool(self._content["model"].get("ignore_merges"))

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, of any length. Raises TokenizerError for half a surrogate pair: it isn't valid UTF-8."""
        segments = list(split_safely(text, SEGMENT_CHARACTERS))
        return [token for encoding in self._encode(segments) for token in encoding.ids]

    def encode_many(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """The ids of each text, computed on all cores; the texts should be short, or segments of `split_safely`."""
        return [np.array(encoding.ids, dtype=np.uint32) for encoding in self._encode(texts)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`, with special tokens by name; invalid UTF-8 becomes U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def require_markers(self, conversations: Collection[str]) -> None:
        """Raise TokenizerError if there are `conversations` (names of sources) but no special tokens for them."""
        missing = [name for name in SPECIAL_TOKENS if name not in self.markers]
        if conversations and missing:
            raise TokenizerError(
                _("This tokenizer has no {tokens}, which the conversations in “{source}” need.").format(
                    tokens=", ".join(missing), source=min(conversations)
                ),
                _("Train one here: “llm-studio train-tokenizer”."),
                "tokenizer",
            )

    def stream(self) -> StreamDecoder:
        """A decoder for ids that are generated one by one."""
        return StreamDecoder(self.token_bytes)

    def token_bytes(self, token: int) -> bytes:
        """The bytes of `token`; for a special token, those of its name. Raises IndexError."""
        if token < 0:
            raise IndexError(token)
        return self._bytes[token]

    def _encode(self, texts: Sequence[str]) -> "list[tokenizers.Encoding]":
        try:
            return self._library.encode_batch_fast(texts, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            for text in texts:
                _refuse_surrogates(text, error)
            raise

    def _require_round_trip(self, vocabulary: dict[str, int]) -> None:
        """Test with difficult texts that decoding inverts encoding, whatever the components of an imported file."""
        probes = (
            "a  b\t\r\n\n  ",
            "É e\u0301 ﬁ Ⅳ ½ ٣ 12345",
            "it's 'LL don't\u00a0!",
            "\0\x1c\x7f\ufeff\ufffd",
            "漢字かな 👩\u200d👧 🇫🇷",
            *SPECIAL_TOKENS,
        )
        for probe in probes:
            ids = self.encode(probe)
            _require(self.decode(ids) == probe, _("it doesn't reproduce “{text}”").format(text=probe))
            _require(
                vocabulary[SPECIAL_TOKENS[0]] not in ids,
                _("it mistakes the name of a special token in a text for the token"),
            )


# --- Reading a file ------------------------------------------------------------------------------------------


def read_content(path: Path) -> dict[str, Any]:
    """The object in a `tokenizer.json`. Raises TokenizerError if the file is missing or contains something else."""
    try:
        text = read_text(path, most=MOST_BYTES)
    except FileNotFoundError as error:
        raise TokenizerError(
            _("There is no tokenizer at {path}.").format(path=path),
            _("Train one: “llm-studio train-tokenizer”."),
            "tokenizer",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(
            _("{path} can't be read: {reason}.").format(path=path, reason=reason_of(error)), _advice()
        ) from error
    try:
        return _parsed(text)
    except TokenizerError as error:
        raise _in_file(path, error) from error


def _parsed(text: str) -> dict[str, Any]:
    # Parsing many millions of values would take gigabytes. Count commas and quotation marks instead of values.
    _require(max(text.count('"'), text.count(",")) <= _MOST_MARKS, _too_large())
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise _unusable(_("it is nested too deeply")) from error
    except ValueError as error:
        raise _unusable(_("it isn't JSON")) from error
    _require(isinstance(content, dict), _("it isn't an object of JSON"))
    return cast("dict[str, Any]", content)


def _in_file(path: Path, error: TokenizerError) -> TokenizerError:
    return TokenizerError(f"{path}: {error.what}", error.to_do)


# --- Requirements --------------------------------------------------------------------------------------------


def _advice() -> str:
    return _("Train one here, or import a byte-level BPE tokenizer such as that of GPT-2.")


def _unusable(reason: str) -> TokenizerError:
    return TokenizerError(_("This tokenizer can't be used: {reason}.").format(reason=reason), _advice())


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise _unusable(reason)


def _too_large() -> str:
    return _("it has more than {tokens} tokens or {merges} merges").format(
        tokens=number(LARGEST_VOCABULARY), merges=number(_MOST_MERGES)
    )


def _checked_vocabulary(content: dict[str, Any], added: dict[str, int]) -> dict[str, int]:
    """Every token with its id, if the file describes lossless byte-level BPE. Raises TokenizerError."""
    model: dict[str, Any] = content["model"]
    _require(model.get("type") == "BPE", _("its model is “{kind}”, not BPE").format(kind=model.get("type")))
    _require(not content.get("normalizer"), _("it changes texts before encoding them (normalizer)"))
    _require(
        not (model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")),
        _("it marks the ends of words, so that spaces are lost"),
    )
    outer = content.get("pre_tokenizer") or {}
    steps = [step for step in [outer, *(outer.get("pretokenizers") or [])] if step.get("type") == "ByteLevel"]
    _require(len(steps) == 1, _("it doesn't work on bytes"))
    _require(not steps[0].get("add_prefix_space"), _("it adds a space before each text"))
    greedy = [token for token in content.get("added_tokens") or [] if token.get("lstrip") or token.get("rstrip")]
    _require(all(token.get("special") for token in greedy), _("some of its tokens absorb the spaces next to them"))
    _require(len(model["vocab"]) <= LARGEST_VOCABULARY and len(model["merges"]) <= _MOST_MERGES, _too_large())
    tokens: dict[str, int] = {**model["vocab"], **added}
    _require(all(byte in tokens for byte in _byte_of_character()), _("some bytes have no token, so that text is lost"))
    _require(sorted(tokens.values()) == list(range(len(tokens))), _("its token ids have gaps or repetitions"))
    _require(SPECIAL_TOKENS[0] in tokens, _("the token {token} is missing").format(token=SPECIAL_TOKENS[0]))
    return tokens


def _library_tokenizer(content: dict[str, Any]) -> "tokenizers.Tokenizer":
    import tokenizers

    try:
        library = tokenizers.Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # the library raises nothing more precise
        raise _unusable(str(error)) from error
    library.encode_special_tokens = True
    return library


def _bytes_of_tokens(vocabulary: dict[str, int], added: dict[str, int]) -> list[bytes]:
    byte_of = _byte_of_character()
    table = [b""] * len(vocabulary)
    for token, index in vocabulary.items():
        if token in added or not all(character in byte_of for character in token):
            table[index] = token.encode("utf-8", "replace")
        else:
            table[index] = bytes(byte_of[character] for character in token)
    return table


def _refuse_surrogates(text: str, cause: Exception) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TokenizerError(
            _("This text contains half of a character (U+{code:04X}, at position {position}).").format(
                code=ord(error.object[error.start]), position=error.start
            ),
            _("Add its file again with the right encoding, or delete this character."),
        ) from cause
