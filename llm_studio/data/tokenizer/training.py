"""Training of a byte-level BPE tokenizer on the corpus.

The library can't be interrupted, so it runs in a separate process that is ended when the job is cancelled. A frozen
program must call `multiprocessing.freeze_support()` first. The tokenizer never sees validation text.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, Literal, Protocol

from llm_studio.config import SPECIAL_TOKENS, TokenizerSettings
from llm_studio.data.sources.conversations import without_markers
from llm_studio.data.tokenizer.patterns import pattern_for
from llm_studio.data.tokenizer.sample import (
    BLOCK_CHARACTERS,
    MEMORY_BYTES,
    LongWords,
    MemoryForecast,
    SampleTooLargeError,
    sample_texts,
)
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.errors import TokenizerError
from llm_studio.events import Notice, Progress
from llm_studio.i18n import _, activate, language, number
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from tokenizers import pre_tokenizers

    from llm_studio.data.corpus.corpus import CorpusPlan, TextSpan

_POLL_SECONDS = 0.25
"""Interval for checking whether to stop, and for progress messages."""

MAX_TOKEN_BYTES = 64
"""Length limit of a token, in bytes. Without it, lines of dashes and repeated headers become tokens of any length."""

_Message = (
    tuple[Literal["read"], int]
    | tuple[Literal["notice"], Notice]
    | tuple[Literal["trained"], str]
    | tuple[Literal["failed"], Exception]
)
"""A message of the process: the number of characters read, a notice, the JSON of the tokenizer, or an error."""


class _Connection(Protocol):
    """One end of a pipe, whose class differs between systems."""

    def poll(self, timeout: float = 0.0) -> bool: ...
    def recv(self) -> Any: ...
    def send(self, obj: Any) -> None: ...


def train_tokenizer(
    plan: "CorpusPlan",
    vocab_size: int,
    settings: TokenizerSettings,
    job: Job,
    pattern: str = "",
    memory: int = MEMORY_BYTES,
) -> Tokenizer:
    """Train a byte-level BPE tokenizer on the training texts of the corpus. Raises Cancelled or a StudioError.

    It has fewer than `vocab_size` tokens if the texts don't contain enough frequent pairs. `pattern` cuts texts into
    words (patterns.py); by default it is the one that the settings imply. `memory`: bytes that the words may
    need; fewer texts are used if they would need more.
    """
    pattern = pattern or pattern_for(settings.split_digits)
    job.report(Progress(_("Reading the texts"), 0, plan.train_characters, _("characters")))
    spawn = multiprocessing.get_context("spawn")  # the same on every system, and safe with the threads of the window
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(
        target=_run, args=(sender, plan, vocab_size, settings, pattern, memory, language()), daemon=True
    )
    with receiver:
        with sender:  # closed here, it is closed when the process ends, and `receiver` notices
            process.start()
        try:
            return Tokenizer.from_json(_wait_for(receiver, process, plan.train_characters, settings, job))
        finally:
            _end(process)


def _wait_for(receiver: _Connection, process: BaseProcess, total: int, settings: TokenizerSettings, job: Job) -> str:
    """Wait for the JSON of the tokenizer and report the progress."""
    merging_since = 0.0
    while True:
        job.check()
        if _has_message(receiver):
            message = _receive(receiver, process, settings)
            if message[0] == "trained":
                return message[1]
            if message[0] == "failed":
                raise message[1]
            if message[0] == "notice":
                job.report(message[1])
                continue
            job.report(Progress(_("Reading the texts"), message[1], total, _("characters")))
            merging_since = time.monotonic() if message[1] >= total else 0.0  # the texts may be read a second time
        elif merging_since:
            passed = round(time.monotonic() - merging_since, 1)
            job.report(Progress(_("Merging frequent pairs"), passed, None, _("seconds")))


def _has_message(receiver: _Connection) -> bool:
    """Wait a moment for a message or the end of the process."""
    try:
        return receiver.poll(_POLL_SECONDS)
    except OSError:  # on Windows, when the other process has died
        return True


def _receive(receiver: _Connection, process: BaseProcess, settings: TokenizerSettings) -> _Message:
    try:
        return receiver.recv()
    except (EOFError, OSError):
        process.join()
        raise TokenizerError(
            _("The training of the tokenizer ended unexpectedly (code {code}), probably for lack of memory.").format(
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


def _run(
    sender: _Connection,
    plan: "CorpusPlan",
    vocab_size: int,
    settings: TokenizerSettings,
    pattern: str,
    memory: int,
    user_language: str,
) -> None:
    """Train a tokenizer and send it. Errors are sent too; a crash closes `sender`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which then ends this process
    threading.Thread(target=_die_with_parent, daemon=True).start()
    activate(user_language)
    try:
        sender.send(("trained", _train_within_memory(sender, plan, vocab_size, settings, pattern, memory)))
    except MemoryError:
        raise
    except Exception as error:
        error.add_note(traceback.format_exc())
        sender.send(("failed", error))


