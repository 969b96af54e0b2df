"""Every method against tokens that are none: forged, expired, meant for others; over gRPC, REST and at each server."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ordergate.auth.v1 import auth_pb2 as auth

from runtime.claims import CLOCK_LEEWAY_S
from runtime.settings import Settings
from runtime.tokens import DEV_KID, LIFETIME_S_MAX, SERVICE_KID
from tests.integration.authorization import OWN, ROLES, Method, methods
from tests.integration.test_authorization_matrix import Doors, doors, named

__all__ = ["doors"]
PROTECTED = [method for method in methods() if method.rule.access != auth.ACCESS_OPEN]
STRANGE_KEYS: dict[str, Any] = {
    "EdDSA": Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
}
HARMLESS_ROLES = ["market_maker"]


class Mint:
    """Makes tokens of all sorts."""

    def __init__(self, settings: Settings, *, as_server: bool) -> None:
        """Good ones by themselves: of a server, or of a person with a role that the method lets in."""
        self._settings = settings
        self.kid = SERVICE_KID if as_server else DEV_KID
        self.other_kid = DEV_KID if as_server else SERVICE_KID
        self._rights: dict[str, Any] = {} if as_server else {"roles": HARMLESS_ROLES, "accounts": [OWN]}

    def token(
        self, *, kid: str | None = None, key: Any = None, algorithm: str = "EdDSA", header: Any = None, **changes: Any
    ) -> str:
        """A token, good but for what is said."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._settings.auth_issuer,
            "aud": self._settings.auth_audience,
            "sub": "matrix",
            "iat": now,
            "exp": now + 60,
            **self._rights,
        }
        named_kid = self.kid if kid is None else kid
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(
            claims,
            self.private(self.kid) if key is None else key,
            algorithm=algorithm,
            headers={"kid": named_kid} | (header or {}),
        )

    def private(self, kid: str) -> Any:
        """The private key of that name."""
        path = {DEV_KID: self._settings.auth_dev_key_file, SERVICE_KID: self._settings.auth_service_key_file}[kid]
        return serialization.load_pem_private_key(path.read_bytes(), password=None)

    def public_octets(self) -> bytes:
        """The public key, which everybody knows."""
        public = self.private(self.kid).public_key()
        octets: bytes = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return octets


def part(value: Any) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(mint: Mint) -> str:
    """A token that says it needs no signature."""
    return f"{part({'alg': 'none', 'kid': mint.kid})}.{mint.token().split('.')[1]}."


def forged(mint: Mint) -> str:
    """The signature of another token of the same bearer over better claims."""
    return f"{mint.token(sub='root').rpartition('.')[0]}.{mint.token().rpartition('.')[2]}"


def ago(seconds: int) -> int:
    """A time in the past."""
    return int(time.time()) - seconds


BAD: dict[str, tuple[Callable[[Mint], str | None], str]] = {
    "no header": (lambda _: None, "TOKEN_MISSING"),
    "another scheme": (lambda mint: f"Basic {mint.token()}", "TOKEN_MISSING"),
    "garbage": (lambda _: "Bearer x.y.z", "TOKEN_INVALID"),
    "forged": (lambda mint: f"Bearer {forged(mint)}", "TOKEN_INVALID"),
    "stripped signature": (lambda mint: f"Bearer {mint.token().rpartition('.')[0]}.", "TOKEN_INVALID"),
    "alg none": (lambda mint: f"Bearer {unsigned(mint)}", "TOKEN_INVALID"),
    "own key": (lambda mint: f"Bearer {mint.token(key=STRANGE_KEYS['EdDSA'])}", "TOKEN_INVALID"),
    "swapped key": (lambda mint: f"Bearer {mint.token(kid=mint.other_kid)}", "TOKEN_INVALID"),
    "unknown key": (lambda mint: f"Bearer {mint.token(kid='unknown')}", "TOKEN_INVALID"),
    "ES256 under an Ed25519 key": (
        lambda mint: f"Bearer {mint.token(key=STRANGE_KEYS['ES256'], algorithm='ES256')}",
        "TOKEN_INVALID",
    ),
    "RS256": (lambda mint: f"Bearer {mint.token(key=STRANGE_KEYS['RS256'], algorithm='RS256')}", "TOKEN_INVALID"),
    "HS256 with the public key": (
        lambda mint: f"Bearer {mint.token(key=mint.public_octets(), algorithm='HS256')}",
        "TOKEN_INVALID",
    ),
    "key in the header": (
        lambda mint: (
            f"Bearer {mint.token(key=STRANGE_KEYS['EdDSA'], header={'jwk': {'kty': 'OKP'}, 'jku': 'http://x'})}"
        ),
        "TOKEN_INVALID",
    ),
    "expired": (
        lambda mint: f"Bearer {mint.token(iat=ago(200), exp=ago(CLOCK_LEEWAY_S + 60))}",
        "TOKEN_EXPIRED",
    ),
    "too long a life": (lambda mint: f"Bearer {mint.token(exp=ago(-LIFETIME_S_MAX - 60))}", "TOKEN_INVALID"),
    "not yet valid": (lambda mint: f"Bearer {mint.token(nbf=ago(-60))}", "TOKEN_INVALID"),
    "of the future": (lambda mint: f"Bearer {mint.token(iat=ago(-60), exp=ago(-120))}", "TOKEN_INVALID"),
    "wrong audience": (lambda mint: f"Bearer {mint.token(aud='somebody')}", "TOKEN_INVALID"),
    "wrong issuer": (lambda mint: f"Bearer {mint.token(iss='somebody')}", "TOKEN_INVALID"),
    "no issuer": (lambda mint: f"Bearer {mint.token(iss=None)}", "TOKEN_INVALID"),
    "no audience": (lambda mint: f"Bearer {mint.token(aud=None)}", "TOKEN_INVALID"),
    "no subject": (lambda mint: f"Bearer {mint.token(sub=None)}", "TOKEN_INVALID"),
    "no end": (lambda mint: f"Bearer {mint.token(exp=None)}", "TOKEN_INVALID"),
    "unknown role": (lambda mint: f"Bearer {mint.token(roles=['superuser'])}", "TOKEN_INVALID"),
    "critical extension": (
        lambda mint: f"Bearer {mint.token(header={'crit': ['x'], 'x': 1})}",
        "TOKEN_INVALID",
    ),
}


