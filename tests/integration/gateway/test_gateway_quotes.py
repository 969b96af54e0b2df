"""Two-sided quotes: what a market maker's call replaces, and what it is told of each side."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from tests.integration.gateway.venue import BUY, SELL, Venue, details, new_key, refused, violations

NEW, TRADE, CANCELED = types.EXEC_TYPE_NEW, types.EXEC_TYPE_TRADE, types.EXEC_TYPE_CANCELED
REPLACED, REJECTED = types.EXEC_TYPE_REPLACED, types.EXEC_TYPE_REJECTED
OPTION = "AAPL-20270115-C-200"


@pytest_asyncio.fixture(scope="module")
async def venue(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Venue]:
    """A venue for these tests alone: nobody else's orders stand in its books."""
    own = Venue(tmp_path_factory.mktemp("quotes"))
    await own.start_matching()
    await own.start_gateway()
    await own.becomes(serving=True)
    yield own
    await own.stop()


def two_sided(symbol: str, bid: str, ask: str, qty: str = "10", ask_qty: str = "") -> orders.QuoteEntry:
    """A quote of one instrument; an empty price is no quote on that side."""
    return orders.QuoteEntry(
        symbol=symbol,
        bid_px=bid,
        bid_qty=qty if bid else "",
        ask_px=ask,
        ask_qty=(ask_qty or qty) if ask else "",
    )


async def quoted(venue: Venue, *entries: orders.QuoteEntry, quote_id: str = "") -> entry.SubmitQuotesResponse:
    """Quotes as MM."""
    request = entry.SubmitQuotesRequest(account="MM", quote_id=quote_id or new_key(), entries=entries)
    response: entry.SubmitQuotesResponse = await venue.orders.SubmitQuotes(
        request, metadata=venue.as_role("market_maker", accounts=["MM"])
    )
    assert response.quote_id == request.quote_id
    return response


def sides(response: entry.SubmitQuotesResponse) -> list[tuple[int, int, str, str]]:
    """Kind, side, price and open quantity of each report."""
    return [(report.exec_type, report.side, report.price, report.leaves_qty) for report in response.reports]


async def test_quotes_replace_what_stood(venue: Venue) -> None:
    """Both sides are entered; the same again stays, a smaller one is lowered in place, another price replaces it."""
    first = await quoted(venue, two_sided(OPTION, "10.00", "10.50"))
    assert sides(first) == [(NEW, BUY, "10.00", "10"), (NEW, SELL, "10.50", "10")]
    assert {report.cl_ord_id for report in first.reports} == {first.quote_id}
    assert {report.request for report in first.reports} == {types.REQUEST_KIND_QUOTE}
    assert [report.seq for report in first.reports] == [first.seq + 1, first.seq + 2]
    assert not (await quoted(venue, two_sided(OPTION, "10.00", "10.50"))).reports
    lowered = await quoted(venue, two_sided(OPTION, "10.00", "10.55", qty="4"))
    assert sides(lowered) == [(REPLACED, BUY, "10.00", "4"), (CANCELED, SELL, "10.50", "0"), (NEW, SELL, "10.55", "4")]
    withdrawn = await quoted(venue, two_sided(OPTION, "", ""))
    assert sides(withdrawn) == [(CANCELED, BUY, "10.00", "0"), (CANCELED, SELL, "10.55", "0")]


async def test_a_quote_that_trades_tells_its_fills(venue: Venue) -> None:
    """The fills of its own side are among the reports, the counterparty's are not."""
    await venue.submit(symbol=OPTION, qty="3", price="20.00")
    response = await quoted(venue, two_sided(OPTION, "", "20.00", qty="5"))
    assert [(report.exec_type, report.last_qty, report.leaves_qty) for report in response.reports] == [
        (NEW, "", "5"),
        (TRADE, "3", "2"),
    ]
    assert {report.account for report in response.reports} == {"MM"}
    await quoted(venue, two_sided(OPTION, "", ""))


async def test_an_entry_that_is_refused_does_not_hold_up_the_others(venue: Venue) -> None:
    """Bid at or above ask is rejected by the venue; the entry behind it is carried out."""
    response = await quoted(venue, two_sided("MSFT", "2.00", "2.00"), two_sided(OPTION, "9.00", ""))
    assert sides(response)[0][:2] == (REJECTED, BUY)
    reason = response.reports[0].reason
    assert (reason.code, reason.field) == (types.REASON_FIELDS_CONFLICT, "ask_px")
    assert sides(response)[1:] == [(NEW, BUY, "9.00", "10")]
    await quoted(venue, two_sided(OPTION, "", ""))


