"""Versions of a generated text: token sequences with common prefixes, stored as an immutable tree.

Each change returns a new tree, so that `History` can undo and redo changes by keeping the trees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, TypeVar

_SMALLEST = 5e-6
"""Probability substituted for 0: early chats saved five decimals."""


@dataclass(frozen=True)
class Token:
    """A generated token: the characters it completes, its probability by the model, the most likely alternatives.

    `id` is UNKNOWN for text whose tokens aren't known.
    """

    id: int
    text: str
    probability: float
    alternatives: tuple[tuple[str, float], ...] = ()

    @property
    def bits(self) -> float:
        """The surprise of the model: -log2 of the probability."""
        return -math.log2(self.probability or _SMALLEST)


UNKNOWN = -1


@dataclass(frozen=True)
class Surprise:
    """The total surprise of `tokens` tokens in bits: -log2 of their joint probability."""

    bits: float
    tokens: int

    @property
    def per_token(self) -> float:
        """Bits per token, 0 for none."""
        return self.bits / self.tokens if self.tokens else 0.0


def surprise(tokens: Sequence[Token]) -> Surprise:
    """The total surprise of these tokens, not counting text whose tokens aren't known."""
    known = [token for token in tokens if token.id != UNKNOWN]
    return Surprise(sum(token.bits for token in known), len(known))


@dataclass(frozen=True)
class Node:
    """A token after that of its parent. The first node of a tree is the root and has no token.

    `notes` say how a text ended that ends here, see `chats.py`.
    """

    parent: int
    token: Token | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Version:
    """A version in a list of versions: it ends at the node `end`; `start` is its first node that no earlier one has.

    `level`: 0 for the oldest, n + 1 if it branches off a version of level n.
    """

    start: int
    end: int
    level: int


@dataclass(frozen=True)
class VersionTree:
    """All versions of a text. `current` is the last node of the version that is shown."""

    nodes: tuple[Node, ...] = (Node(-1, None),)
    current: int = 0

    @staticmethod
    def of(tokens: Sequence[Token], notes: tuple[str, ...] = ()) -> "VersionTree":
        """A tree with one version."""
        return VersionTree().branch(0, tokens, notes)

    def branch(self, at: int, tokens: Sequence[Token], notes: tuple[str, ...] = ()) -> "VersionTree":
        """This tree with a new current version that continues the node `at` with `tokens`.

        Nodes are shared with other versions that continue in the same way.
        """
        nodes = list(self.nodes)
        children = {(node.parent, _identity(node.token)): index for index, node in enumerate(nodes) if node.token}
        for token in tokens:
            key = (at, _identity(token))
            if key in children:
                # the characters that a token completes may differ, if a text was once cut within a character
                nodes[children[key]] = replace(nodes[children[key]], token=token)
            else:
                children[key] = len(nodes)
                nodes.append(Node(at, token))
            at = children[key]
        nodes[at] = replace(nodes[at], notes=notes)
        return VersionTree(tuple(nodes), at)

    def at(self, node: int) -> "VersionTree":
        """This tree, with the version that ends at `node` as the current one."""
        return replace(self, current=node)

    def newest(self, most: int) -> "VersionTree":
        """This tree with its oldest versions removed to have at most `most` nodes; the current version is kept."""
        kept = {0, *self.path()}
        for leaf in reversed(self.leaves):
            more = kept.union(self.path(leaf))
            if len(more) > most:
                break
            kept = more
        place = {old: new for new, old in enumerate(sorted(kept))} | {-1: -1}
        nodes = [replace(self.nodes[old], parent=place[self.nodes[old].parent]) for old in sorted(kept)]
        return VersionTree(tuple(nodes), place[self.current])

    def path(self, node: int | None = None) -> tuple[int, ...]:
        """The nodes from the first token to `node`, by default to the end of the current version."""
        found: list[int] = []
        place = self.current if node is None else node
        while place > 0:
            found.append(place)
            place = self.nodes[place].parent
        return tuple(reversed(found))

    def tokens(self, node: int | None = None) -> tuple[Token, ...]:
        """The tokens of the version that ends at `node`, by default of the current one."""
        return tuple(token for index in self.path(node) if (token := self.nodes[index].token))

    def node_after(self, count: int) -> int:
        """The node where the first `count` tokens of the current version end."""
        return (0, *self.path())[count]

    @property
    def notes(self) -> tuple[str, ...]:
        """How the current version ended."""
        return self.nodes[self.current].notes

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The children of each node, the oldest first."""
        found: list[list[int]] = [[] for _node in self.nodes]
        for index, node in enumerate(self.nodes[1:], start=1):
            found[node.parent].append(index)
        return tuple(map(tuple, found))

    def versions(self) -> list["Version"]:
        """The versions in the order of the list: each one is followed by those that branch off it, the latest first."""
        found: list[Version] = []
        waiting = [(0, 0)]
        while waiting:
            start, level = waiting.pop()
            end, branches = start, list[int]()
            while end != self.current and self.children[end]:
                end, *others = self.children[end]
                branches += others
            branches += self.children[end]  # those that extend the current version
            found.append(Version(start, end, level))
            waiting += [(branch, level + 1) for branch in branches]
        return found

    def text(self, version: "Version") -> str:
        """What a version adds to the one that it branches off."""
        path = self.path(version.end)
        start = path.index(version.start) if version.start else 0
        return "".join(token.text for node in path[start:] if (token := self.nodes[node].token))

    @property
    def leaves(self) -> tuple[int, ...]:
        """The last nodes of the versions, the oldest first."""
        return tuple(index for index, after in enumerate(self.children) if not after)

    def surprise(self, node: int | None = None) -> Surprise:
        """The surprise of the version that ends at `node`, by default of the current one."""
        return surprise(self.tokens(node))


def _identity(token: Token | None) -> object:
    return token and (token.id if token.id != UNKNOWN else token.text)


State = TypeVar("State")
_UNDOABLE = 200
"""Number of changes that can be undone."""


@dataclass(frozen=True)
class History(Generic[State]):
    """An immutable state with its predecessors and the states that were undone."""

    present: State
    past: tuple[State, ...] = ()
    future: tuple[State, ...] = ()

    def then(self, state: State) -> "History[State]":
        """Set a new current state, which clears the redo list. An equal state changes nothing."""
        return self if state == self.present else History(state, (*self.past, self.present)[-_UNDOABLE:])

    def undo(self) -> "History[State]":
        """Return to the previous state; no change if there is none."""
        if not self.past:
            return self
        return History(self.past[-1], self.past[:-1], (self.present, *self.future))

    def redo(self) -> "History[State]":
        """Return to the state that was undone last; no change if there is none."""
        if not self.future:
            return self
        return History(self.future[0], (*self.past, self.present), self.future[1:])
