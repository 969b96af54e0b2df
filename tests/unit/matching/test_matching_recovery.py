"""Recovery: the state that comes out of the journal is the one that went in, or the start is refused."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from ordergate.matching.v1 import commands_pb2 as wire_commands
from ordergate.matching.v1 import events_pb2 as wire

from matching.convert import decode_command, encode_events
from matching.core.commands import Command
from matching.core.engine import Engine
from matching.core.events import Replay
from matching.core.orders import Order
from matching.journal.file import FileJournal
from matching.journal.frames import DamagedJournalError
from matching.recovery import ReplayMismatchError, recover, state_hash, verify
from tests.simulation.matching_flow import FIRST_TIME_UNIX_NS, Flow, opening

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


SEED = 5
COMMANDS = 600
SEGMENT_BYTES = 16_384
BODIES = {
    "NewOrder": "new_order",
    "ReplaceOrder": "replace_order",
    "CancelOrder": "cancel_order",
    "ListInstrument": "list_instrument",
    "OpenAccount": "open_account",
    "AdjustCash": "adjust_cash",
    "AdjustPosition": "adjust_position",
    "CloseDay": "close_day",
}


def encoded(command: Command) -> bytes:
    """The bytes of a command, written field by field."""
    message = wire_commands.Command(actor=command.actor, received_unix_ns=command.received_unix_ns)
    body = getattr(message, BODIES[type(command.body).__name__])
    body.SetInParent()
    for name in command.body.__struct_fields__:
        setattr(body, name, getattr(command.body, name))
    return message.SerializeToString()


def entries(engine: Engine, commands: int) -> Iterator[wire.JournalEntry]:
    """Carries out a flow and gives what the journal holds of it; repetitions leave nothing."""
    flow, given = Flow(Random(SEED)), list(opening())
    for number in range(commands):
        data = encoded(given[number] if number < len(given) else flow.next())
        told = engine.execute(decode_command(data), FIRST_TIME_UNIX_NS + number)
        if not isinstance(told, Replay):
            flow.hear(told)
            yield wire.JournalEntry(command=data, time_unix_ns=FIRST_TIME_UNIX_NS + number, events=encode_events(told))


def append(journal: FileJournal, batch: Sequence[wire.JournalEntry]) -> None:
    """Writes entries as one batch."""
    events = sum(len(entry.events) for entry in batch)
    payload = wire.JournalBatch(entries=batch).SerializeToString()
    journal.append(journal.last_seq + 1, journal.last_seq + events, payload)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Engine]:
    """A journal of several segments and the engine that it tells of."""
    folder, engine = tmp_path_factory.mktemp("live"), Engine()
    with FileJournal(folder, SEGMENT_BYTES) as journal:
        batch: list[wire.JournalEntry] = []
        for entry in entries(engine, COMMANDS):
            batch.append(entry)
            if len(batch) >= 1 + len(entry.events) % 5:
                append(journal, batch)
                batch = []
        append(journal, batch) if batch else None
    return folder, engine


def test_recovery_gives_the_live_state(live: tuple[Path, Engine]) -> None:
    """After the last command of the journal, the state hash is that of the engine that wrote it (invariant I4)."""
    folder, engine = live
    again = Engine()
    with FileJournal(folder, SEGMENT_BYTES) as journal:
        commands = recover(again, journal.read(0, journal.last_seq))
    assert state_hash(again) == state_hash(engine)
    assert (again.seq, again.time_unix_ns) == (engine.seq, engine.time_unix_ns)
    assert COMMANDS // 2 < commands < COMMANDS


def test_a_recovered_venue_remembers_its_keys(live: tuple[Path, Engine]) -> None:
    """What was asked before the restart is a repetition after it, of orders and of adjustments."""
    folder, engine = live
    again = Engine()
    with FileJournal(folder, SEGMENT_BYTES) as journal:
        recover(again, journal.read(0, journal.last_seq))
    for name, account in engine.venue.accounts.items():
        for outcome in account.keys.values():
            command = decode_command(encoded(Command(outcome.request, "somebody else", 1)))
            assert again.execute(command, again.time_unix_ns + 1) == Replay(outcome.event)
        assert again.venue.accounts[name].adjustments == account.adjustments


def test_verification_sums_up_what_it_saw(live: tuple[Path, Engine]) -> None:
    """Offline, over all segments: commands, events, the last seq, the epoch and the state hash."""
    folder, engine = live
    summary = verify(folder)
    assert (summary.events, summary.last_seq, summary.state_hash) == (engine.seq, engine.seq, state_hash(engine))
    assert summary.epoch >= 1
    assert len(list(folder.glob("*.journal"))) > 2


def test_verification_finds_a_missing_segment(live: tuple[Path, Engine], tmp_path: Path) -> None:
    """A hole in the middle is damage, not an end."""
    paths = sorted(live[0].glob("*.journal"))
    for path in (*paths[:1], *paths[2:]):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DamagedJournalError, match=paths[2].name):
        verify(tmp_path)


@pytest.mark.parametrize("changed", ["event", "events", "time", "command", "repetition", "order"])
def test_a_journal_that_tells_something_else_is_refused(tmp_path: Path, changed: str) -> None:
    """Whole frames with other events than their commands give: code or journal is not what it was."""
    made = list(entries(Engine(), 60))
    first = made[30]
    if changed == "event":
        first.events[0] = first.events[0][:-1] + bytes([first.events[0][-1] ^ 1])
    elif changed == "events":
        first.events.append(first.events[-1])
    elif changed == "time":
        first.time_unix_ns += 1
    elif changed == "command":
        first.command = made[31].command
    elif changed == "repetition":
        made.insert(31, first)
    else:
        made[30], made[31] = made[31], made[30]
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        append(journal, made)
        with pytest.raises((ReplayMismatchError, AssertionError)):
            recover(Engine(), journal.read(0, journal.last_seq))


def test_the_sequences_of_a_frame_are_held_against_its_events(tmp_path: Path) -> None:
    """A frame whose last seq is not that of its last event is refused."""
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        batch = wire.JournalBatch(entries=list(entries(Engine(), 3)))
        journal.append(1, 4, batch.SerializeToString())
        with pytest.raises(ReplayMismatchError, match="after seq 4 the engine is at 3"):
            recover(Engine(), journal.read(0, 4))


def changes(order: Order) -> Iterator[str]:
    """Changes one part of an order after the other, and puts it back."""
    for name in ("cl_ord_id", "qty_lots", "price_ticks", "cum_qty_lots", "leaves_qty_lots", "cum_value_ticks_lots"):
        before = getattr(order, name)
        setattr(order, name, before + type(before)(1))
        yield name
        setattr(order, name, before)


def test_the_state_hash_depends_on_all_of_the_state() -> None:
    """A bit of difference anywhere that a later command could see gives another hash."""
    engine = Engine()
    for _ in entries(engine, COMMANDS):
        pass
    venue, whole = engine.venue, state_hash(engine)
    account = venue.accounts["ALICE"]
    order = venue.orders[next(iter(account.open_orders))]
    for name in changes(order):
        assert state_hash(engine) != whole, name
    places = [
        (venue, "seq"),
        (venue, "time_unix_ns"),
        (venue, "last_closed_day"),
        (venue.listings["XYZ"], "lots"),
        (account, "account_seq"),
        (account.cash["USD"], "cash_micro"),
        (account.cash["USD"], "held_micro"),
        *(
            (account.positions["XYZ"], name)
            for name in ("qty_lots", "held_lots", "cost_ticks_lots", "realized_pnl_micro")
        ),
    ]
    for holder, name in places:
        setattr(holder, name, getattr(holder, name) + 1)
        assert state_hash(engine) != whole, name
        setattr(holder, name, getattr(holder, name) - 1)
    containers: list[dict[Any, Any]] = [account.keys, account.adjustments, account.open_orders, venue.money_micro]
    for container in containers:
        key, value = container.popitem()
        assert state_hash(engine) != whole, key
        container[key] = value
    assert state_hash(engine) == whole
