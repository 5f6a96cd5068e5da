"""What a model costs, before it exists: parameters, operations, memory, time. Plain arithmetic, no torch.

Letters as in the model: D = d_model, M = d_ff, V vocabulary, L = n_layers, T tokens of context.
"""

import math
from dataclasses import dataclass

from llm_studio.config import ModelSettings


@dataclass(frozen=True)
class Parts:
    """A count of numbers learned, by part of the model. A tied head costs nothing: it is the embedding."""

    embedding: int
    positions: int
    attention: int
    feed_forward: int
    norms: int
    head: int

    @property
    def total(self) -> int:
        """All parts together."""
        return self.embedding + self.positions + self.attention + self.feed_forward + self.norms + self.head


def parameters(settings: ModelSettings, vocab_size: int) -> Parts:
    """How many numbers the model learns, exactly."""
    width, inner, layers = settings.d_model, settings.d_ff, settings.n_layers
    bias = 1 if settings.bias else 0
    head_norms = 2 * settings.head_width if settings.qk_norm else 0
    rows = _qkv_width(settings)
    first = 2 * inner if settings.activation == "swiglu" else inner
    norm = width * (1 + (bias if settings.norm == "layernorm" else 0))
    return Parts(
        embedding=vocab_size * width,
        positions=settings.max_seq_len * width if settings.positions == "learned" else 0,
        attention=layers * (rows * (width + bias) + width * (width + bias)),
        feed_forward=layers * (first * (width + bias) + width * (inner + bias)),
        norms=layers * (2 * norm + head_norms) + norm,
        head=0 if settings.tie_embeddings else vocab_size * width,
    )


def _qkv_width(settings: ModelSettings) -> int:
    return (settings.n_heads + 2 * settings.kv_heads) * settings.head_width


def flops_per_token(settings: ModelSettings, vocab_size: int, context: int | None = None) -> int:
    """Floating-point operations to read one token, forward; training takes three times as many.

    PaLM (Chowdhery et al. 2022), appendix B: 2 for each weight of a matrix product, and 4 L D T for the scores of
    attention and the mixing of values, full squares counted although causality masks half.
    """
    parts = parameters(settings, vocab_size)
    length = settings.max_seq_len if context is None else context
    products = parts.attention + parts.feed_forward + vocab_size * settings.d_model
    return 2 * products + 4 * settings.n_layers * settings.d_model * length


@dataclass(frozen=True)
class Memory:
    """Bytes of memory, by what they hold."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    imported: int
    saving: int
    """Of the copy of weights and moments that is written while the training goes on, what finds no room beside."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.imported + self.saving


SCATTERED = {"cpu": 2.0, "cuda": 1.15}
"""What activations really take, as a multiple of their bytes: freed memory comes back in pieces that don't fit.

Measured for the processor as the growth of the process under Linux; assumed for graphics cards.
"""
IMPORTED = {"float32": 105_000_000, "bfloat16": 125_000_000, "float16": 125_000_000}
"""What a process takes for a training beside the model, once torch is imported: most of it are torch's optimizers.

In half precision a processor's products are compiled when they are first made.
"""
_LOGITS_COPIES = {"cpu": 5, "cuda": 3}
"""Of a chunk of logits at once, in float32: scores, shares, their gradients, and what wasn't given back yet."""


CHUNK_NUMBERS = 2**21
FEWEST_ROWS = {"cpu": 256, "cuda": 1024}
"""Rows in a chunk: as many as make `CHUNK_NUMBERS` logits, but never so few that the matrix products get slow, or that
adding up the gradient of W takes longer than they do: it is read and written once for each chunk."""


