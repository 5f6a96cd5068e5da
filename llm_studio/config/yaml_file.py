"""Settings as YAML: reading files written by people, writing readable files, changing one value in place."""

import errno
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import yaml

from llm_studio import files
from llm_studio.config.settings import MAPPINGS, SECTIONS, Settings, problems, split_path
from llm_studio.errors import ConfigError, DamagedConfigError, Problem, reason_of
from llm_studio.i18n import _, number

MOST_CHARACTERS = 200_000
"""Limit for a file of settings, which has about seven thousand characters."""
_MOST_LEVELS, _MOST_ENTRIES, _MOST_REFERENCES = 20, 10_000, 16
"""Limits for its YAML. Nested references to the same entry can expand to more than any memory holds."""
_LONGEST_NUMBER = 128
"""Most bits of a whole number: no setting is near it, and Python refuses to print very long ones."""
_END = "..."
"""The last line that `dump` writes: YAML's end-of-document marker."""
_ANNOUNCES_END = re.compile(r"(?:#.*\n)*?#.*[“«]\s*\.\.\.\s*[”»]")
_HAS_END = re.compile(r"^\.\.\.\s*$", re.MULTILINE)

_SafeLoader = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))


class _Loader(_SafeLoader):
    """YAML 1.1 as PyYAML reads it, except that `3e-4` is a number, a date is a text and a duplicate key is an error.

    Keys are always read as texts, even `on` and `3`. Every parse error is a MarkedYAMLError.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem=_("the name of a setting is one word"), problem_mark=key.start_mark)
            if key.tag != "tag:yaml.org,2002:merge":
                key.tag = "tag:yaml.org,2002:str"
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=_("“{key}” is given twice").format(key=key.value),
                                           problem_mark=key.start_mark)  # fmt: skip
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if not isinstance(value, int) or value.bit_length() <= _LONGEST_NUMBER:
                return value
        except (ValueError, LookupError, AttributeError):  # PyYAML passes on Python's own errors
            pass
        raise yaml.MarkedYAMLError(problem=_("“{value}” can't be read").format(value=_cut(str(node.value))),
                                   problem_mark=node.start_mark)  # fmt: skip


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("float", "timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:(?:\d[\d_]*\.[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+|\.(?:inf|Inf|INF))$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that `_Loader` would read as another type."""


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def load(path: Path) -> Settings:
    """The settings in the file at `path`. Raises ConfigError with every problem and its line."""
    text = read_text(path)
    try:
        return parse(text)
    except DamagedConfigError as error:
        raise _in_file(path, error) from error
    except ConfigError as error:
        raise ConfigError(_("{path} can't be used:").format(path=path), error.problems) from error


def read_text(path: Path) -> str:
    """The content of a file of settings, valid or not. Raises ConfigError if it can't be read as text."""
    try:
        return files.read_text(path, "utf-8-sig", 4 * MOST_CHARACTERS)
    except UnicodeDecodeError as error:
        raise ConfigError(_("{path} is not UTF-8 text.").format(path=path), [],
                          _("Save it as UTF-8 in your editor.")) from error  # fmt: skip
    except OSError as error:
        if error.errno == errno.EOVERFLOW:
            raise _in_file(path, _lost(_too_long())) from error
        raise ConfigError(_("{path} can't be read: {reason}.").format(path=path, reason=reason_of(error)), [],
                          _("It must be a file that you may read.")) from error  # fmt: skip


@lru_cache(maxsize=8)  # opening one moment of a run after the other reads the same text each time
def parse(text: str) -> Settings:
    """Settings from YAML text. Raises ConfigError with every problem and its line."""
    if len(text) > MOST_CHARACTERS:
        raise _lost(_too_long())
    _require_end(text)
    values, lines = _read(text.strip("\0"))  # a power cut can leave a file of zeros
    found = [Problem(p.path, p.message, lines.get(p.path)) for p in problems(values)]
    if found:
        raise ConfigError(_("These settings can't be used:"), found)
    return Settings.from_dict(values)


def _require_end(text: str) -> None:
    """Raise DamagedConfigError if the end that `dump` wrote is missing: defaults would replace the lost settings."""
    if _ANNOUNCES_END.match(text) and not _HAS_END.search(text):
        raise _lost(_("The end of the settings is missing: the last line, “{end}”, isn't there.").format(end=_END))


def _lost(what: str) -> DamagedConfigError:
    return DamagedConfigError(
        what, [], _("Restore the file from a copy, or choose a preset: “llm-studio config --preset small”.")
    )


def _too_long() -> str:
    return _("The settings have more than {n} characters.").format(n=number(MOST_CHARACTERS))


def _in_file(path: Path, error: DamagedConfigError) -> DamagedConfigError:
    what = _("{path} is damaged. {reason}").format(path=path, reason=error.what)
    return DamagedConfigError(what, error.problems, error.to_do)


def parse_value(text: str) -> object:
    """Parse one YAML value, as in `--set training.learning_rate=3e-4`."""
    try:
        _require_modest(text)
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError):
        return text


