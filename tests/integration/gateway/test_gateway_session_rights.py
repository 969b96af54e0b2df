"""What a session may ask for at its logon, and what it may send: each capability, against the real venue."""

import asyncio
import time

import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.types.v1 import types_pb2 as types

from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.sessions import (
    CANCELED,
    OPEN,
    becomes,
    canceled,
    mass_cancel,
    placed,
    quote,
    renew_timer,
    session_becomes,
    session_events,
    status_of,
)
from tests.integration.gateway.venue import SELL, SessionClient, Venue, cancel, new_key, replace, session, submit


async def logged_on(client: SessionClient) -> entry.LogonAccepted:
    """What holds, once the session has begun."""
    return (await client.until("logon")).logon


@pytest.mark.parametrize("way", ["leave", "logout", "half-close", "fault"])
async def test_a_sessions_orders_end_with_it(venue: Venue, way: str) -> None:
    """Cancel-on-disconnect is on unless the logon says no, and fires however the session ends; others' orders stay."""
    other = await venue.submit()
    async with session(venue, cancel_on_disconnect=None) as client:
        accepted = await logged_on(client)
        key = await placed(client)
        if way == "leave":
            client.leave()
        elif way == "logout":
            await client.send(logout=entry.Logout())
        elif way == "half-close":
            await client.half_close()
        else:
            await client.send(logon=entry.Logon())
        event = await becomes(venue, key, CANCELED)
    assert event.order.cause == types.CAUSE_DISCONNECT
    assert await status_of(venue, other.cl_ord_id) == OPEN
    assert await session_events(venue, accepted.session_id) == ["session_opened", "session_closed"]


async def test_without_cancel_on_disconnect_orders_stay(venue: Venue) -> None:
    """The session ends in the venue all the same; its orders do not."""
    async with session(venue, cancel_on_disconnect=False) as client:
        accepted = await logged_on(client)
        assert not accepted.cancel_on_disconnect
        key = await placed(client)
        client.leave()
        await session_becomes(venue, accepted.session_id, "session_opened", "session_closed")
    assert await status_of(venue, key) == OPEN


async def test_the_end_is_told_after_it_was_arranged(venue: Venue) -> None:
    """Who logs out and then asks, finds the orders cancelled without waiting for anything but the answer."""
    async with session(venue, cancel_on_disconnect=True) as client:
        key = await placed(client)
        await client.send(logout=entry.Logout(text="bye"))
        end = await client.ended()
        assert (end.reason, end.text) == (types.REASON_UNSPECIFIED, "logged out bye")
        await becomes(venue, key, CANCELED)


async def test_a_session_that_sent_nothing_leaves_nothing(venue: Venue) -> None:
    """Begun and ended, each once."""
    async with session(venue) as client:
        accepted = await logged_on(client)
        await client.half_close()
        await client.ended()
    await session_becomes(venue, accepted.session_id, "session_opened", "session_closed")


async def test_an_order_belongs_to_its_session(venue: Venue) -> None:
    """The end of one session cancels none of another's orders, of the same account neither."""
    async with session(venue, cancel_on_disconnect=True) as one, session(venue, cancel_on_disconnect=True) as two:
        first, second = await placed(one), await placed(two)
        one.leave()
        await becomes(venue, first, CANCELED)
        assert await status_of(venue, second) == OPEN


async def test_a_dead_mans_orders_are_cancelled(venue: Venue) -> None:
    """Without a renewal in time the session's orders are cancelled; the session itself goes on."""
    async with session(venue, dead_man_timer_ms=1_000) as client:
        accepted = await logged_on(client)
        assert accepted.dead_man_timer_ms == 1_000
        key = await placed(client)
        (report,) = (await client.frames(reports=1)).reports
        assert (report.cl_ord_id, report.exec_type) == (key, types.EXEC_TYPE_CANCELED)
        assert report.cause == types.CAUSE_DISCONNECT
        assert await session_events(venue, accepted.session_id) == ["session_opened", "session_timed_out"]
        await client.commands(renew_timer(7))
        (reply,) = (await client.frames(replies=1)).replies
        assert reply.correlation_id == 7
        assert reply.timer_renewed.seq > report.seq
        await placed(client, 8)


