"""What a run trains on, and how it is saved: copied at once, written in the background."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from llm_studio.config import Settings
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens.dataset import Tokens
from llm_studio.events import CheckpointSaved, Notice
from llm_studio.i18n import _
from llm_studio.runs import checkpoint, moments, snapshots
from llm_studio.runs.checkpoint import Checkpoint
from llm_studio.runs.decisions import DecisionLog
from llm_studio.runs.loop_state import LoopState
from llm_studio.runs.tensors import Copy
from llm_studio.training import evaluation
from llm_studio.training.clock import ActiveClock
from llm_studio.training.distributed import ALONE, ProcessGroup
from llm_studio.training.step import Updater
from llm_studio.training.writer import RunWriter


@dataclass(frozen=True)
class RunContext:
    """What a run trains on and where it writes. `fingerprint` is that of the tokens.

    `saved` is called after each save, in the saving thread, with the state and the settings at that time.
    `from_nothing`: the weights at step 0 are newly initialized, not those of another run.
    """

    tokens: Tokens
    tokenizer: Tokenizer
    fingerprint: str
    prompts: tuple[str, ...]
    folder: Path
    writer: RunWriter
    saved: Callable[[LoopState, Settings], object]
    from_nothing: bool = True
    group: ProcessGroup = ALONE
    clock: ActiveClock = field(default_factory=ActiveClock)

    def learns_answers(self, settings: Settings) -> bool:
        """Whether only the answers of conversations count in the loss."""
        return settings.training.loss_on == "answers" and self.tokens.has_conversations

    @cached_property
    def decisions(self) -> DecisionLog:
        """Decisions of this run that depended on the clock."""
        return DecisionLog(self.folder)


def learns_conversations(tokens: Tokens, settings: Settings) -> bool:
    """Whether some of the training data are conversations."""
    weights = settings.data.weights
    return any(source.conversations and weights.get(source.name, 1.0) > 0 for source in tokens.sources)


class CheckpointSaver:
    """Saves one run. `step`: the last step that was copied; `whole`: state of the last complete checkpoint on disk."""

    def __init__(self, material: RunContext) -> None:
        self._material = material
        self._writer = material.writer
        self._copied_at = time.monotonic()
        self.step = 0
        self.whole: LoopState | None = None
        self._bytes_per_token: float | None = None

    def begin(self, state: LoopState | None) -> None:
        """Start from the checkpoint with this state, or from step 0."""
        self.step, self.whole = (state.step if state else 0), state

    def measure_bytes(self, settings: Settings) -> float | None:
        """Mean number of bytes per token of the validation data, which is also stored in checkpoints.

        Raises DataError if there is nothing to measure.
        """
        tokens, tokenizer = self._material.tokens, self._material.tokenizer
        self._bytes_per_token = evaluation.bytes_per_token(tokens, tokenizer, settings)
        return self._bytes_per_token

    def time_is_up(self, minutes: float) -> bool:
        """Whether the last save is at least `minutes` ago (0: never), by a monotonic clock."""
        return minutes > 0 and not self._writer.busy and time.monotonic() - self._copied_at >= 60 * minutes

    def checkpoint(self, update: Updater, state: LoopState, needed: frozenset[int]) -> None:
        """Copy everything needed to resume and have it written; the checkpoints of the `needed` steps are kept.

        Waits for a write in progress, so that there is never more than one copy in memory.
        """
        self._writer.finish()
        weights, optimizer = update.copies()
        self._writer.write(partial(self._write_checkpoint, state, update.settings, weights, optimizer, needed))
        self.step, self._copied_at = state.step, time.monotonic()

    def _write_checkpoint(
        self, state: LoopState, settings: Settings, weights: Copy, optimizer: Copy, needed: frozenset[int]
    ) -> CheckpointSaved:
        self._writer.log_to_disk()
        moments.to_disk(self._material.folder)
        saved = checkpoint.save(
            self._material.folder, state, settings, self._material.tokenizer.to_json(), weights.wait(),
            optimizer.wait(), learns_conversations(self._material.tokens, settings), needed, self._bytes_per_token,
        )  # fmt: skip
        self.whole = state
        self._material.saved(state, settings)
        return saved

    def newest(self, latest: int) -> Checkpoint | None:
        """The newest checkpoint with valid checksums at or before step `latest`: the same in every process."""
        folder, group = self._material.folder, self._material.group
        found, damaged = checkpoint.newest_intact(folder, latest) if group.first else (None, [])
        for bad in damaged:
            text = _("The checkpoint {name} is damaged and is left out.").format(name=bad)
            self._writer.notify(Notice(text, "warning"))
        name = group.broadcast({"name": found.path.name if found else ""})["name"]
        return checkpoint.read(folder / name) if name else None

    def remove_after(self, step: int) -> None:
        """Remove what was saved after `step`, before those steps are repeated. Every process must call this."""
        self._material.group.wait_for_all()
        if self._material.group.first:
            checkpoint.remove_after(self._material.folder, step)
            snapshots.remove_after(self._material.folder, step)
            moments.cut_after(self._material.folder, step or -1)

    def snapshot(self, update: Updater, step: int) -> None:
        """Have a snapshot written, if snapshots are enabled."""
        limit = update.settings.training.snapshot_megabytes * 1_000_000
        if not limit:
            return
        self._writer.finish()
        halves = update.copy_of({name: tensor.detach().half() for name, tensor in update.model.state_dict().items()})
        self._writer.write(partial(self._write_snapshot, step, halves, limit, update.settings))

    def _write_snapshot(self, step: int, halves: Copy, limit: int, settings: Settings) -> None:
        tokenizer_json = self._material.tokenizer.to_json()
        snapshots.save(self._material.folder, step, halves.wait(), limit, settings, tokenizer_json)