def chunk_rows(vocab_size: int, device: str) -> int:
    """How many rows of logits are held at once, at most."""
    return max(FEWEST_ROWS.get(device, FEWEST_ROWS["cuda"]), CHUNK_NUMBERS // vocab_size)


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
    """Memory that training takes at its peak, beside what the program held once torch was imported.

    Weights, gradients and moments are float32, and the weights are copied once more in half precision.
    Activations are what the way back needs of the way forward, in the dtype of the products, the residual
    stream in float32; with `checkpointing` of one layer, and of the others the residual stream alone.
    """
    parts = parameters(settings, vocab_size)
    moments = optimizer_bytes(parts, muon)
    tokens = batch_size * (settings.max_seq_len if context is None else context)
    width, number = settings.d_model, 4 if precision == "float32" else 2
    mask = width if settings.dropout > 0 else 0  # one byte each
    # Kept in each layer, per token: the inputs of two norms (float32) and their outputs; query, key, value and the
    # mixed values; the feed-forward network's inner vectors; two masks of dropout.
    inner = (3 if settings.activation == "swiglu" else 2) * settings.d_ff
    layer = 2 * 4 * width + number * (2 * width + 4 * width + inner) + 2 * mask
    layers = layer + settings.n_layers * 4 * width if checkpointing else settings.n_layers * layer
    outside = (4 + number + number) * width + mask  # the final norm's input and output, and the latter's gradient
    chunk = 4 * vocab_size * min(tokens, chunk_rows(vocab_size, device))  # of logits
    activations = int(SCATTERED[device] * tokens * (layers + outside)) + _LOGITS_COPIES[device] * chunk
    return Memory(
        weights=parts.total * (4 if number == 4 else 4 + number),
        gradients=4 * parts.total + 4 * vocab_size * width,  # the head's, and its share of one chunk
        optimizer=moments,
        activations=activations,
        imported=IMPORTED[precision],
        saving=saving_bytes(4 * parts.total + moments, activations) if device == "cpu" else 0,
    )


def saving_bytes(copy: int, activations: int) -> int:
    """What the copy of a save adds to the peak: it is made where there are no activations yet, and a step that takes
    long to fill the memory with them finds it written. A card's is copied into the computer's memory."""
    return max(0, copy - activations // 2)


def optimizer_bytes(parts: Parts, muon: bool) -> int:
    """Two moments for each number with AdamW; Muon has one for those of the blocks' matrices."""
    return 8 * parts.total - (4 * (parts.attention + parts.feed_forward) if muon else 0)


@dataclass(frozen=True)
class Speed:
    """What a machine does in a second, as `training.speed` measures it.

    `products`: operations of a product of all tokens with a matrix of the model's width, `squares`: the same of a batch
    of square matrices, `shares`: numbers of which a softmax is made, `calls`: operations on tensors of a few numbers.
    """

    products: float
    squares: float
    shares: float
    calls: float


@dataclass(frozen=True)
class StepSeconds:
    """Seconds of one micro-batch, forward and backward, and of the update of the weights."""

    micro_batch: float
    update: float


def step_seconds(
    settings: ModelSettings, vocab_size: int, batch_size: int, speed: Speed, muon: bool, checkpointing: bool = False
) -> StepSeconds:
    """What a step takes: products at the speed of products, all else as so many numbers of a softmax, and calls.

    The factors were fitted to the four small presets, in float32 and bfloat16, at two or three micro-batches each:
    they tell a micro-batch within 17 % there, and an update, a small part of most steps, within 30 %.
    """
    parts = parameters(settings, vocab_size)
    tokens, width, layers = batch_size * settings.max_seq_len, settings.d_model, settings.n_layers
    inside = parts.attention + parts.feed_forward
    again = (4 if checkpointing else 3) / 3
    products = 2 * 3 * tokens * (1.2 * (again * inside + vocab_size * width)
                                 + 0.95 * again * 2 * layers * width * settings.max_seq_len)  # fmt: skip
    numbers = tokens * (9 * vocab_size + 7.5 * again * layers * (settings.d_ff + 8 * width))
    work = products / speed.products + numbers / speed.shares
    called = 700 * layers * again / speed.calls
    made = 0.8 * _muon_flops(settings) / speed.squares if muon else 0.0
    return StepSeconds(work + called, made + 14 * parts.total / speed.shares)


def _muon_flops(settings: ModelSettings) -> int:
    """Operations to make all updates of the blocks orthogonal: five rounds of three products for each matrix."""
    width, inner = settings.d_model, settings.d_ff
    first = 2 * inner if settings.activation == "swiglu" else inner
    sides = ((_qkv_width(settings), width), (width, width), (first, width), (inner, width))
    pairs = [(min(pair), max(pair)) for pair in sides]
    return settings.n_layers * sum(5 * (4 * low * low * high + 2 * low**3) for low, high in pairs)


def snapshot_count(steps: int) -> int:
    """How many snapshots a run of so many steps makes: of steps that grow by about a fifth each."""
    return 2 + int(math.log(max(1, steps), 1.2)) if steps > 1 else 1 + steps


def generation_bytes(settings: ModelSettings, vocab_size: int, batch_size: int = 1, number: int = 4) -> int:
    """Memory to generate: the weights and a full cache of keys and values, `number` bytes each."""
    cache = 2 * settings.n_layers * batch_size * settings.kv_heads * settings.max_seq_len * settings.head_width
    return number * (parameters(settings, vocab_size).total + cache + batch_size * vocab_size)
