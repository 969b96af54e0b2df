"""The state as bytes: the same bytes again, the same behaviour afterwards, and a refusal of what is no state."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from matching.convert import decode_command, encode_event, encode_events
from matching.core import commands as c
from matching.core.engine import Engine
from matching.core.events import Replay
from matching.core.ledger import Account
from matching.core.words import Side, TimeInForce
from matching.state import VERSION, UnreadableStateError, dump, load, state_hash
from tests.simulation.matching_story import Step, Story
from tests.unit.matching.market import Market

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS_MAX, REQUESTS_MAX = 150, 40
"""Small windows, so that keys and orders are forgotten all the time."""
COMMANDS = 3_000
EVERY = 60
"""Commands between two snapshots of the comparison."""


def answer(told: list[Any] | Replay) -> list[bytes]:
    """What a client and the journal would see of a command."""
    return [encode_event(told.original, last_of_command=True)] if isinstance(told, Replay) else encode_events(told)


def follow(engine: Engine, step: Step) -> list[bytes]:
    """The same command at the same time, by another engine."""
    return answer(engine.execute(decode_command(step.data), step.time_unix_ns))


@pytest.mark.parametrize("seed", range(5))
def test_an_engine_out_of_bytes_goes_on_like_the_one_that_wrote_them(seed: int) -> None:
    """At many points: the same bytes again; and every further command has the same answer and leads to the same state.

    One engine lives through everything; beside it another is made anew from
    bytes again and again, so that what is once forgotten shows sooner or later.
    """
    story = Story(seed, Engine(KEYS_MAX, REQUESTS_MAX))
    other = load(dump(story.engine))
    for number, step in enumerate(story.steps(COMMANDS)):
        assert follow(other, step) == answer(step.told), f"seed {seed}, command {number}"
        if number % EVERY == 0:
            data = dump(story.engine)
            assert dump(other) == data, f"seed {seed}, command {number}"
            other = load(data)
            assert dump(other) == data, f"seed {seed}, command {number}"
    assert state_hash(other) == state_hash(story.engine) == hashlib.sha256(dump(story.engine)).hexdigest()


def test_questions_have_the_same_answers() -> None:
    """Orders by either id, pages of orders, accounts, and what CheckOrder says."""
    story = Story(7)
    orders = [decode_command(step.data) for step in story.steps(1_500)]
    engine, other = story.engine, load(dump(story.engine))
    now_unix_ns = engine.time_unix_ns + 1
    for name, account in engine.venue.accounts.items():
        for key in account.keys:
            mine, theirs = engine.lookup(name, 0, key), other.lookup(name, 0, key)
            assert mine is not None
            assert theirs is not None
            assert encode_event(mine[0], True) == encode_event(theirs[0], True)
            assert mine[1] == theirs[1]
        pages = [one.scan(name, "", open_only, 0, 10_000) for one in (engine, other) for open_only in (False, True)]
        found = [[(encode_event(event, True), at) for event, at in page] for page in pages]
        assert found[:2] == found[2:]
        margins = [
            [one.venue.accounts[name].margin_micro(cash) for cash in one.venue.accounts[name].cash.values()]
            for one in (engine, other)
        ]
        assert margins[0] == margins[1]
    checked = 0
    for command in orders:
        if isinstance(command.body, c.NewOrder):
            said = [one.check(command, now_unix_ns) for one in (engine, other)]
            refusals = [refusal and (refusal.reason, refusal.field) for refusal in said]
            assert refusals[0] == refusals[1]
            checked += 1
    assert checked > 500


def test_a_question_does_not_change_the_state() -> None:
    """CheckOrder looks up limits as a new order does; what it notes on the way is no state."""
    story = Story(11)
    orders = [decode_command(step.data) for step in story.steps(1_000)]
    before = dump(story.engine)
    for command in orders:
        if isinstance(command.body, c.NewOrder):
            story.engine.check(command, story.engine.time_unix_ns + 1)
    assert dump(story.engine) == before


def test_a_session_has_only_its_own_orders(market: Market) -> None:
    """A session under the name of an earlier one does not inherit that one's orders, after a snapshot neither."""
    market.tell(c.OpenSession("S", "g", False, 0))
    kept = market.buy("ALICE", 5, 90, session_id="S")[0]
    market.tell(c.CloseSession("S"))
    market.tell(c.OpenSession("S", "g", True, 0))
    own = market.buy("ALICE", 5, 91, session_id="S")[0]
    again = Market(load(dump(market.engine)))
    again.now_unix_ns = market.now_unix_ns
    assert again.tell(c.CloseSession("S")).story == ["session_closed", f"{own.cl_ord_id} CANCELED"]
    assert again.bids() == [f"{kept.cl_ord_id} 5@90"]


def test_numbers_may_be_longer_than_64_bits(market: Market) -> None:
    """The value of all open sales, and a profit at an absurd mark, have no bound; they are written all the same."""
    price = 2**62 // 10_000
    for _ in range(20):
        market.sell("ALICE", 1, price)
    market.reference(2**62)
    market.tell(c.CloseDay(20260101))
    cash = market.cash("ALICE")
    assert min(cash.open_micro, cash.day_result_micro) > 2**64
    again = load(dump(market.engine)).venue.accounts["ALICE"].cash["USD"]
    assert (again.open_micro, again.day_result_micro) == (cash.open_micro, cash.day_result_micro)
    market.tell(c.AdjustPosition("BOB", "XYZ", 2**40, 1, "many"))
    market.sell("BOB", 10, 3, time_in_force=TimeInForce.IOC)
    assert dump(load(dump(market.engine))) == dump(market.engine)


