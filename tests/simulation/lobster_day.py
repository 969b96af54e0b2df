"""A recorded day of order flow, offline and twice: both times the same events and the same state.

    python -m tests.simulation.lobster_day AMZN_2012-06-21_message_1.csv

Every event of a LOBSTER message file becomes the command that `ordergate flow`
would send, goes through the gateway's admission, and is carried out by an
engine at its recorded time, from an empty journal with the delivered genesis.
The first run's journal is then verified, which carries everything out once more.
Prints the state hash, the top of the final book, positions and cash.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from ordergate.matching.v1 import events_pb2 as wire
from ordergate.orders.v1 import order_entry_pb2 as entry

from clients.flow.lobster import FlowAccounts, FlowEvent, Mapping, parse, symbol_of
from gateway.admission import Admission
from matching import asof
from matching.convert import decode_command, encode_events
from matching.core.engine import Engine
from matching.core.events import Replay
from matching.encoding import journal_entry
from matching.genesis import genesis_commands
from matching.journal.file import FileJournal
from matching.recovery import verify
from matching.state import state_hash
from runtime.errors import Refused
from runtime.instruments import Instrument, Instruments
from runtime.reasons import reason_name
from tests.simulation.gateway_link import GENESIS

ACCOUNTS = FlowAccounts("FLOW-BID", "FLOW-ASK", "FLOW-TAKER")
MIDNIGHT_UNIX_NS = int(datetime(2012, 6, 21, tzinfo=UTC).timestamp()) * 10**9
SEGMENT_BYTES = 16 * 1024 * 1024
BATCH_COMMANDS = 256
BOOK_LEVELS = 5


@dataclass
class Day:
    """What a run came to."""

    counts: dict[str, int]
    commands: int
    events: int
    events_hash: str
    """SHA-256 of all event bytes in order, hexadecimal."""
    state_hash: str
    engine: Engine
    seconds: float


class Venue:
    """An engine and its journal."""

    def __init__(self, folder: Path) -> None:
        self.engine = Engine()
        self.instruments = Instruments()
        self.events_hash = hashlib.sha256()
        self._journal = FileJournal(folder, SEGMENT_BYTES)
        self._entries: list[bytes] = []

    def carry_out(self, command: bytes, unix_ns: int) -> None:
        """Carries out a command, not before `unix_ns`."""
        now_unix_ns = max(unix_ns, self.engine.time_unix_ns + 1)
        told = self.engine.execute(decode_command(command), now_unix_ns)
        if isinstance(told, Replay):
            return
        events = encode_events(told)
        for data in events:
            self.events_hash.update(data)
        self._entries.append(journal_entry(command, now_unix_ns, events))
        if len(self._entries) == BATCH_COMMANDS:
            self.flush()

    def flush(self) -> None:
        """Makes durable what has gathered."""
        if self._entries:
            self._journal.append(self._journal.last_seq + 1, self.engine.seq, b"".join(self._entries))
            self._entries = []

    def begin(self) -> None:
        """Carries out the genesis, and learns its instruments."""
        for number, command in enumerate(genesis_commands(GENESIS)):
            self.carry_out(command, MIDNIGHT_UNIX_NS + number)
        for listing in self.engine.venue.listings.values():
            event = wire.Event.FromString(encode_events([listing.listed])[0])
            self.instruments.learn(event)

    def close(self) -> None:
        """Ends the journal."""
        self.flush()
        self._journal.close()


def commands(
    mapping: Mapping, admission: Admission, events: Iterable[FlowEvent], refused: Counter[str]
) -> Iterator[tuple[bytes, int]]:
    """The commands of a day and their times; what the gateway refuses is counted: executions between two ticks."""
    envelope = admission.envelope("flow")
    for event in events:
        asked = mapping.command(event)
        if asked is None:
            continue
        unix_ns = MIDNIGHT_UNIX_NS + event.time_ns
        try:
            yield _admitted(asked, admission, envelope, unix_ns), unix_ns
        except Refused as error:
            refused[reason_name(error.reason)] += 1


def _admitted(asked: entry.SessionCommand, admission: Admission, envelope: object, unix_ns: int) -> bytes:
    kind = asked.WhichOneof("command")
    admit = {"submit": admission.new_order, "replace": admission.replace_order, "cancel": admission.cancel_order}
    command: bytes = admit[str(kind)](getattr(asked, str(kind)), envelope, unix_ns)  # type: ignore[operator]
    return command


def day(file: Path, folder: Path, limit: int | None = None) -> Day:
    """Carries out the day in an empty folder."""
    began = time.perf_counter()
    venue, refused, sent = Venue(folder), Counter[str](), 0
    venue.begin()
    mapping = Mapping("day", symbol_of(file), ACCOUNTS)
    with file.open(encoding="ascii") as lines:
        admission = Admission(venue.instruments, "gateway-0")
        for command, unix_ns in commands(mapping, admission, islice(parse(lines), limit), refused):
            venue.carry_out(command, unix_ns)
            sent += 1
    venue.close()
    engine = venue.engine
    seconds = time.perf_counter() - began
    counts = asdict(mapping.counts) | {f"refused {name}": count for name, count in sorted(refused.items())}
    return Day(counts, sent, engine.seq, venue.events_hash.hexdigest(), state_hash(engine), engine, seconds)


def levels(engine: Engine, symbol: str) -> Iterator[str]:
    """The top of the book, best first: orders, quantity and price of bid and ask."""
    listing = engine.venue.listings[symbol]
    terms = listing.instrument
    instrument = Instrument(symbol, terms.asset_class, terms.currency, terms.tick_size_nano, terms.lot_size_nano)
    sides = [
        [
            f"{instrument.qty_text(level.qty_lots):>7} in {len(level.orders()):>3} at {instrument.price_text(price)}"
            for price, level in side.best_first()[:BOOK_LEVELS]
        ]
        for side in (listing.book.bids, listing.book.asks)
    ]
    for number in range(max(map(len, sides))):
        yield "   ".join(f"{side[number] if number < len(side) else '':<26}" for side in sides)


def show(day_: Day, symbol: str) -> None:
    """Prints the end of the day."""
    engine = day_.engine
    print(f"book of {symbol}: bids, asks")
    for line in levels(engine, symbol):
        print(f"  {line}")
    for account in ACCOUNTS:
        (position,) = asof.position_rows(engine, account, symbol)
        (cash,) = asof.cash_rows(engine, account)
        print(
            f"{account:<10} {position['qty']:>10} {symbol} at {position['avg_cost']}, realised "
            f"{position['realized_pnl']}; {cash['cash']} {cash['currency']}, {cash['held']} held, "
            f"{engine.venue.accounts[account].open_count} open orders"
        )


def main() -> int:
    """The command line; 1 when the runs differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="a LOBSTER message file")
    parser.add_argument("--limit", type=int, help="only the first so many events")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordergate-day-") as home:
        days = [day(arguments.file, Path(home) / str(number), arguments.limit) for number in (1, 2)]
        summary = verify(Path(home) / "1")
    for number, one in enumerate(days, 1):
        rate = one.commands / one.seconds
        print(f"run {number}: {one.commands} commands, {one.events} events, {one.seconds:.1f} s, {rate:,.0f} a second")
        print(f"  events {one.events_hash}\n  state  {one.state_hash}")
    print(f"verify: {summary.commands} commands, {summary.events} events\n  state  {summary.state_hash}")
    print(", ".join(f"{name} {count}" for name, count in days[0].counts.items()))
    show(days[0], symbol_of(arguments.file))
    hashes = {(one.events_hash, one.state_hash) for one in days}
    same = len(hashes) == 1 and summary.state_hash == days[0].state_hash
    print("identical" if same else "DIFFERENT")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