def accounts_of(method: Method) -> tuple[str, ...]:
    """What a request names that would be let in."""
    return (OWN,) if method.rule.account_field else ()


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("method", named(PROTECTED))
async def test_bad_tokens(doors: Doors, method: Method) -> None:
    """No way to call a method takes any of them, and each says the same: the server by itself, and Envoy's REST."""
    mint = Mint(doors.system.settings, as_server=not method.is_public)
    for name, (make, reason) in BAD.items():
        async for outcome in doors.call(method, make(mint), *accounts_of(method)):
            assert outcome.reason == reason, (name, outcome)
            assert outcome.status in (None, grpc.StatusCode.UNAUTHENTICATED)
            assert outcome.http_status in (0, 401)


@pytest.mark.parametrize("method", named(PROTECTED))
async def test_the_same_tokens_unspoilt(doors: Doors, method: Method) -> None:
    """What the bad ones are made of is good: nobody is refused for a token that is as it should be."""
    mint = Mint(doors.system.settings, as_server=not method.is_public)
    roles = list(method.allowed[:1]) if method.is_public else None
    async for outcome in doors.call(method, f"Bearer {mint.token(roles=roles)}", *accounts_of(method)):
        assert not outcome.is_refusal, outcome


@pytest.mark.parametrize("method", named(PROTECTED))
async def test_people_and_servers_do_not_stand_for_each_other(doors: Doors, method: Method) -> None:
    """A server may call no public method, and a person none between servers, whatever the role."""
    settings = doors.system.settings
    if method.is_public:
        headers = [f"Bearer {Mint(settings, as_server=True).token()}"]
    else:
        headers = [f"Bearer {Mint(settings, as_server=False).token(roles=[role])}" for role in ROLES]
    for header in headers:
        async for outcome in doors.call(method, header, *accounts_of(method)):
            assert outcome.reason == "ROLE_NOT_ALLOWED", outcome


@pytest.mark.parametrize("method", named(PROTECTED))
async def test_a_server_has_no_rights_of_people(doors: Doors, method: Method) -> None:
    """A token of the servers' key that names roles or accounts is not taken at all."""
    mint = Mint(doors.system.settings, as_server=True)
    rights: tuple[dict[str, Any], ...] = ({"roles": ["admin"]}, {"accounts": [OWN]})
    for more in rights:
        async for outcome in doors.call(method, f"Bearer {mint.token(**more)}", *accounts_of(method)):
            assert outcome.reason == "TOKEN_INVALID", outcome


@pytest.mark.parametrize("method", named(method for method in methods() if method.rule.access == auth.ACCESS_OPEN))
async def test_open_methods_look_at_no_token(doors: Doors, method: Method) -> None:
    """Whoever asks how the system is may bring any token, or none."""
    mint = Mint(doors.system.settings, as_server=False)
    for make, _ in BAD.values():
        async for outcome in doors.call(method, make(mint)):
            assert not outcome.is_refusal, outcome
