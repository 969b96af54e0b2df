"""The audit log and the history in PostgreSQL: the one writer.

A batch is one transaction: leaves, tiles, history and the position in the
journal. It waits for no disk: what a crash of the database takes back, the
journal gives again. A checkpoint does wait, and its commit makes everything
before it durable, so nothing that was signed can be lost.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from compliance.checkpoint import NoteInvalid, Signer, open_checkpoint
from compliance.errors import LogCorrupt, StoreUnavailable, reaching_the_store
from compliance.merkle import Range, leaf_hash
from compliance.reader import Reader, StoredCheckpoint
from compliance.rows import FILL_COLUMNS, LEAF_COLUMNS, ORDER_COLUMNS, Row, Rows
from compliance.tiles import TILE_WIDTH, Edge, FullTile, TileId, width_at

CONNECTIONS_MAX = 8
CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 60.0
CONNECTION_IDLE_S = 60.0
CLOSE_TIMEOUT_S = 5.0
TILE_COLUMNS = ("level", "position", "root", "hashes")
# A plan made without the values would choose one index for rare and frequent accounts alike.
_SESSION = {"application_name": "ordergate-compliance", "plan_cache_mode": "force_custom_plan", "jit": "off"}

_MOVE = "UPDATE audit.position SET seq = $2, epoch = $3 WHERE seq = $1 AND epoch <= $3"
# Not when the leaves are gone: a crash may have taken them back since they were stored.
_PUT_CHECKPOINT = """
INSERT INTO audit.checkpoints (tree_size, signed_time_ns, root_hash, note)
SELECT $1, $2, $3, $4
WHERE EXISTS (SELECT FROM audit.position WHERE seq >= $1)
AND NOT EXISTS (SELECT FROM audit.checkpoints WHERE tree_size > $1)
ON CONFLICT DO NOTHING"""
_CHANGE_ORDERS = """
UPDATE history.order_state AS o SET
    last_seq = n.last_seq,
    last_time_ns = n.last_time_ns,
    qty_lots = n.qty_lots,
    price_ticks = n.price_ticks,
    cum_qty_lots = n.cum_qty_lots,
    leaves_qty_lots = n.leaves_qty_lots,
    cum_value_ticks_lots = n.cum_value_ticks_lots,
    cl_ord_id = n.cl_ord_id,
    ord_status = n.ord_status,
    reason = n.reason,
    stop_px_ticks = n.stop_px_ticks,
    display_qty_lots = n.display_qty_lots
FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[]
) AS n (
    order_id, last_seq, last_time_ns, qty_lots, price_ticks, cum_qty_lots, leaves_qty_lots, cum_value_ticks_lots,
    cl_ord_id, ord_status, reason, stop_px_ticks, display_qty_lots
)
WHERE o.order_id = n.order_id"""
_ADD_POSITIONS = """
INSERT INTO history.position_state AS p
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::numeric[], $8::numeric[],
    $9::numeric[])
ON CONFLICT (account, symbol) DO UPDATE SET
    last_seq = excluded.last_seq,
    bought_lots = p.bought_lots + excluded.bought_lots,
    sold_lots = p.sold_lots + excluded.sold_lots,
    adjusted_lots = p.adjusted_lots + excluded.adjusted_lots,
    bought_value_ticks_lots = p.bought_value_ticks_lots + excluded.bought_value_ticks_lots,
    sold_value_ticks_lots = p.sold_value_ticks_lots + excluded.sold_value_ticks_lots,
    fees_micro = p.fees_micro + excluded.fees_micro"""
_ADD_CASH = """
INSERT INTO history.cash_state AS c SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
ON CONFLICT (account, currency) DO UPDATE SET
    last_seq = excluded.last_seq,
    adjusted_micro = c.adjusted_micro + excluded.adjusted_micro"""
_PUT_ACCOUNT = "INSERT INTO history.accounts VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_PUT_INSTRUMENT = """
INSERT INTO history.instrument_terms VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT DO NOTHING"""
_END_LISTING = "UPDATE history.instrument_terms SET delisted_seq = $2 WHERE symbol = $1 AND delisted_seq IS NULL"


class PositionMoved(Exception):
    """Somebody else has written, or matching runs under a newer epoch: load the state again."""


@dataclass(frozen=True, slots=True)
class LogState:
    """What the writer knows of the log: all that the next batch needs."""

    seq: int
    epoch: int
    edge: Edge
    checkpoint: StoredCheckpoint | None


@asynccontextmanager
async def connections(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections that are made when they are used; the database need not be there yet."""
    pool = asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=CONNECTIONS_MAX,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        max_inactive_connection_lifetime=CONNECTION_IDLE_S,
        server_settings=_SESSION,
    )
    await pool
    try:
        yield pool
    finally:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await pool.close()
        except TimeoutError:
            pool.terminate()


