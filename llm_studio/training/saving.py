"""What a run trains on, and how it is saved: copied at once, written in the background."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from llm_studio.config import Settings
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens.dataset import Tokens
from llm_studio.events import CheckpointSaved
from llm_studio.runs import checkpoint, snapshots
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

    `saved` is called after each save, in the thread that saves, with where the run stood and its settings then.
    `from_nothing`: its weights at step 0 are new ones, not those of another run.
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
        """What the clock has decided in this run."""
        return DecisionLog(self.folder)


def learns_conversations(tokens: Tokens, settings: Settings) -> bool:
    """Whether some of what is trained on are conversations."""
    weights = settings.data.weights
    return any(source.conversations and weights.get(source.name, 1.0) > 0 for source in tokens.sources)


class CheckpointSaver:
    """Saves one run. `step`: the last one that was copied; `whole`: where the last checkpoint on the disk stands."""

    def __init__(self, material: RunContext) -> None:
        self._material = material
        self._writer = material.writer
        self._copied_at = time.monotonic()
        self.step = 0
        self.whole: LoopState | None = None
        self._bytes_per_token: float | None = None

    def begin(self, state: LoopState | None) -> None:
        """The run goes on from the checkpoint with this state, or from step 0."""
        self.step, self.whole = (state.step if state else 0), state

    def measure_bytes(self, settings: Settings) -> float | None:
        """The mean bytes of the tokens that the validation loss is measured on, also written into checkpoints.

        Raises DataError where nothing can be measured.
        """
        tokens, tokenizer = self._material.tokens, self._material.tokenizer
        self._bytes_per_token = evaluation.bytes_per_token(tokens, tokenizer, settings)
        return self._bytes_per_token

    def time_is_up(self, minutes: float) -> bool:
        """Whether the last save is `minutes` ago, if they aren't 0; by a clock that nobody can set."""
        return minutes > 0 and not self._writer.busy and time.monotonic() - self._copied_at >= 60 * minutes

    def checkpoint(self, update: Updater, state: LoopState, needed: frozenset[int]) -> None:
        """Copy all that is needed to go on, and have it written; checkpoints of the `needed` steps are kept.

        Waits for what is still being written, so that there is never more than one copy.
        """
        self._writer.finish()
        weights, moments = update.copies()
        self._writer.write(partial(self._write_checkpoint, state, update.settings, weights, moments, needed))
        self.step, self._copied_at = state.step, time.monotonic()

    def _write_checkpoint(
        self, state: LoopState, settings: Settings, weights: Copy, moments: Copy, needed: frozenset[int]
    ) -> CheckpointSaved:
        self._writer.log_to_disk()
        saved = checkpoint.save(
            self._material.folder, state, settings, self._material.tokenizer.to_json(), weights.wait(), moments.wait(),
            learns_conversations(self._material.tokens, settings), needed, self._bytes_per_token,
        )  # fmt: skip
        self.whole = state
        self._material.saved(state, settings)
        return saved

    def newest(self, latest: int) -> Checkpoint | None:
        """The newest checkpoint whose sums are right, of no later step than `latest`: the same in every process."""
        folder, group = self._material.folder, self._material.group
        found = checkpoint.newest_intact(folder, latest)[0] if group.first else None
        name = group.broadcast({"name": found.path.name if found else ""})["name"]
        return checkpoint.read(folder / name) if name else None

    def snapshot(self, update: Updater, step: int) -> None:
        """Have a snapshot written, where there is to be room for any."""
        limit = update.settings.training.snapshot_megabytes * 1_000_000
        if not limit:
            return
        self._writer.finish()
        halves = update.copy_of({name: tensor.detach().half() for name, tensor in update.model.state_dict().items()})
        self._writer.write(partial(self._write_snapshot, step, halves, limit, update.settings))

    def _write_snapshot(self, step: int, halves: Copy, limit: int, settings: Settings) -> None:
        tokenizer_json = self._material.tokenizer.to_json()
        snapshots.save(self._material.folder, step, halves.wait(), limit, settings, tokenizer_json)
