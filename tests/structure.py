"""The imports and classes of the package, read from its source."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "llm_studio"


@dataclass(frozen=True)
class Class:
    """A class of the package. `bases`: the names in its definition; `lines`: without those of its bases."""

    module: str
    name: str
    lines: int
    bases: tuple[str, ...]


@dataclass
class Module:
    """A module: its syntax tree and all of its imports, including type-only ones.

    `imports` maps modules of the package to the names imported from them; `libraries`: the top-level names of others.
    """

    name: str
    path: Path
    tree: ast.Module
    imports: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    libraries: set[str] = field(default_factory=set[str])
    type_only: set[str] = field(default_factory=set[str])
    """Modules of the package that are imported for type checkers only."""

    @property
    def room(self) -> str:
        """The first part of its name below the package: `data`, or `files` for files.py."""
        return self.name.split(".")[1] if "." in self.name else ""


@cache
def modules() -> dict[str, Module]:
    """All modules of the package by dotted name."""
    found: dict[str, Module] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8")))
    for module in found.values():
        _read_imports(module, found)
    return found


def _read_imports(module: Module, known: dict[str, Module]) -> None:
    runtime: set[str] = set()
    for node, for_types in _imports(module.tree, False):
        pairs = [(alias.name, "") for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            pairs = [(node.module or "", alias.name) for alias in node.names]
        for source, name in pairs:
            if source.split(".")[0] != "llm_studio":
                module.libraries.add(source.split(".")[0])
                continue
            target = f"{source}.{name}" if f"{source}.{name}" in known else source
            if target != module.name:
                module.imports.setdefault(target, set()).add(name)
                if not for_types:
                    runtime.add(target)
    module.type_only = set(module.imports) - runtime


def _imports(node: ast.AST, for_types: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import below `node`, and whether it is for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, for_types
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from _imports(child, True)
        else:
            yield from _imports(child, for_types)


def circles() -> list[list[str]]:
    """Groups of modules that import each other, directly or indirectly (Tarjan 1972)."""
    arrows = {name: list(module.imports) for name, module in modules().items()}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in arrows[name]:
            if target not in index:
                visit(target)
            if target in stack:
                low[name] = min(low[name], low[target])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in arrows:
        if name not in index:
            visit(name)
    return found


@cache
def classes() -> dict[str, list[Class]]:
    """All classes of the package by name."""
    found: dict[str, list[Class]] = {}
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                bases = tuple(ast.unparse(base).split(".")[-1] for base in node.bases)
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                found.setdefault(node.name, []).append(Class(module.name, node.name, lines, bases))
    return found


def bases_of(one: Class) -> list[Class]:
    """The direct bases of a class that are classes of the package."""
    visible = {one.module, *modules()[one.module].imports}
    return [base for name in one.bases for base in classes().get(name, ()) if base.module in visible and base != one]


def size_over_bases(one: Class, shared: int = 3) -> int:
    """Number of lines of a class and of its bases in the package.

    A base of at least `shared` classes isn't counted: it is an abstraction, not a slice of one class.
    """
    derived = [c for group in classes().values() for c in group]
    total = one.lines
    for base in bases_of(one):
        if sum(base in bases_of(other) for other in derived) < shared:
            total += size_over_bases(base, shared)
    return total
