"""Rebuilds the engine from the journal, and proves that it comes out the same.

A normal start and `ordergate replay --verify` are this one path: every command
is carried out again at its recorded time, and its events must be the recorded
bytes.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from ordergate.matching.v1 import events_pb2 as wire

from matching.convert import decode_command, encode_events
from matching.core.book import BookSide
from matching.core.engine import Engine
from matching.core.events import Replay
from matching.core.ledger import Account
from matching.core.orders import Order
from matching.journal.file import checked, segments_of
from matching.journal.frames import Frame


class ReplayMismatchError(RuntimeError):
    """A command gave other events than the journal has: the code or the journal is not what it was."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a replay saw."""

    commands: int
    events: int
    last_seq: int
    epoch: int
    state_hash: str
    """SHA-256 of the state after the last command, hexadecimal."""


def recover(engine: Engine, frames: Iterable[Frame]) -> int:
    """Carries out the commands of the journal; gives their number.

    Raises:
        ReplayMismatchError: an event came out differently.
    """
    commands = 0
    for frame in frames:
        for entry in wire.JournalBatch.FromString(frame.payload).entries:
            _redo(engine, entry)
            commands += 1
        if engine.seq != frame.last_seq:
            raise ReplayMismatchError(f"after seq {frame.last_seq} the engine is at {engine.seq}")
    return commands


def verify(journal_dir: Path) -> Summary:
    """Replays a journal that nobody writes, offline.

    Raises:
        ReplayMismatchError: an event came out differently.
        DamagedJournalError: a frame cannot be read.
        OSError: the folder cannot be read.
    """
    engine = Engine()
    commands = epoch = 0
    for segment in checked(segments_of(journal_dir)):
        commands += recover(engine, segment.frames)
        epoch = segment.frames[-1].epoch if segment.frames else epoch
    return Summary(commands, engine.seq, engine.seq, epoch, state_hash(engine))


def state_hash(engine: Engine) -> str:
    """SHA-256 over the whole state, in an order that does not depend on anything but the state."""
    venue = engine.venue
    digest = hashlib.sha256()
    for _, listing in sorted(venue.listings.items()):
        books = [(side.sign, _levels(side)) for side in (listing.book.bids, listing.book.asks)]
        digest.update(msgspec.json.encode((listing.instrument, listing.lots, books)))
    for name, account in sorted(venue.accounts.items()):
        digest.update(msgspec.json.encode((name, *_account(account))))
    for _, order in sorted(venue.orders.items()):
        digest.update(msgspec.json.encode(_order(order)))
    money = sorted(venue.money_micro.items())
    digest.update(msgspec.json.encode((money, venue.seq, venue.time_unix_ns, venue.last_closed_day)))
    return digest.hexdigest()


def _account(account: Account) -> tuple[object, ...]:
    return (
        account.account_seq,
        [(currency, cash.cash_micro, cash.held_micro) for currency, cash in sorted(account.cash.items())],
        [
            (symbol, p.qty_lots, p.held_lots, p.cost_ticks_lots, p.realized_pnl_micro)
            for symbol, p in sorted(account.positions.items())
        ],
        [(key, outcome.event.seq) for key, outcome in sorted(account.keys.items())],
        [(key, event.seq) for key, (_, event) in sorted(account.adjustments.items())],
        account.order_ids,
        list(account.open_orders),
    )


def _order(order: Order) -> tuple[object, ...]:
    return (
        order.order_id,
        order.terms,
        order.cl_ord_id,
        order.qty_lots,
        order.price_ticks,
        order.cum_qty_lots,
        order.leaves_qty_lots,
        order.cum_value_ticks_lots,
        order.status,
        order.accepted_unix_ns,
        order.last_event.seq if order.last_event is not None else 0,
    )


def _levels(side: BookSide) -> list[tuple[int, list[tuple[int, int]]]]:
    """Prices, best first, with the ids and open lots of their orders, oldest first."""
    return [
        (price_ticks, [(order.order_id, order.leaves_qty_lots) for order in level.orders.values()])
        for price_ticks, level in side.best_first()
    ]


def _redo(engine: Engine, entry: wire.JournalEntry) -> None:
    before = engine.seq
    told = engine.execute(decode_command(entry.command), entry.time_unix_ns)
    if isinstance(told, Replay) or encode_events(told) != list(entry.events):
        raise ReplayMismatchError(f"the command after seq {before} gave other events than the journal has")
