"""A client that knows several gateways, gateways that are about to stop, and tokens that run out."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from itertools import count
from typing import TYPE_CHECKING, Any

import grpc
import jwt
import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import errors
from clients.sdk.client import Client
from clients.sdk.inbox import RENEWALS_FROM
from runtime.errors import Refused, status_of

if TYPE_CHECKING:
    from tests.unit.clients.conftest import ScriptedGateway, ScriptedPortfolio, SessionLine

KEY = "only the form matters here, nobody verifies it"


def token(lifetime_s: float) -> str:
    """A token that runs out so soon."""
    return jwt.encode({"exp": time.time() + lifetime_s}, KEY, algorithm="HS256")


def order(key: str) -> orders.OrderTerms:
    """An order of account A."""
    return orders.OrderTerms(account="A", cl_ord_id=key)


def submits(*keys: str) -> list[entry.SessionCommand]:
    """Orders of account A with these keys."""
    return [entry.SessionCommand(submit=order(key)) for key in keys]


async def accept(_context: Any) -> entry.SubmitOrderResponse:
    """Accepts the order."""
    return entry.SubmitOrderResponse(report=orders.ExecutionReport(seq=3))


async def refuse(context: Any, refused: Refused) -> entry.SubmitOrderResponse:
    """Answers with a coded error."""
    status = status_of(refused)
    await context.abort(
        grpc.StatusCode.RESOURCE_EXHAUSTED if refused.retry_after_s else grpc.StatusCode.UNAUTHENTICATED,
        refused.text,
        (("grpc-status-details-bin", status.SerializeToString()),),
    )
    raise AssertionError


async def test_a_call_goes_to_the_next_gateway(
    gateway: ScriptedGateway, other_gateway: ScriptedGateway, client_of_both: Client
) -> None:
    """One that cannot answer is left, the request goes on under the same key, and later calls stay at the other."""

    async def dies(context: Any) -> entry.SubmitOrderResponse:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        raise AssertionError

    gateway.calls = [dies]
    other_gateway.calls = [accept, accept]
    await client_of_both.submit(order("a"))
    await client_of_both.submit(order("b"))
    assert [one.cl_ord_id for one in gateway.submitted] == ["a"]
    assert [one.cl_ord_id for one in other_gateway.submitted] == ["a", "b"]


async def test_a_budget_that_is_empty_is_waited_for(gateway: ScriptedGateway, client: Client) -> None:
    """RATE_EXCEEDED is tried again not before the server says, and succeeds under the same key."""
    at: list[float] = []

    async def limited(context: Any) -> entry.SubmitOrderResponse:
        at.append(time.monotonic())
        return await refuse(context, Refused(types.REASON_RATE_EXCEEDED, "too fast", retry_after_s=0.25))

    async def later(context: Any) -> entry.SubmitOrderResponse:
        at.append(time.monotonic())
        return await accept(context)

    gateway.calls = [limited, later]
    assert (await client.submit(order("a"))).seq == 3
    assert at[1] - at[0] >= 0.25
    assert [one.cl_ord_id for one in gateway.submitted] == ["a", "a"]


async def test_a_budget_that_stays_empty_is_an_error(gateway: ScriptedGateway, client: Client) -> None:
    """Beyond the caller's patience the refusal is raised, with the time to wait."""

    async def limited(context: Any) -> entry.SubmitOrderResponse:
        return await refuse(context, Refused(types.REASON_RATE_EXCEEDED, "too fast", retry_after_s=60.0))

    gateway.calls = [limited]
    with pytest.raises(errors.RateLimited) as limit:
        await client.submit(order("a"))
    assert (limit.value.reason, limit.value.retry_after) == ("RATE_EXCEEDED", 60.0)


