"""The order session when connections break, reports go missing and the gateway cannot decide."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import grpc
import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import errors
from clients.sdk import session as session_module
from clients.sdk.calls import Patience
from clients.sdk.client import Client
from clients.sdk.inbox import SessionFrame
from clients.sdk.session import Session

if TYPE_CHECKING:
    from tests.unit.clients.conftest import ScriptedGateway, SessionLine


def submits(*keys: str) -> list[entry.SessionCommand]:
    """Orders of account A with these keys."""
    return [entry.SessionCommand(submit=orders.OrderTerms(account="A", cl_ord_id=key)) for key in keys]


def keys_of(commands: list[entry.SessionCommand]) -> list[str]:
    """The keys of orders."""
    return [command.submit.cl_ord_id for command in commands]


async def next_frame(session: Session) -> SessionFrame:
    """The next message that brought something."""
    async with asyncio.timeout(10), aclosing(session.frames()) as frames:
        return await anext(frames)


async def test_commands_are_answered_by_their_correlation_id(gateway: ScriptedGateway, client: Client) -> None:
    """Ids are dense from 1; a report with the id closes the command."""

    async def script(line: SessionLine) -> None:
        await line.log_on()
        await line.answer(await line.commands())
        await line.until_left()

    gateway.sessions = [script]
    async with client.session(["A"]) as session:
        assert await session.send(submits("a", "b")) == range(1, 3)
        frame = await next_frame(session)
        assert frame.answered == [1, 2]
        assert session.unanswered == 0
        assert session.last_seq == 2


async def test_what_was_never_answered_is_sent_again(gateway: ScriptedGateway, client: Client) -> None:
    """After a break the session resumes behind its last report and repeats the rest, in order, under the same ids."""
    again: list[entry.SessionCommand] = []
    logons: list[entry.Logon] = []

    async def breaks(line: SessionLine) -> None:
        logons.append(await line.log_on(resume_after=40))
        await line.answer((await line.commands())[:1])

    async def recovers(line: SessionLine) -> None:
        logons.append(await line.log_on())
        commands = await line.commands()
        again.extend(commands)
        await line.answer(commands)
        await line.until_left()

    gateway.sessions = [breaks, recovers]
    async with client.session(["A"]) as session:
        await session.send(submits("a", "b", "c"))
        async with asyncio.timeout(10):
            await session.drained()
        assert keys_of(again) == ["b", "c"]
        assert [command.correlation_id for command in again] == [2, 3]
        assert not logons[0].HasField("resume_after")
        assert logons[1].resume_after == 41
        assert (session.reconnects, session.resent) == (1, 2)


async def test_who_stops_waiting_takes_nothing_back(gateway: ScriptedGateway, client: Client) -> None:
    """Cancelled before its command could be written: the command goes out all the same, and the connection stands."""

    async def script(line: SessionLine) -> None:
        await line.log_on()
        await line.answer(await line.commands())
        await line.answer(await line.commands())
        await line.until_left()

    gateway.sessions = [script]
    async with client.session(["A"]) as session, asyncio.timeout(10):
        async with session._writing:
            impatient = asyncio.create_task(session.ask(submits("a")[0]))
            while not session.unanswered:
                await asyncio.sleep(0)
            impatient.cancel()
            await asyncio.wait([impatient])
            assert impatient.cancelled()
        await session.send(submits("b"))
        await session.drained()
        assert (session.reconnects, session.last_seq) == (0, 2)


async def test_a_replayed_report_answers_by_its_key(gateway: ScriptedGateway, client: Client) -> None:
    """A command that took effect before the break is answered by the replay, which knows no correlation ids."""

    async def breaks(line: SessionLine) -> None:
        await line.log_on()
        await line.commands()

    async def replays(line: SessionLine) -> None:
        await line.log_on()
        await line.commands()
        await line.report(orders.ExecutionReport(seq=5, account="A", cl_ord_id="a"))
        await line.until_left()

    gateway.sessions = [breaks, replays]
    async with client.session(["A"]) as session:
        await session.send(submits("a"))
        frame = await next_frame(session)
        assert (frame.answered, session.unanswered) == ([1], 0)


async def test_commands_sent_during_a_break_go_out_after_it(gateway: ScriptedGateway, client: Client) -> None:
    """Sending does not fail while the session reconnects, and nothing is sent twice or out of order."""
    broken, go_on = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def breaks(line: SessionLine) -> None:
        await line.log_on()
        await line.commands()
        broken.set()

    async def recovers(line: SessionLine) -> None:
        await go_on.wait()
        await line.log_on()
        while len(seen) < 3:
            commands = await line.commands()
            seen.extend(keys_of(list(commands)))
            await line.answer(commands)
        await line.until_left()

    gateway.sessions = [breaks, recovers]
    async with client.session(["A"]) as session, asyncio.timeout(10):
        await session.send(submits("a"))
        await broken.wait()
        await session.send(submits("b", "c"))
        go_on.set()
        await session.drained()
    assert seen == ["a", "b", "c"]


async def test_a_gap_is_healed_by_resuming(gateway: ScriptedGateway, client: Client) -> None:
    """A message that does not follow the last one is not given out; the session resumes where it stood."""
    logons: list[entry.Logon] = []

    async def loses_one(line: SessionLine) -> None:
        await line.log_on()
        await line.report(orders.ExecutionReport(seq=1))
        await line.report(orders.ExecutionReport(seq=3), prev_seq=2)
        await line.until_left()

    async def replays(line: SessionLine) -> None:
        logons.append(await line.log_on())
        await line.report(orders.ExecutionReport(seq=2), orders.ExecutionReport(seq=3))
        await line.until_left()

    gateway.sessions = [loses_one, replays]
    async with client.session(["A"]) as session:
        seqs = [report.seq for _ in range(2) for report in (await next_frame(session)).reports]
    assert seqs == [1, 2, 3]
    assert logons[0].resume_after == 1


async def test_a_heartbeat_reveals_a_lost_report(gateway: ScriptedGateway, client: Client) -> None:
    """When the last message is lost no later one shows it; the heartbeat does."""

    async def loses_the_last(line: SessionLine) -> None:
        await line.log_on()
        await line.report(orders.ExecutionReport(seq=1))
        await line.heartbeat(last_seq=2)
        await line.until_left()

    async def replays(line: SessionLine) -> None:
        await line.log_on()
        await line.report(orders.ExecutionReport(seq=2))
        await line.until_left()

    gateway.sessions = [loses_the_last, replays]
    async with client.session(["A"]) as session:
        seqs = [report.seq for _ in range(2) for report in (await next_frame(session)).reports]
    assert seqs == [1, 2]


async def test_reports_are_given_out_once(gateway: ScriptedGateway, client: Client) -> None:
    """A replay that begins earlier than asked for gives nothing twice."""

    async def breaks(line: SessionLine) -> None:
        await line.log_on()
        await line.report(orders.ExecutionReport(seq=1), orders.ExecutionReport(seq=2))

    async def repeats(line: SessionLine) -> None:
        await line.log_on()
        await line.report(*(orders.ExecutionReport(seq=seq) for seq in (1, 2, 3)), prev_seq=0)
        await line.until_left()

    gateway.sessions = [breaks, repeats]
    async with client.session(["A"]) as session:
        seqs = [report.seq for _ in range(2) for report in (await next_frame(session)).reports]
    assert seqs == [1, 2, 3]


async def test_a_gap_that_cannot_be_healed_is_an_error(gateway: ScriptedGateway, client: Client) -> None:
    """The same hole on each connection ends the session with the range that is missing."""

    async def loses_one(line: SessionLine) -> None:
        await line.log_on(resume_after=1)
        await line.report(orders.ExecutionReport(seq=9), prev_seq=8)
        await line.until_left()

    gateway.sessions = [loses_one] * 3
    async with client.session(["A"]) as session:
        with pytest.raises(errors.StreamGap) as gap:
            await next_frame(session)
    assert (gap.value.from_seq, gap.value.to_seq) == (2, 8)


async def test_a_history_that_is_not_kept_is_an_error(gateway: ScriptedGateway, client: Client) -> None:
    """SNAPSHOT_REQUIRED at logon is a gap, not a reason to try again."""

    async def refuses(line: SessionLine) -> None:
        await line.message()
        await line.end(types.REASON_SNAPSHOT_REQUIRED, "older than what is kept")

    gateway.sessions = [refuses]
    with pytest.raises(errors.StreamGap):
        async with client.session(["A"], resume_after=3):
            pass


async def test_a_command_that_was_not_decided_is_sent_again(gateway: ScriptedGateway, client: Client) -> None:
    """MATCHING_UNAVAILABLE answers nothing: the same command goes out once more, and the refusal is not given out."""
    frames: list[list[str]] = []

    async def undecided(line: SessionLine) -> None:
        await line.log_on()
        commands = await line.commands()
        frames.append(keys_of(list(commands)))
        detail = types.ReasonDetail(code=types.REASON_MATCHING_UNAVAILABLE)
        await line.reply(*(entry.CommandReply(correlation_id=c.correlation_id, refused=detail) for c in commands))
        again = await line.commands()
        frames.append(keys_of(list(again)))
        await line.answer(again)
        await line.until_left()

    gateway.sessions = [undecided]
    async with client.session(["A"]) as session:
        await session.send(submits("a", "b"))
        async with asyncio.timeout(10):
            await session.drained()
        replies = [reply for _ in range(2) for reply in (await next_frame(session)).replies]
    assert frames == [["a", "b"], ["a", "b"]]
    assert replies == []


async def test_nothing_overtakes_a_command_that_was_not_decided(gateway: ScriptedGateway, client: Client) -> None:
    """Once matching is back the refused frames go out one by one: the next only when the one before is decided."""
    carried_out: list[str] = []
    detail = types.ReasonDetail(code=types.REASON_MATCHING_UNAVAILABLE)

    async def comes_back(line: SessionLine) -> None:
        await line.log_on()
        await line.answer(await line.commands())
        refused = 0
        while len(carried_out) < 12:
            commands = await line.commands()
            if refused < 12:
                refused += len(commands)
                await line.reply(
                    *(entry.CommandReply(correlation_id=c.correlation_id, refused=detail) for c in commands)
                )
            else:
                carried_out.extend(keys_of(list(commands)))
                await line.answer(commands)
        await line.until_left()

    keys = [f"k{number}" for number in range(12)]
    gateway.sessions = [comes_back]
    async with client.session(["A"]) as session, asyncio.timeout(10):
        await session.send(submits("first"))
        await session.drained()
        await session.send(submits(*keys))
        await session.drained()
    assert carried_out == keys


async def test_patience_with_an_undecided_command_ends(gateway: ScriptedGateway) -> None:
    """A gateway that never reaches matching does not keep its clients for ever."""

    async def never_decides(line: SessionLine) -> None:
        await line.log_on()
        detail = types.ReasonDetail(code=types.REASON_MATCHING_UNAVAILABLE)
        while True:
            await line.reply(
                *(entry.CommandReply(correlation_id=c.correlation_id, refused=detail) for c in await line.commands())
            )

    gateway.sessions = [never_decides]
    patience = Patience(reconnect_s=0.2)
    async with Client(gateway.address, token="t", patience=patience) as client, client.session(["A"]) as session:
        await session.send(submits("a"))
        async with asyncio.timeout(10):
            with pytest.raises(errors.OutcomeUnknown):
                await session.drained()


async def test_a_definite_refusal_is_an_answer(gateway: ScriptedGateway, client: Client) -> None:
    """A command that the gateway refuses for its form is closed and given out with its reason."""

    async def refuses(line: SessionLine) -> None:
        await line.log_on()
        detail = types.ReasonDetail(code=types.REASON_PRICE_OFF_TICK)
        await line.reply(
            *(entry.CommandReply(correlation_id=c.correlation_id, refused=detail) for c in await line.commands())
        )
        await line.until_left()

    gateway.sessions = [refuses]
    async with client.session(["A"]) as session:
        await session.send(submits("a"))
        frame = await next_frame(session)
    assert frame.answered == [1]
    assert frame.replies[0].refused.code == types.REASON_PRICE_OFF_TICK


async def test_the_window_holds_senders_back(gateway: ScriptedGateway, client: Client) -> None:
    """Never more commands than the window are unanswered; sending goes on as answers arrive."""
    unanswered_max = 0

    async def counts(line: SessionLine) -> None:
        nonlocal unanswered_max
        await line.log_on()
        await line.answer(await line.commands())
        waiting: list[entry.SessionCommand] = []
        for _ in range(2):
            while len(waiting) < 6:
                waiting.extend(await line.commands())
            unanswered_max = max(unanswered_max, len(waiting))
            await line.answer(waiting)
            waiting.clear()
        await line.until_left()

    gateway.sessions = [counts]
    async with client.session(["A"], window=6) as session, asyncio.timeout(10):
        await session.send(submits("first"))
        await session.drained()
        await session.send(submits(*(f"k{number}" for number in range(12))))
        await session.drained()
    assert unanswered_max == 6


async def test_frames_respect_the_gateways_limit(gateway: ScriptedGateway, client: Client) -> None:
    """A long list of commands is cut into frames of what the logon allows."""
    sizes: list[int] = []

    async def counts(line: SessionLine) -> None:
        await line.log_on()
        while sum(sizes) < 10:
            commands = await line.commands()
            sizes.append(len(commands))
            await line.answer(commands)
        await line.until_left()

    gateway.sessions = [counts]
    async with client.session(["A"]) as session, asyncio.timeout(10):
        await session.send(submits(*(f"k{number}" for number in range(10))))
        await session.drained()
    assert sizes == [4, 4, 2]


async def test_every_request_gets_a_key(gateway: ScriptedGateway, client: Client) -> None:
    """Without a key of its own a request could not be sent again safely."""
    seen: list[entry.SessionCommand] = []

    async def records(line: SessionLine) -> None:
        await line.log_on()
        seen.extend(await line.commands())
        await line.answer(seen)
        await line.until_left()

    gateway.sessions = [records]
    async with client.session(["A"]) as session, asyncio.timeout(10):
        cancel = entry.SessionCommand(cancel=entry.CancelOrderRequest(account="A", order_id="1"))
        await session.send([*submits(""), cancel, *submits("mine")])
        await session.drained()
    keys = [seen[0].submit.cl_ord_id, seen[1].cancel.cl_ord_id]
    assert all(0 < len(key) <= 36 for key in keys)
    assert keys[0] != keys[1]
    assert seen[2].submit.cl_ord_id == "mine"


async def test_silence_is_a_dead_connection(
    gateway: ScriptedGateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that misses its heartbeats is given up, although its connection still stands."""
    monkeypatch.setattr(session_module, "HEARTBEATS_MISSED_MAX", 0.1)
    left = asyncio.Event()

    async def falls_silent(line: SessionLine) -> None:
        await line.log_on()
        try:
            await line.until_left()
        finally:
            left.set()

    async def answers(line: SessionLine) -> None:
        await line.log_on()
        await line.answer(await line.commands())
        await line.until_left()

    gateway.sessions = [falls_silent, answers]
    async with client.session(["A"]) as session, asyncio.timeout(10):
        await session.send(submits("a"))
        await session.drained()
        await left.wait()
        assert session.reconnects == 1


