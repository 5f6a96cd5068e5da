"""Every setting of a project, declared once: type, unit, limits, default, help.

The form of the window, `config/config.yaml` and `--set training.max_steps=200` are three views of `Settings`.
Settings are checked when they are born, and all their problems are reported together. How they are read from
and written to YAML is in `config_file.py`.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from llm_studio.errors import ConfigError, Problem
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
    activation: Literal["swiglu", "gelu"] = Field(default="swiglu", description=N_("feed-forward network"))
    n_kv_heads: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description=N_("key/value heads shared among the heads; null: one for each head"),
    )
    qk_norm: bool = Field(default=True, description=N_("normalise queries and keys, per head"))
    tie_embeddings: bool = Field(default=True, description=N_("one matrix to read tokens in and to predict them"))
    bias: bool = Field(default=False, description=N_("bias in the linear layers"))
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
    learning_rate: float = Field(default=3e-4, gt=0, le=10, description=N_("highest learning rate"))
    warmup_steps: int = Field(default=1000, ge=0, description=N_("steps for the learning rate to rise from zero"))
    max_steps: int = Field(default=100_000, ge=1, description=N_("optimizer steps of the whole run"))
    gradient_clip: float = Field(default=1.0, ge=0, description=N_("longest gradient allowed; 0: no limit"))
    gradient_accumulation_steps: int = Field(default=1, ge=1, description=N_("micro-batches in a step"))
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
    threads: int = Field(default=0, ge=0, le=1024, description=N_("processor threads; 0: all cores"))
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


SECTIONS: dict[str, type[Section]] = {
    "project": ProjectSettings,
    "data": DataSettings,
    "tokenizer": TokenizerSettings,
    "model": ModelSettings,
    "training": TrainingSettings,
    "generation": GenerationSettings,
}


@dataclass(frozen=True)
class Settings:
    """All settings of a project. `Settings.from_dict` checks them all; a section alone only its own fields."""

    project: ProjectSettings = field(default_factory=ProjectSettings)
    data: DataSettings = field(default_factory=DataSettings)
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    generation: GenerationSettings = field(default_factory=GenerationSettings)

    @staticmethod
    def from_dict(values: Mapping[str, object]) -> "Settings":
        """Settings from sections of plain values; what is absent has its default. Raises ConfigError."""
        found = problems(values)
        if found:
            raise ConfigError(_("These settings can't be used:"), found)
        return Settings(**{name: SECTIONS[name].model_validate(values.get(name) or {}) for name in SECTIONS})  # pyright: ignore[reportArgumentType]  each class from its own name

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Sections of plain values, fit for YAML and JSON."""
        return {name: getattr(self, name).model_dump(mode="json") for name in SECTIONS}

    def replaced(self, changes: Mapping[str, object]) -> "Settings":
        """These settings with `changes` by dotted name, `{"training.max_steps": 200}`. Raises ConfigError.

        One entry of a setting that has many is changed alone: `{"data.weights.stories-en": 2}`.
        """
        values: dict[str, dict[str, Any]] = self.to_dict()
        for path, value in changes.items():
            section, name, key = split_path(path)
            content = values.setdefault(section, {})
            if key is None:
                content[name] = value
            elif isinstance(content.get(name), dict):
                content[name] = {**content[name], key: value}
        return Settings.from_dict(values)


MAPPINGS = ("data.weights",)
"""Settings that hold entries by names of the user's choice."""


def split_path(path: str) -> tuple[str, str, str | None]:
    """Section, setting and, for an entry of a setting that has many, its name: which may hold dots."""
    section, _dot, name = path.partition(".")
    for mapping in MAPPINGS:
        if path.startswith(mapping + "."):
            return section, mapping.partition(".")[2], path[len(mapping) + 1 :]
    return section, name, None


# --- Rules between settings: (the settings it reads, whether they agree, what to say) ------------------------


@dataclass(frozen=True)
class Rule:
    """Something that several settings of one section must fulfil together; said of the first one."""

    section: str
    names: tuple[str, ...]
    holds: Callable[[Any], bool]
    message: str


