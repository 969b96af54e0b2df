"""Several orders in one call: an answer for each, one cap over all, and what a repetition gives."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.venue import SELL, Venue, new_key, refused, terms

NEW, DENIED, REJECTED = types.EXEC_TYPE_NEW, types.EXEC_TYPE_DENIED, types.EXEC_TYPE_REJECTED


def basket(*placed: orders.OrderTerms, account: str = "DEMO") -> entry.SubmitOrdersRequest:
    """A basket of orders."""
    return entry.SubmitOrdersRequest(account=account, orders=placed)


async def submitted(venue: Venue, request: entry.SubmitOrdersRequest) -> list[entry.SubmitOrderResult]:
    """Sends a basket; gives its results, one for each order and with its key."""
    response = await venue.orders.SubmitOrders(request, metadata=venue.as_role())
    results = list(response.results)
    assert [result.cl_ord_id for result in results] == [order.cl_ord_id for order in request.orders]
    return results


async def test_each_order_has_its_own_answer(venue: Venue) -> None:
    """Accepted, denied, rejected and wrongly formed ones side by side; none holds up another."""
    request = basket(
        terms(),
        terms(qty="2.5"),
        terms(qty="1000000", price="40.00"),
        terms(cl_ord_id=""),
        terms(side=SELL, symbol="AMZN", exec_inst=orders.ExecInst(reduce_only=True), price="9999.00"),
        terms(account="", qty="3"),
        terms(account="MM"),
    )
    results = await submitted(venue, request)
    kinds = [result.report.exec_type if result.HasField("report") else result.refused.code for result in results]
    off_lot, missing, conflict = (
        types.REASON_QTY_OFF_LOT,
        types.REASON_FIELD_MISSING,
        types.REASON_FIELDS_CONFLICT,
    )
    assert kinds == [NEW, off_lot, DENIED, missing, DENIED, NEW, conflict]
    fields = [result.refused.field for result in results if result.HasField("refused")]
    assert fields == ["orders[1].qty", "orders[3].cl_ord_id", "orders[6].account"]
    denial = results[2].report.reason
    assert (denial.code, denial.rule) == (types.REASON_BUYING_POWER, "buying_power")
    assert float(denial.projected) > float(denial.limit)
    sequences = [result.report.seq for result in results if result.HasField("report")]
    assert sequences == sorted(set(sequences))
    for result in (results[0], results[5]):
        assert result.report.account == "DEMO"
        found = await venue.order(cl_ord_id=result.cl_ord_id)
        assert (found.order_id, found.ord_status) == (result.report.order_id, types.ORD_STATUS_NEW)


async def test_a_basket_is_carried_out_in_its_order(venue: Venue) -> None:
    """The first leg of a list opens it for the second; the other way round the second finds no list."""

    def legs(*numbers: int) -> list[orders.OrderTerms]:
        tied = {"type": types.CONTINGENCY_TYPE_OCO, "list_id": new_key()}
        return [terms(contingency=orders.Contingency(**tied, leg=leg)) for leg in numbers]  # type: ignore[arg-type]

    in_order = await submitted(venue, basket(*legs(1, 2)))
    assert [result.report.exec_type for result in in_order] == [NEW, NEW]
    second, first = await submitted(venue, basket(*legs(2, 1)))
    assert (second.report.exec_type, second.report.reason.code) == (REJECTED, types.REASON_ORDER_UNKNOWN)
    assert first.report.exec_type == NEW


async def test_a_repeated_basket_gives_the_original_results(venue: Venue) -> None:
    """Accepted, denied and wrongly formed ones as the first time, with `poss_dup`, and nothing is placed again."""
    request = basket(terms(), terms(qty="1000000", price="40.00"), terms(price="1.001"), terms())
    first = await submitted(venue, request)
    again = await submitted(venue, request)
    for before, after in zip(first, again, strict=True):
        assert after.report.poss_dup == after.HasField("report")
        assert (after.report.seq, after.report.exec_type) == (before.report.seq, before.report.exec_type)
        assert after.refused == before.refused
    denial = again[1].report.reason
    assert denial.rule == "buying_power"
    assert denial == first[1].report.reason


async def test_a_partly_repeated_basket_places_what_is_new(venue: Venue) -> None:
    """Orders that came before, alone or in a basket, give their originals; the others are placed."""
    alone = terms()
    single = (await venue.orders.SubmitOrder(entry.SubmitOrderRequest(order=alone), metadata=venue.as_role())).report
    earlier = terms()
    (in_basket,) = await submitted(venue, basket(earlier))
    news, last = terms(), terms()
    results = await submitted(venue, basket(alone, news, earlier, last))
    assert [result.report.poss_dup for result in results] == [True, False, True, False]
    assert results[0].report.seq == single.seq
    assert results[2].report.seq == in_basket.report.seq
    assert [result.report.exec_type for result in results] == [NEW] * 4


async def test_a_key_with_another_order_is_a_conflict(venue: Venue) -> None:
    """Only that order is rejected, with the field that differs; within one basket a key may stand once."""
    used = terms()
    await submitted(venue, basket(used))
    changed, twice = orders.OrderTerms(), terms()
    changed.CopyFrom(used)
    changed.qty = "6"
    results = await submitted(venue, basket(changed, twice, twice))
    reason = results[0].report.reason
    assert (results[0].report.exec_type, reason.code, reason.field) == (
        REJECTED,
        types.REASON_CL_ORD_ID_CONFLICT,
        "qty",
    )
    assert results[1].report.exec_type == NEW
    assert (results[2].refused.code, results[2].refused.field) == (
        types.REASON_FIELDS_CONFLICT,
        "orders[2].cl_ord_id",
    )


async def test_a_basket_that_has_nothing_to_send(venue: Venue) -> None:
    """All orders wrongly formed: answers for each, and the venue hears of none."""
    before = (await venue.submit()).seq
    results = await submitted(venue, basket(terms(qty="x"), terms(symbol="NOSUCH")))
    assert [result.refused.field for result in results] == ["orders[0].qty", "orders[1].symbol"]
    assert (await venue.submit()).seq == before + 1


@pytest.mark.parametrize(
    ("count", "reason"), [(0, "FIELD_MISSING"), (257, "MESSAGE_TOO_LARGE")], ids=["none", "too many"]
)
async def test_a_basket_has_1_to_256_orders(venue: Venue, count: int, reason: str) -> None:
    """None, or more, is an error of the call; nothing of it is placed."""
    request = basket(*(terms() for _ in range(count)))
    code, info = await refused(venue.orders.SubmitOrders(request, metadata=venue.as_role()))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_the_largest_basket(venue: Venue) -> None:
    """256 orders are answered in one call."""
    results = await submitted(venue, basket(*(terms() for _ in range(256))))
    assert {result.report.exec_type for result in results} == {NEW}


async def test_a_basket_of_an_account_that_is_not_open(venue: Venue) -> None:
    """The whole call is refused, as a single order would be."""
    request = basket(terms(account="NOBODY"), account="NOBODY")
    call = venue.orders.SubmitOrders(request, metadata=venue.as_role(accounts=["NOBODY"]))
    code, info = await refused(call)
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_UNKNOWN")
    foreign = venue.orders.SubmitOrders(basket(terms(account="MM"), account="MM"), metadata=venue.as_role())
    assert (await refused(foreign))[1].reason == "ACCOUNT_NOT_ALLOWED"


def capped(folder: Path, cap: str) -> Path:
    """A genesis like that of `make up`, with a cap on DEMO's baskets."""
    genesis: dict[str, Any] = yaml.safe_load(Path("config/genesis.yaml").read_text())
    genesis["limits"].append({"account": "DEMO", "basket_notional": cap})
    path = folder / "genesis.yaml"
    path.write_text(yaml.safe_dump(genesis))
    return path


