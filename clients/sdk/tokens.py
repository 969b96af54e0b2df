"""Where a client's bearer token comes from.

`Client` asks its provider before every call, before every reconnect of a stream,
and in time before a session's token runs out; a provider that renews therefore
keeps long streams alive.
"""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from runtime import tokens
from runtime.settings import Settings

TokenProvider = Callable[[], str | Awaitable[str]]

TTL_DEFAULT_S = 600
RENEW_FRACTION = 0.25
"""A token is renewed when less than this part of its life is left."""


def static_token(token: str) -> TokenProvider:
    """A provider that always gives `token`."""
    return lambda: token


def claims_of(token: str) -> dict[str, Any]:
    """What a token says; empty when it cannot be read. Nothing is verified: that is the server's affair."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def expires_at_s(token: str) -> float | None:
    """When a token runs out, in seconds of Unix time; None when it does not say so in a readable way."""
    expires = claims_of(token).get("exp")
    return float(expires) if isinstance(expires, (int, float)) else None


class DevKeyTokens:
    """Issues tokens with the private key of a development installation.

    Args:
        key_file: the private key in PEM form; `make up` makes one.
        subject: who the token speaks for.
        roles: role names in lower case, such as "trader".
        accounts: the accounts the token is bound to.
        issuer: whose token it says it is.
        audience: whom it is meant for.
        ttl_s: lifetime of one token in seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        key_file: Path,
        *,
        subject: str,
        roles: Sequence[str],
        accounts: Sequence[str] = (),
        issuer: str,
        audience: str,
        ttl_s: int = TTL_DEFAULT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = key_file.read_bytes()
        self._subject, self._roles, self._accounts = subject, list(roles), list(accounts)
        self._issuer, self._audience, self._ttl_s = issuer, audience, ttl_s
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        subject: str,
        roles: Sequence[str],
        accounts: Sequence[str] = (),
        ttl_s: int = TTL_DEFAULT_S,
    ) -> "DevKeyTokens":
        """Uses the key, issuer and audience of `settings`; raises FileNotFoundError without a key."""
        return cls(
            settings.auth_dev_key_file,
            subject=subject,
            roles=roles,
            accounts=accounts,
            issuer=settings.auth_issuer,
            audience=settings.auth_audience,
            ttl_s=ttl_s,
        )

    def __call__(self) -> str:
        """The present token, renewed well before it expires."""
        now = self._clock()
        if not self._token or now >= self._renew_at:
            self._token = self._issue()
            self._renew_at = now + self._ttl_s * (1 - RENEW_FRACTION)
        return self._token

    def _issue(self) -> str:
        return tokens.issue(
            self._key,
            kid=tokens.DEV_KID,
            subject=self._subject,
            roles=self._roles,
            accounts=self._accounts,
            ttl_s=self._ttl_s,
            issuer=self._issuer,
            audience=self._audience,
        )