async def test_a_repeated_quote_gives_the_original_answer(venue: Venue) -> None:
    """The same key changes nothing, even where the quotes were replaced since; other quotes by it are a conflict."""
    first = await quoted(venue, two_sided(OPTION, "8.00", "", qty="2"))
    await quoted(venue, two_sided(OPTION, "7.00", "", qty="2"))
    again = await quoted(venue, two_sided(OPTION, "8.00", "", qty="2"), quote_id=first.quote_id)
    assert (again.seq, again.poss_dup, list(again.reports)) == (first.seq, True, [])
    assert again.transact_time == first.transact_time
    request = entry.SubmitQuotesRequest(quote_id=first.quote_id, entries=[two_sided(OPTION, "6.00", "")])
    call = venue.orders.SubmitQuotes(request, metadata=venue.as_role("market_maker", accounts=["MM"]))
    code, info = await refused(call)
    assert (code, info.reason) == (grpc.StatusCode.ALREADY_EXISTS, "CL_ORD_ID_CONFLICT")
    assert info.metadata["field"] == "entries"
    await quoted(venue, two_sided(OPTION, "", ""))


GOOD = two_sided("MSFT", "1.00", "2.00")


@pytest.mark.parametrize(
    ("entries", "reason", "field"),
    [
        ([], "FIELD_MISSING", "entries"),
        ([GOOD] * 257, "MESSAGE_TOO_LARGE", "entries"),
        ([GOOD, two_sided("MSFT", "1.001", "")], "PRICE_OFF_TICK", "entries[1].bid_px"),
        ([two_sided("MSFT", "", "1.00", qty="0.5")], "QTY_OFF_LOT", "entries[0].ask_qty"),
        ([GOOD, GOOD, two_sided("NOSUCH", "1.00", "")], "SYMBOL_UNKNOWN", "entries[2].symbol"),
        ([orders.QuoteEntry(symbol="MSFT", bid_qty="1")], "FIELDS_CONFLICT", "entries[0].bid_qty"),
        ([orders.QuoteEntry(symbol="MSFT", ask_px="1.00")], "FIELD_MISSING", "entries[0].ask_qty"),
        ([two_sided("MSFT", "-1", "")], "NOT_POSITIVE", "entries[0].bid_px"),
    ],
)
async def test_wrongly_formed_quotes(venue: Venue, entries: list[orders.QuoteEntry], reason: str, field: str) -> None:
    """The whole call is refused with the field at fault, and nothing of it is quoted."""
    request = entry.SubmitQuotesRequest(quote_id=new_key(), entries=entries)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await venue.orders.SubmitQuotes(request, metadata=venue.as_role("market_maker", accounts=["MM"]))
    assert_fault(error.value, reason, field)
    assert await open_quotes(venue, "MSFT") == []


async def test_a_quote_needs_a_key(venue: Venue) -> None:
    """Without one nothing could be repeated; its form is that of a cl_ord_id."""
    for quote_id, reason in (("", "FIELD_MISSING"), ("a b", "FIELD_INVALID")):
        request = entry.SubmitQuotesRequest(quote_id=quote_id, entries=[GOOD])
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await venue.orders.SubmitQuotes(request, metadata=venue.as_role("market_maker", accounts=["MM"]))
        assert_fault(error.value, reason, "quote_id")


async def test_only_a_market_maker_quotes(venue: Venue) -> None:
    """A trader is refused, and an account that is not open too."""
    request = entry.SubmitQuotesRequest(quote_id=new_key(), entries=[GOOD])
    assert (await refused(venue.orders.SubmitQuotes(request, metadata=venue.as_role())))[1].reason == "ROLE_NOT_ALLOWED"
    nobody = venue.as_role("market_maker", accounts=["NOBODY"])
    assert (await refused(venue.orders.SubmitQuotes(request, metadata=nobody)))[1].reason == "ACCOUNT_UNKNOWN"


def assert_fault(error: grpc.aio.AioRpcError, reason: str, field: str) -> None:
    """An INVALID_ARGUMENT with this reason and field."""
    info, status = details(error)
    assert (error.code(), info.reason, violations(status)) == (grpc.StatusCode.INVALID_ARGUMENT, reason, [field])


async def open_quotes(venue: Venue, symbol: str) -> list[Any]:
    """MM's open orders of an instrument."""
    page = await venue.orders.ListOrders(
        entry.ListOrdersRequest(symbol=symbol, open_only=True), metadata=venue.as_role(accounts=["MM"])
    )
    return list(page.orders)
