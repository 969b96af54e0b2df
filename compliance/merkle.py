"""The Merkle tree of RFC 9162 section 2: hashing, proofs and their verification.

Pure: knows neither where hashes are stored nor what entries mean. A proof is
made in two steps, so that hashes may come from anywhere: `inclusion_ranges` and
`consistency_ranges` say which subtrees it needs, `cover` splits each of them
into perfect ones, and `fold` joins their hashes. The verifiers follow the RFC
to the letter and look at every hash of a proof.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


class ProofInvalid(ValueError):
    """A proof does not show what it claims; the text says why."""


class Node(NamedTuple):
    """A perfect subtree: the leaves from `position << level` to below `(position + 1) << level`."""

    level: int
    position: int


class Range(NamedTuple):
    """The leaves from `begin` to below `end`, a subtree as RFC 9162 splits one."""

    begin: int
    end: int


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf: SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over adjacent perfect subtrees of falling size, given left to right; at least one."""
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over adjacent perfect subtrees of one size; their number is a power of two."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def cover(leaves: Range) -> list[Node]:
    """The perfect subtrees of falling size that make up `leaves`, left to right.

    `leaves.begin` is a multiple of the smallest power of two that is not below
    the length, as it is in every subtree that RFC 9162 forms.
    """
    nodes = []
    begin, end = leaves
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes.append(Node(level, begin >> level))
        begin += 1 << level
    return nodes


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees of an inclusion proof from the leaf up, RFC 9162 section 2.1.3.1.

    Raises:
        ValueError: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    ranges = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            ranges.append(Range(middle, end))
            end = middle
        else:
            ranges.append(Range(begin, middle))
            begin = middle
    ranges.reverse()
    return ranges


def consistency_ranges(first: int, second: int) -> list[Range]:
    """The subtrees of a consistency proof, RFC 9162 section 2.1.4.1.

    Empty when `first` is 0 or equals `second`: there is nothing to show.

    Raises:
        ValueError: `first` is negative or above `second`.
    """
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {first} leaves cannot have grown to {second}")
    if first in {0, second}:
        return []
    ranges = []
    begin, end = 0, second
    while end != first:
        middle = begin + _split(end - begin)
        if first <= middle:
            ranges.append(Range(middle, end))
            end = middle
        else:
            ranges.append(Range(begin, middle))
            begin = middle
    if begin:
        ranges.append(Range(begin, end))
    ranges.reverse()
    return ranges


def verify_inclusion(leaf: bytes, index: int, size: int, hashes: Sequence[bytes], root: bytes) -> None:
    """Checks that `leaf` (a leaf hash) is leaf `index` of the tree, RFC 9162 section 2.1.3.2.

    Raises:
        ProofInvalid: it is not shown.
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"a tree of {size} leaves has no leaf {index}")
    _require_hashes([leaf, root, *hashes])
    at, last, reached = index, size - 1, leaf
    for sibling in hashes:
        if last == 0:
            raise ProofInvalid("the proof is too long")
        if at & 1 or at == last:
            reached = node_hash(sibling, reached)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            reached = node_hash(reached, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("the proof is too short")
    if reached != root:
        raise ProofInvalid(f"the proof of leaf {index} leads to another root")


def verify_consistency(first: int, second: int, hashes: Sequence[bytes], first_root: bytes, second_root: bytes) -> None:
    """Checks that the tree of `first` leaves is a prefix of the one of `second`, RFC 9162 section 2.1.4.2.

    Raises:
        ProofInvalid: it is not shown.
    """
    _require_hashes([first_root, second_root, *hashes])
    if not 0 <= first <= second:
        raise ProofInvalid(f"a tree of {first} leaves cannot have grown to {second}")
    if first in {0, second}:
        _verify_without_hashes(first, hashes, first_root, EMPTY_ROOT if first == 0 else second_root)
        return
    if not hashes:
        raise ProofInvalid("the proof is too short")
    path = list(hashes) if first & (first - 1) else [first_root, *hashes]
    before, after = _roots_of_consistency(first, second, path)
    if before != first_root:
        raise ProofInvalid("the proof leads to another root of the earlier tree")
    if after != second_root:
        raise ProofInvalid("the proof leads to another root of the later tree")


def _roots_of_consistency(first: int, second: int, path: list[bytes]) -> tuple[bytes, bytes]:
    """The roots of the earlier and the later tree that a path leads to."""
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalid("the proof is too long")
        if at & 1 or at == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("the proof is too short")
    return before, after


def _verify_without_hashes(size: int, hashes: Sequence[bytes], root: bytes, expected: bytes) -> None:
    if hashes:
        raise ProofInvalid("the proof is too long")
    if root != expected:
        raise ProofInvalid(f"two different roots of a tree of {size} leaves")


def _require_hashes(values: Sequence[bytes]) -> None:
    if any(len(value) != HASH_BYTES for value in values):
        raise ProofInvalid(f"a hash has {HASH_BYTES} bytes")


def _split(length: int) -> int:
    """The largest power of two below `length`, which is at least 2."""
    return 1 << ((length - 1).bit_length() - 1)
