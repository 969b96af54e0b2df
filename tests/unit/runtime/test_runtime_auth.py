"""Who calls, and what the contract lets them do."""

from typing import Any

import pytest
from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.matching.v1 import matching_pb2
from ordergate.operations.v1 import health_pb2
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from runtime.auth import ANYONE, CONFLICTS, Principal, authorize, bind_account, role_name, rule_of
from runtime.errors import Refused

TRADER, OFFICER, AUDITOR = auth.ROLE_TRADER, auth.ROLE_RISK_OFFICER, auth.ROLE_AUDITOR
SUBMIT = "/ordergate.orders.v1.OrderEntryService/SubmitOrder"
LINK = f"/{matching_pb2.DESCRIPTOR.services_by_name['MatchingService'].full_name}/Link"
LIVENESS = f"/{health_pb2.DESCRIPTOR.services_by_name['HealthService'].full_name}/GetLiveness"
LIST = "/ordergate.orders.v1.OrderEntryService/ListOrders"
DROP_COPY = "/ordergate.orders.v1.OrderEntryService/StreamDropCopy"
SESSION = "/ordergate.orders.v1.OrderEntryService/OrderSession"


def caller(*roles: int, accounts: tuple[str, ...] = ("DEMO",), is_service: bool = False) -> Principal:
    """A caller with these roles."""
    return Principal("me", frozenset(roles), accounts, is_service, float("inf"))


def refusal_of(rule: auth.Authorization | None, principal: Principal) -> types.Reason.ValueType:
    """The reason that a caller is refused with."""
    with pytest.raises(Refused) as refused:
        authorize(rule, principal)
    return refused.value.reason


def test_rules_come_from_the_contract() -> None:
    """A declared method has its rule; an unknown one has none; health and reflection are open."""
    rule = rule_of(SUBMIT)
    assert rule is not None
    assert list(rule.roles) == [auth.ROLE_TRADER, auth.ROLE_MARKET_MAKER]
    assert rule_of("/ordergate.orders.v1.OrderEntryService/Nothing") is None
    assert rule_of("/nobody.Knows/This") is None
    for service in ("grpc.health.v1.Health/Check", "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"):
        opened = rule_of(f"/{service}")
        assert opened is not None
        assert opened.access == auth.ACCESS_OPEN


def test_a_method_without_a_rule_is_closed() -> None:
    """What declares nothing lets nobody in, not even a service."""
    for rule in (None, auth.Authorization(), auth.Authorization(roles=[TRADER])):
        for principal in (caller(TRADER), caller(is_service=True)):
            assert refusal_of(rule, principal) == types.REASON_METHOD_CLOSED


def test_only_the_named_roles_are_let_in() -> None:
    """One of the roles is enough, another one is not, and a service has none."""
    rule = rule_of(SUBMIT)
    authorize(rule, caller(TRADER))
    authorize(rule, caller(auth.ROLE_MARKET_MAKER))
    for principal in (caller(AUDITOR), caller(OFFICER), caller(auth.ROLE_ADMIN), caller(), caller(is_service=True)):
        assert refusal_of(rule, principal) == types.REASON_ROLE_NOT_ALLOWED


def test_only_services_call_between_servers() -> None:
    """No role opens a method of matching; a service does."""
    rule = rule_of(LINK)
    authorize(rule, caller(is_service=True))
    everything = caller(*(role for role in auth.Role.values() if role))
    assert refusal_of(rule, everything) == types.REASON_ROLE_NOT_ALLOWED


def test_open_methods_ask_nobody() -> None:
    """Health needs no caller."""
    authorize(rule_of(LIVENESS), ANYONE)


@pytest.mark.parametrize("pair", CONFLICTS, ids=lambda pair: "+".join(map(role_name, sorted(pair))))
def test_conflicting_roles_open_nothing(pair: frozenset[int]) -> None:
    """Whoever holds two roles that exclude each other is refused, whatever else is held."""
    everyone = auth.Authorization(access=auth.ACCESS_ROLES, roles=[role for role in auth.Role.values() if role])
    assert refusal_of(everyone, caller(*pair)) == types.REASON_ROLES_CONFLICT
    assert refusal_of(everyone, caller(*pair, auth.ROLE_OPERATOR)) == types.REASON_ROLES_CONFLICT
    for role in pair:
        authorize(everyone, caller(role))


def test_which_roles_conflict() -> None:
    """Who trades neither oversees nor grants; who audits never writes."""
    expected = {
        frozenset(pair)
        for pair in [
            *((a, b) for a in ("trader", "market_maker") for b in ("risk_officer", "compliance_officer", "admin")),
            *(("auditor", b) for b in ("trader", "market_maker", "risk_officer", "operator", "admin")),
        ]
    }
    assert {frozenset(map(role_name, pair)) for pair in CONFLICTS} == expected


def bound(method: str, principal: Principal, request: Any) -> Any:
    """The request after its account was held against the caller."""
    rule = rule_of(method)
    assert rule is not None
    bind_account(rule, principal, request)
    return request


