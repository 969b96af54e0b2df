"""Asks the risk rules twice: CheckOrder first, then the order itself; both must say the same."""

from __future__ import annotations

from typing import Any

from matching.core.commands import NewOrder
from tests.unit.matching.market import Market, Told, numbers


def asked(market: Market, order: NewOrder) -> Told:
    """What an order is told, which is what CheckOrder says of it right before: reason, field and numbers."""
    said = market.check(order)
    told = market.tell(order)
    if said is None:
        assert told[0].reason == 0, told.story
        return told
    assert (told[0].exec_type, told[0].reason, told[0].field) == (said.exec_type, said.reason, said.field)
    if said.risk is not None:
        assert told.numbers == numbers(said.risk)
    else:
        assert told[0].risk is None
    return told


def passes(market: Market, account: str, side: int, qty: int, price: int = 0, **terms: Any) -> bool:
    """Whether an order and its check pass."""
    return not asked(market, market.order(account, side, qty, price, **terms))[0].reason


def denial(market: Market, account: str, side: int, qty: int, price: int = 0, **terms: Any) -> tuple[str, Any]:
    """Why an order is denied, and its numbers."""
    order = market.order(account, side, qty, price, **terms)
    told = asked(market, order)
    return told.story[0].removeprefix(f"{order.cl_ord_id} DENIED "), told.numbers if told[0].risk is not None else None
