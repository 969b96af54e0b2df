"""Plays on our core with everything on: idempotency, risk, holds, fees, ledger and complete events.

As it is installed, or from its sources with ORDERGATE_INTERPRETED=1.
"""

from collections.abc import Callable, Sequence
from typing import Any

from native import modules, switch

if switch.is_asked():
    switch.interpret()

from matching.core.commands import CancelOrder, Command, NewOrder
from matching.core.events import OrderEvent
from matching.core.words import ExecType, Liquidity, OrdType, Side, TimeInForce
from tests.load.core_flow import ACCOUNTS, STEP_NS, Clock, opened
from tests.load.peers.operations import Operation, Report
from tests.load.peers.worker import Play, serve

SYMBOL = "SYM0"
# As local as they can be: looking up the members of an enum is not the core's work.
BUY, SELL, LIMIT, GTC = Side.BUY, Side.SELL, OrdType.LIMIT, TimeInForce.GTC


def fresh() -> Play:
    """A fresh venue."""
    clock = Clock()
    engine = opened([SYMBOL], clock)

    def play(operations: Sequence[Operation]) -> Callable[[], list[Report]]:
        execute, now_unix_ns = engine.execute, clock.now_unix_ns
        told: list[Any] = []
        body: NewOrder | CancelOrder
        for number, is_buy, price_ticks, qty_lots in operations:
            account, key = ACCOUNTS[is_buy][number & 7], f"{number}"
            if qty_lots:
                body = NewOrder(account, key, SYMBOL, BUY if is_buy else SELL, LIMIT, GTC, qty_lots, price_ticks)
            else:
                body = CancelOrder(account, f"{number}-c", 0, key)
            now_unix_ns += STEP_NS
            told.append(execute(Command(body, "bench"), now_unix_ns))
        return lambda: [report for events in told for report in _reports(events)]

    return play


def _reports(events: Sequence[Any]) -> list[Report]:
    """The same in the words of the other books."""
    orders = [event for event in events if isinstance(event, OrderEvent)]
    fills = [event for event in orders if event.exec_type == ExecType.TRADE and event.liquidity == Liquidity.MAKER]
    own = [event for event in orders if event not in fills][-1]
    number = own.orig_cl_ord_id or own.cl_ord_id
    return [
        *((int(event.cl_ord_id), event.last_qty_lots, event.leaves_qty_lots) for event in fills),
        (int(number), 0, own.leaves_qty_lots),
    ]


if __name__ == "__main__":
    serve("interpreted" if switch.is_asked() else modules.how_it_runs(), fresh)
