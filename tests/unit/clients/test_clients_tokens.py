"""Tokens that renew themselves."""

import time
from pathlib import Path

import pytest
from ordergate.auth.v1 import auth_pb2 as auth

from clients.sdk.calls import Caller, Patience
from clients.sdk.errors import Unavailable
from clients.sdk.tokens import DevKeyTokens
from runtime.auth import Verifier
from runtime.tokens import make_keys


def make(folder: Path, now: list[float]) -> DevKeyTokens:
    """A provider whose time is `now`."""
    make_keys(folder)
    return DevKeyTokens(
        folder / "dev.pem",
        subject="ann",
        roles=["trader"],
        accounts=["DEMO"],
        issuer="i",
        audience="a",
        ttl_s=600,
        clock=lambda: now[0],
    )


def test_the_servers_take_the_token(tmp_path: Path) -> None:
    """A token of the development key says who, which role and which account."""
    tokens = make(tmp_path, [0.0])
    principal = Verifier(tmp_path / "jwks.json", "i", "a").principal(f"Bearer {tokens()}", time.time())
    assert (principal.subject, list(principal.roles), principal.accounts) == ("ann", [auth.ROLE_TRADER], ("DEMO",))


async def test_a_provider_that_fails_is_asked_again() -> None:
    """Its failure is one of the moment: a typed error, which calls are repeated after."""

    def fails() -> str:
        raise ConnectionError("the identity provider is away")

    with pytest.raises(Unavailable, match="identity provider is away") as error:
        await Caller(fails, Patience()).token()
    assert error.value.reason == "NO_TOKEN"


def test_a_token_is_renewed_before_it_expires(tmp_path: Path) -> None:
    """The same token is used until a quarter of its life is left, then a new one is issued."""
    now = [0.0]
    tokens = make(tmp_path, now)
    first = tokens()
    now[0] = 449.0
    assert tokens() is first
    now[0] = 450.0
    assert tokens() is not first
