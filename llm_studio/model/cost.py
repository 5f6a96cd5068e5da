"""The cost of a model, computed in advance: parameters, operations, memory, time. Plain arithmetic, without torch.

Letters as in the model: D = d_model, M = d_ff, V vocabulary, L = n_layers, T tokens of context.
"""

from dataclasses import dataclass

from llm_studio.config import ModelSettings


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers of parameters by part of the model. A tied head has none, as it shares those of the embedding."""

    embedding: int
    positions: int
    attention: int
    feed_forward: int
    norms: int
    head: int

    @property
    def total(self) -> int:
        """Parameters of the whole model."""
        return self.embedding + self.positions + self.attention + self.feed_forward + self.norms + self.head


def count_parameters(settings: ModelSettings, vocab_size: int) -> ParameterCounts:
    """The exact number of parameters of each part of the model."""
    width, inner, layers = settings.d_model, settings.d_ff, settings.n_layers
    bias = 1 if settings.bias else 0
    head_norms = 2 * settings.head_width if settings.qk_norm else 0
    qkv_width = _qkv_width(settings)
    up_width = 2 * inner if settings.activation == "swiglu" else inner
    norm = width * (1 + (bias if settings.norm == "layernorm" else 0))
    return ParameterCounts(
        embedding=vocab_size * width,
        positions=settings.max_seq_len * width if settings.positions == "learned" else 0,
        attention=layers * (qkv_width * (width + bias) + width * (width + bias)),
        feed_forward=layers * (up_width * (width + bias) + width * (inner + bias)),
        norms=layers * (2 * norm + head_norms) + norm,
        head=0 if settings.tie_embeddings else vocab_size * width,
    )


def _qkv_width(settings: ModelSettings) -> int:
    return (settings.n_heads + 2 * settings.kv_heads) * settings.head_width


def flops_per_token(settings: ModelSettings, vocab_size: int, context: int | None = None) -> int:
    """Floating-point operations of the forward pass, per token; training takes three times as many.

    PaLM (Chowdhery et al. 2022), appendix B: 2 for each weight of a matrix product, and 4 L D T for attention's scores
    and weighted sums of values, counted in full although causality masks half of them.
    """
    counts = count_parameters(settings, vocab_size)
    length = settings.max_seq_len if context is None else context
    products = counts.attention + counts.feed_forward + vocab_size * settings.d_model
    return 2 * products + 4 * settings.n_layers * settings.d_model * length


@dataclass(frozen=True)
class Memory:
    """Bytes of memory by content."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    libraries: int
    checkpoint_copy: int
    """Contribution to the peak of the copy of weights and moments that is written while training continues."""

    @property
    def total(self) -> int:
        """Total bytes."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.libraries + self.checkpoint_copy


FRAGMENTATION = {"cpu": 2.0, "cuda": 1.15}
"""Actual memory of activations as a multiple of their bytes: freed blocks don't fit later allocations.

Measured for the CPU as the growth of the process under Linux; assumed for GPUs.
"""
LIBRARY_BYTES = {"float32": 105_000_000, "bfloat16": 125_000_000, "float16": 125_000_000}
"""Memory that training takes in addition to the model once torch is imported, mostly for torch's optimizer modules.

