"""The verifier finds what was done to a log, and where."""

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.checkpoint import Signer, proof_note
from compliance.merkle import consistency_ranges, inclusion_ranges, leaf_hash
from compliance.tiles import MemoryTree
from compliance.verify import (
    Finding,
    InclusionProof,
    LogVerifier,
    Verdict,
    verify_entry,
    verify_growth,
    verify_receipt,
)

SIGNER = Signer("example.com/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEY = str(SIGNER.verifier_key)
ENTRIES = [b"entry %d" % number for number in range(1000)]


class Log:
    """A log that signs and proves what its tree holds."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.tree = MemoryTree()
        self.tree.append([leaf_hash(entry) for entry in entries])

    def note(self, size: int | None = None) -> str:
        """The signed checkpoint of a size."""
        size = self.tree.size if size is None else size
        return SIGNER.sign(size, self.tree.root(size))

    def inclusion(self, index: int, size: int | None = None) -> InclusionProof:
        """The proof of a leaf."""
        ranges = inclusion_ranges(index, self.tree.size if size is None else size)
        return InclusionProof(index, self.tree.leaf(index), [self.tree.hash_of(one) for one in ranges])

    def consistency(self, first: int, second: int) -> list[bytes]:
        """The proof of growth."""
        return [self.tree.hash_of(one) for one in consistency_ranges(first, second)]


LOG = Log(ENTRIES)


def searched(entries: Sequence[bytes], log: Log) -> tuple[Verdict, int]:
    """The verdict of a whole search, and the number of proofs it took."""
    verifier = LogVerifier()
    verifier.add(entries)
    verdict = verifier.check(log.note(), KEY)
    proofs = 0
    while verdict.ask_for is not None:
        verdict = verifier.narrow(verdict, log.inclusion(verdict.ask_for))
        proofs += 1
    return verdict, proofs


def test_an_untouched_log_is_verified() -> None:
    """In whatever portions the entries come, and against older checkpoints as well."""
    verifier = LogVerifier()
    for at in range(0, 1000, 90):
        verifier.add(ENTRIES[at : at + 90])
    assert verifier.entries == 1000
    assert verifier.check(LOG.note(), KEY).ok
    assert verifier.check(LOG.note(1), KEY).ok
    assert verifier.check(LOG.note(0), KEY).ok


@given(st.integers(0, 999), st.sampled_from(["edit", "remove", "insert"]))
@settings(max_examples=40, deadline=None)
def test_a_change_is_found_at_its_index(index: int, change: str) -> None:
    """An entry edited, removed (and the tail filled up) or inserted is named, with at most log2(n) + 1 proofs."""
    changed = list(ENTRIES)
    if change == "edit":
        changed[index] += b"!"
    elif change == "remove":
        changed = [*changed[:index], *changed[index + 1 :], b"made up"]
    else:
        changed.insert(index, b"made up")
    verdict, proofs = searched(changed, LOG)
    assert (verdict.finding, verdict.index) == (Finding.ENTRY_CHANGED, index)
    assert proofs <= 11
    assert str(index) in verdict.text


def test_of_several_changes_the_first_is_named() -> None:
    """Everything before the index that is named is as signed."""
    changed = list(ENTRIES)
    for index in (300, 301, 999):
        changed[index] += b"!"
    assert searched(changed, LOG)[0].index == 300


def test_a_cut_off_tail_is_found() -> None:
    """Fewer entries than were signed: the first missing one is named."""
    verdict, _ = searched(ENTRIES[:-3], LOG)
    assert (verdict.finding, verdict.index) == (Finding.ENTRIES_MISSING, 997)


def test_a_log_that_rewrote_its_own_hashes_is_found() -> None:
    """When the log's proofs do not lead to its signed root, the verdict says so and nothing is asked for again."""
    changed = [*ENTRIES[:5], b"made up", *ENTRIES[6:]]
    verifier = LogVerifier()
    verifier.add(changed)
    verdict = verifier.check(LOG.note(), KEY)
    verdict = verifier.narrow(verdict, Log(changed).inclusion(0))
    assert (verdict.finding, verdict.ask_for) == (Finding.PROOF_INVALID, None)


def test_a_proof_that_was_not_asked_for_is_refused() -> None:
    """The search cannot be led elsewhere."""
    verifier = LogVerifier()
    verifier.add([b"made up", *ENTRIES[1:]])
    verdict = verifier.check(LOG.note(), KEY)
    assert verifier.narrow(verdict, LOG.inclusion(5)).finding is Finding.PROOF_INVALID


@pytest.mark.parametrize("key", [KEY.replace("example", "another"), "nonsense", KEY[:-2] + "x="])
def test_a_checkpoint_under_another_key_is_refused(key: str) -> None:
    """Nothing is verified without the pinned key."""
    verifier = LogVerifier()
    verifier.add(ENTRIES)
    assert verifier.check(LOG.note(), key).finding is Finding.CHECKPOINT_INVALID


def test_one_entry_is_verified_by_its_proof() -> None:
    """The entry's own bytes, the path and the signature: each must hold."""
    proof = LOG.inclusion(123)
    assert verify_entry(ENTRIES[123], proof, LOG.note(), KEY).ok
    assert verify_entry(ENTRIES[124], proof, LOG.note(), KEY).finding is Finding.ENTRY_CHANGED
    assert verify_entry(ENTRIES[123], proof, LOG.note(999), KEY).finding is Finding.PROOF_INVALID
    assert verify_entry(ENTRIES[123], proof, LOG.note() + " ", KEY).finding is Finding.CHECKPOINT_INVALID


def test_a_receipt_is_enough_offline() -> None:
    """A proof file, the entry and the key: nothing else is needed."""
    receipt = proof_note(123, LOG.inclusion(123).hashes, LOG.note())
    assert verify_receipt(receipt, ENTRIES[123], KEY).ok
    assert verify_receipt(receipt, ENTRIES[122], KEY).finding is Finding.PROOF_INVALID
    assert verify_receipt("", ENTRIES[123], KEY).finding is Finding.PROOF_INVALID


def test_growth_is_verified_and_a_fork_is_found() -> None:
    """Between two kept checkpoints: growth passes; a rollback and a rewritten prefix do not."""
    other = Log([b"made up", *ENTRIES[1:]])
    assert verify_growth(LOG.note(700), LOG.note(), LOG.consistency(700, 1000), KEY).ok
    rollback = verify_growth(LOG.note(), LOG.note(700), [], KEY)
    assert (rollback.finding, rollback.index) == (Finding.ENTRIES_MISSING, 700)
    fork = verify_growth(LOG.note(700), other.note(), other.consistency(700, 1000), KEY)
    assert fork.finding is Finding.PROOF_INVALID
    same_size = verify_growth(LOG.note(), other.note(), [], KEY)
    assert same_size.finding is Finding.PROOF_INVALID
    assert verify_growth("", LOG.note(), [], KEY).finding is Finding.CHECKPOINT_INVALID