async def test_a_token_that_ran_out_is_replaced_once(gateway: ScriptedGateway) -> None:
    """A call that met TOKEN_EXPIRED goes out again with the provider's next token; with the same one it is an error."""

    async def expired(context: Any) -> entry.SubmitOrderResponse:
        return await refuse(context, Refused(types.REASON_TOKEN_EXPIRED, "it is over"))

    tokens = iter(["old", "new", "new"])
    gateway.calls = [expired, accept]
    async with Client(gateway.address, token=lambda: next(tokens)) as client:
        await client.submit(order("a"))
    assert gateway.tokens == ["Bearer old", "Bearer new"]
    gateway.calls = [expired] * 3
    numbers = count()
    for provider in ("same", lambda: f"other-{next(numbers)}"):
        async with Client(gateway.address, token=provider) as client:
            with pytest.raises(errors.Unauthenticated):
                await client.submit(order("b"))
    assert gateway.calls == []


async def test_a_revoked_token_is_final(gateway: ScriptedGateway, client: Client) -> None:
    """TOKEN_REVOKED has a type of its own and is not tried again."""

    async def revoked(context: Any) -> entry.SubmitOrderResponse:
        return await refuse(context, Refused(types.REASON_TOKEN_REVOKED, "no more"))

    gateway.calls = [revoked]
    with pytest.raises(errors.Revoked):
        await client.submit(order("a"))


async def test_a_session_leaves_a_gateway_that_drains(
    gateway: ScriptedGateway, other_gateway: ScriptedGateway, client_of_both: Client
) -> None:
    """What was sent is answered there, it logs out, and what was sent meanwhile goes to the other one, once."""
    told, left = asyncio.Event(), asyncio.Event()
    seen: list[str] = []
    logons: list[entry.Logon] = []

    async def drains(line: SessionLine) -> None:
        await line.log_on()
        commands = await line.commands()
        await line.draining()
        told.set()
        await line.answer(commands)
        assert (await line.message()).HasField("logout")
        left.set()
        await line.end(types.REASON_UNSPECIFIED, "logged out")

    async def takes_over(line: SessionLine) -> None:
        logons.append(await line.log_on())
        commands = await line.commands()
        seen.extend(command.submit.cl_ord_id for command in commands)
        await line.answer(commands)
        await line.until_left()

    gateway.sessions, other_gateway.sessions = [drains], [takes_over]
    async with client_of_both.session(["A"]) as session, asyncio.timeout(10):
        await session.send(submits("a"))
        await told.wait()
        await left.wait()
        await session.send(submits("b"))
        await session.drained()
        assert (session.reconnects, session.resent) == (1, 0)
    assert logons[0].resume_after == 1
    assert seen == ["b"]


async def test_a_session_with_nowhere_to_go_stays_to_the_end(gateway: ScriptedGateway, client: Client) -> None:
    """With one address the notice changes nothing; commands are still taken, and the end in band is resumed."""

    async def drains(line: SessionLine) -> None:
        await line.log_on()
        await line.draining()
        await line.answer(await line.commands())
        await line.end(types.REASON_DRAINING, "the gateway stops")

    async def goes_on(line: SessionLine) -> None:
        await line.log_on()
        await line.answer(await line.commands())
        await line.until_left()

    gateway.sessions = [drains, goes_on]
    async with client.session(["A"]) as session, asyncio.timeout(10):
        await session.send(submits("a"))
        await session.drained()
        await session.send(submits("b"))
        await session.drained()


async def test_a_stream_leaves_a_gateway_that_drains(
    gateway: ScriptedGateway, other_gateway: ScriptedGateway, client_of_both: Client
) -> None:
    """It goes on at the other one where it stood: nothing is missing, nothing comes twice."""
    asked: list[int] = []

    async def drains(request: Any, write: Any) -> None:
        await write(seq=4, subscribed=types.Subscribed(resume_after=4, heartbeat_interval_s=1))
        await write(seq=5, prev_seq=4, report=orders.ExecutionReport(seq=5))
        await write(seq=5, prev_seq=5, draining=types.Draining(ends_in_ms=10_000, reason=types.REASON_DRAINING))
        await asyncio.Event().wait()

    async def goes_on(request: Any, write: Any) -> None:
        asked.append(request.resume_after)
        await write(seq=5, subscribed=types.Subscribed(resume_after=5, heartbeat_interval_s=1))
        await write(seq=6, prev_seq=5, report=orders.ExecutionReport(seq=6))
        await asyncio.Event().wait()

    gateway.streams, other_gateway.streams = [drains], [goes_on]
    seqs = []
    async with asyncio.timeout(10), aclosing(client_of_both.reports("A")) as reports:
        async for report in reports:
            seqs.append(report.seq)
            if len(seqs) == 2:
                break
    assert (seqs, asked) == ([5, 6], [5])


