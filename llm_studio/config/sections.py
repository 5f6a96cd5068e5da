"""The sections of the settings: each setting declared once, with its type, unit, limits, default and help.

Rules between several settings are in `config/settings.py`, which also combines the sections.
"""

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, Strict, field_validator
from pydantic_core import PydanticCustomError

from llm_studio.config.controls import Choices, Lines, Slider, Step
from llm_studio.i18n import N_, _

SPECIAL_TOKENS = ("<|endoftext|>", "<|user|>", "<|assistant|>")
SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)
"""One token for each byte, and the special tokens."""

LARGEST_VOCABULARY = 300_000
"""Largest vocabulary: more than any tokenizer in use. A file with many more tokens would take minutes to read."""

_CODES = (
    "aa ab af ak am ar as ay az ba be bg bh bi bn bo br bs ca ceb chr co crs cs cy da de dv dz el en eo es et eu fa fi "
    "fj fo fr fy ga gd gl gn gu gv ha haw he hi hmn hr ht hu hy ia id ie ig ik is it iu ja jv ka kha kk kl km kn ko ks "
    "ku ky la lb lg lif ln lo lt lv mfe mg mi mk ml mn mr ms mt my na ne nl nn no nr nso ny oc om or pa pl ps pt qu rm "
    "rn ro ru rw sa sd sg si sk sl sm sn so sq sr ss st su sv sw syr ta te tg th ti tk tl tn to tr ts tt ug uk ur uz "
    "ve vi vo war wo xh yi yo za zh zu"
)
LANGUAGES = frozenset(_CODES.split())
"""Codes of languages that can be detected in texts: ISO 639-1, or ISO 639-3 for languages without such a code."""


SourceName = Annotated[str, Field(max_length=200)]
StopString = Annotated[str, Field(min_length=1)]
Weight = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
"""Weight of a source: the probability of sampling from it is proportional to its number of tokens times its weight."""