async def test_a_basket_beyond_its_cap_is_denied_order_by_order(own_venue: NewVenue, tmp_path: Path) -> None:
    """Every order is DENIED with the cap and the basket's value; at the cap it passes, and a repetition is the same."""
    venue = own_venue(genesis_file=capped(tmp_path, "1000"))
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    beyond = basket(terms(qty="100", price="5.00"), terms(qty="100", price="5.01"))
    denied = await submitted(venue, beyond)
    for result in denied:
        reason = result.report.reason
        assert (result.report.exec_type, reason.code) == (DENIED, types.REASON_ORDER_NOTIONAL_LIMIT)
        assert (reason.rule, reason.limit, reason.projected) == ("basket_notional", "1000.00", "1001.00")
        assert (reason.current, reason.field) == ("0.00", "orders")
        assert reason.limits_version > 0
    assert [result.report.poss_dup for result in await submitted(venue, beyond)] == [True, True]
    within = basket(terms(qty="100", price="5.00"), terms(qty="100", price="5.00"))
    assert [result.report.exec_type for result in await submitted(venue, within)] == [NEW, NEW]


async def test_a_basket_whose_answer_was_lost(own_venue: NewVenue) -> None:
    """Carried out, but the answer never came back: once the link is back, its caller has every original report."""
    venue = own_venue()
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    await venue.submit(cl_ord_id=(known := new_key()))
    venue.cable.holds_answers()
    request = basket(terms(), terms(cl_ord_id=known), terms(qty="1000000", price="40.00"), terms(qty="0.5"))
    call = asyncio.create_task(submitted(venue, request))
    await venue.carried_out(request.orders[2].cl_ord_id)
    assert not call.done()
    await venue.cable.cut()
    results = await call
    assert [result.report.exec_type for result in results[:3]] == [NEW, NEW, DENIED]
    assert all(result.report.poss_dup for result in results[:3])
    assert results[3].refused.field == "orders[3].qty"
    assert (await venue.order(cl_ord_id=request.orders[0].cl_ord_id)).order_id == results[0].report.order_id
