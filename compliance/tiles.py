"""Where the hashes of the tree are kept: tiles of 256, in the shape of C2SP tlog-tiles.

The tile at `position` N of `level` L holds the 256 tree nodes of height 8 L from
256 N on; every other node follows from one tile with at most 255 hashes.
Only finished tiles are stored, and they never change; the unfinished right
edge follows from the leaves and from the roots of the finished tiles below it.

Pure. `compliance.store` keeps tiles in PostgreSQL, `compliance.verify` in memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from compliance.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    Node,
    Range,
    cover,
    fold,
    node_hash,
    perfect_root,
)

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT


class TileId(NamedTuple):
    """Place of a tile: `level` from 0 at the leaves, `position` from 0 at the left."""

    level: int
    position: int


class FullTile(NamedTuple):
    """A finished tile: 256 hashes and the root over them."""

    id: TileId
    hashes: bytes
    root: bytes


def tile_of(node: Node) -> TileId:
    """The tile that a node follows from."""
    level, height = divmod(node.level, TILE_HEIGHT)
    return TileId(level, node.position << height >> TILE_HEIGHT)


def width_at(tile: TileId, size: int) -> int:
    """How many hashes a tile holds in a tree of `size` leaves, 0 to 256."""
    above = (size >> TILE_HEIGHT * tile.level) - tile.position * TILE_WIDTH
    return max(0, min(TILE_WIDTH, above))


def node_in_tile(node: Node, hashes: Sequence[bytes]) -> bytes:
    """The hash of a node, from the hashes of its tile as far as that is filled.

    Raises:
        IndexError: the tile is not filled as far as the node needs.
    """
    height = node.level % TILE_HEIGHT
    first = (node.position << height) % TILE_WIDTH
    part = hashes[first : first + (1 << height)]
    if len(part) != 1 << height:
        raise IndexError(f"the tile of {node} holds {len(hashes)} hashes")
    return perfect_root(part)


def split_hashes(packed: bytes) -> list[bytes]:
    """The hashes that a stored tile holds one after another."""
    return [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)]


def tiles_for(ranges: Iterable[Range]) -> set[TileId]:
    """The tiles that the hashes of `ranges` follow from."""
    return {tile_of(node) for leaves in ranges for node in cover(leaves)}


def range_hash(leaves: Range, tiles: Mapping[TileId, Sequence[bytes]]) -> bytes:
    """The root over `leaves`, from the tiles that `tiles_for` names.

    Raises:
        KeyError, IndexError: a tile is missing or not filled far enough.
    """
    if leaves.begin == leaves.end:
        return EMPTY_ROOT
    return fold([node_in_tile(node, tiles[tile_of(node)]) for node in cover(leaves)])


@dataclass(slots=True)
class Edge:
    """The unfinished tiles at the right edge of a tree: all that appending needs.

    `levels[L]` holds fewer than 256 hashes of height 8 L.
    """

    size: int = 0
    levels: list[list[bytes]] = field(default_factory=list)

    def copy(self) -> "Edge":
        """An independent copy, to append to and to drop when the transaction fails."""
        return Edge(self.size, [list(level) for level in self.levels])

    def append(self, leaves: Sequence[bytes]) -> list[FullTile]:
        """Appends leaf hashes and gives the tiles that this finished, lower levels first."""
        finished: list[FullTile] = []
        arriving: Sequence[bytes] = leaves
        level, below = 0, self.size
        while arriving:
            if level == len(self.levels):
                self.levels.append([])
            tiles = self._fill(level, below // TILE_WIDTH, arriving)
            finished += tiles
            arriving = [tile.root for tile in tiles]
            level, below = level + 1, below // TILE_WIDTH
        self.size += len(leaves)
        return finished

    def _fill(self, level: int, first_index: int, arriving: Sequence[bytes]) -> list[FullTile]:
        row = self.levels[level]
        row += arriving
        full = len(row) // TILE_WIDTH
        tiles = []
        for at in range(full):
            hashes = row[at * TILE_WIDTH : (at + 1) * TILE_WIDTH]
            tiles.append(FullTile(TileId(level, first_index + at), b"".join(hashes), perfect_root(hashes)))
        del row[: full * TILE_WIDTH]
        return tiles

    def root(self) -> bytes:
        """The root of the tree."""
        root: bytes | None = None
        for row in self.levels:
            for node in reversed(cover(Range(0, len(row)))):
                subtree = node_in_tile(node, row)
                root = subtree if root is None else node_hash(subtree, root)
        return EMPTY_ROOT if root is None else root


class MemoryTree:
    """All tiles of a tree in memory, 32 bytes a leaf: for whoever verifies a log."""

    def __init__(self) -> None:
        self._levels: list[bytearray] = [bytearray()]
        self._edge = Edge()

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._edge.size

    def append(self, leaves: Sequence[bytes]) -> None:
        """Appends leaf hashes."""
        self._levels[0] += b"".join(leaves)
        for tile in self._edge.append(leaves):
            above = tile.id.level + 1
            if above == len(self._levels):
                self._levels.append(bytearray())
            self._levels[above] += tile.root

    def leaf(self, index: int) -> bytes:
        """The hash of a leaf."""
        return bytes(self._levels[0][index * HASH_BYTES : (index + 1) * HASH_BYTES])

    def hash_of(self, leaves: Range) -> bytes:
        """The root over `leaves`, a range below `size`."""
        return range_hash(leaves, {tile: self._tile(tile) for tile in tiles_for([leaves])})

    def root(self, size: int) -> bytes:
        """The root of the first `size` leaves."""
        return self.hash_of(Range(0, size))

    def _tile(self, tile: TileId) -> list[bytes]:
        width = TILE_WIDTH * HASH_BYTES
        return split_hashes(bytes(self._levels[tile.level][tile.position * width : (tile.position + 1) * width]))