async def test_the_dead_man_timer_is_renewed(gateway: ScriptedGateway, client: Client) -> None:
    """A session with a timer renews it by itself, well within its time."""
    renewals = asyncio.Event()

    async def counts(line: SessionLine) -> None:
        assert (await line.log_on()).dead_man_timer_ms == 60
        for _ in range(3):
            (command,) = await line.commands()
            assert command.HasField("renew_timer")
        renewals.set()
        await line.until_left()

    gateway.sessions = [counts]
    async with client.session(["A"], dead_man_timer_ms=60) as session, asyncio.timeout(10):
        await renewals.wait()
        assert session.unanswered == 0


async def test_a_refused_logon_is_raised_at_once(gateway: ScriptedGateway, client: Client) -> None:
    """A session that may not begin does not keep trying."""

    async def refuses(line: SessionLine) -> None:
        await line._context.abort(grpc.StatusCode.PERMISSION_DENIED, "not yours")

    gateway.sessions = [refuses]
    with pytest.raises(errors.NotAllowed):
        async with client.session(["A"]):
            pass


async def test_patience_ends() -> None:
    """Without any gateway the session fails with what is wrong."""
    patience = Patience(call_s=0.2, retry_s=0.3)
    async with Client("127.0.0.1:1", patience=patience) as client, asyncio.timeout(10):
        with pytest.raises(errors.Unavailable):
            async with client.session(["A"]):
                pass


