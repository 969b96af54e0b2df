"""What every command needs: settings, addresses, a token, and the form of the output."""

import getpass
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click
import grpc
import uvloop

from clients.sdk.calls import Patience
from clients.sdk.client import Client
from clients.sdk.tokens import DevKeyTokens, TokenProvider, static_token
from runtime.settings import Settings
from runtime.tls import channel_credentials

ACCOUNT_DEFAULT = "DEMO"


@dataclass(slots=True)
class Connection:
    """The global options.

    Attributes:
        settings: from the environment.
        gateway: address of the gateway, or of several, with commas between; likewise the others, one each.
        token: a token that was given; empty to issue one with the development key.
        as_json: write JSON lines instead of tables.
    """

    settings: Settings
    gateway: str
    marketdata: str
    compliance: str
    token: str
    as_json: bool = False

    @property
    def has_dev_key(self) -> bool:
        """Whether tokens can be issued here."""
        return self.settings.auth_dev_key_file.exists()

    def tokens(self, *roles: str, accounts: Sequence[str] = ()) -> TokenProvider:
        """The given token, or tokens of the development key with these roles and accounts.

        Raises:
            UsageError: there is neither.
        """
        if self.token:
            return static_token(self.token)
        if not self.has_dev_key:
            key_file = self.settings.auth_dev_key_file
            raise click.UsageError(f"no token: give --token or set ORDERGATE_TOKEN (no development key at {key_file})")
        return DevKeyTokens.from_settings(self.settings, subject=getpass.getuser(), roles=roles, accounts=accounts)

    def client(
        self,
        *roles: str,
        accounts: Sequence[str] = (),
        tokens: TokenProvider | None = None,
        patience: Patience | None = None,
    ) -> Client:
        """A client that calls with the given token, or as one of `roles` for `accounts`."""
        return Client(
            self.gateway.split(","),
            marketdata=self.marketdata,
            compliance=self.compliance,
            token=tokens or self.tokens(*roles, accounts=accounts),
            credentials=self._credentials(),
            patience=patience,
        )

    def _credentials(self) -> grpc.ChannelCredentials | None:
        try:
            return channel_credentials(self.settings)
        except ValueError as error:
            raise click.UsageError(f"TLS: {error}") from None

    def account(self, given: str | None) -> str:
        """The account to use: the given one; with the development key DEMO; else the one the token is bound to."""
        if given is not None:
            return given
        return "" if self.token else ACCOUNT_DEFAULT


def pass_connection(command: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Makes a coroutine function a click callback: gives it the connection first, and runs it."""

    @wraps(command)
    def callback(*args: Any, **kwargs: Any) -> None:
        uvloop.run(command(click.get_current_context().find_object(Connection), *args, **kwargs))

    return callback


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--json` to a command."""

    def store(context: click.Context, _parameter: click.Parameter, as_json: bool) -> None:
        connection = context.find_object(Connection)
        if as_json and connection is not None:
            connection.as_json = True

    option = click.option(
        "--json", is_flag=True, expose_value=False, callback=store, help="Write one JSON object per line."
    )
    return option(command)


def account_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--account` to a command."""
    return click.option(
        "--account",
        envvar="ORDERGATE_ACCOUNT",
        help=f"The account; the token's own, or {ACCOUNT_DEFAULT} with the development key.",
    )(command)
