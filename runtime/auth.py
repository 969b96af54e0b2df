"""Who calls, and whether the contract lets them.

The rule of a method is its `ordergate.auth.v1.authorization` option, read from
the compiled descriptors. A method without one is closed. Called by the
interceptor in `runtime.calls`; servicers only read `current_principal()`.
"""

import json
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import jwt
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.types.v1 import types_pb2 as types

from runtime.errors import Refused
from runtime.tokens import ALGORITHM, LIFETIME_S_MAX, SERVICE_KID

CLOCK_LEEWAY_S = 5
VERIFIED_TOKENS_MAX = 10_000
OPEN_SERVICES = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")

_WRITERS = {auth.ROLE_TRADER, auth.ROLE_MARKET_MAKER, auth.ROLE_RISK_OFFICER, auth.ROLE_OPERATOR, auth.ROLE_ADMIN}
_TRADERS = {auth.ROLE_TRADER, auth.ROLE_MARKET_MAKER}
CONFLICTS: tuple[frozenset[int], ...] = tuple(
    sorted(
        {frozenset({a, b}) for a in _TRADERS for b in (auth.ROLE_RISK_OFFICER, auth.ROLE_COMPLIANCE_OFFICER)}
        | {frozenset({a, auth.ROLE_ADMIN}) for a in _TRADERS}
        | {frozenset({auth.ROLE_AUDITOR, writer}) for writer in _WRITERS},
        key=sorted,
    )
)
"""Pairs of roles that nobody may hold together."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller, as its verified token says."""

    subject: str
    roles: frozenset[int]
    accounts: tuple[str, ...]
    is_service: bool
    expires_at_s: float
    token_id: str = ""
    """The token's `jti`; empty when it has none."""
    issued_at_s: float = 0.0


ANYONE = Principal("", frozenset(), (), False, float("inf"))
_current: ContextVar[Principal] = ContextVar("principal", default=ANYONE)
_verifier: "ContextVar[Verifier]" = ContextVar("verifier")


def current_principal() -> Principal:
    """The caller of the running call."""
    return _current.get()


def current_verifier() -> "Verifier":
    """What verified the caller of the running call; streams ask it again as long as they live.

    Raises:
        LookupError: outside a call.
    """
    return _verifier.get()


def set_caller(principal: Principal, verifier: "Verifier") -> None:
    """Makes `principal` the caller of the running call, verified by `verifier`; for the interceptor."""
    _current.set(principal)
    _verifier.set(verifier)


def rule_of(method: str) -> auth.Authorization | None:
    """The authorization that the contract declares for `/package.Service/Method`; None when it declares none."""
    return _rule_of(method)


@cache
def _rule_of(method: str) -> auth.Authorization | None:
    service, _, name = method.lstrip("/").partition("/")
    if service in OPEN_SERVICES:
        return auth.Authorization(access=auth.ACCESS_OPEN)
    try:
        options = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name].GetOptions()
    except KeyError:
        return None
    if not options.HasExtension(auth.authorization):
        return None
    rule: auth.Authorization = options.Extensions[auth.authorization]
    return rule


class Verifier:
    """Verifies tokens against the keys of a JWKS file, and remembers those that it has seen."""

    def __init__(self, jwks_file: Path, issuer: str, audience: str) -> None:
        """Reads the keys.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds no Ed25519 key.
        """
        self._issuer = issuer
        self._audience = audience
        self._keys = _read_keys(jwks_file)
        self._verified: dict[str, Principal] = {}

    def principal(self, authorization: str | None, now_s: float) -> Principal:
        """The caller behind an `authorization` header.

        Raises:
            Refused: AUTH reasons, with what is wrong.
        """
        if not authorization:
            raise Refused(types.REASON_TOKEN_MISSING, "the authorization header is missing")
        known = self._verified.get(authorization)
        if known is None:
            known = self._verify(authorization)
            if len(self._verified) >= VERIFIED_TOKENS_MAX:
                self._verified.clear()
            self._verified[authorization] = known
        if now_s > known.expires_at_s + CLOCK_LEEWAY_S:
            raise Refused(types.REASON_TOKEN_EXPIRED, "the token has expired")
        return known

    def is_revoked(self, principal: Principal) -> bool:
        """Whether the token, its subject or one of its roles has been revoked since; cheap enough to ask often."""
        return False  # noqa

    def _verify(self, authorization: str) -> Principal:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(types.REASON_TOKEN_MISSING, "the authorization header is not 'Bearer <token>'")
        try:
            kid = jwt.get_unverified_header(token)["kid"]
            claims = jwt.decode(
                token,
                self._keys[kid],
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=CLOCK_LEEWAY_S,
                options={"require": ["exp", "iat", "sub", "iss", "aud"]},
            )
            return _principal(claims, kid)
        except jwt.ExpiredSignatureError:
            raise Refused(types.REASON_TOKEN_EXPIRED, "the token has expired") from None
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise Refused(types.REASON_TOKEN_INVALID, f"the token is not valid: {_why(error)}") from None


