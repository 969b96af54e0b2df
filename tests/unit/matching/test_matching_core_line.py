"""Section 2, the line: who is triggered gets his turn in the same command, whatever the command was."""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import KillSwitchScope, OrdType, Side, TimeInForce, TriggerBy
from tests.unit.matching.market import Market


def stop_limit(stop_px: int, **terms: Any) -> dict[str, Any]:
    """The terms of a stop-limit."""
    return {"ord_type": OrdType.STOP_LIMIT, "stop_px_ticks": stop_px} | terms


LEAVES: dict[str, Any] = {
    "cancel": lambda near: commands.CancelOrder("ALICE", "", near.order_id),
    "replace": lambda near: commands.ReplaceOrder("ALICE", "R", near.order_id, price_nano=106 * 10**7),
    "mass cancel": lambda _: commands.MassCancel("ALICE"),
    "kill switch": lambda _: commands.EngageKillSwitch(KillSwitchScope.ACCOUNT, "ALICE", "kill"),
    "close session": lambda _: commands.CloseSession("S"),
    "close day": lambda _: commands.CloseDay(20261122),
    "market order": lambda _: commands.NewOrder("BOB", "B", "XYZ", ord_type=OrdType.MARKET, qty_lots=1),
    "list": lambda _: commands.NewOrderList("BOB", [commands.NewOrder("BOB", "B", "XYZ", qty_lots=1, price_ticks=104)]),
    "quote": lambda _: commands.MassQuote("BOB", "B", [commands.QuoteEntry("XYZ", 104, 1)]),
    "time": lambda _: commands.TimeTick(),
}


@pytest.mark.parametrize("how", LEAVES)
def test_bid_ask_is_looked_at_at_the_end_of_every_command(market: Market, how: str) -> None:
    """Whatever takes the best ask away: whoever is triggered by what is behind it gets his turn in the same command."""
    market.open("CAROL")
    market.tell(commands.OpenSession("S", cancel_on_disconnect=True, dead_man_ns=100))
    (near,) = market.sell("ALICE", 1, 104, session_id="S", time_in_force=TimeInForce.DAY)
    market.sell("BOB", 1, 106)
    market.buy("CAROL", 1, 90, key="stop", **stop_limit(105, trigger_by=TriggerBy.BID_ASK))
    if how == "time":
        market.now_unix_ns += 200
    told = market.tell(LEAVES[how](near))
    assert "stop TRIGGERED" in told.story
    assert told.story[-1] == ("day_closed" if how == "close day" else "stop TRIGGERED")
    assert market.bids() == ["stop 1@90"]


def test_the_line_is_emptied_after_each_entry_of_a_quote_and_each_order_of_a_list(market: Market) -> None:
    """Whom the first one's trade triggers comes before the second one."""
    market.open("CAROL")
    for price in (101, 102):
        market.buy("CAROL", 1, 90, key=f"stop{price}", **stop_limit(price))
        market.sell("ALICE", 1, price)
    entries = [commands.QuoteEntry("XYZ", 101, 1), commands.QuoteEntry("XYZ", 102, 1)]
    told = market.tell(commands.MassQuote("BOB", "Q", entries))
    assert [line for line in told.story if line.startswith(("Q NEW", "stop"))] == [
        "Q NEW", "stop101 TRIGGERED", "Q NEW", "stop102 TRIGGERED",
    ]  # fmt: skip
    for price in (103, 104):
        market.buy("CAROL", 1, 90, key=f"stop{price}", **stop_limit(price))
        market.sell("ALICE", 1, price)
    orders = [market.order("BOB", Side.BUY, 1, price, key="L" + str(price)) for price in (103, 104)]
    told = market.tell(commands.NewOrderList("BOB", orders))
    assert [line for line in told.story if line.endswith(("NEW", "TRIGGERED"))] == [
        "L103 NEW", "stop103 TRIGGERED", "L104 NEW", "stop104 TRIGGERED",
    ]  # fmt: skip


def test_bid_ask_is_looked_at_after_each_worked_order(market: Market) -> None:
    """Whom the first in line triggers by taking the best ask stands before whom the second triggers by its trade."""
    market.open("CAROL")
    market.open("DAVE")
    market.buy("CAROL", 1, 104, key="first", **stop_limit(101))
    market.buy("CAROL", 1, 105, key="second", **stop_limit(101))
    market.buy("DAVE", 1, 90, key="last", **stop_limit(105))
    market.buy("DAVE", 1, 90, key="touch", **stop_limit(105, trigger_by=TriggerBy.BID_ASK))
    for price in (101, 104, 105, 106):
        market.sell("ALICE", 1, price)
    told = market.buy("BOB", 1, 101)
    assert [line for line in told.story if line.endswith("TRIGGERED")] == [
        "first TRIGGERED", "second TRIGGERED", "touch TRIGGERED", "last TRIGGERED",
    ]  # fmt: skip