def _train_within_memory(
    sender: _Connection, plan: "CorpusPlan", vocab_size: int, settings: TokenizerSettings, pattern: str, memory: int
) -> str:
    """Train on the requested amount of text, or on what the memory suffices for, and report a difference."""
    characters, max_bytes, wanted = plan.train_characters, settings.max_megabytes * 1_000_000, 0
    while True:
        spans, words = _report_progress(_without_markers(plan), characters, sender), LongWords()
        forecast = MemoryForecast(_words_of(pattern), min(characters, max_bytes), memory)
        try:
            trained = _train(
                forecast.watch(sample_texts(spans, characters, max_bytes, words)), vocab_size, settings, pattern
            )
        except SampleTooLargeError as error:
            max_bytes, wanted = error.fitting, wanted or error.size
            continue
        for notice in _notices(words, max_bytes, wanted):
            sender.send(("notice", notice))
        return trained


def _notices(words: LongWords, used: int, wanted: int) -> Iterator[Notice]:
    if wanted:
        yield Notice(
            _("These texts contain so many different words that memory suffices for {used}\u00a0MB of {wished}\u00a0MB "
              "only: the tokenizer was trained on that much, drawn evenly from all texts. This is normal for languages "
              "written without spaces, and it is enough.").format(used=number(used / 1e6), wished=number(wanted / 1e6))
        )  # fmt: skip
    if words.count:
        yield Notice(
            _("The texts contain “words” of up to {longest} characters, without a space or a punctuation mark ({count} "
              "longer than {block}). To train the tokenizer, they were cut into blocks of {block} characters; the "
              "texts are unchanged.").format(longest=number(words.longest), count=number(words.count),
                                             block=number(BLOCK_CHARACTERS)),
            "warning",
            _("If these aren’t texts (encoded files, genomes), remove them."),
        )  # fmt: skip


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _without_markers(plan: "CorpusPlan") -> "Iterator[TextSpan]":
    """The training texts; conversations without their markers, which become special tokens."""
    for span in plan.texts("train"):
        if span.source in plan.conversations:
            yield replace(span, text=without_markers(span.text))
        else:
            yield span


def _report_progress(spans: "Iterator[TextSpan]", characters: int, sender: _Connection) -> "Iterator[TextSpan]":
    """Yield `spans` and send the number of characters read, from time to time and at the end."""
    seen, last = 0, time.monotonic()
    for span in spans:
        yield span
        seen += len(span.text)
        if time.monotonic() - last >= _POLL_SECONDS:
            last = time.monotonic()
            sender.send(("read", min(seen, characters)))
    sender.send(("read", characters))


def _train(texts: Iterator[str], vocab_size: int, settings: TokenizerSettings, pattern: str) -> str:
    """Train a tokenizer on `texts` and return its JSON. Can't be interrupted."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    library = Tokenizer(models.BPE())
    library.pre_tokenizer = _pre_tokenizer(pattern)
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=settings.min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=MAX_TOKEN_BYTES + 1,  # the library stops below this length
        show_progress=False,
    )
    library.train_from_iterator(texts, trainer)
    return library.to_str()


def _pre_tokenizer(pattern: str) -> "pre_tokenizers.PreTokenizer":
    from tokenizers import Regex, pre_tokenizers

    words = pre_tokenizers.Split(Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _words_of(pattern: str) -> Callable[[str], Iterator[str]]:
    pre_tokenizer = _pre_tokenizer(pattern)
    return lambda text: (word for word, _place in pre_tokenizer.pre_tokenize_str(text))


# --- Quality -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quality:
    """The compression that a tokenizer achieves on some texts. Words are separated by white space."""

    characters_per_token: float
    tokens_per_word: float
    tokens: int
    characters: int
    words: int


def measure_quality(tokenizer: Tokenizer, texts: Iterable[str], limit: int) -> Quality:
    """Measure `tokenizer` on the first `limit` characters of texts that it was not trained on."""
    tokens = characters = words = 0
    for text in texts:
        part = text[: limit - characters]
        characters += len(part)
        words += len(part.split())
        tokens += len(tokenizer.encode(part))
        if characters >= limit:
            break
    return Quality(characters / max(tokens, 1), tokens / max(words, 1), tokens, characters, words)
