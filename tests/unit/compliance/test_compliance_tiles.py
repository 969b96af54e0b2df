"""Tiles: hashes of any range from stored tiles, and appending with the right edge only."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.merkle import (
    EMPTY_ROOT,
    Node,
    Range,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from compliance.tiles import TILE_WIDTH, Edge, MemoryTree, TileId, node_in_tile, split_hashes, tile_of

LEAVES_MAX = 66_500
LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(LEAVES_MAX)]


def plain_root(leaves: list[bytes]) -> bytes:
    """The root, level by level; a node without a sibling moves up unchanged."""
    row = leaves
    while len(row) > 1:
        pairs = [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
        row = pairs + row[len(row) & ~1 :]
    return row[0] if row else EMPTY_ROOT


@given(st.lists(st.integers(1, 700), max_size=8))
@settings(deadline=None)
def test_appending_in_any_portions_gives_the_same_tree(portions: list[int]) -> None:
    """Root and finished tiles do not depend on how the leaves came."""
    edge, finished, size = Edge(), [], 0
    for portion in portions:
        finished += edge.append(LEAVES[size : size + portion])
        size += portion
    whole = Edge()
    assert sorted(finished) == sorted(whole.append(LEAVES[:size]))
    assert edge == whole
    assert edge.root() == plain_root(LEAVES[:size])


def test_a_tile_of_the_second_level_holds_the_roots_below_it() -> None:
    """65,536 leaves finish 256 tiles of level 0 and one of level 1; their hashes are the leaves' and the roots'."""
    edge = Edge()
    tiles = {tile.id: tile for tile in edge.append(LEAVES)}
    assert len(tiles) == LEAVES_MAX // TILE_WIDTH + 1
    for tile in tiles.values():
        below = [tiles[TileId(0, at)].root for at in range(TILE_WIDTH)] if tile.id.level else None
        start = tile.id.position * TILE_WIDTH
        assert split_hashes(tile.hashes) == (below or LEAVES[start : start + TILE_WIDTH])
        assert tile.root == plain_root(split_hashes(tile.hashes))
    assert edge.root() == plain_root(LEAVES)


def test_a_failed_append_leaves_the_original_edge_alone() -> None:
    """A copy can be appended to and dropped."""
    edge = Edge()
    edge.append(LEAVES[:300])
    before = edge.root()
    edge.copy().append(LEAVES[300:900])
    assert (edge.size, edge.root()) == (300, before)


@given(st.integers(1, LEAVES_MAX), st.data())
@settings(max_examples=50, deadline=None)
def test_proofs_from_tiles_verify(size: int, data: st.DataObject) -> None:
    """Inclusion and consistency of any place and size, with hashes out of tiles, lead to the roots."""
    tree = _whole_tree()
    index = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(1, size))
    inclusion = [tree.hash_of(one) for one in inclusion_ranges(index, size)]
    verify_inclusion(LEAVES[index], index, size, inclusion, tree.root(size))
    consistency = [tree.hash_of(one) for one in consistency_ranges(first, size)]
    verify_consistency(first, size, consistency, tree.root(first), tree.root(size))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, LEAVES_MAX])
def test_the_root_of_any_prefix_follows_from_tiles(size: int) -> None:
    """At and around the borders of tiles of both levels the root is that of the plain tree."""
    assert _whole_tree().root(size) == plain_root(LEAVES[:size])


def test_a_node_belongs_to_the_tile_beneath_it() -> None:
    """Heights 0 to 7 follow from a tile of level 0, 8 to 15 from one of level 1."""
    assert tile_of(Node(0, 511)) == TileId(0, 1)
    assert tile_of(Node(7, 3)) == TileId(0, 1)
    assert tile_of(Node(8, 3)) == TileId(1, 0)
    assert tile_of(Node(15, 3)) == TileId(1, 1)


def test_a_tile_that_is_not_filled_far_enough_gives_no_hash() -> None:
    """A node over leaves that are not there yet is an error, not a wrong hash."""
    with pytest.raises(IndexError, match="holds 3 hashes"):
        node_in_tile(Node(2, 0), LEAVES[:3])


_TREES: list[MemoryTree] = []


def _whole_tree() -> MemoryTree:
    """One tree for all examples: it does not change."""
    if not _TREES:
        _TREES.append(MemoryTree())
        _TREES[0].append(LEAVES)
    assert _TREES[0].hash_of(Range(7, 8)) == LEAVES[7]
    return _TREES[0]
