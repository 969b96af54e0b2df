"""The drop copy against the real venue: many accounts, or all, on one stream."""

import grpc
import pytest
from ordergate.matching.v1 import commands_pb2

from tests.integration.gateway.streaming import alike, drop_copy, reports_in, trade, truth, until
from tests.integration.gateway.venue import Venue, refused, reports_of
from tests.simulation.gateway_link import connected, linked


async def test_it_is_the_union_of_its_accounts_streams(venue: Venue) -> None:
    """Each report of each account once, in one sequence, and the same as on the account's own stream."""
    last_seq = await trade(venue, 40)
    async with (
        drop_copy(venue, "DEMO", "MM", resume_after=0) as both,
        reports_of(venue, "DEMO", resume_after=0) as demo,
        reports_of(venue, "MM", resume_after=0) as maker,
    ):
        copied = await until(both, last_seq)
        ends = {"DEMO": 0, "MM": 0} | {report.account: report.seq for report in copied}
        own = await until(demo, ends["DEMO"]) + await until(maker, ends["MM"])
        live_seq = await trade(venue, 3)
        live = await until(both, live_seq)
    assert [alike(report) for report in copied] == [alike(one) for one in sorted(own, key=lambda one: one.seq)]
    assert [(one.seq, one.account) for one in live] == await truth(venue, last_seq, live_seq, "DEMO", "MM")
    assert all(one.sent_unix_ns >= one.durable_unix_ns > 0 for one in live)


async def test_the_first_message_names_the_accounts(venue: Venue) -> None:
    """A trader without a list gets all of its token's accounts; whoever names some gets those, each once."""
    async with drop_copy(venue, metadata=venue.as_role(accounts=["MM", "DEMO"])) as messages:
        first = await anext(messages)
        assert [result.key for result in first.subscribed.results] == ["MM", "DEMO"]
        assert first.subscribed.resume_after == first.seq
        placed = await venue.submit(accounts=["MM"])
        await venue.submit(accounts=["FLOW-BID"], symbol="AMZN")
        own = await venue.submit()
        assert [report.seq for report in await until(messages, own.seq)] == [placed.seq, own.seq]
    async with drop_copy(venue, "DEMO", "DEMO") as messages:
        assert [result.key for result in (await anext(messages)).subscribed.results] == ["DEMO"]


@pytest.mark.parametrize("role", ["risk_officer", "compliance_officer", "auditor"])
async def test_oversight_gets_every_account(venue: Venue, role: str) -> None:
    """All order events, of history as of the present, and nothing that is about no order."""
    last_seq = await trade(venue, 5)
    async with drop_copy(venue, metadata=venue.as_role(role, accounts=[]), resume_after=0) as messages:
        first = await anext(messages)
        assert list(first.subscribed.results) == []
        past = await until(messages, last_seq)
        placed = await venue.submit(accounts=["FLOW-BID"], symbol="AMZN")
        assert [report.seq for report in await until(messages, placed.seq)] == [placed.seq]
    assert [(report.seq, report.account) for report in past] == await truth(venue, 0, last_seq)


async def test_an_account_that_is_opened_later_is_in_it(venue: Venue) -> None:
    """All accounts are those too that did not exist when the stream began."""
    async with drop_copy(venue) as messages:
        await anext(messages)
        await open_account(venue, "LATER")
        order = {"account": "LATER", "symbol": "AAPL"}
        with pytest.raises(grpc.aio.AioRpcError):
            await venue.submit(accounts=["LATER"], **order)
        (report,) = reports_in(await anext(messages))
    assert (report.account, report.account_seq) == ("LATER", 1)


async def open_account(venue: Venue, account: str) -> None:
    """Opens an account, past the gateway."""
    command = commands_pb2.Command(actor="tests", open_account=commands_pb2.OpenAccount(account=account))
    async with connected(venue.settings, venue.settings.matching_port) as stub, linked(venue.settings, stub) as link:
        await link.carry_out(command.SerializeToString())


async def test_what_may_not_be_copied_is_refused(venue: Venue) -> None:
    """Accounts of others, too many, an empty one, a sequence that has not happened."""
    officer = venue.as_role("risk_officer", accounts=[])
    async with drop_copy(venue, "DEMO", "MM", metadata=venue.as_role(accounts=["DEMO"])) as messages:
        assert (await refused(anext(messages)))[1].reason == "ACCOUNT_NOT_ALLOWED"
    async with drop_copy(venue, *(f"A{number}" for number in range(65)), metadata=officer) as messages:
        assert (await refused(anext(messages)))[1].reason == "FIELD_INVALID"
    async with drop_copy(venue, "DEMO", "", metadata=officer) as messages:
        assert (await refused(anext(messages)))[1].reason == "FIELD_MISSING"
    async with drop_copy(venue, "DEMO", resume_after=2**62) as messages:
        code, info = await refused(anext(messages))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_64_accounts_may_be_named(venue: Venue) -> None:
    """Those that exist, and those that may exist one day."""
    names = ["DEMO", *(f"A{number}" for number in range(63))]
    async with drop_copy(venue, *names, metadata=venue.as_role("risk_officer", accounts=[])) as messages:
        assert [result.key for result in (await anext(messages)).subscribed.results] == names
        placed = await venue.submit()
        assert [report.seq for report in await until(messages, placed.seq)] == [placed.seq]
