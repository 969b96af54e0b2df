"""Commands that run or inspect the installation itself: servers, the journal.

The servers are imported when they are started, not before: a client machine
needs none of them.
"""

import importlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from clients.cli import journals
from clients.cli.connection import Connection, json_option
from clients.cli.output import write_fields, write_json, write_table

SERVERS = ("gateway", "matching", "marketdata", "compliance")
WORDS = ("order_id", "account", "cl_ord_id", "symbol", "side", "ord_type", "time_in_force", "ord_status", "currency",
         "limit")  # fmt: skip
"""Columns that are no numbers."""


@click.command("serve")
@click.argument("server", type=click.Choice(SERVERS))
def serve(server: str) -> None:
    """Runs one SERVER until SIGTERM or Ctrl-C; its settings come from the environment."""
    importlib.import_module(f"{server}.server").main()


@click.command("market-maker")
def market_maker() -> None:
    """Runs the simulated market maker until Ctrl-C."""
    importlib.import_module("clients.market_maker").run()


@click.command("replay")
@click.argument("what", required=False, type=click.Choice(journals.WHAT))
@click.option("--verify", is_flag=True, help="Derive every event again and compare.")
@click.option("--from-snapshot", is_flag=True, help="With --verify: begin with the newest snapshot.")
@click.option("--as-of", "seq", type=click.IntRange(1), metavar="SEQ", help="Show WHAT as it was after this event.")
@click.option("--account", default="", help="With --as-of: only this account.")
@click.option("--symbol", default="", help="With --as-of: only this instrument.")
@click.option("--journal", type=click.Path(path_type=Path, file_okay=False, exists=True), help="The journal's folder.")
@json_option
@click.pass_obj
def replay(
    connection: Connection,
    what: str | None,
    verify: bool,
    from_snapshot: bool,
    seq: int | None,
    account: str,
    symbol: str,
    journal: Path | None,
) -> None:
    """Reads the journal offline: proves it, or shows what was.

    --verify proves that its commands give its events, and prints the state hash.
    --as-of SEQ shows the open orders, positions, cash or limits after that event.
    """
    if verify == (seq is not None):
        raise click.UsageError("one of --verify and --as-of is needed")
    if (what is None) != verify or (from_snapshot and not verify) or (verify and (account or symbol)):
        raise click.UsageError("--as-of takes WHAT, --account and --symbol; --verify takes --from-snapshot")
    folder = journal or journals.folder_of(connection.settings)
    if seq is None or what is None:
        _show_summary(connection, asdict(journals.verify(folder, from_snapshot=from_snapshot)))
    else:
        _show_rows(connection, what, *journals.as_of(folder, seq, what, account, symbol))


def _show_summary(connection: Connection, summary: dict[str, Any]) -> None:
    if connection.as_json:
        write_json(summary)
    else:
        write_fields("Verified: every command gives the recorded events again", summary.items())


def _show_rows(connection: Connection, what: str, seq: int, rows: list[dict[str, str]]) -> None:
    if connection.as_json:
        for row in rows:
            write_json({"as_of_seq": seq, **row})
        return
    columns = [name if name in WORDS else f"{name}>" for name in (rows[0] if rows else ())]
    write_table(f"{what.capitalize()} as of seq {seq}", columns, [list(row.values()) for row in rows])
