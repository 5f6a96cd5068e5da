"""Fast implementations of the formulas of `model`: the same results and gradients in less time and memory.

Each function here has its formula in `model`, with which the tests compare it:

    attention               model/attention.py     torch's fused attention; on a CPU in bfloat16, blocks of queries
    linear_cross_entropy    model/loss.py          chunks of logits instead of all of them
    rms_norm                model/norms.py         few passes over memory, explicit gradients
    silu_gate               model/layers.py        the same
    rotate                  model/embeddings.py    the same
    dropout                 model/dropout.py       cheaper random bits

Nothing here imports from `model`.
"""

from llm_studio.model.kernels.attention import attention
from llm_studio.model.kernels.cross_entropy import linear_cross_entropy
from llm_studio.model.kernels.dtypes import apply_to, compute_dtype
from llm_studio.model.kernels.fused import dropout, rms_norm, rotate, silu_gate

__all__ = [
    "apply_to",
    "attention",
    "compute_dtype",
    "dropout",
    "linear_cross_entropy",
    "rms_norm",
    "rotate",
    "silu_gate",
]