async def test_a_stream_shows_a_new_token_before_the_old_one_is_over(gateway: ScriptedGateway) -> None:
    """At the notice TOKEN_EXPIRED it connects again with the provider's next token."""
    tokens = iter(["first", "second", "second"])

    async def warns(request: Any, write: Any) -> None:
        await write(subscribed=types.Subscribed(heartbeat_interval_s=1))
        await write(draining=types.Draining(ends_in_ms=10_000, reason=types.REASON_TOKEN_EXPIRED))
        await asyncio.Event().wait()

    async def goes_on(request: Any, write: Any) -> None:
        await write(subscribed=types.Subscribed(heartbeat_interval_s=1))
        await write(seq=1, report=orders.ExecutionReport(seq=1))
        await asyncio.Event().wait()

    gateway.streams = [warns, goes_on]
    async with (
        asyncio.timeout(10),
        Client(gateway.address, token=lambda: next(tokens)) as client,
        aclosing(client.reports("A")) as reports,
    ):
        assert (await anext(reports)).seq == 1


@pytest.mark.parametrize("hurried", [False, True])
async def test_a_session_authenticates_again_in_time(gateway: ScriptedGateway, *, hurried: bool) -> None:
    """Before its token runs out, or when the gateway asks, a session shows the next one on the same connection."""
    first, second = token(600.0 if hurried else 1.0), token(600.0)
    given = iter([first] if hurried else [first, first])
    shown: list[str] = []

    async def script(line: SessionLine) -> None:
        await line.log_on()
        commands = await line.commands()
        if hurried:
            await line.draining(types.REASON_TOKEN_EXPIRED)
        shown.append((await line.message()).authentication.token)
        await line.answer(commands)
        await line.until_left()

    gateway.sessions = [script]
    async with (
        asyncio.timeout(10),
        Client(gateway.address, token=lambda: next(given, second)) as client,
        client.session(["A"]) as session,
    ):
        await session.send(submits("a"))
        await session.drained()
        assert session.reconnects == 0
    assert shown == [second]


async def test_the_timer_is_renewed_beside_the_commands(gateway: ScriptedGateway, client: Client) -> None:
    """Renewals have correlation ids of their own, and their answers are not the application's affair."""
    ids: list[int] = []

    async def script(line: SessionLine) -> None:
        await line.log_on()
        for _ in range(2):
            (renewal,) = await line.commands()
            assert renewal.HasField("renew_timer")
            ids.append(renewal.correlation_id)
            renewed = entry.TimerRenewed(seq=1)
            await line.reply(entry.CommandReply(correlation_id=renewal.correlation_id, timer_renewed=renewed))
        await line.heartbeat()
        await line.until_left()

    gateway.sessions = [script]
    async with client.session(["A"], dead_man_timer_ms=150) as session, asyncio.timeout(10):
        await session.quiet()
        replies = [reply for frame in session._buffer for reply in frame.replies]
    assert min(ids) >= RENEWALS_FROM
    assert len(set(ids)) == 2
    assert replies == []


