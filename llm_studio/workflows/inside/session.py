"""A session for looking inside a model: what it computes for a text, as plain numbers.

The model stays loaded and the last trace is cached, so that switching views is fast. A session may be used by only one
thread at a time. All methods raise Cancelled soon after their job is stopped.
"""

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from llm_studio.config import Settings
from llm_studio.errors import StudioError
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs.locate import BEST, ModelRef, locate
from llm_studio.workflows.generation.generate import TextGenerator
from llm_studio.workflows.inside import results
from llm_studio.workflows.inside.results import ModelPart
from llm_studio.workflows.inside.vocabulary import Vocabulary, frequent_tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.inference.logit_lens import Predictions
    from llm_studio.inference.trace import Trace
    from llm_studio.model.transformer import Transformer

_LONG = 5e9
"""Parameters times tokens from which on a computation reports its progress: it takes a second or more."""

__all__ = ["BEST", "InsideSession", "open_session"]


def open_session(project: Project, job: Job, checkpoint: str = BEST) -> "InsideSession":
    """Open the model that `checkpoint` names, any reference of `runs/locate.py`, snapshots included.

    Raises ProjectError if nothing was trained, CheckpointError if the model can't be read.
    """
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.inference.load import load_model

    ref = locate(project, checkpoint, job.report)
    job.check()
    content = ref.tokenizer_json()
    tokenizer = Tokenizer.from_json(content)
    with enough_memory():
        return InsideSession(project, ref, load_model(ref, tokenizer.vocab_size), tokenizer, content)


