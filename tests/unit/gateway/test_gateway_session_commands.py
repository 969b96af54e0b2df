"""A session's commands on their way in: whom each is charged to, and what becomes of a frame that costs too much."""

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.admission import Admission
from gateway.rates.limits import RateLimits
from gateway.reports import Reports
from gateway.session import Session
from gateway.session_commands import RENEWALS_PER_S, Encoded, SessionCommands
from gateway.session_terms import terms_of
from runtime.errors import Refused
from runtime.instruments import Instruments
from runtime.settings import Settings

SESSION = "gateway-0-session-1-1"


def cancel(number: int, account: str) -> wire.SessionCommand:
    """A cancel."""
    request = wire.CancelOrderRequest(account=account, orig_cl_ord_id=f"o{number}", cl_ord_id=f"c{number}")
    return wire.SessionCommand(correlation_id=number, cancel=request)


def replace(number: int, account: str) -> wire.SessionCommand:
    """A replace."""
    request = wire.ReplaceOrderRequest(account=account, orig_cl_ord_id=f"o{number}", cl_ord_id=f"r{number}", qty="1")
    return wire.SessionCommand(correlation_id=number, replace=request)


def session(limits: RateLimits, *accounts: str, dead_man_ms: int = 0) -> SessionCommands:
    """The commands of a session of some accounts."""
    admission = Admission(Instruments(), "gateway-0")
    terms = terms_of(wire.Logon(accounts=accounts, dead_man_timer_ms=dead_man_ms, cancel_on_disconnect=False))
    return SessionCommands(admission.envelope("me", SESSION), terms, frozenset({auth.ROLE_TRADER}), admission, limits)


def limits(orders_burst: int, cancels_burst: int) -> RateLimits:
    """Budgets into which nothing comes back."""
    settings = Settings(
        rate_orders_burst=orders_burst,
        rate_orders_per_s=0.001,
        rate_cancels_burst=cancels_burst,
        rate_cancels_per_s=0.001,
    )
    return RateLimits(settings)


def encoded(
    made: SessionCommands, kind: Callable[[int, str], wire.SessionCommand], accounts: list[str], frame: Encoded
) -> None:
    """Adds a command for each account to a frame."""
    for account in accounts:
        made.encode(kind(len(frame.tags) + 1, account), 1, frame)


async def test_a_frame_within_its_budgets_passes_whole() -> None:
    """Orders and cancels draw from budgets of their own."""
    budgets = limits(orders_burst=3, cancels_burst=2)
    made, frame = session(budgets, "A"), Encoded([], [], [])
    encoded(made, replace, ["A"] * 3, frame)
    encoded(made, cancel, ["A"] * 2, frame)
    assert await made.charge(frame) == {}
    assert [budget.remaining for budget in budgets.session_budgets(SESSION)] == [0, 0]


async def test_the_first_of_a_frame_go_first() -> None:
    """Where not all fit, those that do are the first, of each account; cancels are not touched by it."""
    budgets = limits(orders_burst=2, cancels_burst=9)
    made, frame = session(budgets, "A"), Encoded([], [], [])
    encoded(made, replace, ["A"] * 2, frame)
    encoded(made, cancel, ["A"], frame)
    encoded(made, replace, ["A"] * 2, frame)
    over = await made.charge(frame)
    assert sorted(over) == [3, 4]
    assert {refused.reason for refused in over.values()} == {types.REASON_RATE_EXCEEDED}


async def test_accounts_are_charged_for_what_is_theirs() -> None:
    """One account that has used its budget up does not keep another from sending; the session's own budget does."""
    budgets = limits(orders_burst=4, cancels_burst=1)
    made, frame = session(budgets, "A", "B"), Encoded([], [], [])
    budgets.take_orders("A", 4)
    encoded(made, replace, ["A", "B", "A", "B"], frame)
    assert sorted(await made.charge(frame)) == [0, 2]


async def test_a_renewal_costs_nothing() -> None:
    """Who has used up every budget can still renew the timer."""
    budgets = limits(orders_burst=1, cancels_burst=1)
    made, frame = session(budgets, "A", dead_man_ms=1_000), Encoded([], [], [])
    budgets.take_orders("A")
    budgets.take_cancels("A")
    made.encode(wire.SessionCommand(correlation_id=1, renew_timer=wire.RenewTimer()), 1, frame)
    assert await made.charge(frame) == {}
    renewed = commands.Command.FromString(frame.commands[0])
    assert (renewed.session_id, renewed.renew_session.session_id) == (SESSION, SESSION)


