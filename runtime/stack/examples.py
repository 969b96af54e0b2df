"""Three lines to copy: the same order by curl, by grpcurl and by our own command.

`make up` prints them with a working token in them; a test runs them as they
are.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

from runtime.settings import Settings

METHOD = "ordergate.orders.v1.OrderEntryService/SubmitOrder"
# Within the limits of the account DEMO as config/genesis.yaml makes it.
ORDER = {
    "account": "DEMO",
    "symbol": "AAPL",
    "side": "SIDE_BUY",
    "ord_type": "ORD_TYPE_LIMIT",
    "qty": "10",
    "price": "190.00",
}


def lines(settings: Settings, rest_url: str, token: str) -> list[str]:
    """The three lines, for a POSIX shell in the current folder; each is an order of its own."""
    return [_curl(rest_url, token), _grpcurl(settings, token), _ordergate(settings, token)]


def program(name: str) -> str:
    """A program of this environment as one would type it here."""
    path = Path(sys.executable).with_name(name)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _curl(rest_url: str, token: str) -> str:
    body = json.dumps(_order("curl"))
    headers = ["-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json"]
    return _line(["curl", "-sS", "-X", "POST", f"{rest_url}/api/v1/orders", *headers, "-d", body])


def _grpcurl(settings: Settings, token: str) -> str:
    body = json.dumps({"order": _order("grpcurl")})
    header = ["-H", f"authorization: Bearer {token}"]
    return _line([program("grpcurl"), "-plaintext", *header, "-d", body, settings.gateway_address, METHOD])


def _ordergate(settings: Settings, token: str) -> str:
    where = ["--gateway", settings.gateway_address, "--token", token]
    what = [ORDER["symbol"], "buy", ORDER["qty"], "--price", ORDER["price"], "--account", ORDER["account"]]
    return _line([program("ordergate"), *where, "order", "submit", *what])


def _order(made_by: str) -> dict[str, str]:
    return {**ORDER, "cl_ord_id": f"{made_by}-{token_hex(4)}"}


def _line(words: Sequence[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)
