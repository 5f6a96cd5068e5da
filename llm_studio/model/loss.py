"""Cross-entropy: how surprised the model is by the token that actually follows.

    loss = mean over the tokens of  -log(probability of the next token),   probabilities = softmax(hidden W^T)

In nats, with the natural logarithm: log(V) for a model that has learned nothing, 0 for one that is always certain
and right. exp(loss) is the perplexity, the number of equally likely tokens that would surprise as much.

Axes: N tokens (batch x time), D = d_model, V vocabulary.
"""

from torch import Tensor

from llm_studio.model import kernels
from llm_studio.model.cost import chunk_rows


def cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of `targets` (N,) given hidden (N, D) and the head's weight (V, D); 0 for no targets."""
    if kernels.apply_to(hidden):
        rows = chunk_rows(len(weight), hidden.device.type)  # as assumed by the memory estimate
        return kernels.linear_cross_entropy(hidden, weight, targets, rows)
    logits = hidden @ weight.T  # (N, V)
    log_probs = logits - logits.logsumexp(dim=-1, keepdim=True)  # log(softmax(logits))
    return -log_probs.gather(1, targets[:, None]).sum() / max(len(targets), 1)
