"""Which tokens are taken, and for how long."""

import base64
import hmac
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.types.v1 import types_pb2 as types

from runtime import verifier as runtime_verifier
from runtime.claims import CLOCK_LEEWAY_S
from runtime.errors import Refused
from runtime.tokens import LIFETIME_S_MAX, make_keys
from runtime.verifier import TOKEN_CHARS_MAX, Verifier

ISSUER, AUDIENCE = "issuer-of-tests", "ordergate"

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
        key: Any = None,
        kid: str | None = "dev",
        algorithm: str = "EdDSA",
        without: str = "",
        header: dict[str, Any] | None = None,
        **changes: Any,
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
        headers: dict[str, Any] = header or {}
        if kid is not None:
            headers = {"kid": kid} | headers
        return "Bearer " + jwt.encode(claims, signed_with, algorithm=algorithm, headers=headers)

    return mint


def jwk_of(kid: str, private: Any) -> dict[str, Any]:
    """The public key as the document shows it."""
    kinds = ((Ed25519PrivateKey, "EdDSA"), (rsa.RSAPrivateKey, "RS256"), (ec.EllipticCurvePrivateKey, "ES256"))
    algorithm = next(name for kind, name in kinds if isinstance(private, kind))
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
    return {**jwk, "kid": kid, "alg": algorithm, "use": "sig"}


def verifier_of(folder: Path, keys: dict[str, Any]) -> Verifier:
    """A verifier that knows these keys."""
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": [jwk_of(kid, key) for kid, key in keys.items()]}))
    return Verifier(path, ISSUER, AUDIENCE)


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
        {"sub": ""},
        {"jti": 7},
        {"jti": ""},
        {"exp": "tomorrow"},
        {"exp": str(int(time.time()) + 60)},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": -1},
        {"iat": "now"},
        {"nbf": "now"},
        {"exp": int(time.time()), "iat": int(time.time())},
        {"roles": ["unspecified"]},
        {"header": {"crit": ["exp"]}},
        {"header": {"crit": ["b64"], "b64": True}},
        {"header": {"crit": []}},
        *({"without": claim} for claim in ("iss", "aud", "sub", "iat", "exp")),
    ],
    ids=lambda changes: re.sub("[0-9]{10}", "TIME", str(changes)),
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
    monkeypatch.setattr(runtime_verifier, "VERIFIED_TOKENS_MAX", 3)
    for number in range(10):
        verifier.principal(minted(sub=str(number)), time.time())
        assert len(verifier._verified) <= 3


def test_a_file_without_keys_stops_the_start(tmp_path: Path) -> None:
    """A server that could verify nothing does not start; keys of other kinds do not count."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [{"kty": "RSA", "kid": "dev", "n": "AQAB", "e": "AQAB"}]}))
    with pytest.raises(ValueError, match="no Ed25519 or P-256 key"):
        Verifier(path, ISSUER, AUDIENCE)
    with pytest.raises(OSError, match="missing"):
        Verifier(tmp_path / "missing.json", ISSUER, AUDIENCE)


def test_the_key_decides_the_algorithm(tmp_path: Path, minted: Minted) -> None:
    """A P-256 key takes ES256 and nothing else, however well it is signed; an Ed25519 key takes EdDSA alone."""
    p256, rsa_key = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    ed25519 = Ed25519PrivateKey.generate()
    verifier = verifier_of(tmp_path, {"ec": p256, "ed": ed25519, "rsa": rsa_key})
    assert verifier.principal(minted(key=p256, kid="ec", algorithm="ES256"), time.time()).subject == "me"
    assert verifier.principal(minted(key=ed25519, kid="ed"), time.time()).subject == "me"
    for key, kid, algorithm in (
        (p256, "ed", "ES256"),
        (ed25519, "ec", "EdDSA"),
        (rsa_key, "rsa", "RS256"),
        (rsa_key, "ec", "RS256"),
        (rsa_key, "ed", "PS256"),
        (ec.generate_private_key(ec.SECP384R1()), "ec", "ES384"),
        (ec.generate_private_key(ec.SECP256R1()), "ec", "ES256"),
    ):
        assert reason_for(verifier, minted(key=key, kid=kid, algorithm=algorithm)) == types.REASON_TOKEN_INVALID


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "HS512", "RS256", "ES256", "ES256K", "EdDSA448", "", 7])
def test_another_algorithm_in_the_header_is_refused(verifier: Verifier, minted: Minted, algorithm: Any) -> None:
    """The claims and the signature are good; the header names an algorithm that is not the key's."""
    _, claims, signature = minted().removeprefix("Bearer ").split(".")
    for tail in (signature, ""):
        token = f"{part({'alg': algorithm, 'kid': 'dev'})}.{claims}.{tail}"
        assert reason_for(verifier, f"Bearer {token}") == types.REASON_TOKEN_INVALID


def test_a_stripped_signature_is_refused(verifier: Verifier, minted: Minted) -> None:
    """Without its signature, or with half of it, a token is nothing."""
    head, claims, signature = minted().removeprefix("Bearer ").split(".")
    for tail in ("", signature[:43], signature + signature):
        assert reason_for(verifier, f"Bearer {head}.{claims}.{tail}") == types.REASON_TOKEN_INVALID


def test_a_token_has_an_end_to_its_length(verifier: Verifier, minted: Minted) -> None:
    """What comes in a message instead of a header is bounded too."""
    long = minted(note="x" * TOKEN_CHARS_MAX)
    assert reason_for(verifier, long) == types.REASON_TOKEN_INVALID


def test_what_a_token_says_of_itself_is_kept(verifier: Verifier, minted: Minted) -> None:
    """Id and time of issue are there for revocations; an id is not required."""
    now = int(time.time())
    principal = verifier.principal(minted(jti="t-1", iat=now - 3, exp=now + 60), now)
    assert (principal.token_id, principal.issued_at_s, principal.expires_at_s) == ("t-1", now - 3, now + 60)
    assert verifier.principal(minted(), now).token_id == ""


def test_small_differences_of_clocks_are_forgiven(verifier: Verifier, minted: Minted) -> None:
    """Five seconds either way; not six."""
    now = int(time.time())
    assert verifier.principal(minted(iat=now + CLOCK_LEEWAY_S, nbf=now + CLOCK_LEEWAY_S, exp=now + 60), now)
    assert reason_for(verifier, minted(iat=now + CLOCK_LEEWAY_S + 1, exp=now + 60), now) == types.REASON_TOKEN_INVALID
    late = minted(nbf=now + CLOCK_LEEWAY_S + 1, exp=now + 60)
    assert reason_for(verifier, late, now) == types.REASON_TOKEN_INVALID
