"""Order sessions, against the real venue."""

import asyncio
from typing import Any

import grpc
import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway import sessions
from gateway.reports import readers_gauge
from gateway.session import FRAME_COMMANDS_MAX
from tests.integration.gateway.venue import (
    SELL,
    Venue,
    cancel,
    details,
    eventually,
    new_key,
    opened,
    replace,
    session,
    submit,
)


async def test_the_first_message_says_what_holds(venue: Venue) -> None:
    """LogonAccepted names the accounts, where the reports begin, the heartbeat and the size of a frame."""
    async with session(venue, heartbeat_interval_s=7, session_name="mine", cancel_on_disconnect=None) as client:
        message = await client.next()
        accepted = message.logon
        assert list(accepted.accounts) == ["DEMO"]
        assert (accepted.heartbeat_interval_s, accepted.max_frame_commands) == (7, FRAME_COMMANDS_MAX)
        assert accepted.cancel_on_disconnect
        assert (accepted.dead_man_timer_ms, accepted.ack_level) == (0, entry.ACK_LEVEL_ALL)
        assert accepted.session_id == message.stream_id
        assert {budget.scope for budget in accepted.budgets} == {
            entry.RATE_SCOPE_SESSION_ORDERS,
            entry.RATE_SCOPE_SESSION_CANCELS,
        }
        assert 0 < accepted.token_expires_at.seconds - accepted.time.seconds <= 600
        assert accepted.resume_after == message.seq == message.prev_seq
        assert message.stream_id.startswith(venue.settings.gateway_id)
        assert message.epoch >= 1


async def test_a_frame_is_answered_command_by_command(venue: Venue) -> None:
    """Each command has its report with its number, in the order in which they were sent."""
    async with session(venue) as client:
        await client.until("logon")
        keys = [new_key() for _ in range(20)]
        await client.commands(*(submit(n, cl_ord_id=key) for n, key in enumerate(keys, 100)))
        frame = await client.frames(reports=20)
        assert [report.cl_ord_id for report in frame.reports] == keys
        assert [report.correlation_id for report in frame.reports] == list(range(100, 120))
        seqs = [report.seq for report in frame.reports]
        assert seqs == sorted(seqs)
        assert seqs[-1] == client.seq
        assert not frame.replies


async def test_one_order_through_its_life(venue: Venue) -> None:
    """Submit, replace and cancel on a session, each answered with its kind."""
    async with session(venue) as client:
        first, second, third = new_key(), new_key(), new_key()
        await client.commands(
            submit(1, cl_ord_id=first, qty="5"),
            replace(2, orig_cl_ord_id=first, cl_ord_id=second, qty="4"),
            cancel(3, orig_cl_ord_id=second, cl_ord_id=third),
        )
        reports = (await client.frames(reports=3)).reports
        assert [(report.exec_type, report.request, report.correlation_id) for report in reports] == [
            (types.EXEC_TYPE_NEW, types.REQUEST_KIND_SUBMIT, 1),
            (types.EXEC_TYPE_REPLACED, types.REQUEST_KIND_REPLACE, 2),
            (types.EXEC_TYPE_CANCELED, types.REQUEST_KIND_CANCEL, 3),
        ]
        assert len({report.order_id for report in reports}) == 1


async def test_a_refusal_is_a_reply(venue: Venue) -> None:
    """What the gateway refuses is answered with its number, reason and field; its neighbours are carried out."""
    async with session(venue) as client:
        bad: list[tuple[entry.SessionCommand, types.Reason.ValueType, str]] = [
            (submit(1, qty="x"), types.REASON_DECIMAL_INVALID, "qty"),
            (submit(2, symbol="NONE"), types.REASON_SYMBOL_UNKNOWN, "symbol"),
            (submit(3, account="MM"), types.REASON_ACCOUNT_NOT_ALLOWED, "account"),
            (cancel(4, account="MM", order_id="1"), types.REASON_ACCOUNT_NOT_ALLOWED, "account"),
            (cancel(5), types.REASON_FIELD_MISSING, "orig_cl_ord_id"),
            (replace(6, orig_cl_ord_id="a", cl_ord_id="b"), types.REASON_NOTHING_TO_REPLACE, "qty"),
            (entry.SessionCommand(correlation_id=7), types.REASON_FIELD_MISSING, "command"),
            (entry.SessionCommand(correlation_id=8, quote=orders.QuoteTerms()), types.REASON_ROLE_NOT_ALLOWED, "quote"),
            (
                entry.SessionCommand(correlation_id=9, mass_cancel=entry.MassCancelOrdersRequest(symbol="NONE")),
                types.REASON_SYMBOL_UNKNOWN,
                "symbol",
            ),
            (
                entry.SessionCommand(correlation_id=10, renew_timer=entry.RenewTimer()),
                types.REASON_FIELDS_CONFLICT,
                "renew_timer",
            ),
            (submit(0), types.REASON_FIELD_MISSING, "correlation_id"),
        ]
        await client.commands(submit(50), *(command for command, _, _ in bad), submit(51))
        frame = await client.frames(reports=2, replies=len(bad))
        assert [report.correlation_id for report in frame.reports] == [50, 51]
        replies = [(reply.correlation_id, reply.refused.code, reply.refused.field) for reply in frame.replies]
        assert replies == [(command.correlation_id, reason, field) for command, reason, field in bad]


