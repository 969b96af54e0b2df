"""A gateway that was away for longer than events are kept: what becomes of the streams of its clients."""

from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.processes import matching_process
from tests.integration.gateway.streaming import drop_copy, ended, until
from tests.integration.gateway.venue import Venue, reports_of, second_gateway


def first_kept(venue: Venue) -> int:
    """The oldest event of the journal."""
    return min(int(path.stem) for path in venue.settings.journal_dir.glob("*.journal"))


async def test_streams_of_a_gateway_beyond_what_is_kept(own_venue: NewVenue, free_tcp_port: int) -> None:
    """Reports have a gap and end, each where its client is; a portfolio has none and goes on as it is now."""
    venue = own_venue(journal_keep_events=0, snapshot_interval_events=50, journal_segment_bytes=4_096)
    async with matching_process(venue, free_tcp_port) as process:
        await venue.plug_in(free_tcp_port)
        await venue.start_gateway()
        await venue.becomes(serving=True)
        own_portfolio = venue.portfolio.StreamPortfolio(
            portfolio.StreamPortfolioRequest(interval_ms=10), metadata=venue.as_role()
        )
        portfolios = aiter(own_portfolio)
        assert (await anext(portfolios)).HasField("subscribed")
        async with reports_of(venue) as own, drop_copy(venue) as copied:
            last = await venue.submit()
            assert [made.seq for made in await until(own, last.seq)] == [last.seq]
            assert [made.seq for made in await until(copied, last.seq)] == [last.seq]
            venue.cable.holds_answers()
            async with second_gateway(venue) as place:
                while first_kept(venue) <= last.seq + 1:
                    missed = await place()
            # What it has sent lately a matching server has in memory; one that starts has only the journal.
            await process.stop()
            await process.start()
            await process.wait_ready()
            await venue.cable.cut()
            for messages in (own, copied):
                end = await ended(messages)
                assert (end.reason, end.resume_after) == (types.REASON_SNAPSHOT_REQUIRED, last.seq)
        async for message in portfolios:
            if message.seq >= missed.seq and message.HasField("portfolio"):
                break
        call = venue.portfolio.GetPortfolio(portfolio.GetPortfolioRequest(), metadata=venue.as_role())
        assert message.portfolio.open_orders == (await call).open_orders
        own_portfolio.cancel()
        await venue.stop_gateway()