def test_renewals_without_end_are_refused() -> None:
    """They cost no budget and yet a place in the journal: more than any timer needs is too many."""
    made, frame = session(limits(1, 1), "A", dead_man_ms=1_000), Encoded([], [], [])
    command = wire.SessionCommand(correlation_id=1, renew_timer=wire.RenewTimer())

    def flood() -> None:
        for _ in range(100_000):
            made.encode(command, 1, frame)

    with pytest.raises(Refused) as error:
        flood()
    assert error.value.reason == types.REASON_RATE_EXCEEDED
    assert len(frame.commands) >= RENEWALS_PER_S
    assert error.value.retry_after_s


async def test_what_waited_for_a_lease_does_not_follow_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that ends while its frame waits for room in a budget sends nothing behind its end."""
    link, waits, goes_on = Recorder(), asyncio.Event(), asyncio.Event()
    made = session(limits(10, 10), "A")

    async def charge(_: Encoded) -> dict[int, Refused]:
        waits.set()
        await goes_on.wait()
        return {}

    monkeypatch.setattr(made, "charge", charge)
    instruments = Instruments()
    running = Session(SESSION, terms_of(wire.Logon(accounts=["A"])), made, link, Reports(instruments), instruments)  # type: ignore[arg-type]
    frame = wire.CommandFrame(commands=[cancel(1, "A")])
    taking = asyncio.create_task(running.take_frame(frame, 1))
    await waits.wait()
    running.finish(types.REASON_TOKEN_REVOKED, "revoked")
    goes_on.set()
    await taking
    assert link.submitted == 0


def test_an_answer_that_overflows_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """While history is read, what does not fit any more comes from there; which command it answers is remembered."""
    reports, instruments = Reports(Instruments()), Instruments()
    reports.begin(10, 1)
    terms = terms_of(wire.Logon(accounts=["A"], resume_after=5))
    running = Session(SESSION, terms, session(limits(9, 9), "A"), Recorder(), reports, instruments)  # type: ignore[arg-type]
    monkeypatch.setattr(Session, "queue_max", 1)
    answers = running._answers
    answers.direct.update({11: 101, 12: 102})
    for seq in (11, 12):
        running.hear(SimpleNamespace(seq=seq), 1, 0)  # type: ignore[arg-type]
    assert answers.direct == {11: 101, 12: 102}
    assert running.closed
    assert not running.reports


class Recorder:
    """Stands where the link does, and counts what it is handed."""

    submitted = 0

    def submit(self, commands: Sequence[bytes], waiter: object, tags: Sequence[int]) -> None:
        """Takes commands."""
        self.submitted += len(commands)


def test_a_session_begins_and_ends_by_name() -> None:
    """The commands that the venue hears first and last name the session, its gateway and what was agreed."""
    made = session(limits(1, 1), "A", dead_man_ms=1_500)
    opening = commands.Command.FromString(made.opening())
    assert (opening.actor, opening.session_id, opening.gateway_id) == ("me", SESSION, "gateway-0")
    assert opening.open_session == commands.OpenSession(
        session_id=SESSION, gateway_id="gateway-0", cancel_on_disconnect=False, dead_man_ns=1_500_000_000
    )
    closing = commands.Command.FromString(made.closing())
    assert closing.close_session == commands.CloseSession(session_id=SESSION)


def test_the_only_account_need_not_be_named() -> None:
    """Where a session has one account, commands are for it."""
    made, frame = session(limits(9, 9), "A"), Encoded([], [], [])
    made.encode(cancel(1, ""), 1, frame)
    request = wire.MassCancelOrdersRequest(side=types.SIDE_BUY)
    made.encode(wire.SessionCommand(correlation_id=2, mass_cancel=request), 1, frame)
    one, many = map(commands.Command.FromString, frame.commands)
    assert (one.cancel_order.account, many.mass_cancel.account) == ("A", "A")
    assert frame.charges == [("A", True)] * 2
