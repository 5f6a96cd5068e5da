"""Versions of a text: branching loses nothing, and undo and redo restore equal states."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.workflows.generation.version_tree import UNKNOWN, History, Token, VersionTree, surprise

tokens = st.builds(Token, st.integers(0, 3), st.just("x"), st.floats(0.01, 1)).map(
    lambda t: Token(t.id, str(t.id), 0.5)
)
texts = st.lists(tokens, max_size=5)
changes = st.lists(st.tuples(st.floats(0, 0.999), texts, st.sampled_from([(), ("limit",)])), max_size=12)
"""(position of the branch, as a fraction of the nodes; its tokens; how the version ended)."""


def ids(tree: VersionTree, node: int | None = None) -> list[int]:
    return [token.id for token in tree.tokens(node)]


def states(made: list[tuple[float, list[Token], tuple[str, ...]]]) -> list[VersionTree]:
    """The tree after each change."""
    found = [VersionTree()]
    for place, more, notes in made:
        found.append(found[-1].branch(int(place * len(found[-1].nodes)), more, notes))
    return found


@given(changes)
def test_a_branch_adds_a_version_and_loses_none(made: list[tuple[float, list[Token], tuple[str, ...]]]) -> None:
    for before, after, (place, more, notes) in zip(states(made), states(made)[1:], made, strict=False):
        at = int(place * len(before.nodes))
        assert ids(after) == ids(before, at) + [token.id for token in more]
        assert after.notes == notes
        for leaf in before.leaves:
            assert ids(after, leaf) == ids(before, leaf)
        assert {*map(tuple, (ids(after, leaf) for leaf in after.leaves))} >= {
            version for version in map(tuple, (ids(before, leaf) for leaf in before.leaves))
            if version != tuple(ids(after))[: len(version)]
        }  # fmt: skip


@given(changes)
def test_versions_share_their_beginnings(made: list[tuple[float, list[Token], tuple[str, ...]]]) -> None:
    tree = states(made)[-1]
    paths = [tuple(ids(tree, node)) for node in range(len(tree.nodes))]
    assert len(set(paths)) == len(paths), "no two nodes stand for the same text"
    again = VersionTree()
    for leaf in tree.leaves:
        again = again.branch(0, tree.tokens(leaf))
    assert sorted(paths) == sorted(tuple(ids(again, node)) for node in range(len(again.nodes)))


@given(changes, st.lists(st.booleans(), max_size=30))
def test_undo_and_redo_restore_equal_states(
    made: list[tuple[float, list[Token], tuple[str, ...]]], moves: list[bool]
) -> None:
    """Compared with a list of all states and an index; a step beyond its ends changes nothing."""
    history = History(VersionTree())
    reached = [VersionTree()]
    for state in states(made)[1:]:
        history = history.then(state)
        reached += [state] if state != reached[-1] else []
    place = len(reached) - 1
    for back in moves:
        history = history.undo() if back else history.redo()
        place = max(0, place - 1) if back else min(len(reached) - 1, place + 1)
        assert history.present == reached[place]
        assert (bool(history.past), bool(history.future)) == (place > 0, place < len(reached) - 1)
    other = history.present.branch(0, [Token(9, "9", 0.1)])
    assert history.then(other).undo().present == history.present and not history.then(other).future


@given(changes, st.integers(1, 12))
def test_the_oldest_versions_are_left_out_first(
    made: list[tuple[float, list[Token], tuple[str, ...]]], most: int
) -> None:
    tree = states(made)[-1]
    fewer = tree.newest(most)
    assert ids(fewer) == ids(tree) and fewer.notes == tree.notes
    assert len(fewer.nodes) <= max(most, len(tree.path()) + 1)
    assert tree.newest(len(tree.nodes)) == tree
    kept = [ids(fewer, leaf) for leaf in fewer.leaves]
    everything = [ids(tree, leaf) for leaf in tree.leaves]
    assert all(any(version == whole[: len(version)] for whole in everything) for version in kept)


@given(changes, st.floats(0, 0.999))
def test_the_list_has_every_version_once_and_the_current_one(
    made: list[tuple[float, list[Token], tuple[str, ...]]], place: float
) -> None:
    tree = states(made)[-1]
    tree = tree.at(int(place * len(tree.nodes)))
    listed = tree.versions()
    assert sorted(one.end for one in listed) == sorted({*tree.leaves, tree.current})
    for number, one in enumerate(listed):
        whole = "".join(token.text for token in tree.tokens(one.end))
        assert whole.endswith(tree.text(one)) and (one.level or tree.text(one) == whole)
        if number:
            parent = next(other for other in reversed(listed[:number]) if other.level == one.level - 1)
            assert tree.nodes[one.start].parent in (0, *tree.path(parent.end))


def test_the_probability_of_a_version_is_the_product_of_its_tokens() -> None:
    tree = VersionTree.of([Token(1, "a", 0.5), Token(2, "b", 0.125), Token(UNKNOWN, "?", 0.9)])
    found = tree.surprise()
    assert (found.bits, found.tokens, found.per_token) == (4.0, 2, 2.0)
    assert 2**-found.bits == pytest.approx(0.5 * 0.125)
    assert surprise([]).per_token == 0 and math.isfinite(Token(1, "a", 0.0).bits)


def test_a_character_that_was_cut_is_completed_by_the_token_that_follows() -> None:
    cut = VersionTree.of([Token(1, "a", 0.5), Token(2, "\ufffd", 0.5)])
    whole = cut.branch(0, [Token(1, "a", 0.5), Token(2, "", 0.5), Token(3, "é", 0.5)])
    assert "".join(token.text for token in whole.tokens()) == "aé" and len(whole.leaves) == 1