async def test_a_denial_is_a_report(venue: Venue) -> None:
    """What the core denies is an event of the account, with its numbers, in the sequence of the session."""
    async with session(venue) as client:
        await client.commands(submit(1, qty="100000", price="250.00"))
        (report,) = (await client.frames(reports=1)).reports
        assert (report.exec_type, report.correlation_id) == (types.EXEC_TYPE_DENIED, 1)
        assert (report.reason.code, report.reason.rule) == (types.REASON_BUYING_POWER, "buying_power")
        assert report.reason.limit
        assert report.reason.projected


async def test_a_repeat_is_a_reply_with_the_original(venue: Venue) -> None:
    """A repeated request is answered outside the sequence, with the original report marked as a repeat."""
    async with session(venue) as client:
        key = new_key()
        await client.commands(submit(1, cl_ord_id=key))
        (first,) = (await client.frames(reports=1)).reports
        await client.commands(submit(2, cl_ord_id=key))
        (reply,) = (await client.frames(replies=1)).replies
        assert (reply.correlation_id, reply.original.correlation_id, reply.original.poss_dup) == (2, 2, True)
        assert (reply.original.seq, reply.original.order_id) == (first.seq, first.order_id)


async def test_other_ways_in_are_heard_too(venue: Venue) -> None:
    """What the account does by unary calls comes as a report without a number; other accounts' events do not come."""
    async with session(venue) as client:
        await client.until("logon")
        await venue.submit(accounts=["MM"])
        unary = await venue.submit()
        (report,) = (await client.frames(reports=1)).reports
        assert (report.seq, report.correlation_id) == (unary.seq, 0)


async def test_only_answers_on_request(venue: Venue) -> None:
    """With ACCEPTED_ONLY a session hears the answers to its own commands and nothing else."""
    async with session(venue, ack_level=entry.ACK_LEVEL_ACCEPTED_ONLY) as client:
        await client.until("logon")
        await venue.submit()
        await client.commands(submit(1))
        (report,) = (await client.frames(reports=1)).reports
        assert report.correlation_id == 1


async def test_several_accounts_in_one_session(venue: Venue) -> None:
    """A session of two accounts gets the reports of both and must name the account in each command."""
    both = venue.as_role(accounts=["DEMO", "MM"])
    async with session(venue, both, accounts=["DEMO", "MM"]) as client:
        await client.commands(
            submit(1, account="MM", symbol="MSFT", side=SELL, price="500.00"),
            submit(2, account="DEMO", symbol="MSFT", price="500.00", time_in_force=types.TIME_IN_FORCE_IOC),
            submit(3, account=""),
        )
        frame = await client.frames(reports=4, replies=1)
        assert [(r.account, r.exec_type, r.correlation_id) for r in frame.reports] == [
            ("MM", types.EXEC_TYPE_NEW, 1),
            ("DEMO", types.EXEC_TYPE_NEW, 2),
            ("MM", types.EXEC_TYPE_TRADE, 0),
            ("DEMO", types.EXEC_TYPE_TRADE, 0),
        ]
        maker, taker = frame.reports[2:]
        assert maker.trade_id == taker.trade_id
        assert (maker.liquidity, taker.liquidity) == (types.LIQUIDITY_MAKER, types.LIQUIDITY_TAKER)
        (reply,) = frame.replies
        assert reply.refused.code == types.REASON_ACCOUNT_NOT_ALLOWED


async def test_reports_since_a_sequence_are_replayed(venue: Venue) -> None:
    """`resume_after` brings what was missed, in order and exactly once, and then what is new."""
    begin = await venue.submit()
    missed = [await venue.submit() for _ in range(5)]
    async with session(venue, resume_after=begin.seq) as client:
        message = await client.until("logon")
        assert (message.logon.resume_after, message.seq) == (begin.seq, begin.seq)
        past = (await client.frames(reports=5)).reports
        assert [report.seq for report in past] == [report.seq for report in missed]
        assert all(not report.durable_unix_ns and not report.correlation_id for report in past)
        await client.commands(submit(1))
        (live,) = (await client.frames(reports=1)).reports
        assert live.correlation_id == 1
        assert live.prev_account_seq == past[-1].account_seq


