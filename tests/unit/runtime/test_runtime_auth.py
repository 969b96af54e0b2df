"""Who calls, and what the contract lets them do."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.matching.v1 import matching_pb2
from ordergate.operations.v1 import health_pb2
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from runtime import auth as runtime_auth
from runtime.auth import CLOCK_LEEWAY_S, CONFLICTS, Principal, Verifier, authorize, bind_account, role_name, rule_of
from runtime.errors import Refused
from runtime.tokens import LIFETIME_S_MAX, make_keys

ISSUER, AUDIENCE = "issuer-of-tests", "ordergate"
TRADER, OFFICER, AUDITOR = auth.ROLE_TRADER, auth.ROLE_RISK_OFFICER, auth.ROLE_AUDITOR
SUBMIT = "/ordergate.orders.v1.OrderEntryService/SubmitOrder"
LINK = f"/{matching_pb2.DESCRIPTOR.services_by_name['MatchingService'].full_name}/Link"
LIVENESS = f"/{health_pb2.DESCRIPTOR.services_by_name['HealthService'].full_name}/GetLiveness"
LIST = "/ordergate.orders.v1.OrderEntryService/ListOrders"
SESSION = "/ordergate.orders.v1.OrderEntryService/OrderSession"

Minted = Callable[..., str]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys."""
    folder = tmp_path_factory.mktemp("auth") / "keys"
    make_keys(folder)
    return folder


@pytest.fixture
def verifier(keys: Path) -> Verifier:
    """A verifier that has seen nothing yet."""
    return Verifier(keys / "jwks.json", ISSUER, AUDIENCE)


@pytest.fixture
def minted(keys: Path) -> Minted:
    """Makes a header of any claims, signed as told."""

    def mint(
        key: Any = None, kid: str | None = "dev", algorithm: str = "EdDSA", without: str = "", **changes: Any
    ) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "me",
            "iat": now,
            "exp": now + 600,
            "roles": ["trader"],
            "accounts": ["DEMO"],
        } | changes
        claims.pop(without, None)
        signed_with = (keys / "dev.pem").read_bytes() if key is None else key
        headers = {"kid": kid} if kid is not None else {}
        return "Bearer " + jwt.encode(claims, signed_with, algorithm=algorithm, headers=headers)

    return mint


def part(value: object) -> str:
    """A part of a token."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def reason_for(verifier: Verifier, header: str | None, now_s: float | None = None) -> types.Reason.ValueType:
    """The reason that a header is refused with."""
    with pytest.raises(Refused) as refused:
        verifier.principal(header, time.time() if now_s is None else now_s)
    return refused.value.reason


def test_a_good_token_says_who_calls(verifier: Verifier, minted: Minted) -> None:
    """Subject, roles and accounts come from the token; the caller is a person."""
    header = minted(roles=["trader", "market_maker"], accounts=["A", "B"])
    principal = verifier.principal(header, time.time())
    assert principal.subject == "me"
    assert principal.roles == {auth.ROLE_TRADER, auth.ROLE_MARKET_MAKER}
    assert principal.accounts == ("A", "B")
    assert not principal.is_service
    assert verifier.principal(header, time.time()) is principal


def test_the_scheme_is_case_insensitive(verifier: Verifier, minted: Minted) -> None:
    """RFC 9110 11.1: the name of a scheme is compared without case."""
    assert verifier.principal(minted().replace("Bearer", "bearer"), time.time()).subject == "me"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "token-without-scheme"])
def test_no_bearer_token_is_a_missing_token(verifier: Verifier, header: str | None) -> None:
    """Without `Bearer <token>` there is no token."""
    assert reason_for(verifier, header) == types.REASON_TOKEN_MISSING


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "x.y",
        "x.y.z",
        "..",
        "a.b.c.d",
        "\x00.\x00.\x00",
        f"{part([])}.{part({})}.",
        f"{part({'alg': 'EdDSA', 'kid': ['dev']})}.{part({})}.{part(b'')}",
        f"{part({'alg': 'EdDSA', 'kid': 'dev', 'crit': ['x'], 'x': 1})}.{part({})}.{part(b'')}",
        f"{part(b'[' * 5000)}.{part({})}.{part(b'')}",
        f"{part(b'{' + chr(34).encode() + b'a' + chr(34).encode() + b':' + b'[' * 5000 + b']' * 5000 + b'}')}.e30.",
        f"{part({'alg': 'EdDSA', 'kid': 'dev'})}.{part(b'[' * 5000)}.{part(b'0' * 64)}",
    ],
)
def test_garbage_is_an_invalid_token(verifier: Verifier, token: str) -> None:
    """Whatever stands behind `Bearer`, the answer is a refusal and never a fault, however deep it is nested."""
    assert reason_for(verifier, f"Bearer {token}") == types.REASON_TOKEN_INVALID


def test_a_forged_signature_is_refused(verifier: Verifier, minted: Minted) -> None:
    """A token whose claims were changed after signing is not taken."""
    head, claims, signature = minted().removeprefix("Bearer ").split(".")
    changed = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"accounts": ["MM"]}
    assert reason_for(verifier, f"Bearer {head}.{part(changed)}.{signature}") == types.REASON_TOKEN_INVALID


def test_a_signature_of_a_strange_key_is_refused(verifier: Verifier, minted: Minted) -> None:
    """A token signed with a key of one's own is not taken, although it names a known key."""
    assert reason_for(verifier, minted(key=Ed25519PrivateKey.generate())) == types.REASON_TOKEN_INVALID