def binding_refused(method: str, principal: Principal, request: Any) -> tuple[types.Reason.ValueType, str]:
    """Reason and field that a request is refused with."""
    with pytest.raises(Refused) as refused:
        bound(method, principal, request)
    return refused.value.reason, refused.value.field


def order(account: str) -> entry.SubmitOrderRequest:
    """A request with an order."""
    return entry.SubmitOrderRequest(order=orders.OrderTerms(account=account, cl_ord_id="a"))


def test_own_accounts_pass() -> None:
    """Each account of the token may be named."""
    for account in ("A", "B"):
        assert bound(SUBMIT, caller(TRADER, accounts=("A", "B")), order(account)).order.account == account


def test_other_accounts_do_not() -> None:
    """An account that is not the token's is refused, and at most 40 characters of it are quoted."""
    assert binding_refused(SUBMIT, caller(TRADER), order("MM")) == (types.REASON_ACCOUNT_NOT_ALLOWED, "order.account")
    with pytest.raises(Refused) as refused:
        bound(SUBMIT, caller(TRADER), order("M" * 100_000))
    assert refused.value.metadata == {"account": "M" * 40}
    assert len(refused.value.text) < 200


def test_the_only_account_is_filled_in() -> None:
    """With one account in the token the request need not name it, in a string and in a list."""
    assert bound(SUBMIT, caller(TRADER), order("")).order.account == "DEMO"
    logon = entry.OrderSessionRequest(logon=entry.Logon())
    assert list(bound(SESSION, caller(TRADER), logon).logon.accounts) == ["DEMO"]


def test_an_empty_list_means_all_accounts_of_the_token() -> None:
    """A session, or a drop copy, that names no account is for each that the token is bound to."""
    logon = entry.OrderSessionRequest(logon=entry.Logon())
    assert list(bound(SESSION, caller(TRADER, accounts=("A", "B")), logon).logon.accounts) == ["A", "B"]
    copy = bound(DROP_COPY, caller(TRADER, accounts=("A", "B")), entry.StreamDropCopyRequest())
    assert list(copy.accounts) == ["A", "B"]


def test_an_empty_list_of_oversight_stays_empty() -> None:
    """Whoever may name any account means all of them by none, even with accounts of its own."""
    for own in ((), ("A",), ("A", "B")):
        assert not bound(DROP_COPY, caller(OFFICER, accounts=own), entry.StreamDropCopyRequest()).accounts


def test_a_token_without_accounts_is_not_taken_for_all() -> None:
    """An empty list must not turn into everything because there was nothing to fill in."""
    refusal = binding_refused(DROP_COPY, caller(TRADER, accounts=()), entry.StreamDropCopyRequest())
    assert refusal == (types.REASON_FIELD_MISSING, "accounts")


@pytest.mark.parametrize("accounts", [(), ("A", "B")])
def test_nothing_is_guessed(accounts: tuple[str, ...]) -> None:
    """Without or with several accounts in the token the request must name one."""
    refusal = binding_refused(SUBMIT, caller(TRADER, accounts=accounts), order(""))
    assert refusal == (types.REASON_FIELD_MISSING, "order.account")


def test_every_account_of_a_list_is_checked() -> None:
    """One strange account among one's own is enough for a refusal."""
    logon = entry.OrderSessionRequest(logon=entry.Logon(accounts=["A", "MM"]))
    refusal = binding_refused(SESSION, caller(TRADER, accounts=("A", "B")), logon)
    assert refusal == (types.REASON_ACCOUNT_NOT_ALLOWED, "logon.accounts")


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        (SUBMIT, entry.SubmitOrderRequest(), "order"),
        (SESSION, entry.OrderSessionRequest(), "logon"),
        (SESSION, entry.OrderSessionRequest(frame=entry.CommandFrame()), "logon"),
    ],
)
def test_filling_in_brings_no_message_into_being(method: str, request_: Any, field: str) -> None:
    """A request without the message that holds the account is refused and stays as it was sent."""
    before = request_.SerializeToString()
    assert binding_refused(method, caller(TRADER), request_) == (types.REASON_FIELD_MISSING, field)
    assert request_.SerializeToString() == before


def test_oversight_may_name_any_account() -> None:
    """A risk officer reads every account, and with none of its own is not asked for one here."""
    officer = caller(OFFICER, accounts=())
    assert bound(LIST, officer, entry.ListOrdersRequest(account="MM")).account == "MM"
    assert bound(LIST, officer, entry.ListOrdersRequest()).account == ""
    assert binding_refused(LIST, caller(TRADER), entry.ListOrdersRequest(account="MM")) == (
        types.REASON_ACCOUNT_NOT_ALLOWED,
        "account",
    )


def test_roles_are_written_in_lower_case() -> None:
    """Tokens and messages name a role as people do."""
    assert [role_name(role) for role in (TRADER, auth.ROLE_MARKET_MAKER)] == ["trader", "market_maker"]
