"""Learning a tokenizer from the corpus: which strings of bytes deserve a token of their own.

The library that counts and merges can't be interrupted, so it works in a process of its own, which a cancel ends.
A frozen program must call `multiprocessing.freeze_support()` first thing. The tokenizer never sees validation text.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, Literal, Protocol

from llm_studio.config import SPECIAL_TOKENS, TokenizerSettings
from llm_studio.data.sources.conversations import without_markers
from llm_studio.data.tokenizer.tokenizer import PIECE, Tokenizer, split_safely
from llm_studio.errors import TokenizerError
from llm_studio.events import Progress
from llm_studio.i18n import _, activate, language
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.data.corpus.corpus import Plan, TextSpan

_LOOK = 0.25
"""Seconds between two looks at whether to stop, and between two signs of life."""

_Message = tuple[Literal["read"], int] | tuple[Literal["made"], str] | tuple[Literal["failed"], Exception]
"""What the other process says: how many characters it has gone through, the tokenizer's JSON, or what went wrong."""


class _Connection(Protocol):
    """One end of a pipe, whose class differs between systems."""

    def poll(self, timeout: float = 0.0) -> bool: ...
    def recv(self) -> Any: ...
    def send(self, obj: Any) -> None: ...


def train_tokenizer(plan: "Plan", vocab_size: int, settings: TokenizerSettings, job: Job) -> Tokenizer:
    """A byte-level BPE tokenizer for the training texts of the corpus. Raises Cancelled or a StudioError.

    It has fewer than `vocab_size` tokens where the texts hold fewer pairs worth merging.
    """
    job.report(Progress(_("Reading the texts"), 0, plan.train_characters, _("characters")))
    spawn = multiprocessing.get_context("spawn")  # the same on every system, and safe beside a window's threads
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_learn, args=(sender, plan, vocab_size, settings, language()), daemon=True)
    with receiver:
        with sender:  # closed here, it ends with the process: then `receiver` tells of its death
            process.start()
        try:
            return Tokenizer.from_json(_followed(receiver, process, plan.train_characters, settings, job))
        finally:
            _end(process)


def _followed(receiver: _Connection, process: BaseProcess, total: int, settings: TokenizerSettings, job: Job) -> str:
    """The JSON that the process makes; reports meanwhile what it does."""
    merging_since = 0.0
    while True:
        job.check()
        if _has_come(receiver):
            message = _received(receiver, process, settings)
            if message[0] == "made":
                return message[1]
            if message[0] == "failed":
                raise message[1]
            job.report(Progress(_("Reading the texts"), message[1], total, _("characters")))
            if message[1] >= total:
                merging_since = time.monotonic()
        elif merging_since:
            passed = round(time.monotonic() - merging_since, 1)
            job.report(Progress(_("Merging frequent pairs"), passed, None, _("seconds")))


def _has_come(receiver: _Connection) -> bool:
    """Whether there is something to receive, the end of the other process too, after a moment of waiting."""
    try:
        return receiver.poll(_LOOK)
    except OSError:  # Windows says so at once when the other process has died
        return True


def _received(receiver: _Connection, process: BaseProcess, settings: TokenizerSettings) -> _Message:
    try:
        return receiver.recv()
    except (EOFError, OSError):
        process.join()
        raise TokenizerError(
            _("The training of the tokenizer broke off (code {code}), most often for want of memory.").format(
                code=process.exitcode
            ),
            _("Close other programs, or set tokenizer.max_megabytes to less than {now}, and start again.").format(
                now=settings.max_megabytes
            ),
        ) from None


def _end(process: BaseProcess) -> None:
    process.terminate()
    process.join(1)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


# --- In the other process ------------------------------------------------------------------------------------


def _learn(sender: _Connection, plan: "Plan", vocab_size: int, settings: TokenizerSettings, user_language: str) -> None:
    """Learn a tokenizer and send it. Whatever happens here is told to `sender`, or seen from its silence."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which then ends this process
    threading.Thread(target=_die_with_parent, daemon=True).start()
    activate(user_language)
    try:
        stretches = _told(_worded(plan), plan.train_characters, sender)
        texts = training_texts(stretches, plan.train_characters, settings.max_megabytes)
        sender.send(("made", _learned(texts, vocab_size, settings)))
    except MemoryError:
        raise
    except Exception as error:
        error.add_note(traceback.format_exc())
        sender.send(("failed", error))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _worded(plan: "Plan") -> "Iterator[TextSpan]":
    """The training texts; of conversations the words alone, since their markers become tokens without learning."""
    for stretch in plan.texts("train"):
        if stretch.source in plan.conversations:
            yield replace(stretch, text=without_markers(stretch.text))
        else:
            yield stretch


def _told(stretches: "Iterator[TextSpan]", characters: int, sender: _Connection) -> "Iterator[TextSpan]":
    """`stretches`; sends now and then how many characters have passed, and at the end that all have."""
    seen, last = 0, time.monotonic()
    for stretch in stretches:
        yield stretch
        seen += len(stretch.text)
        if time.monotonic() - last >= _LOOK:
            last = time.monotonic()
            sender.send(("read", min(seen, characters)))
    sender.send(("read", characters))


def training_texts(stretches: "Iterable[TextSpan]", characters: int, max_megabytes: int) -> Iterator[str]:
    """Parts of the texts, evenly spread over all `characters` of them, of at most `max_megabytes` together."""
    bytes_per_character = max_megabytes * 1_000_000 / max(characters, 1)
    seen = taken = 0
    for stretch in stretches:
        for text in split_safely(stretch.text, PIECE):
            seen += len(text)
            size = len(text.encode())
            if taken + size <= bytes_per_character * seen:
                taken += size
                yield text


def _learned(texts: Iterator[str], vocab_size: int, settings: TokenizerSettings) -> str:
    """The JSON of a tokenizer learned from `texts`. Can't be interrupted."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = (
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
        if settings.split_digits
        else words
    )
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=settings.min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator(texts, trainer)
    return library.to_str()


# --- How good it is ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quality:
    """How briefly a tokenizer writes some texts. A word is what stands between white space."""

    characters_per_token: float
    tokens_per_word: float
    tokens: int
    characters: int
    words: int


def quality(tokenizer: Tokenizer, texts: Iterable[str], limit: int) -> Quality:
    """Measure `tokenizer` on the first `limit` characters of texts that it has not seen in its training."""
    tokens = characters = words = 0
    for text in texts:
        part = text[: limit - characters]
        characters += len(part)
        words += len(part.split())
        tokens += len(tokenizer.encode(part))
        if characters >= limit:
            break
    return Quality(characters / max(tokens, 1), tokens / max(words, 1), tokens, characters, words)