async def test_a_renewed_timer_begins_again(venue: Venue) -> None:
    """Renewed again and again, for longer than the timer runs, nothing is cancelled."""
    timer_ms = 1_000
    async with session(venue, dead_man_timer_ms=timer_ms) as client:
        accepted = await logged_on(client)
        key = await placed(client)
        begun_s = time.monotonic()
        renewals = 0
        while time.monotonic() - begun_s < 1.5 * timer_ms / 1_000:
            renewals += 1
            await client.commands(renew_timer(1 + renewals))
            await client.frames(replies=1)
            await asyncio.sleep(timer_ms / 1_000 / 20)
        assert await status_of(venue, key) == OPEN
        told = await session_events(venue, accepted.session_id)
        assert told == ["session_opened", *["session_renewed"] * renewals]


async def test_a_mass_cancel_is_answered_with_its_count(venue: Venue) -> None:
    """The reply comes before the cancellations it counts, which are reports without a number."""
    async with session(venue) as client:
        await client.commands(
            *(submit(n, symbol="MSFT") for n in range(1, 4)), submit(4, symbol="MSFT", side=SELL, price="999.00")
        )
        await client.frames(reports=4)
        key = new_key()
        await client.commands(mass_cancel(5, symbol="MSFT", side=types.SIDE_BUY, cl_ord_id=key))
        frame = await client.frames(reports=3, replies=1)
        (reply,) = frame.replies
        answer = reply.mass_canceled
        assert (reply.correlation_id, answer.cl_ord_id, answer.poss_dup) == (5, key, False)
        assert answer.canceled_orders == 3
        assert answer.transact_time.seconds > 0
        assert [report.exec_type for report in frame.reports] == [types.EXEC_TYPE_CANCELED] * 3
        assert {report.correlation_id for report in frame.reports} == {0}
        assert answer.seq == frame.reports[0].seq - 1
        await client.commands(mass_cancel(6, symbol="MSFT", side=types.SIDE_BUY, cl_ord_id=key))
        (again,) = (await client.frames(replies=1)).replies
        assert (again.correlation_id, again.mass_canceled.poss_dup) == (6, True)
        assert (again.mass_canceled.seq, again.mass_canceled.canceled_orders) == (answer.seq, 3)
        await client.commands(mass_cancel(7, symbol="MSFT", cl_ord_id=key))
        (conflict,) = (await client.frames(reports=1)).reports
        assert (conflict.correlation_id, conflict.reason.code) == (7, types.REASON_CL_ORD_ID_CONFLICT)
        await client.commands(mass_cancel(8, symbol="MSFT"))
        assert (await client.frames(replies=1)).replies[0].mass_canceled.canceled_orders == 1


async def test_a_market_maker_quotes(venue: Venue) -> None:
    """The reply says that the quote was taken; its sides are reports; a repeat changes nothing."""
    role = venue.as_role("market_maker", accounts=["MM"])
    async with session(venue, role, accounts=["MM"], cancel_on_disconnect=True) as client:
        command = quote(1, ask_px="990.00", ask_qty="3")
        await client.commands(command)
        frame = await client.frames(reports=2, replies=1)
        (reply,) = frame.replies
        assert (reply.correlation_id, reply.quoted.quote_id) == (1, command.quote.quote_id)
        assert not reply.quoted.reports
        assert [(one.side, one.exec_type, one.request, one.correlation_id) for one in frame.reports] == [
            (side, types.EXEC_TYPE_NEW, types.REQUEST_KIND_QUOTE, 0) for side in (types.SIDE_BUY, types.SIDE_SELL)
        ]
        assert reply.quoted.seq == frame.reports[0].seq - 1
        await client.commands(entry.SessionCommand(correlation_id=2, quote=command.quote))
        (again,) = (await client.frames(replies=1)).replies
        assert (again.quoted.seq, again.quoted.poss_dup) == (reply.quoted.seq, True)
        await client.commands(quote(3, bid_px="2.00"), quote(4, bid_px="x"))
        frame = await client.frames(reports=3, replies=2)
        refused = next(one for one in frame.replies if one.correlation_id == 4).refused
        assert (refused.code, refused.field) == (types.REASON_DECIMAL_INVALID, "bid_px")
        standing = [one for one in frame.reports if one.exec_type == types.EXEC_TYPE_NEW]
        assert [one.price for one in standing] == ["2.00"]
        client.leave()
        event = await canceled(venue, standing[0].order_id)
    assert event.order.cause == types.CAUSE_DISCONNECT


async def test_only_a_market_maker_quotes(venue: Venue) -> None:
    """A trader's quote is refused with the reason, and does not reach the venue."""
    async with session(venue) as client:
        await client.commands(quote(1))
        (reply,) = (await client.frames(replies=1)).replies
        assert (reply.refused.code, reply.refused.field) == (types.REASON_ROLE_NOT_ALLOWED, "quote")


