"""The sections of the settings: each setting declared once, with its type, unit, limits, default and help.

What several settings must fulfil together, and all of them as one, is in `config.py`.
"""

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, Strict, field_validator
from pydantic_core import PydanticCustomError

from llm_studio.i18n import N_, _

SPECIAL_TOKENS = ("<|endoftext|>", "<|user|>", "<|assistant|>")
SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)
"""Every byte and the special tokens."""

_CODES = (
    "aa ab af ak am ar as ay az ba be bg bh bi bn bo br bs ca ceb chr co crs cs cy da de dv dz el en eo es et eu fa fi "
    "fj fo fr fy ga gd gl gn gu gv ha haw he hi hmn hr ht hu hy ia id ie ig ik is it iu ja jv ka kha kk kl km kn ko ks "
    "ku ky la lb lg lif ln lo lt lv mfe mg mi mk ml mn mr ms mt my na ne nl nn no nr nso ny oc om or pa pl ps pt qu rm "
    "rn ro ru rw sa sd sg si sk sl sm sn so sq sr ss st su sv sw syr ta te tg th ti tk tl tn to tr ts tt ug uk ur uz "
    "ve vi vo war wo xh yi yo za zh zu"
)
LANGUAGES = frozenset(_CODES.split())
"""Languages that can be recognised in texts: ISO 639-1, and for those that have no code there, ISO 639-3."""


SourceName = Annotated[str, Field(max_length=200)]
Weight = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
"""Of a source in the training: its share is proportional to its tokens times its weight."""


