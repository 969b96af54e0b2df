"""Checkpoints, keys and proof files in the forms of C2SP."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from compliance.checkpoint import (
    Checkpoint,
    NoteInvalid,
    Signer,
    VerifierKey,
    open_checkpoint,
    open_note,
    parse_proof_note,
    proof_note,
)
from compliance.merkle import leaf_hash

ORIGIN = "example.com/log"
ROOT = leaf_hash(b"root")
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEY = SIGNER.verifier_key
NOTE = SIGNER.sign(42, ROOT)
# The example of the documentation of golang.org/x/mod/sumdb/note, which signed-note specifies.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_of_another_implementation_opens() -> None:
    """Key, key id, form and signature agree with those of Go's note package."""
    key = VerifierKey.parse(GO_KEY)
    assert open_note(f"{GO_TEXT}\n{GO_SIGNATURE}", key) == GO_TEXT
    assert str(key) == GO_KEY


def test_the_key_of_the_go_checksum_database_is_read() -> None:
    """A published verifier key parses, and its id is the one that we compute."""
    text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert str(VerifierKey.parse(text)) == text


def test_a_checkpoint_has_the_published_form() -> None:
    """Origin, size, root, an empty line, and one signature line under the origin's name."""
    lines = NOTE.split("\n")
    assert lines[:4] == [ORIGIN, "42", b64encode(ROOT).decode(), ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]


def test_a_signed_checkpoint_opens_to_what_was_signed() -> None:
    """Sign, then open with the key's text form."""
    assert open_checkpoint(NOTE, VerifierKey.parse(str(KEY))) == Checkpoint(ORIGIN, 42, ROOT)


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 127))
def test_no_changed_checkpoint_opens(at: int, shift: int) -> None:
    """Whichever character is changed, the note is refused."""
    changed = NOTE[:at] + chr((ord(NOTE[at]) + shift) % 128) + NOTE[at + 1 :]
    with pytest.raises(NoteInvalid):
        open_checkpoint(changed, KEY)


def test_signatures_of_others_are_passed_over() -> None:
    """A witness's line before or after ours does not matter; ours must be there."""
    other = Signer("witness.example", Ed25519PrivateKey.generate())
    theirs = "— witness.example " + b64encode(other.verifier_key.key_id + bytes(72)).decode() + "\n"
    text, _, ours = NOTE.rpartition("\n\n")
    assert open_checkpoint(f"{text}\n\n{theirs}{ours}", KEY).tree_size == 42
    assert open_checkpoint(NOTE + theirs, KEY).tree_size == 42
    with pytest.raises(NoteInvalid, match="no signature by"):
        open_checkpoint(f"{text}\n\n{theirs}", KEY)


def test_one_bad_signature_of_ours_spoils_the_note() -> None:
    """signed-note: a known key whose signature fails means that the note is refused."""
    bad = f"— {ORIGIN} " + b64encode(KEY.key_id + bytes(64)).decode() + "\n"
    with pytest.raises(NoteInvalid, match="does not hold"):
        open_checkpoint(NOTE + bad, KEY)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    """The origin is pinned with the key: a note that our key signed for another origin does not pass."""
    note = SIGNER.sign(42, ROOT).replace(f"{ORIGIN}\n42", "example.com/other\n42")
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    text = note.split("\n\n")[0] + "\n"
    signature = b64encode(KEY.key_id + key.sign(text.encode())).decode()
    with pytest.raises(NoteInvalid, match=r"not of 'example\.com/log'"):
        open_checkpoint(f"{text}\n— {ORIGIN} {signature}\n", KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("Peter", "Pater"),
        GO_KEY[:-1],
        GO_KEY.replace("+ARpc", "+Apc"),
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        GO_KEY.replace("+AR", "+BR"),
    ],
)
def test_a_wrong_verifier_key_is_refused(text: str) -> None:
    """Form, key type and id are checked."""
    with pytest.raises(NoteInvalid):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [("\n42\n", "\n042\n"), ("\n42\n", "\n-1\n"), ("\n42\n", "\n\n"), ("\n42\n", "\n"), ("\n42\n", "\n4\r2\n")],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(before: str, after: str) -> None:
    """Even with a good signature the lines must be those of a checkpoint."""
    text = Checkpoint(ORIGIN, 42, ROOT).text.replace(before, after)
    signature = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).sign(text.encode())
    note = f"{text}\n— {ORIGIN} {b64encode(KEY.key_id + signature).decode()}\n"
    with pytest.raises(NoteInvalid):
        open_checkpoint(note, KEY)


def test_a_proof_file_carries_index_hashes_and_checkpoint() -> None:
    """tlog-proof: what is written is read again, and the checkpoint stands in it verbatim."""
    hashes = [leaf_hash(b"a"), leaf_hash(b"b")]
    text = proof_note(7, hashes, NOTE)
    assert text.split("\n")[:2] == ["c2sp.org/tlog-proof@v1", "index 7"]
    assert parse_proof_note(text) == (7, hashes, NOTE)
    assert parse_proof_note(text.replace("index 7", "extra AAAA\nindex 7")) == (7, hashes, NOTE)
    assert parse_proof_note(proof_note(0, [], NOTE)) == (0, [], NOTE)


@pytest.mark.parametrize(
    ("before", "after"), [("@v1", "@v2"), ("index 7", "index 07"), ("index 7\n", ""), ("\n\n", "\n"), ("=\n", "\n")]
)
def test_a_wrong_proof_file_is_refused(before: str, after: str) -> None:
    """Header, index, hashes and the empty line must be there."""
    with pytest.raises(NoteInvalid):
        parse_proof_note(proof_note(7, [ROOT], "no checkpoint").replace(before, after))


def test_a_signer_is_read_from_pem() -> None:
    """An Ed25519 key in PKCS 8 signs; another kind of key is refused; a name with a space names no log."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert Signer.from_pem(ORIGIN, pem).sign(42, ROOT) == NOTE
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="Ed25519"):
        Signer.from_pem(ORIGIN, other)
    with pytest.raises(ValueError, match="cannot name a log"):
        Signer("a log", key)
