"""What a JWKS document may hold."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.keys import EDDSA, ES256, KEYS_MAX, parse

RFC_8037_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RFC_8037_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
ED25519 = {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": RFC_8037_X}


def jwks(*keys: Any) -> bytes:
    """A document with these keys."""
    return json.dumps({"keys": keys}).encode()


def p256(kid: str = "b", **changes: Any) -> dict[str, Any]:
    """A P-256 key."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return {**jwt.get_algorithm_by_name("ES256").to_jwk(public, as_dict=True), "kid": kid, **changes}


def test_the_algorithm_follows_from_the_key() -> None:
    """Ed25519 is EdDSA and P-256 is ES256, whether the document says so or not."""
    found = parse(jwks(ED25519, p256(), p256("c", alg="ES256", use="sig", key_ops=["verify"])))
    assert {kid: key.algorithm for kid, key in found.items()} == {"a": EDDSA, "b": ES256, "c": ES256}


def test_a_thumbprint_is_that_of_the_standard() -> None:
    """The example of RFC 8037, appendix A.3."""
    key = parse(jwks(ED25519))["a"]
    assert key.thumbprint == RFC_8037_THUMBPRINT
    assert key.signer == f"a#{RFC_8037_THUMBPRINT}"


def test_a_key_that_takes_over_a_name_is_another_signer() -> None:
    """Which key verified a token can be told although both have the same name."""
    assert parse(jwks(p256()))["b"].signer != parse(jwks(p256()))["b"].signer


def other_kinds() -> list[Any]:
    """Keys that are none for us."""
    rsa_key = jwt.get_algorithm_by_name("RS256").to_jwk(
        rsa.generate_private_key(65537, 2048).public_key(), as_dict=True
    )
    p384 = jwt.get_algorithm_by_name("ES384").to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
    return [
        {**rsa_key, "kid": "r"},
        {**p384, "kid": "p"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "o"},
        {**ED25519, "use": "enc"},
        {**ED25519, "alg": "HS256"},
        {**ED25519, "key_ops": ["sign"]},
        {key: value for key, value in ED25519.items() if key != "kid"},
        {**ED25519, "kid": ""},
        {**ED25519, "kid": 7},
        "a key",
        None,
    ]


def test_keys_of_other_kinds_are_left_out() -> None:
    """What cannot verify an EdDSA or ES256 token under a name is not ours, and does not stand in the way."""
    assert list(parse(jwks(*other_kinds(), p256()))) == ["b"]


@pytest.mark.parametrize(
    "key",
    [
        {**ED25519, "x": "AAAA"},
        {**ED25519, "x": "!"},
        {**ED25519, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"},
        {name: value for name, value in ED25519.items() if name != "x"},
        p256(y="AAAA"),
        p256(x=p256()["x"]),
    ],
    ids=["short", "no base64", "private", "no x", "short coordinate", "not on the curve"],
)
def test_a_malformed_key_spoils_the_document(key: dict[str, Any]) -> None:
    """A document that is damaged is not taken over in part."""
    with pytest.raises(ValueError, match="cannot be used"):
        parse(jwks(p256("good"), key))


def test_two_keys_of_one_name_spoil_the_document() -> None:
    """Nobody could say which of them verifies."""
    with pytest.raises(ValueError, match="two keys"):
        parse(jwks(p256(), p256()))


@pytest.mark.parametrize(
    "document",
    [b"", b"x", b"[]", b"{}", b'{"keys": {}}', b'{"keys": 7}', b"\xff", b"[" * 100_000, jwks(*[None] * (KEYS_MAX + 1))],
    ids=lambda document: repr(document[:10]),
)
def test_other_documents_are_refused(document: bytes) -> None:
    """Whatever an address serves, it is keys or an error."""
    with pytest.raises(ValueError, match="JWKS"):
        parse(document)


def test_no_keys_are_keys() -> None:
    """An empty list is a document: it says that nobody is trusted any more."""
    assert parse(jwks()) == {}


def test_the_public_key_is_the_one_that_was_published() -> None:
    """It verifies what the private key signed."""
    private = Ed25519PrivateKey.generate()
    jwk = jwt.get_algorithm_by_name("EdDSA").to_jwk(private.public_key(), as_dict=True)
    assert parse(jwks({**jwk, "kid": "a"}))["a"].public_key == private.public_key()