class Section(BaseModel):
    """One section of the settings. Values are taken as they are or refused, never adjusted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ProjectSettings(Section):
    """What the project is."""

    name: str = Field(default="", description=N_("name of the project, for people"))
    language: Literal["en", "fr"] = Field(default="en", description=N_("language of the texts"))


class DataSettings(Section):
    """How the corpus is cleaned, by rules in this order, and split."""

    remove_controls: bool = Field(
        default=True, description=N_("remove control characters and end all lines in one way")
    )
    remove_invisible: bool = Field(
        default=False, description=N_("remove what nobody sees: soft hyphens, zero-width spaces")
    )
    normalize_unicode: bool = Field(default=True, description=N_("write each accented letter in one way (Unicode NFC)"))
    remove_html: bool = Field(default=False, description=N_("remove the tags and resolve the entities of HTML"))
    remove_repeated_lines: bool = Field(
        default=False, description=N_("remove page numbers and lines that recur on many pages")
    )
    tidy_spaces: bool = Field(
        default=False, description=N_("remove needless blanks and blank lines; indentation stays")
    )
    min_characters: int = Field(default=50, ge=0, description=N_("ignore shorter documents, in characters"))
    max_characters: int = Field(default=0, ge=0, description=N_("ignore longer documents, in characters; 0: no limit"))
    languages: Annotated[tuple[str, ...], Strict(False)] = Field(
        default=(), description=N_("keep documents in these languages alone, as in [fr, en]; empty: all")
    )
    remove_duplicates: bool = Field(default=True, description=N_("keep one of several identical documents"))
    remove_near_duplicates: bool = Field(
        default=False, description=N_("keep one of several nearly identical documents")
    )
    near_duplicate_similarity: float = Field(
        default=0.8, ge=0.5, le=1, description=N_("share of common phrases that makes documents nearly identical")
    )
    validation_share: float = Field(
        default=0.05,
        gt=0,
        le=0.5,
        description=N_("share of the texts kept aside to measure what the model has learned"),
    )
    weights: dict[SourceName, Weight] = Field(
        default={}, description=N_("by source, how often it is trained on; 1 where none is given, 0: not at all")
    )

    @field_validator("languages", mode="before")
    @classmethod
    def _norwegian(cls, codes: object) -> object:
        """YAML reads a bare `no` as false."""
        return ["no" if code is False else code for code in codes] if isinstance(codes, list) else codes

    @field_validator("languages")
    @classmethod
    def _known(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [code for code in codes if code not in LANGUAGES]
        if unknown:
            message = _("“{code}” is no language code that can be recognised: take two letters as in fr, en, de")
            raise PydanticCustomError("language", cast("Any", message.format(code=unknown[0])))
        return codes


class TokenizerSettings(Section):
    """How the tokenizer is trained; the size of its vocabulary is `model.vocab_size`."""

    min_frequency: int = Field(default=2, ge=1, description=N_("a pair seen less often is never merged"))
    max_megabytes: int = Field(
        default=200, ge=1, description=N_("text read to learn from, spread over the corpus, in MB")
    )
    split_digits: bool = Field(default=True, description=N_("each digit is a token of its own"))


class ModelSettings(Section):
    """The shape of the Transformer."""

    vocab_size: int = Field(
        default=32000, ge=SMALLEST_VOCABULARY, le=1_000_000, description=N_("tokens asked of the tokenizer")
    )
    d_model: int = Field(default=256, ge=8, le=65536, description=N_("width of the residual stream"))
    n_heads: int = Field(default=8, ge=1, le=1024, description=N_("attention heads, each d_model / n_heads wide"))
    n_layers: int = Field(default=6, ge=1, le=1024, description=N_("Transformer blocks, one upon the other"))
    d_ff: int = Field(default=1024, ge=1, le=1_000_000, description=N_("inner width of the feed-forward networks"))
    max_seq_len: int = Field(default=512, ge=8, le=1_048_576, description=N_("context: tokens seen at once"))
    dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description=N_("share of activations dropped in training, against memorising"),
    )
    positions: Literal["rope", "learned", "sinusoidal"] = Field(
        default="rope", description=N_("how the model knows the order of tokens")
    )
    norm: Literal["rmsnorm", "layernorm"] = Field(default="rmsnorm", description=N_("normalisation before each layer"))
    activation: Literal["swiglu", "gelu", "relu2"] = Field(default="swiglu", description=N_("feed-forward network"))
    n_kv_heads: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description=N_("key/value heads shared among the heads; null: one for each head"),
    )
    qk_norm: bool = Field(default=True, description=N_("normalise queries and keys, per head"))
    tie_embeddings: bool = Field(default=True, description=N_("one matrix to read tokens in and to predict them"))
    bias: bool = Field(default=False, description=N_("bias in the linear layers"))
    zero_init: bool = Field(
        default=False, description=N_("matrices that end a layer begin at zero, so that each block begins as nothing")
    )
    rope_theta: float = Field(default=10000.0, gt=1, description=N_("base of the rotary wavelengths"))

    @property
    def kv_heads(self) -> int:
        """The number of key/value heads, `n_heads` where none is set."""
        return self.n_kv_heads or self.n_heads

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads


class TrainingSettings(Section):
    """How the model is trained."""

    batch_size: int = Field(default=32, ge=1, description=N_("sequences in a micro-batch"))
    optimizer: Literal["adamw", "muon"] = Field(
        default="adamw", description=N_("what updates the weights; muon: AdamW with Muon for the blocks' matrices")
    )
    learning_rate: float = Field(default=3e-4, gt=0, le=10, description=N_("highest learning rate"))
    muon_learning_rate: float = Field(
        default=0.005, gt=0, le=10, description=N_("highest learning rate of Muon; it rises and falls with the other")
    )
    muon_momentum: float = Field(default=0.9, ge=0, lt=1, description=N_("memory of Muon for gradients"))
    warmup_steps: int = Field(default=1000, ge=0, description=N_("steps for the learning rate to rise from zero"))
    max_steps: int = Field(default=100_000, ge=1, description=N_("optimizer steps of the whole run"))
    gradient_clip: float = Field(default=1.0, ge=0, description=N_("longest gradient allowed; 0: no limit"))
    gradient_accumulation_steps: int = Field(default=1, ge=1, description=N_("micro-batches in a step"))
    activation_checkpointing: bool = Field(
        default=False, description=N_("compute parts of the way forward twice, to need less memory; slower by a third")
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        default="cosine", description=N_("how the learning rate falls after the warm-up")
    )
    final_learning_rate_ratio: float = Field(
        default=0.1, ge=0, le=1, description=N_("learning rate at the end, as a share of the highest")
    )
    decay_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description=N_("schedule 'constant': share of the steps in which the rate falls at the end"),
    )
    weight_decay: float = Field(default=0.1, ge=0, le=10, description=N_("pull of the matrices towards zero (AdamW)"))
    beta1: float = Field(default=0.9, ge=0, lt=1, description=N_("memory of AdamW for gradients"))
    beta2: float = Field(default=0.95, ge=0, lt=1, description=N_("memory of AdamW for squared gradients"))
    eval_interval: int = Field(default=500, ge=1, description=N_("steps between two evaluations, each with samples"))
    eval_sequences: int = Field(
        default=128, ge=1, description=N_("validation sequences in an evaluation, always the same")
    )
    checkpoint_interval: int = Field(default=500, ge=1, description=N_("steps between two checkpoints"))
    checkpoint_minutes: float = Field(
        default=2.0,
        ge=0,
        le=10_000,
        description=N_("most minutes between two checkpoints; 0: no limit"),
    )
    snapshot_megabytes: int = Field(
        default=200, ge=0, description=N_("disk for the snapshots of a run, in MB; 0: none")
    )
    sample_prompts: Annotated[tuple[str, ...], Strict(False)] = Field(
        default=(),
        description=N_("beginnings that the model goes on with at each evaluation; empty: some in your language"),
    )
    seed: int = Field(default=1337, ge=0, lt=2**63, description=N_("where chance starts from: same seed, same run"))
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description=N_("where to train"))
    precision: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto", description=N_("number format of the matrix products")
    )
    cuda_graphs: bool = Field(
        default=True, description=N_("graphics card: ask for a small model's whole step at once, where that works")
    )
    sharded: bool = Field(
        default=False,
        description=N_("with several processes: each holds only a part of the weights, to train larger models"),
    )
    threads: int = Field(
        default=0, ge=0, le=1024, description=N_("processor threads; 0: as many as are fastest, which is tried")
    )
    loss_on: Literal["all", "answers"] = Field(
        default="all", description=N_("which tokens of conversations are learned; other texts are learned whole")
    )


class GenerationSettings(Section):
    """How the next token is drawn."""

    temperature: float = Field(
        default=0.8, ge=0, le=10, description=N_("above 1 bolder, below 1 safer, 0: the likeliest")
    )
    top_k: int = Field(default=50, ge=0, description=N_("keep the k likeliest tokens; 0: all"))
    top_p: float = Field(
        default=0.95, gt=0, le=1, description=N_("keep the likeliest tokens that reach this probability")
    )
    min_p: float = Field(default=0.0, ge=0, le=1, description=N_("drop tokens under this share of the likeliest one"))
    repetition_penalty: float = Field(
        default=1.0, gt=0, le=10, description=N_("above 1: what is there comes less often")
    )
    max_tokens: int = Field(default=200, ge=1, description=N_("longest text, in tokens"))
    seed: int | None = Field(default=None, ge=0, lt=2**63, description=N_("null: another text each time"))