async def test_the_whole_past_can_be_replayed(venue: Venue) -> None:
    """From 0 on, the account's numbers are dense: nothing is missing."""
    last = await venue.submit(accounts=["FLOW-BID"], symbol="AMZN")
    async with session(venue, venue.as_role(accounts=["FLOW-BID"]), resume_after=0) as client:
        reports: list[orders.ExecutionReport] = []
        while not reports or reports[-1].seq < last.seq:
            reports += (await client.until("frame")).frame.reports
        assert [report.account_seq for report in reports] == list(range(1, len(reports) + 1))


async def test_heartbeats_say_where_the_stream_is(venue: Venue) -> None:
    """While nothing happens a heartbeat repeats the last sequence, so that silence hides nothing."""
    async with session(venue, venue.as_role(accounts=["FLOW-TAKER"]), heartbeat_interval_s=1) as client:
        begin = (await client.until("logon")).seq
        beat = (await client.until("heartbeat")).heartbeat
        assert beat.last_seq == begin
        assert beat.time.seconds > 0


@pytest.mark.parametrize("level", [entry.ACK_LEVEL_ALL, entry.ACK_LEVEL_ACCEPTED_ONLY])
async def test_a_quiet_session_keeps_its_place(venue: Venue, level: entry.AckLevel.ValueType) -> None:
    """Heartbeats and the end move on with the journal, so that its client never has to resume far back."""
    quiet = venue.as_role(accounts=["FLOW-ASK"])
    async with session(venue, quiet, heartbeat_interval_s=1, ack_level=level) as client:
        begin = (await client.until("logon")).seq
        placed = await venue.submit()
        while (beat := await client.until("heartbeat")).seq < placed.seq:
            assert beat.heartbeat.last_seq <= beat.seq
        assert beat.seq > begin
        last = await venue.submit()
        await client.send(logout=entry.Logout())
        end = await client.ended()
        assert end.resume_after >= last.seq
    async with session(venue, quiet, resume_after=beat.seq) as client:
        assert (await client.until("logon")).logon.resume_after == beat.seq
        await client.commands(submit(1, account="FLOW-ASK", symbol="AMZN"))
        (report,) = (await client.frames(reports=1)).reports
        assert report.correlation_id == 1


@pytest.mark.parametrize("way", ["logout", "half-close"])
async def test_an_orderly_end_waits_for_the_answers(venue: Venue, way: str) -> None:
    """After a logout, or when the client ends its side, every command is answered before the end."""
    async with session(venue) as client:
        await client.commands(*(submit(n) for n in range(1, 501)))
        await (client.send(logout=entry.Logout(text="done")) if way == "logout" else client.half_close())
        reports = (await client.frames(reports=500)).reports
        assert [report.correlation_id for report in reports] == list(range(1, 501))
        end = await client.ended()
        assert (end.reason, end.resume_after) == (types.REASON_UNSPECIFIED, reports[-1].seq)


async def test_nothing_is_taken_after_a_logout(venue: Venue) -> None:
    """A command behind the logout is not carried out."""
    key = new_key()
    async with session(venue) as client:
        await client.send(logout=entry.Logout())
        await client.commands(submit(1, cl_ord_id=key))
        await client.ended()
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await venue.order(cl_ord_id=key)
    assert details(error.value)[0].reason == "ORDER_UNKNOWN"


@pytest.mark.parametrize(
    "first",
    [
        {"frame": entry.CommandFrame()},
        {"frame": entry.CommandFrame(commands=[submit(1)])},
        {"logout": entry.Logout()},
        {},
    ],
)
async def test_a_session_begins_with_a_logon(venue: Venue, first: dict[str, Any]) -> None:
    """Any other first message is refused, also for a token with one account: nothing in it is carried out."""
    async with opened(venue) as client:
        await client.send(**first)
        error = await client.failure()
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert details(error)[0].reason == "FIELD_MISSING"
    if first.get("frame") and first["frame"].commands:
        with pytest.raises(grpc.aio.AioRpcError) as lookup:
            await venue.order(cl_ord_id=first["frame"].commands[0].submit.cl_ord_id)
        assert details(lookup.value)[0].reason == "ORDER_UNKNOWN"


