"""Commands about one order, and lists and streams of them."""

from collections.abc import Callable
from typing import Any

import click
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.cli.connection import Connection, account_option, json_option, pass_connection
from clients.cli.output import clock_time, word, write_fields, write_json, write_table
from clients.cli.terms import order_terms, terms_options
from clients.sdk.client import Client

ORDER_COLUMNS = (
    "order_id",
    "cl_ord_id",
    "symbol",
    "side",
    "type",
    "tif",
    "qty>",
    "price>",
    "stop_px>",
    "cum_qty>",
    "leaves_qty>",
    "avg_px>",
    "status",
    "reason",
)
ORDER_READERS = ("trader",)


def _order_name(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument that names an order, and how."""
    flag = click.option("--client-key", is_flag=True, help="ORDER is a cl_ord_id, not the venue's order id.")
    return click.argument("order")(flag(command))


@click.group("order")
def order_group() -> None:
    """Places, changes, cancels and shows orders."""


@order_group.command("submit")
@terms_options
@account_option
@json_option
@pass_connection
async def submit(connection: Connection, account: str | None, **options: Any) -> None:
    """Places an order: QTY of SYMBOL to buy or sell."""
    account = connection.account(account)
    async with trader(connection, account) as client:
        show_report(connection, await client.submit(order_terms(account, **options)))


@order_group.command("replace")
@_order_name
@click.option("--qty", default="", help="The new total quantity, traded part included.")
@click.option("--price", default="", help="The new limit price.")
@click.option("--stop-px", default="", help="The new trigger price.")
@click.option("--display-qty", default="", help="The new shown quantity.")
@click.option("--cl-ord-id", default="", help="The key of this request; made when not given.")
@account_option
@json_option
@pass_connection
async def replace(connection: Connection, order: str, client_key: bool, account: str | None, **changes: str) -> None:
    """Changes the quantity or price of an open ORDER."""
    account = connection.account(account)
    async with trader(connection, account) as client:
        show_report(connection, await client.replace(account, **_original(order, client_key), **changes))


@order_group.command("cancel")
@_order_name
@click.option("--cl-ord-id", default="", help="The key of this request; made when not given.")
@account_option
@json_option
@pass_connection
async def cancel(connection: Connection, order: str, client_key: bool, account: str | None, cl_ord_id: str) -> None:
    """Cancels an open ORDER."""
    account = connection.account(account)
    async with trader(connection, account) as client:
        report = await client.cancel(account, **_original(order, client_key), cl_ord_id=cl_ord_id)
        show_report(connection, report)


@order_group.command("get")
@_order_name
@account_option
@json_option
@pass_connection
async def get(connection: Connection, order: str, client_key: bool, account: str | None) -> None:
    """Shows the state of an ORDER."""
    account = connection.account(account)
    async with trader(connection, account) as client:
        found = await client.get_order(account, **({"cl_ord_id": order} if client_key else {"order_id": order}))
        show_orders(connection, [found])


@order_group.command("list")
@click.option("--symbol", default="", help="Only this instrument.")
@click.option("--open", "open_only", is_flag=True, help="Only orders that are open.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most orders to show.")
@account_option
@json_option
@pass_connection
async def list_orders(connection: Connection, symbol: str, open_only: bool, limit: int, account: str | None) -> None:
    """Lists orders, newest first."""
    account = connection.account(account)
    found: list[orders.Order] = []
    async with trader(connection, account) as client:
        page_size = min(limit, 1000)
        async for order in client.list_orders(account, symbol=symbol, open_only=open_only, page_size=page_size):
            found.append(order)
            if len(found) == limit:
                break
    show_orders(connection, found)


@click.command("reports")
@click.option("--resume-after", type=click.IntRange(0), help="Replay what came after this sequence; 0 for everything.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many reports.")
@account_option
@json_option
@pass_connection
async def reports(connection: Connection, resume_after: int | None, count: int | None, account: str | None) -> None:
    """Streams execution reports until Ctrl-C; resumes by itself when a server restarts."""
    account = connection.account(account)
    shown = 0
    async with trader(connection, account) as client:
        async for report in client.reports(account, resume_after=resume_after):
            if connection.as_json:
                write_json(report)
            else:
                click.echo(report_line(report))
            shown += 1
            if shown == count:
                return


def report_line(report: orders.ExecutionReport) -> str:
    """A report on one line: when, what, which order, and what it stands at."""
    what = word(types.ExecType, report.exec_type, "EXEC_TYPE_")
    parts = [clock_time(report.transact_time), f"seq {report.seq:<8} {what:<9}"]
    if report.reason.code:
        parts.append(word(types.Reason, report.reason.code, "REASON_"))
    if report.symbol:
        price = f"@{report.price}" if report.price else ""
        stop = f" stop {report.stop_px}" if report.stop_px else ""
        parts.append(f"{word(types.Side, report.side, 'SIDE_')} {report.qty}{price} {report.symbol}{stop}")
    if report.last_qty:
        liquidity = word(types.Liquidity, report.liquidity, "LIQUIDITY_").lower()
        fee = f" fee {report.fee} {report.fee_currency}" if report.fee else ""
        parts.append(f"last {report.last_qty}@{report.last_px} as {liquidity}{fee}")
    if report.order_id:
        parts.append(f"cum {report.cum_qty} leaves {report.leaves_qty} order {report.order_id}")
    return " ".join((*parts, f"key {report.cl_ord_id}"))


REPORT_COLUMNS = ("seq>", "what", "side", "qty>", "price>", "cum_qty>", "leaves_qty>", "order_id", "status", "reason")


def report_row(report: orders.ExecutionReport) -> tuple[object, ...]:
    """A report as a row under `REPORT_COLUMNS`."""
    return (
        report.seq,
        word(types.ExecType, report.exec_type, "EXEC_TYPE_"),
        word(types.Side, report.side, "SIDE_"),
        report.qty,
        report.price,
        report.cum_qty,
        report.leaves_qty,
        report.order_id,
        word(types.OrdStatus, report.ord_status, "ORD_STATUS_"),
        word(types.Reason, report.reason.code, "REASON_"),
    )


def show_report(connection: Connection, report: orders.ExecutionReport) -> None:
    """One report as the answer of a command."""
    if connection.as_json:
        write_json(report)
        return
    what = word(types.ExecType, report.exec_type, "EXEC_TYPE_")
    fields = (
        ("order_id", report.order_id),
        ("cl_ord_id", report.cl_ord_id),
        ("status", word(types.OrdStatus, report.ord_status, "ORD_STATUS_")),
        ("order", f"{word(types.Side, report.side, 'SIDE_')} {report.qty} {report.symbol} {report.price}".rstrip()),
        ("stop_px", report.stop_px),
        ("display_qty", report.display_qty),
        ("list_id", report.list_id),
        ("cum_qty", report.cum_qty),
        ("leaves_qty", report.leaves_qty),
        ("avg_px", report.avg_px),
        ("seq", report.seq),
        ("audit_index", report.audit_index),
    )
    write_fields(what, [(name, value) for name, value in fields if value != ""])


def show_orders(connection: Connection, found: list[orders.Order], title: str = "Orders") -> None:
    """Orders as the answer of a command."""
    if connection.as_json:
        for order in found:
            write_json(order)
        return
    write_table(title, ORDER_COLUMNS, [_order_row(order) for order in found])


def _order_row(order: orders.Order) -> tuple[object, ...]:
    terms = order.terms
    return (
        order.order_id,
        terms.cl_ord_id,
        terms.symbol,
        word(types.Side, terms.side, "SIDE_"),
        word(types.OrdType, terms.ord_type, "ORD_TYPE_"),
        word(types.TimeInForce, terms.time_in_force, "TIME_IN_FORCE_"),
        terms.qty,
        terms.price,
        terms.stop_px,
        order.cum_qty,
        order.leaves_qty,
        order.avg_px,
        word(types.OrdStatus, order.ord_status, "ORD_STATUS_"),
        word(types.Reason, order.reason.code, "REASON_"),
    )


def _original(order: str, client_key: bool) -> dict[str, str]:
    return {"orig_cl_ord_id" if client_key else "order_id": order}


def trader(connection: Connection, account: str) -> Client:
    """A client that calls as a trader of `account`, or as whoever the given token names."""
    return connection.client("trader", accounts=[account] if account else [])