def _read(text: str) -> tuple[dict[str, object], dict[str, int]]:
    """The plain values, and the line of each dotted name."""
    try:
        _require_modest(text)
        values = yaml.load(text, _Loader)
        tree = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = min(error.problem_mark.line, text.count("\n")) + 1 if error.problem_mark else None
        raise ConfigError(_("This is not YAML:"), [Problem("yaml", error.problem or str(error), line)]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(_("This is not YAML:"), [Problem("yaml", str(error))]) from error
    if values is None:
        raise _lost(_("There are no settings, only an empty text or comments."))
    if not isinstance(values, dict):
        raise ConfigError(_("This is not a list of settings:"), [Problem("yaml", _("must hold sections"), 1)])
    lines = {path: key.start_mark.line + 1 for path, key, _value in _entries(tree)}
    return {str(key): value for key, value in cast("dict[object, object]", values).items()}, lines


def _require_modest(text: str) -> None:
    """Raise MarkedYAMLError for YAML that would take too much time or memory. Parses without building objects."""
    levels = entries = references = 0
    for event in yaml.parse(text, _Loader):
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        entries += isinstance(event, yaml.ScalarEvent)
        references += isinstance(event, yaml.AliasEvent)
        if levels > _MOST_LEVELS or entries > _MOST_ENTRIES or references > _MOST_REFERENCES:
            problem = _("there is more here than settings can need")
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _entries(tree: yaml.Node | None) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """(dotted name, key, value) of each section, each setting in it, and each entry of a mapping setting."""
    for key, value in tree.value if isinstance(tree, yaml.MappingNode) else ():
        yield key.value, key, value
        for inner, content in value.value if isinstance(value, yaml.MappingNode) else ():
            path = f"{key.value}.{inner.value}"
            yield path, inner, content
            if path in MAPPINGS and isinstance(content, yaml.MappingNode):
                yield from ((f"{path}.{entry.value}", entry, what) for entry, what in content.value)


def dump(settings: Settings) -> str:
    """The settings as a commented YAML file, in the user's language."""
    out = [f"# {line}" for line in (_("Settings of this project. Edit by hand or with “llm-studio config”."),
                                    _("What is left out has its default."),
                                    _("The last line, “...”, shows that the file is complete."))]  # fmt: skip
    for name, kind in SECTIONS.items():
        out += ["", f"{name}:"]
        for key, info in kind.model_fields.items():
            entry = f"  {key}: {scalar(getattr(getattr(settings, name), key))}"
            out.append(f"{entry:<36}  # {_(info.description or '')}")
    return "\n".join([*out, _END]) + "\n"


def scalar(value: object) -> str:
    """A setting's value on one line of YAML."""
    if isinstance(value, float):
        return _short_float(value)
    if isinstance(value, dict):
        entries = (f"{_key(name)}: {scalar(entry)}" for name, entry in cast("dict[str, object]", value).items())
        return "{" + ", ".join(entries) + "}"
    plain = list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
    # keep letters, but escape line ends and control characters of all kinds
    readable = "".join(map(str, plain) if isinstance(plain, list) else str(plain)).isprintable()
    text = yaml.dump(plain, Dumper=_Dumper, default_flow_style=True, allow_unicode=readable, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")


def _key(name: str) -> str:
    """A user-chosen name as a YAML key: quoted if it contains anything that could be YAML syntax."""
    if re.fullmatch(r"\w[\w-]*", name):
        return name
    return yaml.dump(name, Dumper=_Dumper, default_style='"', allow_unicode=name.isprintable(), width=10**9).strip()


def _short_float(value: float) -> str:
    text = repr(value)
    if text.endswith(".0") and abs(value) >= 1e4:
        return text
    mantissa, _e, exponent = f"{value:e}".partition("e")
    short = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return short if 0 < abs(value) < 1e-2 and float(short) == value else text


def with_changes(text: str, changes: Mapping[str, object]) -> str:
    """The YAML `text` with values changed by dotted name, keeping its comments and order.

    Raises ConfigError if the result isn't valid.
    """
    parse(text).replaced(changes)  # validate names and values before changing the text
    for path, value in changes.items():
        text = _with_change(text, path, scalar(value))
    parse(text)
    return text


def _with_change(text: str, path: str, scalar: str) -> str:
    section, name, entry = split_path(path)
    entries = {found: (key, value) for found, key, value in _entries(yaml.compose(text, _Loader))}
    if path in entries:
        value = entries[path][1]
        before = text[: value.start_mark.index]
        gap = "" if before.endswith((" ", "\n")) else " "
        return before + gap + scalar + text[_end(value) :]
    if entry is not None and f"{section}.{name}" in entries:
        return _inserted(text, *entries[f"{section}.{name}"], f"{_key(entry)}: {scalar}")
    line = f"{name}: {scalar}" if entry is None else f"{name}: {{{_key(entry)}: {scalar}}}"
    if section not in entries:
        end = _HAS_END.search(text)
        before, after = (text[: end.start()], text[end.start() :]) if end else (text, "")
        return f"{before.rstrip()}\n\n{section}:\n  {line}\n{after}".lstrip()
    return _inserted(text, *entries[section], line)


def _inserted(text: str, key: yaml.Node, value: yaml.Node, line: str) -> str:
    """`text` with a line inserted at the start of the content `value` of `key`."""
    if isinstance(value, yaml.MappingNode) and value.value:
        first = value.value[0][0].start_mark
        separator = ", " if value.flow_style else "\n" + " " * first.column
        return f"{text[: first.index]}{line}{separator}{text[first.index :]}"
    if isinstance(value, yaml.MappingNode):  # written as {}
        return f"{text[: value.start_mark.index]}{{{line}}}{text[value.end_mark.index :]}"
    end = key.end_mark.index + 1  # an empty section: just after its colon
    return f"{text[:end]}\n  {line}{text[end:]}"


def _end(value: yaml.Node) -> int:
    """The end of a value: for a list or mapping of several lines the end of its last entry."""
    if isinstance(value, yaml.CollectionNode) and not value.flow_style and value.value:
        last = value.value[-1]
        return _end(last[1] if isinstance(value, yaml.MappingNode) else last)
    return value.end_mark.index
