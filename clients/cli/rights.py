"""Commands about who may do what on this machine: tokens of the development key, and what is revoked."""

import time
from typing import Any

import click

from clients.cli.connection import Connection, json_option
from clients.cli.output import write_json
from clients.sdk.tokens import TTL_DEFAULT_S, DevKeyTokens, claims_of
from runtime import revocations
from runtime.tokens import LIFETIME_S_MAX

ROLES = ("trader", "market_maker", "risk_officer", "compliance_officer", "auditor", "operator", "admin")


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
    _require_dev_key(connection)
    tokens = DevKeyTokens.from_settings(connection.settings, subject=subject, roles=roles, accounts=accounts, ttl_s=ttl)
    if connection.as_json:
        write_json({"token": tokens(), "expires_in_s": ttl})
    else:
        click.echo(tokens())


@click.command("revoke")
@click.option("--subject", default="", help="Whose tokens are not valid any more.")
@click.option("--role", type=click.Choice(ROLES), help="With --subject: only tokens with this role.")
@click.option("--token-id", default="", help="The id (jti) of one token, or the token itself.")
@click.option("--new-tokens-valid", is_flag=True, help="With --subject: tokens issued from now on are valid.")
@click.option("--why", default="", help="For people who read the file.")
@click.option("--undo", is_flag=True, help="Takes the revocation back.")
@json_option
@click.pass_obj
def revoke(
    connection: Connection,
    subject: str,
    role: str | None,
    token_id: str,
    new_tokens_valid: bool,
    why: str,
    undo: bool,
) -> None:
    """Revokes a subject, a subject's role or one token, in the file that this installation's servers read.

    Within two seconds calls are refused and live streams end. Only for an installation on this machine.
    """
    _require_dev_key(connection)
    if bool(subject) == bool(token_id) or (role and not subject):
        raise click.UsageError("give --subject, with or without --role, or --token-id")
    path, now_s = connection.settings.auth_revocations_file, time.time()
    what: dict[str, Any] = {"token_id": _id_of(token_id), "subject": subject, "role": role or ""}
    try:
        if undo:
            changed = revocations.remove(path, **what)
        else:
            before_s = now_s if new_tokens_valid else revocations.FOR_EVER_S
            entry = revocations.Revocation(**what, not_before_s=before_s, why=why)
            changed = revocations.add(path, [entry], now_s)
    except ValueError as error:
        raise click.ClickException(f"{path}: {error}") from None
    if connection.as_json:
        write_json({"file": str(path), "removed" if undo else "entries": changed})
    else:
        click.echo(f"{changed} removed from {path}" if undo else f"revoked; {changed} entries in {path}")


def _require_dev_key(connection: Connection) -> None:
    if not connection.has_dev_key:
        raise click.UsageError(f"no development key at {connection.settings.auth_dev_key_file}")


def _id_of(token: str) -> str:
    """The id of a token, or what is given as one."""
    return str(claims_of(token).get("jti", "")) if token.count(".") == 2 else token
