"""The command line against the whole system: cash, snapshots, budgets, portfolios as they change, and the drop copy."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

from runtime.stack.home import environment

if TYPE_CHECKING:
    from runtime.stack.system import Stack
    from tests.integration.conftest import Ordergate

FAR_BELOW = "1.23"


async def test_balances_are_those_of_the_portfolio(ordergate: Ordergate) -> None:
    """The same cash by either way; a currency can be picked out."""
    (whole,) = (await ordergate("--json", "portfolio")).objects
    (cash,) = (await ordergate("--json", "balances")).objects
    assert cash["balances"] == whole["balances"]
    (one,) = (await ordergate("--json", "balances", "--currency", "USD")).objects
    assert [balance["currency"] for balance in one["balances"]] == ["USD"]
    shown = await ordergate("balances")
    assert f"Cash of DEMO at seq {cash['as_of_seq']}" in shown.out
    assert "Exposure" in (await ordergate("portfolio")).out


async def test_a_snapshot_is_what_reports_go_on_from(ordergate: Ordergate) -> None:
    """It names open orders and a sequence; what happens next is the first report after it."""
    key = uuid4().hex
    await ordergate("order", "submit", "AAPL", "buy", 5, "--price", FAR_BELOW, "--cl-ord-id", key, "--tif", "gtc")
    (held,) = (await ordergate("--json", "snapshot")).objects
    assert key in [order["terms"]["cl_ord_id"] for order in held["open_orders"]]
    assert key in (await ordergate("snapshot")).out
    (report,) = (await ordergate("--json", "order", "cancel", key, "--client-key")).objects
    (heard,) = (await ordergate("--json", "reports", "--resume-after", held["as_of_seq"], "--count", 1)).objects
    assert heard["seq"] == report["seq"]


async def test_a_budget_says_what_is_left(ordergate: Ordergate) -> None:
    """Orders, cancels and queries have budgets of their own."""
    (left,) = (await ordergate("--json", "budget")).objects
    scopes = {one["scope"] for one in left["budgets"]}
    assert {"RATE_SCOPE_ACCOUNT_ORDERS", "RATE_SCOPE_ACCOUNT_CANCELS", "RATE_SCOPE_ACCOUNT_QUERIES"} <= scopes
    assert all(0 < one["remaining"] <= one["limit"] for one in left["budgets"])
    assert "ACCOUNT_CANCELS" in (await ordergate("budget")).out


async def test_the_drop_copy_has_every_account(ordergate: Ordergate) -> None:
    """From the beginning, in sequence, of all accounts or of those named."""
    keys = {account: uuid4().hex for account in ("DEMO", "MM")}
    seqs = []
    for account, key in keys.items():
        order = ("order", "submit", "AAPL", "buy", 5, "--price", FAR_BELOW, "--cl-ord-id", key, "--account", account)
        (report,) = (await ordergate("--json", *order)).objects
        seqs.append(int(report["seq"]))
    after = ("--resume-after", min(seqs) - 1)
    both = (await ordergate("--json", "drop-copy", *after, "--count", 2)).objects
    assert [(one["account"], one["cl_ord_id"]) for one in both] == list(keys.items())
    named = (await ordergate("--json", "drop-copy", *after, "--account", "MM", "--count", 1)).objects
    assert [one["cl_ord_id"] for one in named] == [keys["MM"]]
    assert "MM" in (await ordergate("drop-copy", *after, "--account", "MM", "--count", 1)).out


async def test_a_portfolio_is_watched(system: Stack, ordergate: Ordergate) -> None:
    """The present first, then a new one when an order changes what is held."""
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clients.cli.main", "--json", "portfolio", "--watch"),
        env=environment(system.settings),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert watching.stdout is not None
        async with asyncio.timeout(60):
            first = json.loads(await watching.stdout.readline())
            await ordergate("order", "submit", "AAPL", "buy", 5, "--price", FAR_BELOW, "--tif", "gtc")
            now = first
            while now["open_orders"] == first["open_orders"]:
                now = json.loads(await watching.stdout.readline())
        assert now["open_orders"] == first["open_orders"] + 1
        assert int(now["as_of_seq"]) > int(first["as_of_seq"])
    finally:
        watching.kill()
        await watching.wait()


async def test_a_revoked_subject_is_refused_until_it_is_taken_back(system: Stack, ordergate: Ordergate) -> None:
    """`revoke` ends a subject's rights within moments; `--undo` gives them back; another subject keeps its own."""
    victim, other = (system.token(subject=name) for name in ("victim", "other"))
    assert (await ordergate("positions", ORDERGATE_TOKEN=victim, ORDERGATE_ACCOUNT="DEMO")).code == 0
    assert (await ordergate("revoke", "--subject", "victim", "--why", "a test")).code == 0
    async with asyncio.timeout(60):
        while (refused := await ordergate("positions", ORDERGATE_TOKEN=victim, ORDERGATE_ACCOUNT="DEMO")).code == 0:
            pass
    assert "TOKEN_REVOKED" in refused.err
    assert (await ordergate("positions", ORDERGATE_TOKEN=other, ORDERGATE_ACCOUNT="DEMO")).code == 0
    (undone,) = (await ordergate("--json", "revoke", "--subject", "victim", "--undo")).objects
    assert undone["removed"] == 1
    async with asyncio.timeout(60):
        while (await ordergate("positions", ORDERGATE_TOKEN=victim, ORDERGATE_ACCOUNT="DEMO")).code:
            pass
    assert (await ordergate("revoke", "--role", "trader")).code == 2