def authorize(rule: auth.Authorization | None, principal: Principal) -> None:
    """Checks the caller's roles against the rule of a method.

    Raises:
        Refused: the method is closed, or the caller's roles are not enough or exclude each other.
    """
    if rule is None or rule.access == auth.ACCESS_UNSPECIFIED:
        raise Refused(types.REASON_METHOD_CLOSED, "the method declares no authorization")
    if rule.access == auth.ACCESS_OPEN:
        return
    if rule.access == auth.ACCESS_SERVICE:
        if not principal.is_service:
            raise Refused(types.REASON_ROLE_NOT_ALLOWED, "only servers of this installation may call this")
        return
    for pair in CONFLICTS:
        if pair <= principal.roles:
            names = " and ".join(sorted(map(role_name, pair)))
            raise Refused(types.REASON_ROLES_CONFLICT, f"nobody may be {names} at once")
    if principal.roles.isdisjoint(rule.roles):
        raise Refused(types.REASON_ROLE_NOT_ALLOWED, f"this needs one of: {', '.join(map(role_name, rule.roles))}")


def bind_account(rule: auth.Authorization, principal: Principal, request: Message) -> None:
    """Holds the accounts of a request against those of the token.

    An empty account is filled in when the token is bound to exactly one, an
    empty list of accounts with all that it is bound to. For a role that may name
    any account the empty list stays: it means all accounts.

    Raises:
        Refused: the token is not bound to an account of the request, none is named, or
            the message that names it is missing.
    """
    if not rule.account_field or rule.access != auth.ACCESS_ROLES:
        return
    *parents, field = rule.account_field.split(".")
    holder: Any = request
    for parent in parents:
        if not holder.HasField(parent):
            # Filling in the account would bring a message into being that the caller never sent.
            raise Refused(types.REASON_FIELD_MISSING, f"{parent} is missing", field=parent)
        holder = getattr(holder, parent)
    given = getattr(holder, field)
    if not given:
        _fill_account(rule, principal, holder, field)
        return
    for account in (given,) if isinstance(given, str) else given:
        if account not in principal.accounts and principal.roles.isdisjoint(rule.any_account_roles):
            raise Refused(
                types.REASON_ACCOUNT_NOT_ALLOWED,
                f"the token is not bound to account {account[:40]!r}",
                field=rule.account_field,
                metadata={"account": account[:40]},
            )


def _fill_account(rule: auth.Authorization, principal: Principal, holder: Message, field: str) -> None:
    is_list = not isinstance(getattr(holder, field), str)
    may_name_any = not principal.roles.isdisjoint(rule.any_account_roles)
    if is_list and principal.accounts and not may_name_any:
        getattr(holder, field).extend(principal.accounts)
    elif not is_list and len(principal.accounts) == 1:
        setattr(holder, field, principal.accounts[0])
    elif not may_name_any:
        raise Refused(types.REASON_FIELD_MISSING, f"{rule.account_field} is missing", field=rule.account_field)


def role_name(role: int) -> str:
    """A role as tokens write it: `trader` for ROLE_TRADER."""
    return auth.Role.Name(cast(auth.Role.ValueType, role)).removeprefix("ROLE_").lower()


def _principal(claims: dict[str, Any], kid: str) -> Principal:
    if claims["exp"] - claims["iat"] > LIFETIME_S_MAX:
        raise ValueError(f"it lives longer than {LIFETIME_S_MAX} seconds")
    roles = frozenset(int(auth.Role.Value(f"ROLE_{role.upper()}")) for role in _texts(claims, "roles"))
    accounts = tuple(_texts(claims, "accounts"))
    is_service = kid == SERVICE_KID
    if is_service and (roles or accounts):
        raise ValueError("a service has no roles and no accounts")
    return Principal(
        str(claims["sub"]),
        roles,
        accounts,
        is_service,
        float(claims["exp"]),
        token_id=str(claims.get("jti", "")),
        issued_at_s=float(claims["iat"]),
    )


def _texts(claims: dict[str, Any], name: str) -> list[str]:
    given = claims.get(name, [])
    if not isinstance(given, list) or not all(isinstance(item, str) and item for item in given):
        raise ValueError(f"its {name} are not a list of names")
    return given


def _read_keys(path: Path) -> dict[str | None, Any]:
    keys: dict[str | None, Any] = {
        jwk["kid"]: jwt.PyJWK(jwk, algorithm=ALGORITHM).key
        for jwk in json.loads(path.read_text())["keys"]
        if jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519"
    }
    if not keys:
        raise ValueError(f"{path} holds no Ed25519 key")
    return keys


def _why(error: Exception) -> str:
    return "its key is unknown" if isinstance(error, KeyError) else str(error)[:120]