class Store:
    """Writes the log. One at a time: the position's row is the lock."""

    def __init__(self, pool: asyncpg.Pool, reader: Reader, signer: Signer) -> None:
        self._pool = pool
        self._reader = reader
        self._signer = signer

    async def load(self) -> LogState:
        """The state to continue from, once the stored tree is the one that was signed.

        The newest leaves are hashed again from their entries; everything to the
        left of them counts with its stored tiles.

        Raises:
            StoreUnavailable: the database cannot be reached.
            LogCorrupt: the tree does not lead to the root of the newest checkpoint, or is smaller than it.
        """
        seq, epoch = await self._reader.position()
        edge = Edge(seq, await self._edge_levels(seq))
        checkpoint = await self._reader.checkpoint()
        if checkpoint is not None:
            await self._compare(edge, checkpoint)
        return LogState(seq, epoch, edge, checkpoint)

    async def append(self, state: LogState, rows: Rows) -> LogState:
        """Stores the rows that follow `state`, all or nothing; gives the state after them.

        Raises:
            StoreUnavailable: the database cannot be reached; whether the rows are stored is not known.
            PositionMoved: the log no longer ends where `state` says.
        """
        edge = state.edge.copy()
        tiles = edge.append(rows.leaf_hashes)
        with reaching_the_store():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("SET LOCAL synchronous_commit = off")
                moved = await connection.execute(_MOVE, state.seq, edge.size, rows.epoch)
                if moved != "UPDATE 1":
                    raise PositionMoved(f"the log no longer ends at {state.seq}, or is past epoch {rows.epoch}")
                await _put_leaves(connection, rows, tiles)
                await _put_history(connection, rows)
        return LogState(edge.size, rows.epoch, edge, state.checkpoint)

    async def publish(self, state: LogState, signed_time_ns: int) -> StoredCheckpoint:
        """Signs and stores a checkpoint of `state`, unless there is one of its size or above; gives the newest.

        Raises:
            StoreUnavailable: the database cannot be reached.
            LogCorrupt: a checkpoint of this size states another root.
        """
        size, root = state.edge.size, state.edge.root()
        note = self._signer.sign(size, root)
        with reaching_the_store():
            await self._pool.execute(_PUT_CHECKPOINT, size, signed_time_ns, root, note)
        newest = await self._reader.checkpoint()
        if newest is None or newest.tree_size < size:
            raise StoreUnavailable(f"the checkpoint of size {size} was not stored")
        if newest.tree_size == size and newest.root_hash != root:
            raise LogCorrupt(
                f"size {size} was signed with the root {newest.root_hash.hex()}, and now its root is {root.hex()}"
            )
        return newest

    async def _edge_levels(self, size: int) -> list[list[bytes]]:
        """The unfinished tiles: leaves hashed again, and the roots of the finished tiles below each level."""
        first = size - size % TILE_WIDTH
        levels = [[leaf_hash(entry) for entry in await self._reader.entries(first, size)]]
        finished = size // TILE_WIDTH
        while finished:
            tile = TileId(len(levels), finished // TILE_WIDTH)
            levels.append(await self._reader.unfinished(tile, width_at(tile, size)))
            finished //= TILE_WIDTH
        return levels

    async def _compare(self, edge: Edge, checkpoint: StoredCheckpoint) -> None:
        try:
            signed = open_checkpoint(checkpoint.note, self._signer.verifier_key)
        except NoteInvalid as error:
            raise LogCorrupt(f"the newest checkpoint, of size {checkpoint.tree_size}: {error}") from error
        if edge.size < signed.tree_size:
            raise LogCorrupt(f"{signed.tree_size} entries were signed, only {edge.size} are stored: the tail is gone")
        root = edge.root()
        if edge.size > signed.tree_size:
            [root] = await self._reader.hashes([Range(0, signed.tree_size)], signed.tree_size)
        if root != signed.root_hash:
            raise LogCorrupt(
                f"the first {signed.tree_size} entries have the root {root.hex()}, "
                f"but {signed.root_hash.hex()} was signed: the stored log was changed"
            )


async def _put_leaves(connection: Any, rows: Rows, tiles: Sequence[FullTile]) -> None:
    await _copy(connection, "audit", "leaves", LEAF_COLUMNS, rows.leaves)
    if tiles:
        records = [(*tile.id, tile.root, tile.hashes) for tile in tiles]
        await _copy(connection, "audit", "tiles", TILE_COLUMNS, records)


async def _put_history(connection: Any, rows: Rows) -> None:
    if rows.instruments:
        await connection.executemany(_PUT_INSTRUMENT, rows.instruments)
    if rows.delisted:
        await connection.executemany(_END_LISTING, rows.delisted)
    if rows.accounts:
        await connection.executemany(_PUT_ACCOUNT, rows.accounts)
    if new := rows.new_orders():
        await _copy(connection, "history", "order_state", ORDER_COLUMNS, new)
    if changed := rows.changed_orders():
        await connection.execute(_CHANGE_ORDERS, *_columns(changed))
    if rows.fills:
        await _copy(connection, "history", "fill", FILL_COLUMNS, rows.fills)
    if rows.positions:
        changes = [(account, symbol, rows.last_seq, *change) for (account, symbol), change in rows.positions.items()]
        await connection.execute(_ADD_POSITIONS, *_columns(changes))
    if rows.cash:
        changes = [(account, currency, rows.last_seq, micro) for (account, currency), micro in rows.cash.items()]
        await connection.execute(_ADD_CASH, *_columns(changes))


async def _copy(connection: Any, schema: str, table: str, columns: Sequence[str], records: Sequence[Row]) -> None:
    await connection.copy_records_to_table(table, schema_name=schema, columns=columns, records=records)


def _columns(rows: Any) -> list[tuple[Any, ...]]:
    """Rows turned into columns, as unnest takes them."""
    return list(zip(*rows, strict=True))
