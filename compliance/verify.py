"""Verifies a log from outside: nothing of what the server says is believed without proof.

    verifier = LogVerifier()
    verifier.add(entries)                          # as often as it takes, in order from leaf 0
    verdict = verifier.check(note, verifier_key)   # for the newest checkpoint, and any that was kept

When the roots differ, `verdict.ask_for` is a leaf: give its inclusion proof to
`narrow`, which names the first entry that was changed, or the next leaf to ask
for; at most as many proofs as the tree is high. Pure; `clients` calls it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from compliance.checkpoint import Checkpoint, NoteInvalid, VerifierKey, open_checkpoint, parse_proof_note
from compliance.merkle import ProofInvalid, inclusion_ranges, leaf_hash, verify_consistency, verify_inclusion
from compliance.tiles import MemoryTree


class Finding(Enum):
    """What a verification came to."""

    VERIFIED = "verified"
    CHECKPOINT_INVALID = "checkpoint_invalid"
    """The checkpoint is not the log's: wrong form, other origin or key, or a signature that does not hold."""
    ENTRIES_MISSING = "entries_missing"
    """Fewer entries than the checkpoint counts: the tail was cut off, or the log was rolled back."""
    ENTRY_CHANGED = "entry_changed"
    """The entries lead to another root: one was edited, inserted, removed or moved."""
    PROOF_INVALID = "proof_invalid"
    """A proof does not lead to the root that was signed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a verification."""

    finding: Finding
    text: str
    """One sentence for people: what is wrong, and where."""
    tree_size: int = 0
    """Leaves that the checkpoint counts."""
    root_hash: bytes = b""
    """The root that the checkpoint states."""
    index: int | None = None
    """The first leaf that is missing or was changed, where that is known."""
    ask_for: int | None = None
    """Ask the log for the inclusion proof of this leaf and give it to `narrow`."""

    @property
    def ok(self) -> bool:
        """Whether all is as signed."""
        return self.finding is Finding.VERIFIED


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """What the log says of one leaf, relative to the checkpoint that is being verified."""

    leaf_index: int
    leaf_hash: bytes
    hashes: Sequence[bytes]


class LogVerifier:
    """Hashes all entries of a log again and holds them against what was signed. Keeps 32 bytes an entry."""

    def __init__(self) -> None:
        self._tree = MemoryTree()

    @property
    def entries(self) -> int:
        """Entries added so far."""
        return self._tree.size

    def add(self, entries: Sequence[bytes]) -> None:
        """Takes in the next entries, the first ones being leaf 0 and up."""
        self._tree.append([leaf_hash(entry) for entry in entries])

    def check(self, note: str, verifier_key: str) -> Verdict:
        """Whether the entries are the ones that a checkpoint states; later entries than it counts do not matter."""
        try:
            checkpoint = open_checkpoint(note, VerifierKey.parse(verifier_key))
        except NoteInvalid as error:
            return Verdict(Finding.CHECKPOINT_INVALID, str(error))
        size = checkpoint.tree_size
        if self._tree.size < size:
            text = f"the checkpoint counts {size} entries, there are {self._tree.size}: the tail is missing"
            return _verdict(Finding.ENTRIES_MISSING, text, checkpoint, index=self._tree.size)
        if self._tree.root(size) == checkpoint.root_hash:
            return _verdict(Finding.VERIFIED, f"{size} entries are as signed", checkpoint)
        text = f"the {size} entries do not lead to the root that was signed"
        return _verdict(Finding.ENTRY_CHANGED, text, checkpoint, ask_for=0 if size else None)

    def narrow(self, verdict: Verdict, proof: InclusionProof) -> Verdict:
        """What the proof of leaf `verdict.ask_for` tells of where the entries differ from the signed ones.

        The proof's hashes are those of the tree that was signed, for they lead
        to its root. The first one that our entries do not give holds the change.
        """
        size, root, index = verdict.tree_size, verdict.root_hash, verdict.ask_for
        checkpoint = Checkpoint("", size, root)
        try:
            if index is None or proof.leaf_index != index:
                raise ProofInvalid(f"the proof of leaf {index} was asked for, leaf {proof.leaf_index} was given")
            verify_inclusion(proof.leaf_hash, index, size, proof.hashes, root)
        except ProofInvalid as error:
            text = f"the entries differ from what was signed, and so do the log's own hashes: {error}"
            return _verdict(Finding.PROOF_INVALID, text, checkpoint)
        if proof.leaf_hash != self._tree.leaf(index):
            return _verdict(Finding.ENTRY_CHANGED, f"entry {index} is not the one that was signed", checkpoint, index)
        for leaves, signed in zip(inclusion_ranges(index, size), proof.hashes, strict=True):
            if self._tree.hash_of(leaves) != signed:
                text = f"an entry from {leaves.begin} to below {leaves.end} is not the one that was signed"
                return _verdict(Finding.ENTRY_CHANGED, text, checkpoint, ask_for=leaves.begin)
        return _verdict(Finding.VERIFIED, f"{size} entries are as signed", checkpoint)