class Section(BaseModel):
    """One section of the settings. Values are accepted or rejected, never adjusted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ProjectSettings(Section):
    """Name and language of the project."""

    name: str = Field(default="", description=N_("name of the project, for people"))
    language: Literal["en", "fr"] = Field(default="en", description=N_("language of the texts"))


class DataSettings(Section):
    """How the corpus is cleaned (rules apply in this order) and split."""

    repair_mojibake: bool = Field(default=False, description=N_("repair wrongly decoded text, as in “Ã©” for “é”"))
    remove_controls: bool = Field(default=True, description=N_("remove control characters and unify line endings"))
    remove_invisible: bool = Field(
        default=False, description=N_("remove invisible characters: soft hyphens, zero-width spaces")
    )
    normalize_unicode: bool = Field(
        default=True, description=N_("normalise Unicode (NFC): one form for each accented letter")
    )
    remove_html: bool = Field(default=False, description=N_("remove leftover HTML tags and decode entities"))
    remove_licence: bool = Field(
        default=False, description=N_("remove the licence before and after books of Project Gutenberg")
    )
    remove_repeated_lines: bool = Field(
        default=False, description=N_("remove page numbers and lines repeated on many pages")
    )
    tidy_spaces: bool = Field(
        default=False, description=N_("remove superfluous spaces and blank lines; indentation is kept")
    )
    min_characters: int = Field(default=50, ge=0, description=N_("leave out shorter documents, in characters"))
    max_characters: int = Field(
        default=0, ge=0, description=N_("leave out longer documents, in characters; 0: no limit")
    )
    languages: Annotated[tuple[str, ...], Strict(False)] = Field(
        default=(), description=N_("keep only documents in these languages, as in [fr, en]; empty: all")
    )
    remove_duplicates: bool = Field(default=True, description=N_("keep one of several identical documents"))
    remove_near_duplicates: bool = Field(
        default=False, description=N_("keep one of several nearly identical documents")
    )
    near_duplicate_similarity: float = Field(
        default=0.8,
        ge=0.5,
        le=1,
        description=N_("fraction of shared phrases from which two documents count as near duplicates"),
    )
    validation_share: float = Field(
        default=0.05,
        gt=0,
        le=0.5,
        description=N_("fraction of the texts held out for validation"),
    )
    weights: dict[SourceName, Weight] = Field(
        default={}, description=N_("weight of each source in training; 1 by default, 0: leave it out")
    )

    @field_validator("languages", mode="before")
    @classmethod
    def _norwegian_code(cls, codes: object) -> object:
        """YAML reads a bare `no` as false."""
        return ["no" if code is False else code for code in codes] if isinstance(codes, list) else codes

    @field_validator("languages")
    @classmethod
    def _known_languages(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [code for code in codes if code not in LANGUAGES]
        if unknown:
            message = _("“{code}” is no language code that can be recognised: take two letters as in fr, en, de")
            raise PydanticCustomError("language", cast("Any", message.format(code=unknown[0])))
        return codes


class TokenizerSettings(Section):
    """How the tokenizer is trained; the size of its vocabulary is `model.vocab_size`."""

    min_frequency: int = Field(default=2, ge=1, description=N_("pairs that occur less often are never merged"))
    max_megabytes: int = Field(
        default=200, ge=1, description=N_("text sampled from the corpus to train the tokenizer, in MB")
    )
    split_digits: bool = Field(default=True, description=N_("make each digit a separate token"))


class ModelSettings(Section):
    """The shape of the Transformer."""

    vocab_size: Annotated[int, Step(256)] = Field(
        title=N_("Vocabulary"),
        default=32000,
        ge=SMALLEST_VOCABULARY,
        le=1_000_000,  # as in earlier versions; the tokenizer usually has fewer
        description=N_("vocabulary size requested from the tokenizer"),
    )
    d_model: Annotated[int, Step(32)] = Field(
        title=N_("Width"), default=256, ge=8, le=65536, description=N_("width of the residual stream")
    )
    n_heads: int = Field(
        title=N_("Heads"), default=8, ge=1, le=1024, description=N_("attention heads, each d_model / n_heads wide")
    )
    n_layers: int = Field(title=N_("Layers"), default=6, ge=1, le=1024, description=N_("stacked Transformer blocks"))
    d_ff: Annotated[int, Step(32)] = Field(
        title=N_("Feed-forward width"),
        default=1024,
        ge=1,
        le=1_000_000,
        description=N_("hidden width of the feed-forward networks"),
    )
    max_seq_len: Annotated[int, Step(64)] = Field(
        title=N_("Context"),
        default=512,
        ge=8,
        le=1_048_576,
        description=N_("context length: tokens the model sees at once"),
    )
    dropout: float = Field(
        title=N_("Dropout"),
        default=0.1,
        ge=0,
        lt=1,
        description=N_("fraction of activations dropped during training, against memorising"),
    )
    positions: Annotated[
        Literal["rope", "learned", "sinusoidal"],
        Choices(rope="RoPE", learned=N_("learned"), sinusoidal=N_("sinusoidal")),
    ] = Field(title=N_("Positions"), default="rope", description=N_("how token positions are encoded"))
    norm: Annotated[Literal["rmsnorm", "layernorm"], Choices(rmsnorm="RMSNorm", layernorm="LayerNorm")] = Field(
        title=N_("Normalisation"), default="rmsnorm", description=N_("normalisation before each layer")
    )
    activation: Annotated[Literal["swiglu", "gelu", "relu2"], Choices(swiglu="SwiGLU", gelu="GELU", relu2="ReLU²")] = (
        Field(title=N_("Activation"), default="swiglu", description=N_("feed-forward network"))
    )
    n_kv_heads: int | None = Field(
        title=N_("Key/value heads"),
        default=None,
        ge=1,
        le=1024,
        description=N_("key/value heads shared by the query heads; null: one per head"),
    )
    qk_norm: bool = Field(
        title=N_("Query/key norm"), default=True, description=N_("normalise queries and keys in each head")
    )
    tie_embeddings: bool = Field(
        title=N_("Shared embedding"),
        default=True,
        description=N_("use the same matrix for the input embedding and the output head"),
    )
    bias: bool = Field(title=N_("Bias"), default=False, description=N_("bias in the linear layers"))
    zero_init: bool = Field(
        title=N_("Zero-init"),
        default=False,
        description=N_(
            "initialise the output matrix of each sublayer to zero, so that each block starts as the identity"
        ),
    )
    rope_theta: float = Field(
        title=N_("Rotary base"), default=10000.0, gt=1, description=N_("base of the rotary wavelengths")
    )

    @property
    def kv_heads(self) -> int:
        """The number of key/value heads; by default `n_heads`."""
        return self.n_kv_heads or self.n_heads

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads


class TrainingSettings(Section):
    """How the model is trained."""

    batch_size: int = Field(title=N_("Batch"), default=32, ge=1, description=N_("sequences in a micro-batch"))
    optimizer: Annotated[Literal["adamw", "muon"], Choices(adamw="AdamW", muon="Muon")] = Field(
        title=N_("Optimizer"),
        default="adamw",
        description=N_("optimizer; muon: Muon for the matrices of the blocks, AdamW for the rest"),
    )
    learning_rate: float = Field(
        title=N_("Learning rate"), default=3e-4, gt=0, le=10, description=N_("peak learning rate")
    )
    muon_learning_rate: float = Field(
        title=N_("Muon’s rate"),
        default=0.005,
        gt=0,
        le=10,
        description=N_("peak learning rate of Muon; it follows the same schedule"),
    )
    muon_momentum: float = Field(
        title=N_("Muon’s momentum"), default=0.9, ge=0, lt=1, description=N_("momentum of Muon")
    )
    warmup_steps: int = Field(
        title=N_("Warm-up"), default=1000, ge=0, description=N_("steps over which the learning rate rises from zero")
    )
    max_steps: int = Field(title=N_("Steps"), default=100_000, ge=1, description=N_("optimizer steps of the whole run"))
    minutes: float = Field(
        title=N_("Minutes"),
        default=0.0,
        ge=0,
        le=100_000,
        allow_inf_nan=False,
        description=N_("train for this time and fit the steps to it; 0: train for max_steps"),
    )
    gradient_clip: float = Field(
        title=N_("Gradient clipping"),
        default=1.0,
        ge=0,
        description=N_("gradient-norm clipping threshold; 0: no clipping"),
    )
    gradient_accumulation_steps: int = Field(
        title=N_("Accumulation"), default=1, ge=1, description=N_("micro-batches in a step")
    )
    activation_checkpointing: bool = Field(
        title=N_("Activation checkpointing"),
        default=False,
        description=N_("recompute activations in the backward pass: less memory, about a third slower"),
    )
    schedule: Annotated[
        Literal["cosine", "linear", "constant"],
        Choices(cosine=N_("cosine"), linear=N_("linear"), constant=N_("constant")),
    ] = Field(title=N_("Schedule"), default="cosine", description=N_("how the learning rate falls after the warm-up"))
    final_learning_rate_ratio: float = Field(
        title=N_("Final rate"), default=0.1, ge=0, le=1, description=N_("final learning rate as a fraction of the peak")
    )
    decay_share: float = Field(
        title=N_("Decay"),
        default=0.2,
        ge=0,
        le=1,
        description=N_("schedule 'constant': fraction of the steps over which the rate falls at the end"),
    )
    weight_decay: float = Field(
        title=N_("Weight decay"), default=0.1, ge=0, le=10, description=N_("weight decay of the matrices (AdamW)")
    )
    beta1: float = Field(
        title="Beta 1", default=0.9, ge=0, lt=1, description=N_("AdamW: decay of the mean of gradients")
    )
    beta2: float = Field(
        title="Beta 2", default=0.95, ge=0, lt=1, description=N_("AdamW: decay of the mean of squared gradients")
    )
    eval_interval: int = Field(
        title=N_("Evaluate every"),
        default=500,
        ge=1,
        description=N_("steps between two evaluations, each with samples"),
    )
    eval_sequences: int = Field(
        title=N_("Evaluation size"),
        default=128,
        ge=1,
        description=N_("validation sequences in an evaluation, always the same ones"),
    )
    checkpoint_interval: int = Field(
        title=N_("Checkpoint every"), default=500, ge=1, description=N_("steps between two checkpoints")
    )
    checkpoint_minutes: float = Field(
        title=N_("Checkpoint after"),
        default=2.0,
        ge=0,
        le=10_000,
        description=N_("maximum minutes between two checkpoints; 0: no limit"),
    )
    snapshot_megabytes: int = Field(
        title=N_("Disk for snapshots"),
        default=200,
        ge=0,
        description=N_("disk space for the snapshots of a run, in MB; 12 are kept even if they take more; 0: none"),
    )
    sample_prompts: Annotated[tuple[str, ...], Strict(False)] = Field(
        title=N_("Sample prompts"),
        default=(),
        description=N_("prompts that the model completes at each evaluation; empty: some in your language"),
    )
    seed: int = Field(
        title=N_("Seed"), default=1337, ge=0, lt=2**63, description=N_("random seed: same seed, same run")
    )
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Choices(auto=N_("automatic"), cpu=N_("processor"), cuda=N_("NVIDIA card"))
    ] = Field(title=N_("Device"), default="auto", description=N_("where to train"))
    precision: Annotated[Literal["auto", "bfloat16", "float16", "float32"], Choices(auto=N_("automatic"))] = Field(
        title=N_("Precision"), default="auto", description=N_("number format of the matrix products")
    )
    cuda_graphs: bool = Field(
        title=N_("CUDA graphs"),
        default=False,
        description=N_("on an NVIDIA card: run a small model's whole step as one CUDA graph, where that works"),
    )
    sharded: bool = Field(
        title=N_("Sharded"),
        default=False,
        description=N_("with several processes: shard the weights among them (FSDP), to train larger models"),
    )
    threads: int = Field(
        title=N_("Threads"),
        default=0,
        ge=0,
        le=1024,
        description=N_("processor threads; 0: the fastest number, found by trying"),
    )
    loss_on: Annotated[Literal["all", "answers"], Choices(all=N_("all tokens"), answers=N_("answers only"))] = Field(
        title=N_("Learn from"),
        default="all",
        description=N_("which tokens of conversations count in the loss; other texts count whole"),
    )


class GenerationSettings(Section):
    """How the next token is sampled."""

    temperature: Annotated[float, Slider(0, 2, step=0.05)] = Field(
        title=N_("Temperature"),
        default=0.8,
        ge=0,
        le=10,
        description=N_("higher is bolder, lower is safer; 0: always the most likely token"),
    )
    top_k: Annotated[int, Slider(0, 200, curve=2, zero=N_("all"))] = Field(
        title="Top-k", default=50, ge=0, description=N_("keep the k most likely tokens; 0: all")
    )
    top_p: Annotated[float, Slider(0.01, 1)] = Field(
        title="Top-p",
        default=0.95,
        gt=0,
        le=1,
        description=N_("keep the most likely tokens whose probabilities add up to this"),
    )
    min_p: Annotated[float, Slider(0, 0.5, curve=2)] = Field(
        title="Min-p",
        default=0.0,
        ge=0,
        le=1,
        description=N_("drop tokens less likely than this fraction of the most likely one"),
    )
    repetition_penalty: Annotated[float, Slider(1, 2)] = Field(
        title=N_("Repetition penalty"),
        default=1.0,
        gt=0,
        le=10,
        description=N_("above 1: tokens already in the text become less likely"),
    )
    max_tokens: Annotated[int, Slider(1, 1000, step=10, curve=2)] = Field(
        title=N_("Max length"), default=600, ge=1, description=N_("maximum length of the text, in tokens")
    )
    seed: int | None = Field(
        title=N_("Seed"),
        default=None,
        ge=0,
        lt=2**63,
        description=N_("same seed, same text; null: a new text each time"),
    )
    stop: Annotated[tuple[StopString, ...], Strict(False), Lines()] = Field(
        title=N_("Stop strings"),
        default=(),
        description=N_("the text ends before the first of these strings, as in [THE END]; empty: none"),
    )