async def test_a_session_answers_the_one_who_asked(gateway: ScriptedGateway, client: Client) -> None:
    """Commands can be awaited one by one: report, reply or typed refusal, in whatever order the answers come."""

    async def script(line: SessionLine) -> None:
        await line.log_on()
        first, second, third = (*(await line.commands()), *(await line.commands()), *(await line.commands()))
        denied = orders.ExecutionReport(
            seq=1,
            correlation_id=second.correlation_id,
            exec_type=types.EXEC_TYPE_DENIED,
            reason=types.ReasonDetail(code=types.REASON_BUYING_POWER, rule="buying_power", limit="5.00"),
        )
        await line.report(denied)
        canceled = entry.MassCancelOrdersResponse(cl_ord_id=third.mass_cancel.cl_ord_id, canceled_orders=7)
        await line.reply(entry.CommandReply(correlation_id=third.correlation_id, mass_canceled=canceled))
        await line.report(orders.ExecutionReport(seq=2, correlation_id=first.correlation_id))
        await line.until_left()

    gateway.sessions = [script]
    async with client.session(["A"]) as session, asyncio.timeout(10), asyncio.TaskGroup() as group:
        accepted = group.create_task(session.submit(order("a")))
        with pytest.raises(errors.Denied, match="BUYING_POWER") as denied:
            await asyncio.gather(session.submit(order("b")), session.mass_cancel("A"))
        assert denied.value.metadata["limit"] == "5.00"
        assert (await accepted).seq == 2


async def test_whoever_waits_hears_that_the_session_is_over(gateway: ScriptedGateway, client: Client) -> None:
    """An answer that can never come is an error, not a wait for ever."""

    async def script(line: SessionLine) -> None:
        await line.log_on()
        await line.commands()
        await line.end(types.REASON_TOKEN_REVOKED, "no more")

    gateway.sessions = [script]
    async with client.session(["A"]) as session, asyncio.timeout(10):
        with pytest.raises(errors.Revoked):
            await session.submit(order("a"))


async def test_a_basket_is_complete(gateway: ScriptedGateway, client: Client) -> None:
    """More orders than a basket takes go in several; what was not decided goes out again; results keep the order."""
    sizes: list[int] = []

    def answer(request: entry.SubmitOrdersRequest) -> entry.SubmitOrdersResponse:
        sizes.append(len(request.orders))
        results = [
            entry.SubmitOrderResult(cl_ord_id=one.cl_ord_id, report=orders.ExecutionReport(cl_ord_id=one.cl_ord_id))
            for one in request.orders
        ]
        if len(sizes) == 1:
            results[3].refused.code = types.REASON_OUTCOME_UNKNOWN
            results[4].refused.code = types.REASON_PRICE_OFF_TICK
        return entry.SubmitOrdersResponse(results=results)

    gateway.baskets = [answer] * 3
    results = await client.submit_many(order(f"key-{number}") for number in range(300))
    assert sizes == [256, 1, 44]
    assert [result.cl_ord_id for result in results] == [f"key-{number}" for number in range(300)]
    assert [number for number, result in enumerate(results) if result.error] == [4]
    assert isinstance(results[4].error, errors.Invalid)
    assert results[3].report is not None


async def test_an_account_goes_on_from_a_snapshot(
    gateway: ScriptedGateway, portfolios: ScriptedPortfolio, client: Client
) -> None:
    """Snapshot, then reports after it; when the history is gone a snapshot again, and reports after that one."""
    asked: list[int] = []

    async def forgets(request: Any, write: Any) -> None:
        asked.append(request.resume_after)
        await write(seq=10, subscribed=types.Subscribed(resume_after=10, heartbeat_interval_s=1))
        await write(seq=12, prev_seq=10, report=orders.ExecutionReport(seq=12))
        await write(end=types.StreamEnd(reason=types.REASON_SNAPSHOT_REQUIRED, resume_after=12))

    async def goes_on(request: Any, write: Any) -> None:
        asked.append(request.resume_after)
        await write(seq=50, subscribed=types.Subscribed(resume_after=50, heartbeat_interval_s=1))
        await write(seq=51, prev_seq=50, report=orders.ExecutionReport(seq=51))
        await asyncio.Event().wait()

    portfolios.snapshots = [portfolio.GetAccountSnapshotResponse(as_of_seq=seq) for seq in (10, 50)]
    gateway.streams = [forgets, goes_on]
    told = []
    async with asyncio.timeout(10), aclosing(client.account("A")) as updates:
        async for update in updates:
            if isinstance(update, orders.ExecutionReport):
                told.append(("report", update.seq))
            else:
                told.append(("snapshot", update.as_of_seq))
            if len(told) == 4:
                break
    assert told == [("snapshot", 10), ("report", 12), ("snapshot", 50), ("report", 51)]
    assert asked == [10, 50]