async def test_a_session_that_never_begins_ends(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call on which nobody logs on is not kept."""
    monkeypatch.setattr(sessions, "LOGON_WITHIN_S", 0.1)
    async with opened(venue) as client:
        error = await client.failure()
    assert (error.code(), details(error)[0].reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE")


async def test_a_session_without_a_message(venue: Venue) -> None:
    """A client that says nothing and ends its side is told what is missing."""
    async with opened(venue) as client:
        await client.half_close()
        error = await client.failure()
    assert (error.code(), details(error)[0].reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_MISSING")


@pytest.mark.parametrize("second", [{"logon": entry.Logon()}, {}])
async def test_a_session_has_one_logon(venue: Venue, second: dict[str, Any]) -> None:
    """A second logon, or a message that says nothing, ends the session in band."""
    async with session(venue) as client:
        await client.send(**second)
        end = await client.ended()
    assert end.reason == types.REASON_FIELDS_CONFLICT


@pytest.mark.parametrize(
    ("accounts", "logon", "reason"),
    [
        (["DEMO"], {"accounts": ["MM"]}, "ACCOUNT_NOT_ALLOWED"),
        (["DEMO", "MM"], {"accounts": ["DEMO", "MM", "FLOW-BID"]}, "ACCOUNT_NOT_ALLOWED"),
        ([], {}, "FIELD_MISSING"),
        (["DEMO"], {"accounts": ["DEMO"] * 65}, "FIELD_INVALID"),
        (["DEMO"], {"heartbeat_interval_s": 61}, "FIELD_INVALID"),
        (["DEMO"], {"ack_level": 99}, "ENUM_UNKNOWN"),
        (["DEMO"], {"session_name": "n" * 37}, "FIELD_INVALID"),
        (["DEMO"], {"dead_man_timer_ms": 999}, "FIELD_INVALID"),
        (["DEMO"], {"dead_man_timer_ms": 3_600_001}, "FIELD_INVALID"),
        (["DEMO"], {"resume_after": 2**63}, "FIELD_INVALID"),
    ],
    ids=str,
)
async def test_logons_that_are_refused(venue: Venue, accounts: list[str], logon: dict[str, Any], reason: str) -> None:
    """Strange accounts, values out of range and what is not served, each with its reason and field."""
    async with session(venue, venue.as_role(accounts=accounts), **logon) as client:
        error = await client.failure()
    info, _ = details(error)
    expected = "PERMISSION_DENIED" if reason == "ACCOUNT_NOT_ALLOWED" else "INVALID_ARGUMENT"
    assert (info.reason, error.code().name) == (reason, expected)


async def test_a_frame_that_is_too_long_ends_the_session(venue: Venue) -> None:
    """More commands than the logon allows: none is carried out and the session says why, in one message."""
    key = new_key()
    async with session(venue) as client:
        await client.commands(submit(1, cl_ord_id=key), *(entry.SessionCommand() for _ in range(FRAME_COMMANDS_MAX)))
        end = await client.ended()
    assert end.reason == types.REASON_MESSAGE_TOO_LARGE
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await venue.order(cl_ord_id=key)
    assert details(error.value)[0].reason == "ORDER_UNKNOWN"


async def test_a_full_frame_is_taken(venue: Venue) -> None:
    """Exactly as many commands as the logon allows are carried out."""
    async with session(venue) as client:
        await client.commands(*(submit(n) for n in range(1, FRAME_COMMANDS_MAX + 1)))
        assert len((await client.frames(reports=FRAME_COMMANDS_MAX)).reports) == FRAME_COMMANDS_MAX


async def test_a_flood_of_bad_commands_does_not_pile_up(venue: Venue) -> None:
    """A client that sends without reading is made to wait; once it reads, each command has its answer."""
    frame = [entry.SessionCommand(correlation_id=n) for n in range(1, FRAME_COMMANDS_MAX + 1)]
    frames = 60
    async with session(venue) as client:

        async def send() -> None:
            for _ in range(frames):
                await client.commands(*frame)
            await client.half_close()

        sending = asyncio.create_task(send())
        replies = (await client.frames(replies=frames * FRAME_COMMANDS_MAX)).replies
        await sending
        assert (await client.ended()).reason == types.REASON_UNSPECIFIED
    assert [reply.correlation_id for reply in replies] == list(range(1, FRAME_COMMANDS_MAX + 1)) * frames


async def test_a_client_that_leaves_is_forgotten(venue: Venue) -> None:
    """When a client goes away without a word its session ends; without cancel-on-disconnect its orders stay."""
    before = readers_gauge._value.get()
    async with session(venue) as client:
        await client.commands(submit(1, cl_ord_id=(key := new_key())))
        await client.frames(reports=1)
        assert readers_gauge._value.get() == before + 1
        client.leave()
        await eventually(lambda: readers_gauge._value.get() == before)
    assert (await venue.order(cl_ord_id=key)).ord_status == types.ORD_STATUS_NEW
