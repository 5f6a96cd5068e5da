"""Python code from the templates in `resources/course`: only the branches that a model uses.

A template is a valid Python file. Lines between two directives are kept if the condition is true:

    # [if rope]
    q, k = rotate(q, rotation), rotate(k, rotation)
    # [else]
    ...
    # [end]

A condition consists of names, `not`, `and` and `or`; blocks may be nested. Two names are placeholders: `config.bias`
for its value, and `Norm` for the model's normalisation.
"""

import re
from collections.abc import Mapping

_DIRECTIVE = re.compile(r" *# \[(if (?P<condition>[\w ]+)|else|end)\]")
_BETWEEN_IMPORTS = re.compile(r"(\nfrom src\.[^\n]+\n)\n+(?=from src\.)|(\nimport torch\n)\n+(?=from torch )")
_BLANK_LINES = re.compile(r"\n{4,}")


def render(template: str, flags: Mapping[str, bool], names: Mapping[str, str]) -> str:
    """The lines of a template whose conditions are true, with `names` replaced. Raises KeyError for an unknown flag."""
    kept: list[str] = []
    branches: list[bool] = []
    for line in template.splitlines():
        found = _DIRECTIVE.fullmatch(line)
        if found is None:
            if all(branches):
                kept.append(line)
        elif found["condition"]:
            branches.append(_holds(found["condition"], flags))
        elif found[1] == "else":
            branches[-1] = not branches[-1]
        else:
            branches.pop()
    text = "\n".join(kept)
    for name, value in names.items():
        text = re.sub(rf"\b{re.escape(name)}\b", value, text)
    text = _BETWEEN_IMPORTS.sub(r"\1\2", text)
    return _BLANK_LINES.sub("\n\n\n", text).strip("\n") + "\n"


def _holds(condition: str, flags: Mapping[str, bool]) -> bool:
    """Whether a condition is true: `or` of `and` of flags, each of which may be negated."""
    return any(all(_flag(term, flags) for term in terms.split(" and ")) for terms in condition.split(" or "))


def _flag(term: str, flags: Mapping[str, bool]) -> bool:
    return not flags[term.removeprefix("not ")] if term.startswith("not ") else flags[term]