def test_an_unsigned_token_is_refused(verifier: Verifier, minted: Minted) -> None:
    """`alg: none` is no signature (RFC 8725 3.1)."""
    assert reason_for(verifier, minted(key="", algorithm="none")) == types.REASON_TOKEN_INVALID


@pytest.mark.parametrize("kid", ["dev", "service"])
def test_the_public_key_is_no_secret(verifier: Verifier, minted: Minted, keys: Path, kid: str) -> None:
    """HS256 with the public key as its secret is refused: the algorithm is ours to choose, not the token's."""
    jwk = next(key for key in json.loads((keys / "jwks.json").read_text())["keys"] if key["kid"] == kid)
    raw = base64.urlsafe_b64decode(jwk["x"] + "==")
    private = serialization.load_pem_private_key((keys / f"{kid}.pem").read_bytes(), password=None)
    spki = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims = minted(kid=kid).split(".")[1]
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{claims}"
    for secret in (raw, jwk["x"].encode(), spki, (keys / "jwks.json").read_bytes()):
        signature = part(hmac.digest(secret, signed.encode(), "sha256"))
        assert reason_for(verifier, f"Bearer {signed}.{signature}") == types.REASON_TOKEN_INVALID


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"aud": "something"},
        {"aud": ["something", "else"]},
        {"kid": "unknown"},
        {"kid": None},
        {"kid": "service"},
        {"iat": int(time.time()) + 3_600, "exp": int(time.time()) + 3_700},
        {"nbf": int(time.time()) + 3_600},
        {"roles": ["superuser"]},
        {"roles": "trader"},
        {"roles": 7},
        {"roles": [7]},
        {"accounts": "DEMO"},
        {"accounts": [""]},
        {"accounts": None},
        {"sub": 7},
        {"exp": "tomorrow"},
        *({"without": claim} for claim in ("iss", "aud", "sub", "iat", "exp")),
    ],
    ids=str,
)
def test_wrong_claims_are_refused(verifier: Verifier, minted: Minted, changes: dict[str, Any]) -> None:
    """A good signature does not help claims that are missing, malformed or meant for others."""
    assert reason_for(verifier, minted(**changes)) == types.REASON_TOKEN_INVALID


def test_an_expired_token_is_refused_as_expired(verifier: Verifier, minted: Minted) -> None:
    """The client learns that a new token is all it needs."""
    now = int(time.time())
    assert reason_for(verifier, minted(iat=now - 700, exp=now - 100)) == types.REASON_TOKEN_EXPIRED


def test_a_token_expires_while_it_is_remembered(verifier: Verifier, minted: Minted) -> None:
    """A token that was verified before is refused once its time and the leeway are over."""
    now = int(time.time())
    header = minted(iat=now, exp=now + 60)
    assert verifier.principal(header, now)
    assert verifier.principal(header, now + 60 + CLOCK_LEEWAY_S)
    assert reason_for(verifier, header, now + 61 + CLOCK_LEEWAY_S) == types.REASON_TOKEN_EXPIRED


@pytest.mark.parametrize(("lifetime_s", "taken"), [(LIFETIME_S_MAX, True), (LIFETIME_S_MAX + 1, False)])
def test_no_token_lives_longer_than_fifteen_minutes(
    verifier: Verifier, minted: Minted, lifetime_s: int, taken: bool
) -> None:
    """Whoever signed it: a token that lives longer than 900 seconds is not taken."""
    now = int(time.time())
    header = minted(iat=now, exp=now + lifetime_s)
    if taken:
        assert verifier.principal(header, now)
    else:
        assert reason_for(verifier, header) == types.REASON_TOKEN_INVALID


def test_the_service_key_makes_services(verifier: Verifier, minted: Minted, keys: Path) -> None:
    """A token of the service key is a service; with roles or accounts it is refused."""
    pem = (keys / "service.pem").read_bytes()
    assert verifier.principal(minted(key=pem, kid="service", roles=[], accounts=[]), time.time()).is_service
    lists: tuple[dict[str, Any], ...] = ({"accounts": []}, {"roles": []})
    for more in lists:
        assert reason_for(verifier, minted(key=pem, kid="service", **more)) == types.REASON_TOKEN_INVALID


def test_what_is_remembered_is_bounded(verifier: Verifier, minted: Minted, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens are shown, the verifier remembers only so many."""
    monkeypatch.setattr(runtime_auth, "VERIFIED_TOKENS_MAX", 3)
    for number in range(10):
        verifier.principal(minted(sub=str(number)), time.time())
        assert len(verifier._verified) <= 3


def test_a_file_without_keys_stops_the_start(tmp_path: Path) -> None:
    """A server that could verify nothing does not start; keys of other kinds do not count."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [{"kty": "RSA", "kid": "dev", "n": "AQAB", "e": "AQAB"}]}))
    with pytest.raises(ValueError, match="no Ed25519 key"):
        Verifier(path, ISSUER, AUDIENCE)
    with pytest.raises(OSError, match="missing"):
        Verifier(tmp_path / "missing.json", ISSUER, AUDIENCE)


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
    authorize(rule_of(LIVENESS), runtime_auth.ANYONE)


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