def test_forgotten_orders_stay_forgotten(market: Market) -> None:
    """An order whose keys have fallen out of the window is kept as long as it is open, and no longer."""
    small = Market(Engine(3, 1_000)).opened()
    order = small.buy("ALICE", 1, 90, key="first")[0]
    small.sell("BOB", 1, 95)
    for number in range(5):
        small.tell(c.CancelOrder("ALICE", f"c{number}", orig_cl_ord_id="nothing"))
    again = Market(load(dump(small.engine)))
    again.now_unix_ns = small.now_unix_ns
    for one in (small, again):
        assert one.engine.lookup("ALICE", 0, "first") is not None
        one.cancel(order)
        assert one.engine.lookup("ALICE", 0, "first") is None
        assert one.engine.lookup("ALICE", order.order_id, "") is None
    assert dump(small.engine) == dump(again.engine)
    assert market.bids() == []


DERIVED = {
    "Venue": {"keys_max", "requests_max", "due_unix_ns", "command_seq", "actor", "session_id", "received_unix_ns"},
    "Listing": {"symbol", "micro_per_tick_lot", "base_micro_per_lot", "strike_micro_per_lot", "first_print_ticks"},
    "Account": {"account", "limits_version", "open_count"},
    "Position": {"owner", "limits_version"},
    "Order": {"order_id", "is_buy", "is_short", "reduce_only", "keys_kept", "session_id"},
    "FeeSchedule": {"most_ppm"},
    "ClientSession": {"session_id"},
}
"""What is not written, because it follows from what is, or lives only as long as a command."""


def plain_names(thing: object) -> list[str]:
    """The attributes of an object that are a number, a truth or a text."""
    names = getattr(type(thing), "__mypyc_attrs__", None) or vars(thing)
    return [name for name in names if isinstance(getattr(thing, name, None), int | str)]


def trades_now(account: Account) -> bool:
    """Whether an account has an open order, and what this test looks at besides."""
    return account.open_count > 0 and "USD" in account.cash and "XYZ" in account.positions


def holders(engine: Engine) -> Iterator[object]:
    """One of everything that has a state."""
    venue = engine.venue
    account = next(account for account in venue.accounts.values() if trades_now(account))
    yield venue
    yield venue.listings["XYZ"]
    yield account
    yield account.cash["USD"]
    yield account.positions["XYZ"]
    yield account.open_orders()[0]
    yield from list(venue.fee_schedules.values())[:1]
    yield from list(venue.sessions.values())[:1]


def changed(before: Any) -> Any:
    """Another value of the same type."""
    return not before if isinstance(before, bool) else before + type(before)(1)


def test_the_hash_depends_on_all_of_the_state() -> None:
    """Whatever number, truth or text of the state is another gives another hash, but for what follows from the rest."""
    story = Story(5)
    engine = story.engine
    for number, _ in enumerate(story.steps(10_000)):
        if number > 800 and any(trades_now(account) for account in engine.venue.accounts.values()):
            break
    whole = state_hash(engine)
    looked_at = 0
    for holder in holders(engine):
        kind = type(holder).__name__
        for name in plain_names(holder):
            before = getattr(holder, name)
            setattr(holder, name, changed(before))
            assert state_hash(engine) != whole or name in DERIVED.get(kind, ()), f"{kind}.{name}"
            setattr(holder, name, before)
            looked_at += 1
    assert looked_at > 60
    assert state_hash(engine) == whole


def test_the_hash_depends_on_everything_that_is_kept() -> None:
    """One key, one request, one currency less, or in another order: another hash."""
    story = Story(5)
    for _ in story.steps(800):
        pass
    engine, whole = story.engine, state_hash(story.engine)
    venue = engine.venue
    account = venue.accounts["ALICE"]
    containers: list[dict[Any, Any]] = [account.keys, account.cash, venue.money_micro, venue.sessions, venue.limits]
    for container in containers:
        if container:
            key, value = container.popitem()
            assert state_hash(engine) != whole, key
            container[key] = value
    account.key_line.rotate()
    assert state_hash(engine) != whole
    account.key_line.rotate(-1)
    assert state_hash(engine) == whole


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated"),
        (b"\xc1", "malformed"),
        (b"\xa3abc", "no state"),
        (msgspec.msgpack.encode({}), "no state"),
        (msgspec.msgpack.encode([]), "no state"),
        (msgspec.msgpack.encode([VERSION + 1]), f"version {VERSION + 1}, this is version {VERSION}"),
        (msgspec.msgpack.encode(["1"]), "version 1"),
        (msgspec.msgpack.encode([VERSION]), "IndexError"),
        (msgspec.msgpack.encode([VERSION, [1, 2], 3]), "ValueError"),
        (msgspec.msgpack.encode([VERSION, msgspec.msgpack.Ext(9, b"x")]), "extension type 9"),
    ],
)
def test_what_is_no_state_is_refused(data: bytes, why: str) -> None:
    """Other bytes, and the state of another version, are told apart from a state before anything comes of them."""
    with pytest.raises(UnreadableStateError, match=why):
        load(data)


def test_a_state_that_ends_early_is_refused(market: Market) -> None:
    """Wherever the bytes end: no engine comes out of part of a state."""
    market.buy("ALICE", 1, 90)
    market.tell(market.order("BOB", Side.SELL, 1, 95))
    data = dump(market.engine)
    for length in range(len(data)):
        with pytest.raises(UnreadableStateError):
            load(data[:length])
