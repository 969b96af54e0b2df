"""The command line against the whole system: many orders at once, checks, quotes and mass cancels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Ordergate

FAR_BELOW = "1.23"


def line(key: str, **changes: Any) -> str:
    """An order as a line of a file."""
    plain = {"cl_ord_id": key, "symbol": "AAPL", "side": "SIDE_BUY", "ord_type": "ORD_TYPE_LIMIT", "qty": "5"}
    return json.dumps(plain | {"price": FAR_BELOW} | changes)


async def test_orders_of_a_file_are_placed_each_by_itself(ordergate: Ordergate, tmp_path: Path) -> None:
    """Each line has its result; the refused ones do not hold up the others, and make the exit code 1."""
    keys = [uuid4().hex for _ in range(4)]
    lines = [line(keys[0]), line(keys[1], price="1.001"), line(keys[2], qty="100000000", price="100.00"), line(keys[3])]
    file = tmp_path / "orders.jsonl"
    file.write_text("\n".join(lines))
    done = await ordergate("--json", "orders", "submit-many", file)
    assert done.code == 1
    results = done.objects
    assert [one["cl_ord_id"] for one in results] == keys
    assert [one["accepted"] for one in results] == [True, False, False, True]
    assert results[1]["reason"] == "PRICE_OFF_TICK"
    assert results[2]["report"]["exec_type"] == "EXEC_TYPE_DENIED"
    again = await ordergate("--json", "order", "submit-many", file)
    assert [one["report"]["seq"] for one in again.objects if "report" in one] == [
        one["report"]["seq"] for one in results if "report" in one
    ]
    shown = await ordergate("order", "submit-many", file)
    assert "PRICE_OFF_TICK" in shown.out
    assert keys[0] in shown.out


async def test_a_line_that_is_no_order_is_named(ordergate: Ordergate, tmp_path: Path) -> None:
    """Nothing is placed, and the failure says which line it was."""
    file = tmp_path / "orders.jsonl"
    file.write_text("\n".join([line(uuid4().hex), line(uuid4().hex, quantity="5")]))
    done = await ordergate("order", "submit-many", file)
    assert (done.code, done.out) == (1, "")
    assert "line 2" in done.err
    assert "quantity" in done.err


async def test_a_check_places_nothing(ordergate: Ordergate) -> None:
    """The answer says whether the order would be accepted, with the numbers of the rule, and nothing comes of it."""
    key = uuid4().hex
    good = await ordergate("order", "check", "AAPL", "buy", 5, "--price", FAR_BELOW, "--cl-ord-id", key)
    assert good.code == 0
    assert good.out.startswith("would be accepted")
    bad = await ordergate("--json", "order", "check", "AAPL", "buy", 100_000_000, "--price", "100.00")
    (answer,) = bad.objects
    assert (bad.code, answer["accepted"], answer["exec_type"]) == (1, False, "EXEC_TYPE_DENIED")
    assert answer["reason"]["limit"]
    shown = await ordergate("order", "check", "AAPL", "buy", 100_000_000, "--price", "100.00")
    assert answer["reason"]["rule"] in shown.out
    gone = await ordergate("order", "get", key, "--client-key")
    assert (gone.code, gone.err.split(":")[1].strip()) == (1, "ORDER_UNKNOWN")


async def test_a_mass_cancel_takes_what_its_filters_name(ordergate: Ordergate) -> None:
    """Only the symbol's and the side's orders go; the same key gives the original answer."""
    kept, gone = uuid4().hex, uuid4().hex
    for key, symbol in ((kept, "MSFT"), (gone, "NVDA")):
        await ordergate("order", "submit", symbol, "buy", 5, "--price", FAR_BELOW, "--cl-ord-id", key, "--tif", "gtc")
    request = uuid4().hex
    arguments = ("order", "mass-cancel", "--symbol", "NVDA", "--side", "buy", "--cl-ord-id", request)
    (answer,) = (await ordergate("--json", *arguments)).objects
    assert (answer["canceled_orders"] >= 1, answer["cl_ord_id"], answer["poss_dup"]) == (True, request, False)
    (again,) = (await ordergate("--json", *arguments)).objects
    assert (again["seq"], again["poss_dup"]) == (answer["seq"], True)
    states = [(await ordergate("--json", "order", "get", key, "--client-key")).objects[0] for key in (kept, gone)]
    assert [state["ord_status"] for state in states] == ["ORD_STATUS_NEW", "ORD_STATUS_CANCELED"]
    assert "canceled_orders" in (await ordergate(*arguments)).out


async def test_a_quote_stands_on_both_sides(ordergate: Ordergate) -> None:
    """Both sides are accepted and stand; a quote without a side withdraws it."""
    account = ("--account", "MM")
    done = await ordergate(
        "--json", "order", "quote", "NVDA", "--bid", f"100@{FAR_BELOW}", "--ask", "100@9999.00", *account
    )
    (answer,) = done.objects
    assert [(one["exec_type"], one["side"]) for one in answer["reports"]] == [
        ("EXEC_TYPE_NEW", "SIDE_BUY"),
        ("EXEC_TYPE_NEW", "SIDE_SELL"),
    ]
    withdrawn = await ordergate("order", "quote", "NVDA", *account)
    assert withdrawn.out.count("CANCELED") >= 2
    wrong = await ordergate("order", "quote", "NVDA", "--bid", "100", *account)
    assert wrong.code == 2