RULES = (
    Rule("data", ("max_characters", "min_characters"), lambda d: not 0 < d.max_characters < d.min_characters,
         N_("no document is longer than min_characters = {min_characters} and shorter than {max_characters}")),
    Rule("model", ("d_model", "n_heads"), lambda m: m.d_model % m.n_heads == 0,
         N_("{d_model} can't be divided among n_heads = {n_heads} heads: take a multiple of {n_heads}")),
    Rule("model", ("n_kv_heads", "n_heads"), lambda m: m.n_heads % m.kv_heads == 0,
         N_("n_heads = {n_heads} can't be shared among {n_kv_heads} key/value heads: take a divisor of {n_heads}")),
    Rule("model", ("d_model", "n_heads", "positions"),
         lambda m: m.positions != "rope" or m.d_model % m.n_heads != 0 or m.head_width % 2 == 0,
         N_("rotary positions need heads of even width, but {d_model} / {n_heads} is odd")),
    Rule("model", ("d_model", "positions"), lambda m: m.positions != "sinusoidal" or m.d_model % 2 == 0,
         N_("sinusoidal positions need an even width, not {d_model}")),
)  # fmt: skip


def problems(values: Mapping[str, object]) -> list[Problem]:
    """Everything that is wrong with these settings, in the user's language; empty when they can be used."""
    found: list[Problem] = []
    for name, content in values.items():
        if name not in SECTIONS:
            found.append(Problem(name, _("unknown section") + _did_you_mean(name, SECTIONS)))
        elif content is not None and not isinstance(content, Mapping):
            found.append(Problem(name, _("must hold settings, one to a line, as in “max_steps: 200”")))
        else:
            written = cast("Mapping[object, object]", content or {})
            found += _section_problems(name, {str(key): value for key, value in written.items()})
    return found


def _section_problems(name: str, content: Mapping[str, object]) -> list[Problem]:
    kind = SECTIONS[name]
    found: list[Problem] = []
    wrong: set[str] = set()
    try:
        kind.model_validate(content)
    except ValidationError as error:
        for detail in error.errors():
            key = str(detail["loc"][0])
            entry = isinstance(content[key], Mapping) and f"{name}.{key}" in MAPPINGS if key in content else False
            if key not in wrong or entry:
                wrong.add(key)
                path = f"{name}.{key}.{detail['loc'][1]}" if entry else f"{name}.{key}"
                found.append(Problem(path, _sentence(detail, kind)))
    usable = kind.model_validate({key: value for key, value in content.items() if key not in wrong})
    broken = (r for r in RULES if r.section == name and not wrong.intersection(r.names) and not r.holds(usable))
    return found + [Problem(f"{name}.{r.names[0]}", _(r.message).format(**usable.model_dump())) for r in broken]


def _did_you_mean(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return _(": did you mean “{name}”?").format(name=near[0]) if near else ""


def _sentence(detail: ErrorDetails, kind: type[Section]) -> str:
    """One of pydantic's errors as a sentence for the user."""
    given, shown = _figure(detail["input"]), _shown(detail["input"])
    limits = {name: _figure(limit) for name, limit in detail.get("ctx", {}).items()}
    match detail["type"]:
        case "extra_forbidden":
            return _("unknown setting") + _did_you_mean(str(detail["loc"][0]), kind.model_fields)
        case "greater_than_equal":
            return _("must be at least {limit}, not {given}").format(limit=limits["ge"], given=given)
        case "greater_than":
            return _("must be greater than {limit}, not {given}").format(limit=limits["gt"], given=given)
        case "less_than_equal":
            return _("must be at most {limit}, not {given}").format(limit=limits["le"], given=given)
        case "less_than":
            return _("must be less than {limit}, not {given}").format(limit=limits["lt"], given=given)
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return _("must be a whole number, not {given}").format(given=shown)
        case "float_type" | "float_parsing" | "finite_number":
            return _("must be a number, not {given}").format(given=shown)
        case "bool_type" | "bool_parsing":
            return _("must be true or false, not {given}").format(given=shown)
        case "literal_error":
            choices = get_args(kind.model_fields[str(detail["loc"][0])].annotation)
            return _("must be one of {choices}, not {given}").format(choices=", ".join(choices), given=shown)
        case "string_too_long":
            return _("must be at most {limit} characters long").format(limit=limits["max_length"])
        case "string_type" | "string_unicode":
            return _("must be a text, not {given}").format(given=shown)
        case "tuple_type":
            return _("must be a list of texts, not {given}").format(given=shown)
        case "dict_type":
            return _("must name sources with their weights, as in {{stories-en: 2}}, not {given}").format(given=shown)
        case _:
            return detail["msg"]


def _figure(value: object) -> object:
    """A number without a useless “.0”; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e16 else value


def _shown(value: object) -> str:
    text = _("nothing") if value is None else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