@contextlib.contextmanager
def enough_memory() -> Generator[None]:
    """Turn an out-of-memory error into a StudioError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        from llm_studio.training import memory

        if not memory.ran_out(error):
            raise
        raise StudioError(
            _("There is not enough memory to look inside this model."),
            _("Take a shorter text, or close other programs."),
        ) from error


class InsideSession:
    """A model with its tokenizer, and the last trace. Created by `open_session`."""

    def __init__(
        self, project: Project, ref: ModelRef, model: "Transformer", tokenizer: "Tokenizer", tokenizer_json: str,
        vocabulary: Vocabulary | None = None, off: Iterable[ModelPart] = (),
    ) -> None:  # fmt: skip
        self.project = project
        self.ref = ref
        self.model = model
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary or Vocabulary(tokenizer)
        self.off = tuple(sorted(set(off)))
        self.facts = results.facts_of(ref.name, ref.step, model, tuple(part.name for part in self.off))
        self._tokenizer_json = tokenizer_json
        self._trace: tuple[list[int], Trace] | None = None
        self._kinds: results.HeadKinds | None = None

    # --- Other sessions -----------------------------------------------------------------------------------------

    def at(self, checkpoint: str, job: Job) -> "InsideSession":
        """A session for another model, often of the same run; an equal tokenizer isn't loaded again."""
        from llm_studio.inference.load import load_model

        ref = locate(self.project, checkpoint, job.report)
        if ref.tokenizer_json() != self._tokenizer_json:
            return open_session(self.project, job, checkpoint)
        with enough_memory():
            model = load_model(ref, self.tokenizer.vocab_size)
        return InsideSession(self.project, ref, model, self.tokenizer, self._tokenizer_json, self.vocabulary)

    def without(self, off: Iterable[ModelPart]) -> "InsideSession":
        """The same model with these parts switched off as well: their output is zero. Other weights are shared.

        Raises ValueError for a part that the model doesn't have.
        """
        from llm_studio.inference.ablation import ablated

        off = (*self.off, *off)
        with enough_memory():
            model = ablated(self.model, off)
        return InsideSession(
            self.project, self.ref, model, self.tokenizer, self._tokenizer_json, self.vocabulary, off
        )  # fmt: skip

    def generator(self) -> TextGenerator:
        """The model as a text generator."""
        settings: Settings = self.project.settings()
        return TextGenerator(self.model, self.tokenizer, settings, self.facts.name, self.ref.conversations)

    # --- Tokens -------------------------------------------------------------------------------------------------

    def ids(self, text: str) -> list[int]:
        """The token ids that the model reads: the start-of-document token and those of the text."""
        return [self.tokenizer.end_of_text, *self.tokenizer.encode(text)]

    def tokens(self, ids: Sequence[int]) -> tuple[results.ShownToken, ...]:
        """The tokens `ids` of a text, including the start-of-document token, for display."""
        decoder = self.tokenizer.stream()
        shown = [results.ShownToken(ids[0], "", _("(start)"))]
        shown += [results.ShownToken(token, decoder.push(token), self.vocabulary.label(token)) for token in ids[1:]]
        return tuple(shown)

    def guesses(self, ids: Iterable[int], probabilities: Iterable[float]) -> tuple[results.Guess, ...]:
        """Convert a row of guesses of `Surprise` or `LogitLens` for display."""
        pairs = zip(ids, probabilities, strict=True)
        return tuple(results.Guess(int(token), self.vocabulary.label(int(token)), float(p)) for token, p in pairs)

    def windows(self, count: int) -> tuple[results.TextWindow, ...]:
        """The windows in which the model reads `count` tokens."""
        from llm_studio.inference.evaluate import windows

        return tuple(results.TextWindow(*window) for window in windows(count, self.facts.context))

    def window_at(self, count: int, position: int) -> int:
        """The index of the window that predicts the token after `position`."""
        places = self.windows(count)
        return next(n for n, one in enumerate(places) if position < one.start + one.length)

    # --- Views of a text ----------------------------------------------------------------------------------------

    @enough_memory()
    def surprise(self, text: str | Sequence[int], job: Job) -> results.Surprise:
        """The model's surprise at each token of a text of any length, given as characters or as ids."""
        import numpy as np

        from llm_studio.inference.surprise import surprises

        ids = self.ids(text) if isinstance(text, str) else list(text)
        places = self.windows(len(ids))
        found: list[Predictions] = []
        for place, part in zip(places, surprises(self.model, ids, check=job.check), strict=True):
            found.append(part)
            if len(places) > 1:
                job.report(Progress(_("Reading the text"), place.start + place.length, len(ids), _("tokens")))

        def column(name: str) -> "NDArray[Any]":
            return np.concatenate([getattr(part, name).cpu().numpy() for part in found])

        shift = np.array([np.nan], dtype=np.float32)
        bits = np.concatenate([shift, column("surprise")[:-1]])
        markers = self.tokenizer.markers.values()  # special tokens, which have no bytes of text
        size = sum(len(self.tokenizer.token_bytes(token)) for token in ids if token not in markers)
        total = float(bits[1:].sum(dtype=np.float64))
        return results.Surprise(
            self.tokens(ids), bits, np.concatenate([[0], column("rank")[:-1]]), column("entropy"), column("tokens"),
            column("probabilities"), total / size if size else None, size, places,
        )  # fmt: skip

    @enough_memory()
    def attention(self, text: str | Sequence[int], job: Job, window: int = 0) -> results.AttentionMaps:
        """The attention weights of all heads in a window of the text."""
        ids, place, traced = self._traced(text, job, window)
        check = self._counted(job, len(traced), self.facts.n_layers)
        weights = traced.attention_of_all(check=check).cpu().numpy()
        return results.AttentionMaps(results.of_window(self.tokens(ids), place), place, weights)

    @enough_memory()
    def lens(self, text: str | Sequence[int], job: Job, window: int = 0) -> results.LogitLens:
        """The predictions decoded from each layer in a window of the text."""
        import torch

        from llm_studio.inference.logit_lens import NO_TARGET, chunks_of, lens

        ids, place, traced = self._traced(text, job, window)
        after = [*ids, NO_TARGET][place.start + 1 : place.start + place.length + 1]
        check = self._counted(job, len(traced), chunks_of(traced))
        found = lens(traced, torch.tensor(after, device=traced.ids.device), check=check)
        final = found.tokens[-1, :, 0] == found.tokens[:, :, 0]  # (L + 1, T)
        agrees_from_here_on = final.flip(0).cummin(0).values.flip(0)
        return results.LogitLens(
            results.of_window(self.tokens(ids), place), place, found.tokens.cpu().numpy(),
            found.probabilities.cpu().numpy(), found.entropy.cpu().numpy(), found.surprise.cpu().numpy(),
            found.rank.cpu().numpy(), agrees_from_here_on.int().argmax(0).cpu().numpy(),
        )  # fmt: skip

    @enough_memory()
    def next_tokens(self, text: str | Sequence[int], job: Job, position: int, count: int) -> tuple[results.Guess, ...]:
        """The `count` most likely tokens after a position of the text."""
        traced, row = self._traced_at(text, job, position)
        best = traced.logits(row).softmax(-1).topk(min(count, self.facts.vocab_size))
        return self.guesses(best.indices.tolist(), best.values.tolist())

    @enough_memory()
    def contributions(
        self, text: str | Sequence[int], job: Job, position: int, token: int | None = None, versus: int | None = None
    ) -> results.Contributions:
        """What each part adds to the logit of `token` (default: the most likely one) after a position of the text.

        With `versus`: to the difference between the two tokens' logits, which shows why the model prefers one.
        """
        from llm_studio.inference.attribution import attribute

        traced, row = self._traced_at(text, job, position)
        logits = traced.logits(row)
        token = int(logits.argmax()) if token is None else token
        found = attribute(traced, [row], [token], () if versus is None else [versus])
        shown = {
            one: self.guesses([one], [float(logits.softmax(-1)[one])])[0] for one in (token, versus) if one is not None
        }
        return results.Contributions(
            position=position, token=shown[token], versus=None if versus is None else shown[versus],
            logit=float(found.logit[0]), embedding=float(found.token[0]), positions=float(found.position[0]),
            heads=found.heads[..., 0].cpu().numpy(), attention_bias=found.attention_bias[:, 0].cpu().numpy(),
            feed_forward=found.feed_forward[:, 0].cpu().numpy(), norm_bias=float(found.norm_bias[0]),
        )  # fmt: skip

    # --- Views of the model alone -------------------------------------------------------------------------------

    @enough_memory()
    def head_kinds(self, job: Job) -> results.HeadKinds:
        """The measured behaviour of the heads; cached."""
        from llm_studio.inference import heads

        if self._kinds is None:
            markers = self.tokenizer.markers.values()
            found = heads.score_heads(self.model, self.tokenizer.end_of_text, set(markers), job.check)
            names = tuple(
                tuple(found.name(layer, head) for head in range(self.facts.n_heads))
                for layer in range(self.facts.n_layers)
            )
            self._kinds = results.HeadKinds(heads.KINDS, found.scores.numpy(), names, heads.THRESHOLD, found.half)
        return self._kinds

    def similar_tokens(self, token: int, count: int = 20) -> tuple[results.SimilarToken, ...]:
        """The tokens whose embeddings are nearest to that of `token` by cosine, nearest first."""
        from llm_studio.inference.embeddings import neighbours

        found = neighbours(self.model, token, count)
        return tuple(results.SimilarToken(one.token, self.vocabulary.label(one.token), one.cosine) for one in found)

    @enough_memory()
    def embedding_map(self, tokens: Sequence[int] | None = None) -> results.EmbeddingMap:
        """These tokens, or all, projected on the first two principal components of their embeddings."""
        import numpy as np

        from llm_studio.inference.embeddings import principal_components

        found = principal_components(self.model, tokens)
        ids = np.arange(self.facts.vocab_size) if tokens is None else np.array(tokens, dtype=np.int64)
        return results.EmbeddingMap(ids, found.points.numpy(), found.explained)

    def frequent_tokens(self, count: int) -> list[int]:
        """The most frequent tokens of the project's training texts."""
        return frequent_tokens(self.project, self.tokenizer, count)

    def _counted(self, job: Job, tokens: int, count: int) -> Callable[[], object]:
        """The check of a computation that calls it so often: where that takes long, it reports how far it is."""
        if self.facts.parameters * tokens < _LONG:
            return job.check
        done = itertools.count()

        def check() -> None:
            job.check()
            job.report(Progress(_("Computing"), min(next(done), count), count, _("steps")))

        return check

    # --- The trace ----------------------------------------------------------------------------------------------

    def _traced_at(self, text: str | Sequence[int], job: Job, position: int) -> "tuple[Trace, int]":
        """The trace of the window that predicts the token after `position`, and the row of the position in it."""
        count = len(self.ids(text) if isinstance(text, str) else text)
        _ids, place, traced = self._traced(text, job, self.window_at(count, position))
        return traced, position - place.start

    def _traced(
        self, text: str | Sequence[int], job: Job, window: int
    ) -> "tuple[list[int], results.TextWindow, Trace]":  # fmt: skip
        """All ids of the text, the window, and its trace."""
        from llm_studio.inference.trace import trace

        ids = self.ids(text) if isinstance(text, str) else list(text)
        place = self.windows(len(ids))[window]
        read = ids[place.start : place.start + place.length]
        if self._trace is None or self._trace[0] != read:
            self._trace = (read, trace(self.model, read, job.check))
        return ids, place, self._trace[1]
