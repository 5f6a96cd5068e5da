"""Whether a model already knows the kind of texts on which it continues to learn.

It does if it predicts them clearly better than a general-purpose compressor, which knows nothing but the text itself.
Large steps would then make it forget more than they teach. Bits per byte of a model of French novels, as a fraction of
those of zlib, on 100 kB: other French novels 0.62 to 0.64, simple French stories 0.86, Shakespeare 1.89; on 10 kB: 0.52
to 0.54, 0.65 and 1.67.
"""

import zlib

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.tokenizer.borrowed import samples
from llm_studio.workflows.training.continue_from import Origin

_SAMPLE = 100_000
"""Number of bytes of the texts that are compressed."""
_MAX_FRACTION, _SIZE_POWER = 0.75, 0.1
"""The limit of this fraction for _SAMPLE bytes, and the power by which it falls for fewer, which zlib compresses
less."""
_TOKENS = 4096
"""Number of tokens on which the model is evaluated."""
_known: dict[tuple[object, ...], bool] = {}
"""Earlier results, by model and texts."""


def is_familiar(project: Project, origin: Origin, job: Job) -> bool:
    """Whether the model predicts the project's texts better than a compressor. Takes about a second. Raises
    Cancelled."""
    from llm_studio.workflows.training.evaluate import bits_per_byte_of

    found = list(samples(project))
    key = (origin.checkpoint.path, tuple((source.name, source.bytes) for source, _text in found))
    if found and key not in _known:
        text = "\n\n".join(sample[: _SAMPLE // len(found)] for _source, sample in found)
        size = len(text.encode())
        compressed = 8 * len(zlib.compress(text.encode(), 9)) / size
        fraction = bits_per_byte_of(project, origin.name, text, _TOKENS, job) / compressed
        _known[key] = fraction < _MAX_FRACTION * (min(size, _SAMPLE) / _SAMPLE) ** _SIZE_POWER
    return _known.get(key, False)
