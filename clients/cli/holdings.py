"""Commands about what an account holds and may do: positions, balances, portfolio, snapshot, budget, drop copy."""

from typing import Any

import click
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import portfolio_pb2 as contract
from rich.console import Group, RenderableType

from clients.cli.connection import Connection, account_option, json_option, pass_connection
from clients.cli.market import count_option, watch
from clients.cli.orders import report_line, show_orders, trader
from clients.cli.output import console, make_table, word, write_json, write_table

BALANCE_COLUMNS = ("currency", "cash>", "held>", "margin>", "buying_power>", "fees>")
POSITION_COLUMNS = (
    "symbol",
    "qty>",
    "held_qty>",
    "avg_cost>",
    "mark_px>",
    "market_value>",
    "unrealized_pnl>",
    "realized_pnl>",
    "currency",
)
EXPOSURE_COLUMNS = ("currency", "gross>", "net>", "realized_pnl>", "unrealized_pnl>", "equity>")
BUDGET_COLUMNS = ("budget", "limit>", "remaining>", "full_in_ms>", "refill_per_s>", "shared")


@click.command("positions")
@click.option("--symbol", default="", help="Only this instrument.")
@account_option
@json_option
@pass_connection
async def positions(connection: Connection, symbol: str, account: str | None) -> None:
    """Shows what an account holds."""
    account = connection.account(account)
    async with trader(connection, account) as client:
        held = await client.positions(account, symbol=symbol)
    if connection.as_json:
        write_json(held)
    else:
        title = f"Positions of {held.account} at seq {held.as_of_seq}"
        write_table(title, POSITION_COLUMNS, _rows(POSITION_COLUMNS, held.positions))


@click.command("balances")
@click.option("--currency", default="", help="Only this currency.")
@account_option
@json_option
@pass_connection
async def balances(connection: Connection, currency: str, account: str | None) -> None:
    """Shows the cash of an account."""
    account = connection.account(account)
    async with trader(connection, account) as client:
        held = await client.balances(account, currency=currency)
    if connection.as_json:
        write_json(held)
    else:
        title = f"Cash of {held.account} at seq {held.as_of_seq}"
        write_table(title, BALANCE_COLUMNS, _rows(BALANCE_COLUMNS, held.balances))


@click.command("portfolio")
@click.option("--watch", "watches", is_flag=True, help="Show it again whenever it changes, until Ctrl-C.")
@click.option("--interval-ms", type=click.IntRange(10, 60_000), default=100, help="With --watch: at most so often.")
@count_option
@account_option
@json_option
@pass_connection
async def portfolio(
    connection: Connection, watches: bool, interval_ms: int, count: int | None, account: str | None
) -> None:
    """Shows cash, buying power, positions and exposure of an account."""
    account = connection.account(account)
    async with trader(connection, account) as client:
        if watches:
            updates = client.portfolios(account, interval_ms=interval_ms)
            await watch(connection, updates, count, write_json, _portfolio_line, _portfolio_table)
            return
        held = await client.portfolio(account)
    if connection.as_json:
        write_json(held)
    else:
        console().print(_portfolio_table(held))


@click.command("snapshot")
@account_option
@json_option
@pass_connection
async def snapshot(connection: Connection, account: str | None) -> None:
    """Shows an account as a whole at one sequence: open orders, cash, positions and exposure."""
    account = connection.account(account)
    async with trader(connection, account) as client:
        held = await client.snapshot(account)
    if connection.as_json:
        write_json(held)
        return
    click.echo(f"{held.account} at seq {held.as_of_seq}, account_seq {held.account_seq}, epoch {held.epoch}")
    show_orders(connection, list(held.open_orders), title="Open orders")
    console().print(_holdings_table(held))


@click.command("budget")
@account_option
@json_option
@pass_connection
async def budget(connection: Connection, account: str | None) -> None:
    """Shows what is left of an account's budgets of requests."""
    account = connection.account(account)
    async with trader(connection, account) as client:
        left = await client.rate_budget(account)
    if connection.as_json:
        write_json(left)
    else:
        write_table(f"Budgets of {left.account}", BUDGET_COLUMNS, [_budget_row(one) for one in left.budgets])


@click.command("drop-copy")
@click.option("--account", "accounts", multiple=True, help="An account, repeatable; without any: all there are.")
@click.option("--resume-after", type=click.IntRange(0), help="Replay what came after this sequence; 0 for everything.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many reports.")
@json_option
@pass_connection
async def drop_copy(
    connection: Connection, accounts: tuple[str, ...], resume_after: int | None, count: int | None
) -> None:
    """Streams the execution reports of many accounts until Ctrl-C; the development key reads them as an auditor."""
    shown = 0
    async with connection.client("auditor") as client:
        async for report in client.drop_copy(*accounts, resume_after=resume_after):
            if connection.as_json:
                write_json(report)
            else:
                click.echo(f"{report.account:<8} {report_line(report)}")
            shown += 1
            if shown == count:
                return


def _rows(columns: tuple[str, ...], messages: Any) -> list[list[object]]:
    """The fields of messages that have the names of the columns."""
    names = [column.removesuffix(">") for column in columns]
    return [[getattr(message, name) for name in names] for message in messages]


def _portfolio_line(held: contract.GetPortfolioResponse) -> str:
    cash = " ".join(f"{one.currency} {one.cash} power {one.buying_power}" for one in held.balances)
    worth = " ".join(f"{one.currency} {one.equity} unrealized {one.unrealized_pnl}" for one in held.exposures)
    return f"seq {held.as_of_seq:<8} open {held.open_orders} cash {cash} equity {worth}"


def _portfolio_table(held: contract.GetPortfolioResponse) -> RenderableType:
    title = f"Portfolio of {held.account} at seq {held.as_of_seq}, {held.open_orders} open orders"
    return Group(title, _holdings_table(held))


def _holdings_table(held: contract.GetPortfolioResponse | contract.GetAccountSnapshotResponse) -> RenderableType:
    return Group(
        make_table("Cash", BALANCE_COLUMNS, _rows(BALANCE_COLUMNS, held.balances)),
        make_table("Positions", POSITION_COLUMNS, _rows(POSITION_COLUMNS, held.positions)),
        make_table("Exposure", EXPOSURE_COLUMNS, _rows(EXPOSURE_COLUMNS, held.exposures)),
    )


def _budget_row(one: entry.RateBudget) -> tuple[object, ...]:
    scope = word(entry.RateScope, one.scope, "RATE_SCOPE_")
    return scope, one.limit, one.remaining, one.reset_ms, f"{one.refill_per_s:g}", "yes" if one.shared else "no"
