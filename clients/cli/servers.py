"""Commands that run or inspect the installation itself: servers, tokens, the journal.

The servers are imported when they are started, not before: a client machine
needs none of them.
"""

import importlib
from dataclasses import asdict
from pathlib import Path

import click

from clients.cli import journals
from clients.cli.connection import Connection, json_option
from clients.cli.output import write_fields, write_json
from clients.sdk.tokens import TTL_DEFAULT_S, DevKeyTokens
from runtime.tokens import LIFETIME_S_MAX

SERVERS = ("gateway", "matching", "marketdata", "compliance")
ROLES = ("trader", "market_maker", "risk_officer", "compliance_officer", "auditor", "operator", "admin")


@click.command("serve")
@click.argument("server", type=click.Choice(SERVERS))
def serve(server: str) -> None:
    """Runs one SERVER until SIGTERM or Ctrl-C; its settings come from the environment."""
    importlib.import_module(f"{server}.server").main()


@click.command("market-maker")
def market_maker() -> None:
    """Runs the simulated market maker until Ctrl-C."""
    importlib.import_module("clients.market_maker").run()


@click.command("token")
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, required=True, help="A role; repeatable.")
@click.option("--account", "accounts", multiple=True, help="An account the token is bound to; repeatable.")
@click.option("--subject", default="developer", show_default=True, help="Who the token speaks for.")
@click.option(
    "--ttl",
    type=click.IntRange(1, LIFETIME_S_MAX),
    default=TTL_DEFAULT_S,
    show_default=True,
    help="Lifetime in seconds.",
)
@json_option
@click.pass_obj
def token(connection: Connection, roles: tuple[str, ...], accounts: tuple[str, ...], subject: str, ttl: int) -> None:
    """Issues a token with the development key."""
    if not connection.has_dev_key:
        raise click.UsageError(f"no development key at {connection.settings.auth_dev_key_file}")
    tokens = DevKeyTokens.from_settings(connection.settings, subject=subject, roles=roles, accounts=accounts, ttl_s=ttl)
    if connection.as_json:
        write_json({"token": tokens(), "expires_in_s": ttl})
    else:
        click.echo(tokens())


@click.command("replay")
@click.option("--verify", is_flag=True, required=True, expose_value=False, help="Derive every event again and compare.")
@click.option("--journal", type=click.Path(path_type=Path, file_okay=False, exists=True), help="The journal's folder.")
@json_option
@click.pass_obj
def replay(connection: Connection, journal: Path | None) -> None:
    """Proves offline that the journal's commands give the journal's events, and prints the state hash."""
    summary = asdict(journals.verify(journal or connection.settings.journal_dir))
    if connection.as_json:
        write_json(summary)
    else:
        write_fields("Verified: every command gives the recorded events again", summary.items())
