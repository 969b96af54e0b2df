"""Who calls, and whether the contract lets them.

The rule of a method is its `ordergate.auth.v1.authorization` option, read from
the compiled descriptors. A method without one is closed. Called by the
interceptor in `runtime.calls`; servicers only read `current_principal()`.
"""

from contextvars import ContextVar
from functools import cache
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.types.v1 import types_pb2 as types

from runtime.claims import ANYONE, CLOCK_LEEWAY_S, Principal, role_name
from runtime.errors import Refused
from runtime.verifier import Verifier

__all__ = [
    "ANYONE",
    "CLOCK_LEEWAY_S",
    "CONFLICTS",
    "OPEN_SERVICES",
    "Principal",
    "Verifier",
    "authorize",
    "bind_account",
    "current_principal",
    "current_verifier",
    "role_name",
    "rule_of",
    "set_caller",
]

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


_current: ContextVar[Principal] = ContextVar("principal", default=ANYONE)
_verifier: ContextVar[Verifier] = ContextVar("verifier")


def current_principal() -> Principal:
    """The caller of the running call."""
    return _current.get()


def current_verifier() -> Verifier:
    """What verified the caller of the running call; streams ask it again as long as they live.

    Raises:
        LookupError: outside a call.
    """
    return _verifier.get()


def set_caller(principal: Principal, verifier: Verifier) -> None:
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
