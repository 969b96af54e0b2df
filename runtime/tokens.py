"""Issues tokens and makes the keys they are signed with, for development and between servers.

Tokens are JWTs signed with Ed25519 (RFC 8037) or P-256 (RFC 7518 3.4), at most
15 minutes long. In production an identity provider issues those of people; this
module then only signs what one server shows to another.
"""

import json
import os
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.settings import Settings

ALGORITHM = "EdDSA"
LIFETIME_S_MAX = 900
SERVICE_LIFETIME_S = 600
DEV_KID = "dev"
SERVICE_KID = "service"


def issue(
    key_pem: bytes,
    *,
    kid: str,
    subject: str,
    roles: Sequence[str],
    accounts: Sequence[str],
    ttl_s: int,
    issuer: str,
    audience: str,
) -> str:
    """A signed token.

    Args:
        key_pem: the private key, PEM: Ed25519 or P-256.
        kid: the key's name in the JWKS.
        subject: who the caller is.
        roles: role names in lower case, such as "trader"; none for a service.
        accounts: the accounts that the token is bound to.
        ttl_s: lifetime in seconds, 1 to 900.
        issuer: who vouches for it.
        audience: whom it is meant for.

    Raises:
        ValueError: the lifetime is out of range, or the key is of another kind.
    """
    if not 1 <= ttl_s <= LIFETIME_S_MAX:
        raise ValueError(f"a token lives 1 to {LIFETIME_S_MAX} seconds, not {ttl_s}")
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        "iat": now,
        "exp": now + ttl_s,
        "jti": secrets.token_hex(16),
        "roles": list(roles),
        "accounts": list(accounts),
    }
    key = serialization.load_pem_private_key(key_pem, password=None)
    if isinstance(key, Ed25519PrivateKey):
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": kid})
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid})
    raise ValueError("tokens are signed with Ed25519 or P-256 keys")


def service_token(settings: Settings, name: str) -> str:
    """A token with which the server `name` calls another; renewed well before it expires.

    Raises:
        OSError: the service key cannot be read.
    """
    renewal = int(time.time()) // (SERVICE_LIFETIME_S // 2)
    return _service_token(settings.auth_service_key_file, settings.auth_issuer, settings.auth_audience, name, renewal)


def service_metadata(settings: Settings, name: str) -> tuple[tuple[str, str], ...]:
    """The call metadata that carries a service token."""
    return (("authorization", f"Bearer {service_token(settings, name)}"),)


@lru_cache(maxsize=16)
def _service_token(key_file: Path, issuer: str, audience: str, name: str, _renewal: int) -> str:
    return issue(
        key_file.read_bytes(),
        kid=SERVICE_KID,
        subject=name,
        roles=[],
        accounts=[],
        ttl_s=SERVICE_LIFETIME_S,
        issuer=issuer,
        audience=audience,
    )


def make_keys(folder: Path) -> None:
    """Makes dev.pem, service.pem, audit.pem and jwks.json in `folder`, unless they exist.

    The folder is readable by its owner only. Public keys of others that stand
    in jwks.json stay there.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = {name: _load_or_make(folder / f"{name}.pem") for name in (DEV_KID, SERVICE_KID, "audit")}
    made = [_jwk(kid, keys[kid]) for kid in (DEV_KID, SERVICE_KID)]
    path = folder / "jwks.json"
    there = json.loads(path.read_text())["keys"] if path.exists() else []
    added = [jwk for jwk in there if jwk.get("kid") not in (DEV_KID, SERVICE_KID)]
    write_jwks(path, [*made, *added])


def write_jwks(path: Path, jwks: Sequence[Mapping[str, str]]) -> None:
    """Replaces a JWKS file by rename: a server that looks at it reads the old keys or the new ones.

    Raises:
        OSError: it cannot be written.
    """
    written = path.with_name(f".{path.name}.new")
    written.write_text(json.dumps({"keys": list(jwks)}, indent=2) + "\n")
    written.replace(path)


def _load_or_make(path: Path) -> Ed25519PrivateKey:
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path} is not an Ed25519 private key")
        return key
    made = Ed25519PrivateKey.generate()
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    return made


def _jwk(kid: str, key: Ed25519PrivateKey) -> dict[str, str]:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    x = urlsafe_b64encode(raw).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "alg": ALGORITHM, "use": "sig", "kid": kid, "x": x}
