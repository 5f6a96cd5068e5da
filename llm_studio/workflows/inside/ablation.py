"""Ablating parts of a model: its validation loss and the text it writes without them.

A part that is switched off adds nothing to the residual stream (zero ablation): see `llm_studio/inference/ablation.py`.
The validation text is sampled: evenly spaced windows, the same for each measurement.
"""

import re
from collections.abc import Iterable, Sequence

from llm_studio.data.tokens.bits_per_byte import bits_per_byte
from llm_studio.errors import StudioError
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.workflows.inside.results import AblationEffect, ModelPart, PartImportance, all_parts
from llm_studio.workflows.inside.session import InsideSession, enough_memory
from llm_studio.workflows.training.evaluate import held_out_stream, score_stream

TOKENS = 8192
"""Validation tokens that are scored: enough to measure the effect of a part in a second or two."""
WRITTEN_TOKENS = 60
_PART = re.compile(r"L(?P<layer>\d{1,5})(?:H(?P<head>\d{1,5})|\.(?P<kind>attention|feed_forward))?", re.IGNORECASE)


def parse_parts(names: Iterable[str], n_layers: int, n_heads: int) -> list[ModelPart]:
    """The parts of these names: L1H2 (head 2 of layer 1), L1.attention, L1.feed_forward; L1 for both of the latter.

    Raises StudioError, for all wrong names at once.
    """
    found: list[ModelPart] = []
    wrong: list[str] = []
    for name in names:
        match = _PART.fullmatch(name.strip())
        layer, head = (int(match["layer"]) - 1, int(match["head"] or 1) - 1) if match else (-1, -1)
        if match is None or not (0 <= layer < n_layers and 0 <= head < n_heads):
            wrong.append(name)
        elif match["head"]:
            found.append(ModelPart(layer, "head", head))
        elif match["kind"]:
            found.append(ModelPart(layer, "attention" if match["kind"].lower() == "attention" else "feed_forward"))
        else:
            found += [ModelPart(layer, "attention"), ModelPart(layer, "feed_forward")]
    if wrong:
        raise StudioError(
            _("This model has no {parts}.").format(parts=", ".join(f"“{name}”" for name in wrong)),
            _("Its layers are L1 to L{layers}, with the heads H1 to H{heads}: name parts as in L1H2, L1.attention, "
              "L1.feed_forward or L1.").format(layers=n_layers, heads=n_heads),
        )  # fmt: skip
    return found


class AblationStudy:
    """The intact model of a session as the reference for the model without some of its parts.

    `max_tokens` validation tokens are scored. The constructor reads the validation texts and measures the intact
    model, so it raises what `workflows.training.evaluate` does.
    """

    def __init__(self, session: InsideSession, job: Job, max_tokens: int = TOKENS) -> None:
        self._session = session
        self._max_tokens = max_tokens
        self._stream = held_out_stream(session.project, session.ref, session.tokenizer, job)
        self._written: dict[str, str] = {}
        self.tokens = 0
        """Number of validation tokens that were scored."""
        self.intact = self._measure(session, job)
        """The validation loss of the intact model in bits per byte; None if the texts have no bytes."""

    @enough_memory()
    def effect(self, off: Sequence[ModelPart], job: Job, prompt: str = "") -> AblationEffect:
        """The effect of switching `off` these parts; both models continue `prompt` with the same seed."""
        without = self._session.without(off)
        if prompt not in self._written:
            self._written[prompt] = _written(self._session, prompt, job)
        text = _written(without, prompt, job)
        return AblationEffect(
            without.facts.off, self._measure(without, job), self.intact, self.tokens, text, self._written[prompt]
        )

    @enough_memory()
    def importance(self, job: Job, parts: Sequence[ModelPart] | None = None) -> list[PartImportance]:
        """The effect of switching off each of these parts (default: all) alone, the most important part first."""
        facts = self._session.facts
        chosen = all_parts(facts.n_layers, facts.n_heads) if parts is None else parts
        found: list[PartImportance] = []
        for done, part in enumerate(chosen):
            job.report(Progress(_("Switching parts off"), done, len(chosen), _("parts")))
            bits = self._measure(self._session.without([part]), job.silent())
            if bits is not None and self.intact is not None:
                found.append(PartImportance(part.name, bits, bits - self.intact))
        return sorted(found, key=lambda one: -one.change)

    def _measure(self, session: InsideSession, job: Job) -> float | None:
        nats, tokens, size = score_stream(session.model, self._stream, session.tokenizer, self._max_tokens, job)
        self.tokens = tokens
        return bits_per_byte(nats / tokens, size / tokens) if tokens else None


def _written(session: InsideSession, prompt: str, job: Job) -> str:
    generator = session.generator()
    sampling = generator.settings_with({"seed": 0, "max_tokens": WRITTEN_TOKENS})
    text = generator.generate(prompt, job.silent(), sampling)
    job.check()
    return text
