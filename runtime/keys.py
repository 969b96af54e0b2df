"""Public keys of a JWKS document (RFC 7517), each with the one algorithm that it verifies.

The algorithm follows from the key, never from a token (RFC 8725 3.1): Ed25519
is EdDSA, P-256 is ES256, and keys of any other kind are left out. Parsing only;
`runtime.keyring` says where documents come from.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EDDSA, ES256 = "EdDSA", "ES256"
ALGORITHMS = (EDDSA, ES256)
JWKS_BYTES_MAX = 256 * 1024
KEYS_MAX = 100

PublicKey: TypeAlias = Ed25519PublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Key:
    """A key that tokens are verified with."""

    kid: str
    algorithm: str
    public_key: PublicKey
    thumbprint: str
    """RFC 7638, base64url."""

    @property
    def signer(self) -> str:
        """Tells this key from another one that has taken over its name."""
        return f"{self.kid}#{self.thumbprint}"


def parse(document: bytes) -> dict[str, Key]:
    """The usable keys of a JWKS document by their `kid`.

    Raises:
        ValueError: it is no JWKS document, has too many keys, a malformed one, or two of one name.
    """
    try:
        listed = json.loads(document)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a JWKS document: {error!r}"[:200]) from None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise ValueError(f"a JWKS document lists up to {KEYS_MAX} keys")
    keys: dict[str, Key] = {}
    for jwk in listed:
        if not isinstance(jwk, dict) or not _usable(jwk):
            continue
        key = _key(jwk)
        if key.kid in keys:
            raise ValueError(f"two keys are called {key.kid!r}")
        keys[key.kid] = key
    return keys


_KINDS = {("OKP", "Ed25519"): EDDSA, ("EC", "P-256"): ES256}


def _usable(jwk: Mapping[str, Any]) -> bool:
    """Whether the key is of our kinds, has a name, and is meant to verify signatures with."""
    algorithm = _KINDS.get((str(jwk.get("kty")), str(jwk.get("crv"))))
    return (
        algorithm is not None
        and jwk.get("alg", algorithm) == algorithm
        and isinstance(jwk.get("kid"), str)
        and jwk["kid"] != ""
        and jwk.get("use", "sig") == "sig"
        and "verify" in jwk.get("key_ops", ["verify"])
    )


def _key(jwk: Mapping[str, Any]) -> Key:
    kid = jwk["kid"]
    members = ("crv", "kty", "x") if jwk["kty"] == "OKP" else ("crv", "kty", "x", "y")
    try:
        if "d" in jwk:
            raise ValueError("the private part is in it")
        required = {name: str(jwk[name]) for name in members}
        public_key: PublicKey = _ed25519(required) if jwk["kty"] == "OKP" else _p256(required)
    except (ValueError, KeyError, UnsupportedAlgorithm) as error:
        raise ValueError(f"the key {kid[:40]!r} cannot be used: {error}") from None
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
    thumbprint = urlsafe_b64encode(sha256(canonical).digest()).rstrip(b"=").decode()
    return Key(kid, _KINDS[jwk["kty"], jwk["crv"]], public_key, thumbprint)


def _ed25519(jwk: Mapping[str, str]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(_octets(jwk["x"]))


def _p256(jwk: Mapping[str, str]) -> ec.EllipticCurvePublicKey:
    """RFC 7518 6.2.1: both coordinates have the full 32 octets."""
    x, y = _octets(jwk["x"]), _octets(jwk["y"])
    if len(x) != 32 or len(y) != 32:
        raise ValueError("a coordinate has not 32 octets")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)


def _octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