In half precision a CPU's matrix products are compiled when they are first computed.
"""
_LOGITS_COPIES = {"cpu": 5, "cuda": 3}
"""Float32 copies of a chunk of logits held at once: logits, probabilities, gradients, and memory not yet freed."""

CHUNK_LOGITS = 2**21
MIN_CHUNK_ROWS = {"cpu": 256, "cuda": 1024}
"""A chunk has `CHUNK_LOGITS` logits, but at least this many rows: with fewer, matrix products become slow, or take less
time than accumulating the gradient of W, which is read and written once per chunk."""


def chunk_rows(vocab_size: int, device: str) -> int:
    """Most rows of logits that the loss holds at once."""
    return max(MIN_CHUNK_ROWS.get(device, MIN_CHUNK_ROWS["cuda"]), CHUNK_LOGITS // vocab_size)


def training_bytes(
    settings: ModelSettings,
    vocab_size: int,
    batch_size: int,
    precision: str,
    context: int | None = None,
    device: str = "cpu",
    checkpointing: bool = False,
    muon: bool = False,
) -> Memory:
    """Peak memory of training, in addition to what the program uses once torch is imported.

    Weights, gradients and moments are float32; in half precision the weights are copied once more. Activations are the
    tensors stored for the backward pass, in the dtype of the matrix products, the residual stream in float32; with
    `checkpointing`, those of one layer, and of the others the residual stream only.
    """
    counts = count_parameters(settings, vocab_size)
    moments = optimizer_bytes(counts, muon)
    tokens = batch_size * (settings.max_seq_len if context is None else context)
    width, itemsize = settings.d_model, 4 if precision == "float32" else 2
    mask = width if settings.dropout > 0 else 0  # one byte each
    # stored in each layer, per token: the inputs of two norms (float32) and their outputs; query, key, value and the
    # result of attention; the feed-forward network's inner vectors; two dropout masks.
    inner = (3 if settings.activation == "swiglu" else 2) * settings.d_ff
    layer = 2 * 4 * width + itemsize * (2 * width + 4 * width + inner) + 2 * mask
    layers = layer + settings.n_layers * 4 * width if checkpointing else settings.n_layers * layer
    outside = (4 + itemsize + itemsize) * width + mask  # final norm: input, output, and its gradient
    chunk = 4 * vocab_size * min(tokens, chunk_rows(vocab_size, device))  # of logits
    activations = int(FRAGMENTATION[device] * tokens * (layers + outside)) + _LOGITS_COPIES[device] * chunk
    return Memory(
        weights=counts.total * (4 if itemsize == 4 else 4 + itemsize),
        gradients=4 * counts.total + 4 * vocab_size * width,  # plus one chunk's contribution to the head's gradient
        optimizer=moments,
        activations=activations,
        libraries=LIBRARY_BYTES[precision],
        checkpoint_copy=checkpoint_copy_bytes(4 * counts.total + moments, activations) if device == "cpu" else 0,
    )


def checkpoint_copy_bytes(size: int, activations: int) -> int:
    """The contribution of a checkpoint's copy of `size` bytes to the peak.

    The copy is made between two steps, when there are no activations, and is written and freed before a long step has
    filled the memory with them. A GPU's weights are copied into the computer's memory.
    """
    return max(0, size - activations // 2)


def optimizer_bytes(counts: ParameterCounts, muon: bool) -> int:
    """Two moments per parameter with AdamW; Muon has one for the matrices of the blocks."""
    return 8 * counts.total - (4 * (counts.attention + counts.feed_forward) if muon else 0)


@dataclass(frozen=True)
class Speed:
    """What a machine computes per second, as measured by `training.speed`."""

    matmul_flops: float
    """FLOPS of products of all tokens with a matrix of the model's width."""
    batched_matmul_flops: float
    """FLOPS of products of a batch of square matrices."""
    softmax_elements: float
    op_calls: float
    """Operations per second on tensors of a few elements."""


@dataclass(frozen=True)
class StepSeconds:
    """Seconds of one micro-batch (forward and backward pass) and of the update of the weights."""

    micro_batch: float
    update: float


def step_seconds(
    settings: ModelSettings, vocab_size: int, batch_size: int, speed: Speed, muon: bool, checkpointing: bool = False
) -> StepSeconds:
    """The time of a step from matrix products, elementwise operations (as elements of a softmax), and calls.

    The factors were fitted to the four small presets, in float32 and bfloat16, with two or three micro-batch sizes
    each; there they predict a micro-batch within 17 %, and an update, a small part of most steps, within 30 %.
    """
    counts = count_parameters(settings, vocab_size)
    tokens, width, layers = batch_size * settings.max_seq_len, settings.d_model, settings.n_layers
    block_weights = counts.attention + counts.feed_forward
    recompute = (4 if checkpointing else 3) / 3
    products = 2 * 3 * tokens * (1.2 * (recompute * block_weights + vocab_size * width)
                                 + 0.95 * recompute * 2 * layers * width * settings.max_seq_len)  # fmt: skip
    elements = tokens * (9 * vocab_size + 7.5 * recompute * layers * (settings.d_ff + 8 * width))
    arithmetic = products / speed.matmul_flops + elements / speed.softmax_elements
    calls = 700 * layers * recompute / speed.op_calls
    orthogonalization = 0.8 * _muon_flops(settings) / speed.batched_matmul_flops if muon else 0.0
    return StepSeconds(arithmetic + calls, orthogonalization + 14 * counts.total / speed.softmax_elements)


def _muon_flops(settings: ModelSettings) -> int:
    """Operations to orthogonalize all updates of the blocks: five iterations of three products for each matrix."""
    width, inner = settings.d_model, settings.d_ff
    up_width = 2 * inner if settings.activation == "swiglu" else inner
    shapes = [(_qkv_width(settings), width), (width, width), (up_width, width), (inner, width)]
    sides = [(min(shape), max(shape)) for shape in shapes]
    return settings.n_layers * sum(5 * (4 * short * short * long + 2 * short**3) for short, long in sides)


def generation_bytes(settings: ModelSettings, vocab_size: int, batch_size: int = 1, itemsize: int = 4) -> int:
    """Memory for generation: the weights, a full cache of keys and values, and the logits, `itemsize` bytes each."""
    cache = 2 * settings.n_layers * batch_size * settings.kv_heads * settings.max_seq_len * settings.head_width
    return itemsize * (count_parameters(settings, vocab_size).total + cache + batch_size * vocab_size)