def verify_entry(entry: bytes, proof: InclusionProof, note: str, verifier_key: str) -> Verdict:
    """Whether an entry, known byte for byte, is in the log that a checkpoint states, at the proof's index."""
    if leaf_hash(entry) != proof.leaf_hash:
        text = f"the log's leaf {proof.leaf_index} is not the hash of this entry"
        return Verdict(Finding.ENTRY_CHANGED, text, index=proof.leaf_index)
    return verify_leaf(proof, note, verifier_key)


def verify_leaf(proof: InclusionProof, note: str, verifier_key: str) -> Verdict:
    """Whether a leaf hash is in the log that a checkpoint states, at the proof's index."""
    try:
        checkpoint = open_checkpoint(note, VerifierKey.parse(verifier_key))
    except NoteInvalid as error:
        return Verdict(Finding.CHECKPOINT_INVALID, str(error))
    try:
        verify_inclusion(proof.leaf_hash, proof.leaf_index, checkpoint.tree_size, proof.hashes, checkpoint.root_hash)
    except ProofInvalid as error:
        return _verdict(Finding.PROOF_INVALID, str(error), checkpoint, proof.leaf_index)
    text = f"entry {proof.leaf_index} is in the log of {checkpoint.tree_size} entries"
    return _verdict(Finding.VERIFIED, text, checkpoint)


def verify_receipt(proof_file: str, entry: bytes, verifier_key: str) -> Verdict:
    """Whether a C2SP tlog-proof file proves that an entry is in the log; needs nothing else and no network."""
    try:
        index, hashes, note = parse_proof_note(proof_file)
    except NoteInvalid as error:
        return Verdict(Finding.PROOF_INVALID, str(error))
    return verify_leaf(InclusionProof(index, leaf_hash(entry), hashes), note, verifier_key)


def verify_growth(earlier_note: str, later_note: str, hashes: Sequence[bytes], verifier_key: str) -> Verdict:
    """Whether the log only grew from one checkpoint to another; `hashes` is its consistency proof.

    This is what finds a rollback or a rewrite by whoever holds the key: keep a checkpoint, and come back.
    """
    try:
        key = VerifierKey.parse(verifier_key)
        earlier, later = open_checkpoint(earlier_note, key), open_checkpoint(later_note, key)
    except NoteInvalid as error:
        return Verdict(Finding.CHECKPOINT_INVALID, str(error))
    if later.tree_size < earlier.tree_size:
        text = f"the log had {earlier.tree_size} entries and now has {later.tree_size}: it was rolled back"
        return _verdict(Finding.ENTRIES_MISSING, text, later, index=later.tree_size)
    try:
        verify_consistency(earlier.tree_size, later.tree_size, hashes, earlier.root_hash, later.root_hash)
    except ProofInvalid as error:
        return _verdict(Finding.PROOF_INVALID, str(error), later)
    return _verdict(Finding.VERIFIED, f"it grew from {earlier.tree_size} to {later.tree_size} entries", later)


def _verdict(
    finding: Finding, text: str, checkpoint: Checkpoint, index: int | None = None, ask_for: int | None = None
) -> Verdict:
    return Verdict(finding, text, checkpoint.tree_size, checkpoint.root_hash, index, ask_for)