async def test_only_answers_mean_those_of_every_kind(venue: Venue) -> None:
    """With ACCEPTED_ONLY a quote's sides are heard, the cancellations of a mass cancel and strangers' fills are not."""
    role = venue.as_role("market_maker", accounts=["MM"])
    async with session(venue, role, accounts=["MM"], ack_level=entry.ACK_LEVEL_ACCEPTED_ONLY) as client:
        accepted = await logged_on(client)
        assert accepted.ack_level == entry.ACK_LEVEL_ACCEPTED_ONLY
        await venue.submit(accounts=["MM"])
        await client.commands(quote(1), mass_cancel(2, all_orders=True), submit(3, account="MM"))
        frame = await client.frames(reports=2, replies=2)
        assert [(one.request, one.correlation_id) for one in frame.reports] == [
            (types.REQUEST_KIND_QUOTE, 0),
            (types.REQUEST_KIND_SUBMIT, 3),
        ]
        assert [one.correlation_id for one in frame.replies] == [1, 2]
        assert frame.replies[1].mass_canceled.canceled_orders >= 2


async def test_a_frame_of_every_kind_keeps_its_order(venue: Venue) -> None:
    """Commands are carried out in the order in which they stand in the frame, whatever their kinds."""
    role = venue.as_role("market_maker", accounts=["MM"])
    async with session(venue, role, accounts=["MM"], dead_man_timer_ms=60_000) as client:
        first, second = new_key(), new_key()
        await client.commands(
            submit(1, account="", cl_ord_id=first, symbol="NVDA"),
            renew_timer(2),
            replace(3, orig_cl_ord_id=first, cl_ord_id=second, qty="2"),
            quote(4, symbol="NVDA"),
            mass_cancel(5, symbol="NVDA"),
            cancel(6, orig_cl_ord_id=second),
        )
        frame = await client.frames(reports=6, replies=3)
        assert [one.exec_type for one in frame.reports] == [
            types.EXEC_TYPE_NEW,
            types.EXEC_TYPE_REPLACED,
            types.EXEC_TYPE_NEW,
            types.EXEC_TYPE_CANCELED,
            types.EXEC_TYPE_CANCELED,
            types.EXEC_TYPE_REJECTED,
        ]
        assert [one.WhichOneof("reply") for one in frame.replies] == ["timer_renewed", "quoted", "mass_canceled"]
        seqs = [frame.reports[0].seq, frame.replies[0].timer_renewed.seq, frame.reports[1].seq]
        seqs += [frame.replies[1].quoted.seq, frame.replies[2].mass_canceled.seq, frame.reports[5].seq]
        assert seqs == sorted(seqs)


async def test_limits_are_counted_by_command(own_venue: NewVenue) -> None:
    """Orders beyond the budget are refused with the reason, the first ones are taken; cancels have their own budget."""
    venue = own_venue(rate_orders_burst=10, rate_orders_per_s=0.001, rate_cancels_burst=2, rate_cancels_per_s=0.001)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    async with session(venue) as client:
        budgets = {one.scope: (one.limit, one.remaining) for one in (await logged_on(client)).budgets}
        assert budgets == {entry.RATE_SCOPE_SESSION_ORDERS: (10, 10), entry.RATE_SCOPE_SESSION_CANCELS: (2, 2)}
        keys = [new_key() for _ in range(12)]
        await client.commands(
            *(submit(n, cl_ord_id=key) for n, key in enumerate(keys, 1)),
            cancel(13, orig_cl_ord_id=keys[0]),
            cancel(14, orig_cl_ord_id=keys[1]),
            mass_cancel(15, all_orders=True),
        )
        frame = await client.frames(reports=12, replies=3)
    assert [one.correlation_id for one in frame.reports] == [*range(1, 11), 13, 14]
    assert [(one.correlation_id, one.refused.code) for one in frame.replies] == [
        (number, types.REASON_RATE_EXCEEDED) for number in (11, 12, 15)
    ]


async def test_sessions_of_another_run_have_other_names(own_venue: NewVenue) -> None:
    """A gateway that starts again uses no session's name twice."""
    venue = own_venue()
    await venue.start_matching()
    names = []
    for _ in range(2):
        await venue.start_gateway()
        await venue.becomes(serving=True)
        async with session(venue) as client:
            names.append((await logged_on(client)).session_id)
        await venue.stop_gateway()
    assert len(set(names)) == 2
    for name in names:
        assert await session_events(venue, name) == ["session_opened", "session_closed"]
