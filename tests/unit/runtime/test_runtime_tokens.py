"""Tokens and the keys they are signed with."""

import json
import stat
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from runtime.settings import Settings
from runtime.tokens import (
    LIFETIME_S_MAX,
    SERVICE_LIFETIME_S,
    issue,
    make_keys,
    service_metadata,
    service_token,
    write_jwks,
)


def decoded(token: str) -> dict[str, object]:
    """The claims, unverified."""
    return dict(jwt.decode(token, options={"verify_signature": False}))


def token_of(folder: Path, **changes: object) -> str:
    """A token of the development key."""
    values = {
        "kid": "dev",
        "subject": "me",
        "roles": ["trader"],
        "accounts": ["DEMO"],
        "ttl_s": 60,
        "issuer": "here",
        "audience": "there",
    }
    return issue((folder / "dev.pem").read_bytes(), **(values | changes))  # type: ignore[arg-type]


def test_a_token_says_what_it_was_told(tmp_path: Path) -> None:
    """Header and claims are those asked for, and the lifetime is exact."""
    make_keys(tmp_path)
    token = token_of(tmp_path, ttl_s=17)
    claims = decoded(token)
    issued, expires = claims.pop("iat"), claims.pop("exp")
    assert isinstance(issued, int)
    assert expires == issued + 17
    assert claims.pop("jti") != decoded(token_of(tmp_path))["jti"]
    assert claims == {"iss": "here", "aud": "there", "sub": "me", "roles": ["trader"], "accounts": ["DEMO"]}
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "kid": "dev", "typ": "JWT"}


@pytest.mark.parametrize("ttl_s", [1, LIFETIME_S_MAX])
def test_lifetimes_within_the_bound_are_issued(tmp_path: Path, ttl_s: int) -> None:
    """From one second to fifteen minutes."""
    make_keys(tmp_path)
    assert token_of(tmp_path, ttl_s=ttl_s)


@pytest.mark.parametrize("ttl_s", [-1, 0, LIFETIME_S_MAX + 1])
def test_other_lifetimes_are_not_issued(tmp_path: Path, ttl_s: int) -> None:
    """Nothing that is over before it begins, and nothing longer than fifteen minutes."""
    make_keys(tmp_path)
    with pytest.raises(ValueError, match="1 to 900 seconds"):
        token_of(tmp_path, ttl_s=ttl_s)


def test_private_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    """Whoever can read the folder's keys can be anybody, so only the owner can."""
    folder = tmp_path / "keys"
    make_keys(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("dev.pem", "service.pem", "audit.pem"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_the_jwks_holds_public_keys_only(tmp_path: Path) -> None:
    """Two public Ed25519 keys by their kid, RFC 8037, without the private part."""
    make_keys(tmp_path)
    keys = json.loads((tmp_path / "jwks.json").read_text())["keys"]
    assert [key["kid"] for key in keys] == ["dev", "service"]
    assert all((key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA") for key in keys)
    assert not any("d" in key for key in keys)
    assert keys[0]["x"] != keys[1]["x"]


def test_keys_are_made_once(tmp_path: Path) -> None:
    """A second start keeps the keys, so that tokens and checkpoints stay valid."""
    make_keys(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    make_keys(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_kind_of_key_is_not_taken(tmp_path: Path) -> None:
    """A key file of another kind stops the start instead of weakening it."""
    (tmp_path / "dev.pem").write_text("not a key")
    with pytest.raises(ValueError, match=r"deserialize|load|MalformedFraming"):
        make_keys(tmp_path)


def test_a_p256_key_signs_es256(tmp_path: Path) -> None:
    """The algorithm follows from the key; other kinds of keys sign nothing."""
    private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "dev.pem").write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(*private))
    assert jwt.get_unverified_header(token_of(tmp_path))["alg"] == "ES256"
    (tmp_path / "dev.pem").write_bytes(ec.generate_private_key(ec.SECP384R1()).private_bytes(*private))
    with pytest.raises(ValueError, match="Ed25519 or P-256"):
        token_of(tmp_path)


def test_keys_of_others_stay_in_the_jwks(tmp_path: Path) -> None:
    """Who added a key of an identity provider finds it there after the next start."""
    make_keys(tmp_path)
    path = tmp_path / "jwks.json"
    keys = json.loads(path.read_text())["keys"]
    write_jwks(path, [*keys, {**keys[0], "kid": "provider"}])
    make_keys(tmp_path)
    assert [key["kid"] for key in json.loads(path.read_text())["keys"]] == ["dev", "service", "provider"]


def settings_of(folder: Path) -> Settings:
    """Settings whose service key is in `folder`."""
    return Settings(auth_service_key_file=folder / "service.pem")


def test_a_service_token_has_no_roles(tmp_path: Path) -> None:
    """A server is a service and nothing else: no role, no account."""
    make_keys(tmp_path)
    token = service_token(settings_of(tmp_path), "gateway-7")
    claims = decoded(token)
    assert (claims["sub"], claims["roles"], claims["accounts"]) == ("gateway-7", [], [])
    assert jwt.get_unverified_header(token)["kid"] == "service"


def test_service_tokens_are_renewed_before_they_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any moment the token that is given has at least half of its life before it, and it is not signed each time."""
    make_keys(tmp_path)
    settings = settings_of(tmp_path)
    begin = 1_800_000_000
    seen = set()
    for second in range(begin, begin + 2 * SERVICE_LIFETIME_S, 7):
        monkeypatch.setattr(time, "time", lambda now=second: float(now))
        token = service_token(settings, "matching")
        expires = decoded(token)["exp"]
        assert isinstance(expires, int)
        assert expires - second >= SERVICE_LIFETIME_S // 2
        seen.add(token)
    assert len(seen) <= 5


def test_service_metadata_are_a_bearer_token(tmp_path: Path) -> None:
    """Between servers the token travels as everywhere else."""
    make_keys(tmp_path)
    ((key, value),) = service_metadata(settings_of(tmp_path), "gateway-0")
    assert key == "authorization"
    assert decoded(value.removeprefix("Bearer "))["sub"] == "gateway-0"


def test_a_missing_service_key_is_an_error(tmp_path: Path) -> None:
    """A server without its key says so instead of calling without a token."""
    with pytest.raises(OSError, match=r"service\.pem"):
        service_token(settings_of(tmp_path), "gateway-0")
