"""Budgets as header fields: `ratelimit-limit`, `-remaining` and `-reset` of the IETF draft "RateLimit header fields".

They are the call's initial metadata, and so the headers of a REST answer,
whether the request was carried out or refused. Called by the unary services.
"""

from __future__ import annotations

from typing import Any

from ordergate.orders.v1 import order_entry_pb2 as wire

MS_PER_S = 1_000


def fields(budget: wire.RateBudget) -> tuple[tuple[str, str], ...]:
    """The header fields of a budget; the reset is in whole seconds, rounded up."""
    return (
        ("ratelimit-limit", str(budget.limit)),
        ("ratelimit-remaining", str(budget.remaining)),
        ("ratelimit-reset", str(-(-budget.reset_ms // MS_PER_S))),
    )


async def tell(context: Any, budget: wire.RateBudget) -> None:
    """Sends a budget as the initial metadata of a call."""
    await context.send_initial_metadata(fields(budget))
