"""Reads of the audit log: entries, checkpoints, and the hashes that proofs are made of.

Everything read here only grows, so no read needs a transaction.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import asyncpg

from compliance.errors import LogCorrupt, reaching_the_store
from compliance.merkle import Range
from compliance.tiles import TILE_WIDTH, TileId, range_hash, split_hashes, tiles_for, width_at

_CHECKPOINT = "SELECT tree_size, root_hash, note, signed_time_ns FROM audit.checkpoints"
_ENTRIES = "SELECT leaf_index, entry FROM audit.leaves WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY 1"
_LEAF_HASHES = "SELECT leaf_index, leaf_hash FROM audit.leaves WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY 1"
_TILES = """
SELECT level, position, hashes FROM unnest($1::smallint[], $2::bigint[]) AS wanted (level, position)
JOIN audit.tiles USING (level, position)"""


class StoredCheckpoint(NamedTuple):
    """A signed checkpoint; `signed_time_ns` is unix ns."""

    tree_size: int
    root_hash: bytes
    note: str
    signed_time_ns: int


class Reader:
    """Reads what `Store` has written. Every method raises StoreUnavailable when the database cannot be reached."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def position(self) -> tuple[int, int]:
        """The last sequence in the log, and the highest epoch of matching it has seen."""
        [(seq, epoch)] = await self.fetch("SELECT seq, epoch FROM audit.position")
        return seq, epoch

    async def checkpoint(self, tree_size: int = 0) -> StoredCheckpoint | None:
        """The checkpoint of exactly this size, the newest one for 0; None when there is none."""
        if tree_size:
            found = await self.fetch(f"{_CHECKPOINT} WHERE tree_size = $1", tree_size)
        else:
            found = await self.fetch(f"{_CHECKPOINT} ORDER BY tree_size DESC LIMIT 1")
        return StoredCheckpoint(*found[0]) if found else None

    async def entries(self, begin: int, end: int) -> list[bytes]:
        """The entries of the leaves from `begin` to below `end`, in order.

        Raises:
            LogCorrupt: one of them is missing.
        """
        return await self._dense(_ENTRIES, begin, end)

    async def leaf_hashes(self, begin: int, end: int) -> list[bytes]:
        """The hashes of the leaves from `begin` to below `end`, in order.

        Raises:
            LogCorrupt: one of them is missing.
        """
        return await self._dense(_LEAF_HASHES, begin, end)

    async def _dense(self, query: str, begin: int, end: int) -> list[bytes]:
        rows = await self.fetch(query, begin, end)
        if len(rows) != end - begin:
            present = {row[0] for row in rows}
            missing = next(index for index in range(begin, end) if index not in present)
            raise LogCorrupt(f"leaf {missing} is missing from the stored log")
        return [row[1] for row in rows]

    async def unfinished(self, tile: TileId, width: int) -> list[bytes]:
        """The first `width` hashes of a tile that is not finished.

        Raises:
            LogCorrupt: one of them is missing.
        """
        first = tile.position * TILE_WIDTH
        if tile.level == 0:
            return await self.leaf_hashes(first, first + width)
        query = "SELECT root FROM audit.tiles WHERE level = $1 AND position >= $2 AND position < $3 ORDER BY position"
        roots = [row[0] for row in await self.fetch(query, tile.level - 1, first, first + width)]
        if len(roots) != width:
            raise LogCorrupt(f"{width - len(roots)} tiles of level {tile.level - 1} from {first} on are missing")
        return roots

    async def hashes(self, ranges: Iterable[Range], size: int) -> list[bytes]:
        """The root over each of `ranges`, all of which lie in the first `size` leaves.

        Raises:
            LogCorrupt: a hash is missing.
        """
        wanted = list(ranges)
        ids = sorted(tiles_for(wanted))
        levels, positions = [tile.level for tile in ids], [tile.position for tile in ids]
        tiles: dict[TileId, Sequence[bytes]] = {
            TileId(level, position): split_hashes(hashes)
            for level, position, hashes in await self.fetch(_TILES, levels, positions)
        }
        for tile in ids:
            if tile not in tiles:
                tiles[tile] = await self.unfinished(tile, width_at(tile, size))
        return [range_hash(leaves, tiles) for leaves in wanted]

    async def fetch(self, query: str, *values: object) -> list[Any]:
        """The rows of a query."""
        with reaching_the_store():
            rows: list[Any] = await self._pool.fetch(query, *values)
        return rows
