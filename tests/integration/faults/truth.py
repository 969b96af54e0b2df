"""What really happened, as the journal of a matching server that does not run any more tells it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ordergate.matching.v1 import events_pb2 as wire
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.convert import REFUSALS, report
from matching.core.commands import Command, MassCancel
from matching.core.engine import Engine
from matching.journal.segments import checked, segments_of
from matching.recovery import verify
from matching.state import state_hash
from runtime.instruments import Instruments
from tests.simulation.crash_checks import Shadow, check_drained, check_money, check_orders

ORDER_REQUESTS = (types.REQUEST_KIND_SUBMIT, types.REQUEST_KIND_REPLACE, types.REQUEST_KIND_CANCEL)


class Asked(NamedTuple):
    """A request by its kind, its account and its key."""

    kind: types.RequestKind.ValueType
    account: str
    key: str


@dataclass(slots=True)
class Truth:
    """Every event, and the ways to find it.

    Attributes:
        events: by sequence; dense from 1.
        epochs: of the matching server that wrote each.
        by_account: sequences of each account's order events.
        by_order: sequences of each order's changes; a cancel or replace that was refused is none.
        by_key: sequences of the events that carry a key, by account and key.
        by_command: sequences of the commands of clients, by what was asked for.
    """

    events: dict[int, wire.Event] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    by_account: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    by_order: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    by_key: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    by_command: dict[Asked, list[int]] = field(default_factory=lambda: defaultdict(list))
    instruments: Instruments = field(default_factory=Instruments)

    @property
    def last_seq(self) -> int:
        """Sequence of the last event."""
        return len(self.events)

    def add(self, event: wire.Event, epoch: int) -> None:
        """Takes the next event."""
        assert event.seq == self.last_seq + 1, "I3: seq has no gap"
        self.events[event.seq] = event
        self.epochs[event.seq] = epoch
        asked = _asked(event) if event.seq == event.command_seq else None
        if asked is not None:
            self.by_command[asked].append(event.seq)
        if event.WhichOneof("body") != "order":
            self.instruments.learn(event)
            return
        order = event.order
        self.by_account[order.account].append(event.seq)
        self.by_key[order.account, order.cl_ord_id].append(event.seq)
        if order.order_id and not _is_refused_change(order):
            self.by_order[order.order_id].append(event.seq)

    def report(self, seq: int) -> orders.ExecutionReport:
        """The report that clients must have got of an order event."""
        return report(self.events[seq], self.instruments, self.epochs[seq], 0)

    def commands_of(self, account: str, key: str, request: types.RequestKind.ValueType) -> list[int]:
        """Sequences of the commands that a key was carried out by as a request of a kind; conflicts are none."""
        return sorted(
            {
                self.events[seq].command_seq
                for seq in self.by_key.get((account, key), ())
                if self.events[seq].order.request == request
                and self.events[seq].order.reason != types.REASON_CL_ORD_ID_CONFLICT
            }
        )


def _asked(first: wire.Event) -> Asked | None:
    """What a client has asked for by the command that an event begins; None when no client has."""
    match first.WhichOneof("body"):
        case "order" if first.order.request:
            return Asked(first.order.request, first.order.account, first.order.cl_ord_id)
        case "orders_mass_canceled":
            told = first.orders_mass_canceled
            return Asked(types.REQUEST_KIND_MASS_CANCEL, told.account, told.cl_ord_id)
        case "mass_quote_accepted":
            return Asked(
                types.REQUEST_KIND_QUOTE, first.mass_quote_accepted.account, first.mass_quote_accepted.quote_id
            )
    return None


def _is_refused_change(order: wire.OrderEvent) -> bool:
    return order.exec_type in REFUSALS and order.request != types.REQUEST_KIND_SUBMIT


def truth_of(events: Iterable[tuple[wire.Event, int]]) -> Truth:
    """The truth of events in sequence, each with its epoch."""
    made = Truth()
    for event, epoch in events:
        made.add(event, epoch)
    return made


def read_truth(journal_dir: Path) -> Truth:
    """Reads a whole journal with the reader of `ordergate replay`, and holds it against the invariants of its own.

    Raises:
        DamagedJournalError: something that was acknowledged cannot be read.
        ReplayMismatchError: its commands do not give its events (I4).
        AssertionError: I2, I3, I4, I5, I10 or I11 does not hold.
    """
    shadow = Shadow(journal_dir, journal_dir)
    shadow.follow()
    assert shadow.epochs == sorted(set(shadow.epochs)), "I3: the epoch only grows"
    check_money(shadow.engine)
    check_orders(shadow.engine)
    tail_hash = verify(journal_dir, from_snapshot=True).state_hash
    assert tail_hash == state_hash(shadow.engine), "I4: replay is not snapshot and tail"
    _drain(shadow.engine)
    check_drained(shadow.engine)
    return truth_of(_events(journal_dir))


def _drain(engine: Engine) -> None:
    """Cancels everything, in the engine and not at the servers: what is still on its way to those cannot follow."""
    for account in list(engine.venue.accounts):
        engine.execute(Command(MassCancel(account=account)), engine.venue.time_unix_ns + 1)


def _events(journal_dir: Path) -> Iterable[tuple[wire.Event, int]]:
    for segment in checked(segments_of(journal_dir)):
        for frame in segment.frames:
            batch: Sequence[wire.JournalEntry] = wire.JournalBatch.FromString(frame.payload).entries
            for entry in batch:
                for data in entry.events:
                    yield wire.Event.FromString(data), frame.epoch
