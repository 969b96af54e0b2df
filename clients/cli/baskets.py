"""Commands about many orders at once, and about one that is not placed: check, submit-many, mass-cancel, quote."""

import json
from collections.abc import Iterator
from typing import Any, TextIO

import click
from google.protobuf.json_format import ParseDict, ParseError
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.cli.connection import Connection, account_option, json_option, pass_connection
from clients.cli.orders import REPORT_COLUMNS, report_row, trader
from clients.cli.output import as_dict, clock_time, word, write_fields, write_json, write_table
from clients.cli.terms import SIDES, choice, order_terms, terms_options
from clients.sdk.baskets import BasketResult

EXIT_NOT_ACCEPTED = 1
NUMBERS = ("rule", "limit", "current", "projected", "limits_version", "field")


@click.command("check")
@terms_options
@account_option
@json_option
@pass_connection
async def check(connection: Connection, account: str | None, **options: Any) -> None:
    """Says what would become of an order now, without placing it; exit code 1 when it would be refused."""
    account = connection.account(account)
    async with trader(connection, account) as client:
        answer = await client.check(order_terms(account, **options))
    if connection.as_json:
        write_json(answer)
    elif answer.accepted:
        click.echo(f"would be accepted, as of seq {answer.as_of_seq}")
    else:
        reason = answer.reason
        fields = [(name, getattr(reason, name)) for name in NUMBERS if getattr(reason, name)]
        what = word(types.ExecType, answer.exec_type, "EXEC_TYPE_")
        code = word(types.Reason, reason.code, "REASON_")
        write_fields(f"Would be {what} for {code}, as of seq {answer.as_of_seq}: {reason.text}", fields)
    if not answer.accepted:
        click.get_current_context().exit(EXIT_NOT_ACCEPTED)


@click.command("submit-many")
@click.argument("file", type=click.File())
@account_option
@json_option
@pass_connection
async def submit_many(connection: Connection, file: TextIO, account: str | None) -> None:
    """Places the orders of FILE, one JSON object per line with the fields of the contract; - for standard input.

    Exit code 1 when one of them was not accepted; the others were placed all the same.
    """
    account = connection.account(account)
    async with trader(connection, account) as client:
        results = await client.submit_many(_orders_of(file, account), account=account)
    for result in results:
        if connection.as_json:
            write_json(_result_fields(result))
    if not connection.as_json:
        write_table(
            "Results", ("cl_ord_id", "result", "order_id", "seq>", "why"), [_result_row(one) for one in results]
        )
    if any(result.error for result in results):
        click.get_current_context().exit(EXIT_NOT_ACCEPTED)


@click.command("mass-cancel")
@click.option("--symbol", default="", help="Only this instrument.")
@click.option("--side", type=choice(SIDES), help="Only this side.")
@click.option("--all", "everything", is_flag=True, help="All of the account's orders.")
@click.option("--cl-ord-id", default="", help="The key of this request; made when not given.")
@account_option
@json_option
@pass_connection
async def mass_cancel(
    connection: Connection, symbol: str, side: str | None, everything: bool, cl_ord_id: str, account: str | None
) -> None:
    """Cancels the open orders of an account in a symbol, on a side, or with --all, all of them."""
    if everything == bool(symbol or side):
        raise click.UsageError("give --symbol or --side, or else --all")
    account = connection.account(account)
    only = SIDES[side] if side else types.SIDE_UNSPECIFIED
    async with trader(connection, account) as client:
        answer = await client.mass_cancel(account, symbol=symbol, side=only, cl_ord_id=cl_ord_id)
    if connection.as_json:
        write_json(answer)
        return
    fields = (
        ("canceled_orders", answer.canceled_orders),
        ("cl_ord_id", answer.cl_ord_id),
        ("seq", answer.seq),
        ("time", clock_time(answer.transact_time)),
    )
    write_fields("CANCELED", fields)


@click.command("quote")
@click.argument("symbol")
@click.option("--bid", default="", metavar="QTY@PRICE", help="The bid; without it there is none.")
@click.option("--ask", default="", metavar="QTY@PRICE", help="The ask; without it there is none.")
@click.option("--quote-id", default="", help="The key of this request; made when not given.")
@account_option
@json_option
@pass_connection
async def quote(connection: Connection, symbol: str, bid: str, ask: str, quote_id: str, account: str | None) -> None:
    """Quotes SYMBOL on both sides; replaces what stood there before. Needs the role of a market maker."""
    account = connection.account(account)
    bid_qty, bid_px = _level(bid, "--bid")
    ask_qty, ask_px = _level(ask, "--ask")
    async with connection.client("market_maker", accounts=[account] if account else []) as client:
        answer = await client.quote(
            account, symbol, bid_px=bid_px, bid_qty=bid_qty, ask_px=ask_px, ask_qty=ask_qty, quote_id=quote_id
        )
    if connection.as_json:
        write_json(answer)
        return
    rows = [report_row(report) for report in answer.reports]
    write_table(f"Quote {answer.quote_id} at seq {answer.seq}", REPORT_COLUMNS, rows)


def _level(text: str, option: str) -> tuple[str, str]:
    """Quantity and price of QTY@PRICE; empty for none."""
    qty, _, px = text.partition("@")
    if text and not (qty and px):
        raise click.UsageError(f"{option} {text!r} is not QTY@PRICE, such as 100@250.00")
    return qty, px


def _orders_of(file: TextIO, account: str) -> Iterator[orders.OrderTerms]:
    """The orders of a file; those that name no account are of `account`.

    Raises:
        ClickException: a line is not an order.
    """
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            terms = ParseDict(json.loads(line), orders.OrderTerms())
        except (ValueError, ParseError) as error:
            raise click.ClickException(f"{file.name}: line {number}: {error}") from None
        terms.account = terms.account or account
        yield terms


def _result_fields(result: BasketResult) -> dict[str, Any]:
    fields: dict[str, Any] = {"cl_ord_id": result.cl_ord_id, "accepted": result.error is None}
    if result.error is not None:
        fields |= {"reason": result.error.reason, "text": result.error.text, "field": result.error.field}
        fields["metadata"] = result.error.metadata
    if result.report is not None:
        fields["report"] = as_dict(result.report)
    return fields


def _result_row(result: BasketResult) -> tuple[object, ...]:
    report = result.report
    what = word(types.ExecType, report.exec_type, "EXEC_TYPE_") if report is not None else "REFUSED"
    order_id, seq = (report.order_id, report.seq) if report is not None else ("", "")
    return result.cl_ord_id, what, order_id, seq, str(result.error or "")
