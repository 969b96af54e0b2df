"""What a verified token claims, and whom that makes its bearer.

Pure: the signature was verified before, by `runtime.verifier`. Rules of RFC
7519 and RFC 8725: issuer and audience are ours, the lifetime is bounded, and
each claim has its type.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, cast

from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.types.v1 import types_pb2 as types

from runtime.errors import Refused
from runtime.tokens import LIFETIME_S_MAX

CLOCK_LEEWAY_S = 5
REQUIRED = ("iss", "aud", "sub", "iat", "exp")


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller, as its verified token says. Times are unix seconds."""

    subject: str
    roles: frozenset[int]
    accounts: tuple[str, ...]
    is_service: bool
    expires_at_s: float
    token_id: str = ""
    """The token's `jti`; empty when it has none."""
    issued_at_s: float = 0.0
    signer: str = ""
    """`Key.signer` of the key that verified the token."""


ANYONE = Principal("", frozenset(), (), False, math.inf)


def principal_of(
    payload: bytes, *, issuer: str, audience: str, signer: str, is_service: bool, now_s: float
) -> Principal:
    """The caller that the payload of a verified token names.

    Raises:
        Refused: TOKEN_EXPIRED, or TOKEN_INVALID with the claim at fault.
    """
    try:
        claims = _object(payload)
        issued_at_s, expires_at_s = _lifetime(claims, now_s)
        _meant_for_us(claims, issuer, audience)
        roles = frozenset(map(_role, _texts(claims, "roles")))
        accounts = tuple(_texts(claims, "accounts"))
        if is_service and (roles or accounts):
            raise ValueError("a service has no roles and no accounts")
        return Principal(
            subject=_text(claims, "sub"),
            roles=roles,
            accounts=accounts,
            is_service=is_service,
            expires_at_s=expires_at_s,
            token_id=_text(claims, "jti") if "jti" in claims else "",
            issued_at_s=issued_at_s,
            signer=signer,
        )
    except ValueError as error:
        raise Refused(types.REASON_TOKEN_INVALID, f"the token is not valid: {error}") from None


def check_alive(expires_at_s: float, now_s: float) -> None:
    """Makes sure that a token has not expired.

    Raises:
        Refused: it has.
    """
    if now_s > expires_at_s + CLOCK_LEEWAY_S:
        raise Refused(types.REASON_TOKEN_EXPIRED, "the token has expired")


def role_name(role: int) -> str:
    """A role as tokens write it: `trader` for ROLE_TRADER."""
    return auth.Role.Name(cast(auth.Role.ValueType, role)).removeprefix("ROLE_").lower()


def _object(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError):
        raise ValueError("its payload is no JSON") from None
    if not isinstance(claims, dict):
        raise ValueError("its payload is no object")
    if missing := [name for name in REQUIRED if name not in claims]:
        raise ValueError(f"it has no {missing[0]}")
    return claims


def _lifetime(claims: dict[str, Any], now_s: float) -> tuple[float, float]:
    issued_at_s, expires_at_s = _time_s(claims, "iat"), _time_s(claims, "exp")
    if not 0 < expires_at_s - issued_at_s <= LIFETIME_S_MAX:
        raise ValueError(f"it lives otherwise than 1 to {LIFETIME_S_MAX} seconds")
    if issued_at_s > now_s + CLOCK_LEEWAY_S:
        raise ValueError("it was issued in the future")
    if "nbf" in claims and _time_s(claims, "nbf") > now_s + CLOCK_LEEWAY_S:
        raise ValueError("it is not valid yet")
    check_alive(expires_at_s, now_s)
    return issued_at_s, expires_at_s


def _meant_for_us(claims: dict[str, Any], issuer: str, audience: str) -> None:
    if claims["iss"] != issuer:
        raise ValueError("it has another issuer")
    meant_for = claims["aud"]
    if audience not in (meant_for if isinstance(meant_for, list) else [meant_for]):
        raise ValueError("it is meant for another audience")


def _time_s(claims: dict[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519 2), which JSON lets be anything."""
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ValueError(f"its {name} is no time")
    return float(value)


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"its {name} is no name")
    return value


def _texts(claims: dict[str, Any], name: str) -> list[str]:
    given = claims.get(name, [])
    if not isinstance(given, list) or not all(isinstance(item, str) and item for item in given):
        raise ValueError(f"its {name} are not a list of names")
    return given


def _role(name: str) -> int:
    try:
        role = int(auth.Role.Value(f"ROLE_{name.upper()}"))
    except ValueError:
        raise ValueError(f"there is no role {name[:40]!r}") from None
    if role == auth.ROLE_UNSPECIFIED:
        raise ValueError("'unspecified' is no role")
    return role
