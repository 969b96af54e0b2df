"""Checkpoints: signed statements about the log, and proofs as one text file.

The forms are C2SP's: signed-note, tlog-checkpoint, tlog-proof, and the verifier
key `name+keyid+base64` that their tools take. Keys are Ed25519. Pure.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from compliance.merkle import HASH_BYTES

ED25519 = b"\x01"
KEY_ID_BYTES = 4
PUBLIC_KEY_BYTES = 32
SIGNATURES_MAX = 64
DASH = "\N{EM DASH}"
PROOF_HEADER = "c2sp.org/tlog-proof@v1"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,19}")


class NoteInvalid(ValueError):
    """A note, key or proof file has the wrong form, or its signature does not hold; the text says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the log states: under the name `origin` it has `tree_size` leaves with this root."""

    origin: str
    tree_size: int
    root_hash: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.tree_size}\n{_encode(self.root_hash)}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a key with its name: what a reader has to know of the log."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || 0x01 || public key), its first 4 bytes."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public_key).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_encode(ED25519 + self.public_key)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key that a verifier key's text gives.

        Raises:
            NoteInvalid: wrong form, not Ed25519, or an id that is not the key's.
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        packed = _decode(encoded, "verifier key")
        if not _is_key_name(name) or len(packed) != 1 + PUBLIC_KEY_BYTES or not packed.startswith(ED25519):
            raise NoteInvalid("a verifier key reads name+keyid+base64, with an Ed25519 key")
        key = cls(name, packed[1:])
        if key.key_id.hex() != key_id.lower():
            raise NoteInvalid(f"the verifier key says its id is {key_id}, but it is {key.key_id.hex()}")
        return key


class Signer:
    """Signs checkpoints in the name of a log."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        """Raises ValueError when the name cannot name a key: it is empty or has a space or a plus sign."""
        if not _is_key_name(name):
            raise ValueError(f"{name!r} cannot name a log: no spaces, no plus sign, not empty")
        self._key = key
        self.verifier_key = VerifierKey(name, key.public_key().public_bytes_raw())

    @classmethod
    def from_pem(cls, name: str, pem: bytes) -> "Signer":
        """A signer with a private key in PEM.

        Raises:
            ValueError: not an Ed25519 private key without a password.
        """
        key = load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("the key of the audit log must be Ed25519")
        return cls(name, key)

    def sign(self, tree_size: int, root_hash: bytes) -> str:
        """The signed note that states the size and the root."""
        text = Checkpoint(self.verifier_key.name, tree_size, root_hash).text
        signature = self.verifier_key.key_id + self._key.sign(text.encode())
        return f"{text}\n{DASH} {self.verifier_key.name} {_encode(signature)}\n"


def open_note(note: str, key: VerifierKey) -> str:
    """The text of a note, once the key's signature is verified.

    Signatures of other keys are passed over, as signed-note demands.

    Raises:
        NoteInvalid: wrong form, no signature by the key, or one that does not hold.
    """
    text, signatures = _split_note(note)
    ours = [signature for name, key_id, signature in signatures if (name, key_id) == (key.name, key.key_id)]
    if not ours:
        raise NoteInvalid(f"the note carries no signature by {key.name}+{key.key_id.hex()}")
    public_key = Ed25519PublicKey.from_public_bytes(key.public_key)
    for signature in ours:
        try:
            public_key.verify(signature, text.encode())
        except InvalidSignature:
            raise NoteInvalid(f"the signature by {key.name} does not hold") from None
    return text


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """The checkpoint in a note, once the key's signature is verified and the origin is the key's name.

    Raises:
        NoteInvalid: as `open_note`; or not a checkpoint, or one of another log.
    """
    checkpoint = _parse_checkpoint(open_note(note, key))
    if checkpoint.origin != key.name:
        raise NoteInvalid(f"this is a checkpoint of {checkpoint.origin!r}, not of {key.name!r}")
    return checkpoint


def proof_note(index: int, hashes: Sequence[bytes], note: str) -> str:
    """An inclusion proof with its checkpoint as one text file, C2SP tlog-proof."""
    lines = [PROOF_HEADER, f"index {index}", *(_encode(one) for one in hashes), ""]
    return "\n".join(lines) + "\n" + note


def parse_proof_note(text: str) -> tuple[int, list[bytes], str]:
    """Leaf index, hashes and checkpoint note of a tlog-proof file.

    Raises:
        NoteInvalid: wrong form.
    """
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != PROOF_HEADER:
        raise NoteInvalid(f"a proof file begins with {PROOF_HEADER} and has a checkpoint after an empty line")
    if len(lines) > 1 and lines[1].startswith("extra "):
        del lines[1]
    if len(lines) < 2 or not lines[1].startswith("index "):
        raise NoteInvalid("the proof file names no index")
    index = _number(lines[1].removeprefix("index "), "index")
    return index, [_hash(line, "proof") for line in lines[2:]], note


def _split_note(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """The signed text and the signatures as (name, key id, signature)."""
    if any(ord(sign) < 0x20 and sign != "\n" for sign in note):
        raise NoteInvalid("a note has no control characters")
    text, separator, tail = note.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise NoteInvalid("a note is a text, an empty line, and signatures")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteInvalid(f"a note has at most {SIGNATURES_MAX} signatures")
    return text + "\n", [_parse_signature(line) for line in lines]


def _parse_signature(line: str) -> tuple[str, bytes, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != DASH or not _is_key_name(parts[1]):
        raise NoteInvalid("a signature reads: em dash, key name, base64")
    packed = _decode(parts[2], "signature")
    if len(packed) <= KEY_ID_BYTES:
        raise NoteInvalid("a signature is too short")
    return parts[1], packed[:KEY_ID_BYTES], packed[KEY_ID_BYTES:]


def _parse_checkpoint(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteInvalid("a checkpoint has an origin, a tree size and a root hash, each on a line")
    return Checkpoint(lines[0], _number(lines[1], "tree size"), _hash(lines[2], "root hash"))


def _hash(encoded: str, what: str) -> bytes:
    value = _decode(encoded, what)
    if len(value) != HASH_BYTES:
        raise NoteInvalid(f"the {what} has a hash of {len(value)} bytes instead of {HASH_BYTES}")
    return value


def _number(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise NoteInvalid(f"the {what} is not a plain number")
    return int(text)


def _is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(sign.isspace() for sign in name)


def _encode(value: bytes) -> str:
    return b64encode(value).decode()


def _decode(text: str, what: str) -> bytes:
    try:
        value = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteInvalid(f"the {what} is not base64") from None
    if _encode(value) != text:
        raise NoteInvalid(f"the {what} is not canonical base64")
    return value
