"""What must be true of a matching server after it was killed, whenever that was: invariants I1 to I11 of the design.

`Shadow` follows the journal from its first event on, with segments that were
dropped out of an archive; it is the venue as the journal alone tells it.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from ordergate.matching.v1 import events_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from matching.convert import encode_event
from matching.core.engine import Engine
from matching.core.ledger import Account
from matching.core.words import TradingSession
from matching.journal.frames import Frame
from matching.journal.segments import checked, segments_of
from matching.recovery import recover, verify
from matching.state import state_hash
from tests.simulation.crash_traffic import Ledger

RECENT_EVENTS = 64


class Shadow:
    """The engine that the whole journal gives, and what it saw on the way."""

    def __init__(self, journal_dir: Path, archive: Path) -> None:
        self.engine = Engine()
        self.commands: dict[int, bytes] = {}
        """By the seq of the first event."""
        self.recent: deque[bytes] = deque(maxlen=RECENT_EVENTS)
        """The last events."""
        self.epochs: list[int] = []
        self._accepted: set[tuple[str, str]] = set()
        self._folders = (journal_dir, archive)

    def follow(self, until_seq: int = 0) -> None:
        """Carries out what is new in the journal, up to the command that holds `until_seq`.

        Checks I3 and I10 on the way: no gap, no smaller epoch, no earlier time;
        and that every command gives its recorded events.
        """
        while True:
            try:
                return self._follow(until_seq)
            except FileNotFoundError:
                continue  # A live server has just dropped a segment; it is in the archive.

    def _follow(self, until_seq: int) -> None:
        segments = dict(segment for folder in self._folders for segment in segments_of(folder))
        for segment in checked(sorted(segments.items()), self.engine.seq):
            for frame in segment.frames:
                if frame.last_seq <= self.engine.seq:
                    continue
                before = self.engine.seq
                recover(self.engine, [frame], until_seq)
                self._note(frame, before)
                if until_seq and self.engine.seq >= until_seq:
                    return

    def _note(self, frame: Frame, after_seq: int) -> None:
        if frame.epoch not in self.epochs[-1:]:
            self.epochs.append(frame.epoch)
        for entry in wire.JournalBatch.FromString(frame.payload).entries:
            events = [wire.Event.FromString(data) for data in entry.events]
            if not after_seq < events[0].seq <= self.engine.seq:
                continue
            self.commands[events[0].seq] = entry.command
            self.recent.extend(entry.events)
            for event in events:
                self._note_accepted(event)

    def _note_accepted(self, event: wire.Event) -> None:
        """I2: a key is carried out once. Quotes repeat the key of their request on both sides."""
        order = event.order
        if order.exec_type == types.EXEC_TYPE_NEW and order.request == types.REQUEST_KIND_SUBMIT:
            key = (order.account, order.cl_ord_id)
            assert key not in self._accepted, f"I2: {key} was carried out twice"
            self._accepted.add(key)


def check_files(shadow: Shadow, ledger: Ledger, journal_dir: Path) -> None:
    """Between two lives: I1 to I5 and I10, of what is on disk."""
    shadow.follow()
    for seq, data in ledger.acknowledged.items():
        assert shadow.commands.get(seq) == data, f"I1: what was acknowledged as seq {seq} is not in the journal"
    for asked, seq in ledger.repeated:
        assert seq in shadow.commands, f"I1: {asked.body} was said to have happened at seq {seq}"
    assert shadow.epochs == sorted(set(shadow.epochs)), "I3: the epoch only grows"
    check_money(shadow.engine)
    check_orders(shadow.engine)
    if not shadow.engine.seq:
        return
    summary = verify(journal_dir, from_snapshot=True)
    assert summary.last_seq == shadow.engine.seq
    assert summary.state_hash == state_hash(shadow.engine), "I4: replay is not snapshot and tail"


def check_money(engine: Engine) -> None:
    """I5: what one pays another gets, and fees are in the pot; so too with lots."""
    venue = engine.venue
    for currency, total_micro in venue.money_micro.items():
        owned = sum(
            account.cash[currency].cash_micro for account in venue.accounts.values() if currency in account.cash
        )
        assert owned + venue.fees_micro.get(currency, 0) == total_micro, f"I5: {currency}"
    for symbol, listing in venue.listings.items():
        held = [account.positions[symbol] for account in venue.accounts.values() if symbol in account.positions]
        assert sum(position.qty_lots for position in held) == listing.lots, f"I5: lots of {symbol}"


def check_orders(engine: Engine) -> None:
    """I5: traded and open quantity make an order's; what is held is held by orders; no book is crossed."""
    held: dict[tuple[str, str], int] = {}
    for account in engine.venue.accounts.values():
        for order in account.open_orders():
            assert order.cum_qty_lots + order.leaves_qty_lots == order.qty_lots, order.cl_ord_id
            key = (account.account, order.listing.instrument.currency)
            held[key] = held.get(key, 0) + order.held_micro
    for account in engine.venue.accounts.values():
        bases = {position.base for position in account.positions.values() if position.base is not None}
        for currency, cash in account.cash.items():
            expected = held.get((account.account, currency), 0)
            assert cash.held_micro == expected or cash in bases, f"I5: held {currency} of {account.account}"
    for listing in engine.venue.listings.values():
        is_continuous = listing.trading_session == TradingSession.CONTINUOUS
        assert not (is_continuous and listing.book.is_crossed()), f"I5: {listing.symbol} is crossed"


def check_drained(engine: Engine) -> None:
    """I11: without open orders nothing is on hold, and nothing counts as open."""
    for account in engine.venue.accounts.values():
        assert account.open_count == 0, account.account
        for cash in account.cash.values():
            assert (cash.held_micro, cash.open_micro) == (0, 0), f"I11: {account.account}"
        for position in account.positions.values():
            open_lots = (position.held_lots, position.open_buy_lots, position.open_short_lots)
            assert open_lots == (0, 0, 0), f"I11: {account.account} {position.listing.symbol}"
    for listing in engine.venue.listings.values():
        assert (listing.book.bids.best_ticks(), listing.book.asks.best_ticks()) == (0, 0), listing.symbol


def account_rows(account: Account) -> dict[str, Any]:
    """An account as GetAccount tells it."""
    return {
        "cash": [
            (name, cash.cash_micro, cash.held_micro, account.margin_micro(cash), cash.fees_micro)
            for name, cash in sorted(account.cash.items())
        ],
        "positions": [
            (symbol, position.qty_lots, position.held_lots, position.cost_ticks_lots, position.realized_pnl_micro)
            for symbol, position in sorted(account.positions.items())
            if position.is_used
        ],
        "open_orders": account.open_count,
    }


def order_rows(engine: Engine, name: str, limit: int) -> list[tuple[bytes, int]]:
    """An account's orders as ScanOrders tells them."""
    return [(encode_event(event, True), at) for event, at in engine.scan(name, "", False, 0, limit)]
