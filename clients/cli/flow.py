"""`ordergate flow`: a recorded day of order flow through one session, accounted for to the last event."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clients.cli.audit import require, show_verification, verification_fields
from clients.cli.connection import Connection, json_option, pass_connection
from clients.cli.output import write_fields, write_json, write_table
from clients.flow.lobster import FlowAccounts, FlowEvent, Mapping, parse, symbol_of
from clients.flow.run import FlowOptions, FlowResult, run_flow
from clients.sdk.calls import Patience
from clients.sdk.session import WINDOW_DEFAULT
from clients.sdk.tokens import static_token
from clients.verification import LogVerification, verify_log, wait_until_logged

# A run shall outlive servers that are killed and started again under it.
PATIENCE = Patience(call_s=5.0, retry_s=60.0, reconnect_s=300.0)


@click.command("flow")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--speed", type=click.FloatRange(0), default=0.0, help="Multiple of the recorded speed; 0: flat out.")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many events.")
@click.option("--bid-account", default="FLOW-BID", show_default=True, help="Account of the resting purchases.")
@click.option("--ask-account", default="FLOW-ASK", show_default=True, help="Account of the resting sales.")
@click.option("--taker-account", default="FLOW-TAKER", show_default=True, help="Account of the executions.")
@click.option("--symbol", default="", help="The instrument; by default what the file name begins with.")
@click.option("--frame-size", type=click.IntRange(1, 1024), default=128, show_default=True, help="Commands in a frame.")
@click.option(
    "--window", type=click.IntRange(1), default=WINDOW_DEFAULT, show_default=True, help="Most unanswered commands."
)
@click.option(
    "--run-id", default="", help="Begins every cl_ord_id, so that a run can be repeated safely; by default the time."
)
@click.option("--no-audit", is_flag=True, help="Do not verify the audit log afterwards.")
@click.option("--audit-token", envvar="ORDERGATE_AUDIT_TOKEN", default="", help="Token of an auditor for that.")
@json_option
@pass_connection
async def flow(
    connection: Connection, file: Path, limit: int | None, symbol: str, run_id: str, no_audit: bool, **options: Any
) -> None:
    """Sends the order flow of a LOBSTER message FILE and accounts for every event."""
    audit_token = options.pop("audit_token")
    accounts = FlowAccounts(*(options.pop(f"{role}_account") for role in ("bid", "ask", "taker")))
    sending = FlowOptions(accounts, **options)
    try:
        run_id = run_id or f"{time.time_ns() // 1000:x}"
        mapping = Mapping(run_id, symbol or symbol_of(file), accounts)
        auditor = None if no_audit else _auditor(connection, audit_token)
        result = await _run(connection, file, limit, mapping, sending)
    except ValueError as error:
        raise click.UsageError(f"{file}: {error}") from None
    verification = None
    if auditor is not None:
        async with auditor:
            await wait_until_logged(auditor, result.last_seq)
            verification = await verify_log(auditor)
    if connection.as_json:
        audit = {"audit": verification_fields(verification)} if verification else {}
        write_json({"run_id": run_id, **result_fields(result), **audit})
    else:
        _show(run_id, result, verification)
    if verification is not None:
        require(verification.verdict)


def _auditor(connection: Connection, audit_token: str) -> Any:
    """A client that may read the whole log; a trader's token may not."""
    if audit_token:
        return connection.client(tokens=static_token(audit_token), patience=PATIENCE)
    if connection.token:
        raise click.UsageError("the audit log needs an auditor's token: give --audit-token, or --no-audit")
    return connection.client("auditor", patience=PATIENCE)


async def _run(
    connection: Connection, file: Path, limit: int | None, mapping: Mapping, sending: FlowOptions
) -> FlowResult:
    accounts = sorted(set(sending.accounts))
    with file.open(encoding="ascii") as lines, _progress(file, limit) as progress:
        events: Iterable[FlowEvent] = islice(parse(lines), limit)
        async with connection.client("trader", accounts=accounts, patience=PATIENCE) as client:
            return await run_flow(client, mapping, events, sending, progress)


@contextmanager
def _progress(file: Path, limit: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal's standard error; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _events: None
        return
    with file.open("rb") as lines:
        total = sum(1 for _ in lines)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("events", total=min(total, limit or total))
        yield lambda events: bar.update(task, completed=events)


def result_fields(result: FlowResult) -> dict[str, Any]:
    """The result for programs."""
    tally = result.tally
    return {
        **asdict(result.mapping),
        "commands": result.commands,
        "unanswered": result.unanswered,
        "orders": tally.accepted,
        "fills": tally.fills,
        "filled_qty": tally.filled_qty,
        "orders_replaced": tally.replaces,
        "orders_canceled": tally.cancels,
        "rests_canceled": tally.unfilled_rests,
        "self_trades_prevented": tally.self_trades_prevented,
        "repeats": tally.repeats,
        "rejects": dict(sorted(tally.rejects.items())),
        "elapsed_s": round(result.elapsed_s, 3),
        "commands_per_s": round(result.commands / result.elapsed_s),
        "ack_latency_us": {name: round(value, 1) for name, value in tally.latency_us().items()},
        "reconnects": result.reconnects,
        "resent": result.resent,
        "last_seq": result.last_seq,
    }


def _show(run_id: str, result: FlowResult, verification: LogVerification | None) -> None:
    mapping, tally = result.mapping, result.tally
    rate = f"{result.commands / result.elapsed_s:,.0f} a second over {result.elapsed_s:.3f} s"
    rows = [
        ("events", mapping.events, f"{mapping.not_in_book} not in the book, {mapping.halts} halts"),
        ("commands", result.commands, rate),
        ("orders", tally.accepted, f"of {mapping.submits} to rest and {mapping.executions} to take"),
        ("fills", tally.fills, f"{tally.filled_qty} shares; {tally.unfilled_rests} unfilled rests cancelled"),
        ("cancels", tally.cancels, f"of {mapping.cancels}; {tally.self_trades_prevented} more to prevent self-trades"),
        ("replaces", tally.replaces, f"of {mapping.replaces}"),
        ("rejects", tally.rejects.total(), ", ".join(f"{why} {n}" for why, n in sorted(tally.rejects.items()))),
        ("repeats", tally.repeats, "answered with the result of an earlier run"),
        ("unanswered", result.unanswered, ""),
        ("reconnects", result.reconnects, f"{result.resent} commands sent again"),
    ]
    write_table(f"Flow {run_id}", ("", ">", ""), rows)
    latency = [(name, f"{value / 1000:.3f} ms") for name, value in tally.latency_us().items()]
    write_fields("Acknowledgement latency, from the intended send time", latency)
    if verification is not None and verification.verdict.ok:
        show_verification(verification)