async def test_an_end_in_band_is_followed_by_a_new_connection(gateway: ScriptedGateway, client: Client) -> None:
    """A gateway that drains says so; the session goes on elsewhere."""

    async def drains(line: SessionLine) -> None:
        await line.log_on()
        await line.end(types.REASON_DRAINING, "the gateway is stopping")
        await line.until_left()

    async def answers(line: SessionLine) -> None:
        await line.log_on()
        await line.answer(await line.commands())
        await line.until_left()

    gateway.sessions = [drains, answers]
    async with client.session(["A"]) as session, asyncio.timeout(10):
        await session.send(submits("a"))
        await session.drained()
        assert session.reconnects == 1


async def test_a_session_that_has_ended_takes_no_commands(gateway: ScriptedGateway, client: Client) -> None:
    """What ended the session for good is raised to whoever sends or waits."""

    async def ends(line: SessionLine) -> None:
        await line.log_on()
        await line.end(types.REASON_ACCOUNT_NOT_ALLOWED, "not any more")
        await line.until_left()

    gateway.sessions = [ends]
    async with client.session(["A"]) as session, asyncio.timeout(10):
        with pytest.raises(errors.NotAllowed):
            await next_frame(session)
        with pytest.raises(errors.NotAllowed):
            await session.send(submits("a"))
