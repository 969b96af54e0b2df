"""The Merkle tree against the reference vectors of Certificate Transparency and a naive tree."""

from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.merkle import (
    EMPTY_ROOT,
    ProofInvalid,
    Range,
    consistency_ranges,
    cover,
    fold,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

# The eight inputs that Certificate Transparency implementations are tested with.
INPUTS = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
        "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "46f6ffadd3d06a09ff3c5860d2755c8b9819db7df44251788c7d8e3180de8eb1",
    )
]
PAIRS = [
    bytes.fromhex(text)
    for text in (
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    )
]
FOURS = [
    bytes.fromhex(text)
    for text in (
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    )
]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
INCLUSIONS = [
    (0, 1, []),
    (0, 8, [LEAVES[1], PAIRS[1], FOURS[1]]),
    (5, 8, [LEAVES[4], PAIRS[3], FOURS[0]]),
    (2, 3, [PAIRS[0]]),
    (1, 5, [LEAVES[0], PAIRS[1], LEAVES[4]]),
    (6, 7, [PAIRS[2], FOURS[0]]),
]
CONSISTENCIES = [
    (1, 1, []),
    (1, 8, [LEAVES[1], PAIRS[1], FOURS[1]]),
    (6, 8, [PAIRS[2], PAIRS[3], FOURS[0]]),
    (2, 5, [PAIRS[1], LEAVES[4]]),
    (6, 7, [PAIRS[2], LEAVES[6], FOURS[0]]),
    (0, 5, []),
]

sizes = st.integers(1, 300)


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word, over leaf hashes."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162 section 2.1.3.1, word for word."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*naive_path(index, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive_root(leaves[:split])]


def naive_subproof(first: int, leaves: list[bytes], complete: bool) -> list[bytes]:
    """SUBPROOF of RFC 9162 section 2.1.4.1, word for word."""
    if first == len(leaves):
        return [] if complete else [naive_root(leaves)]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if first <= split:
        return [*naive_subproof(first, leaves[:split], complete), naive_root(leaves[split:])]
    return [*naive_subproof(first - split, leaves[split:], False), naive_root(leaves[:split])]


def some_leaves(count: int) -> list[bytes]:
    """Different leaf hashes."""
    return [leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


def hashes_of(ranges: list[Range], leaves: list[bytes]) -> list[bytes]:
    """The hashes of a proof, from the perfect subtrees that `cover` names."""
    found = []
    for one in ranges:
        nodes = cover(one)
        found.append(fold([naive_root(leaves[n.position << n.level : (n.position + 1) << n.level]) for n in nodes]))
    return found


def test_leaf_hashes_are_those_of_the_reference() -> None:
    """A leaf is SHA-256(0x00 || entry), an empty entry included."""
    assert [leaf_hash(entry) for entry in INPUTS] == LEAVES


def test_node_hashes_are_those_of_the_reference() -> None:
    """A node is SHA-256(0x01 || left || right)."""
    assert [node_hash(LEAVES[at], LEAVES[at + 1]) for at in (0, 2, 4, 6)] == PAIRS
    assert node_hash(PAIRS[0], PAIRS[1]) == FOURS[0]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference(size: int) -> None:
    """The root of each prefix of the reference inputs is the published one; the naive tree agrees."""
    assert naive_root(LEAVES[:size]) == ROOTS[size]
    assert (hashes_of([Range(0, size)], LEAVES) if size else [EMPTY_ROOT]) == [ROOTS[size]]


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSIONS)
def test_inclusion_proofs_are_those_of_the_reference(index: int, size: int, proof: list[bytes]) -> None:
    """Generated proofs equal the published ones, and verify."""
    assert hashes_of(inclusion_ranges(index, size), LEAVES[:size]) == proof
    verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


@pytest.mark.parametrize(("first", "second", "proof"), CONSISTENCIES)
def test_consistency_proofs_are_those_of_the_reference(first: int, second: int, proof: list[bytes]) -> None:
    """Generated proofs equal the published ones, and verify."""
    assert hashes_of(consistency_ranges(first, second), LEAVES[:second]) == proof
    verify_consistency(first, second, proof, ROOTS[first], ROOTS[second])


@given(sizes, st.data())
def test_inclusion_proofs_equal_the_naive_ones(size: int, data: st.DataObject) -> None:
    """For any leaf of any tree the proof is the RFC's, and verifies."""
    index = data.draw(st.integers(0, size - 1))
    leaves = some_leaves(size)
    proof = hashes_of(inclusion_ranges(index, size), leaves)
    assert proof == naive_path(index, leaves)
    verify_inclusion(leaves[index], index, size, proof, naive_root(leaves))


@given(sizes, st.data())
def test_consistency_proofs_equal_the_naive_ones(second: int, data: st.DataObject) -> None:
    """For any prefix of any tree the proof is the RFC's, and verifies."""
    first = data.draw(st.integers(1, second))
    leaves = some_leaves(second)
    proof = hashes_of(consistency_ranges(first, second), leaves)
    assert proof == naive_subproof(first, leaves, True)
    verify_consistency(first, second, proof, naive_root(leaves[:first]), naive_root(leaves))


def broken(proof: list[bytes], data: st.DataObject) -> list[bytes]:
    """The proof with one bit of any hash turned, a hash left out, one too many, or two swapped."""
    ways: list[Callable[[], list[bytes]]] = [lambda: [*proof, sha256(b"more").digest()], lambda: [EMPTY_ROOT, *proof]]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        bit = data.draw(st.integers(0, 255))
        turned = (int.from_bytes(proof[at], "big") ^ (1 << bit)).to_bytes(32, "big")
        ways += [lambda: [*proof[:at], turned, *proof[at + 1 :]], lambda: [*proof[:at], *proof[at + 1 :]]]
        ways += [lambda: [*proof[:at], proof[at][:31], *proof[at + 1 :]]]
    return data.draw(st.sampled_from(ways))()


@given(sizes, st.data())
def test_no_broken_inclusion_proof_verifies(size: int, data: st.DataObject) -> None:
    """Every hash of a proof counts: any change, whether at an end or in the middle, is refused."""
    index = data.draw(st.integers(0, size - 1))
    leaves = some_leaves(size)
    proof = broken(naive_path(index, leaves), data)
    with pytest.raises(ProofInvalid):
        verify_inclusion(leaves[index], index, size, proof, naive_root(leaves))


@given(sizes, st.data())
def test_no_broken_consistency_proof_verifies(second: int, data: st.DataObject) -> None:
    """Every hash of a proof counts: any change, whether at an end or in the middle, is refused."""
    first = data.draw(st.integers(1, second))
    leaves = some_leaves(second)
    proof = broken(naive_subproof(first, leaves, True), data)
    with pytest.raises(ProofInvalid):
        verify_consistency(first, second, proof, naive_root(leaves[:first]), naive_root(leaves))


@given(st.integers(2, 200), st.data())
def test_a_proof_shows_only_its_own_leaf(size: int, data: st.DataObject) -> None:
    """The proof of one index does not verify for another leaf, index or size."""
    index, other = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
    leaves = some_leaves(size)
    root, proof = naive_root(leaves), naive_path(index, leaves)
    for leaf, at, count in ((leaves[other], index, size), (leaves[index], other, size), (leaves[index], index, 4096)):
        with pytest.raises(ProofInvalid):
            verify_inclusion(leaf, at, count, proof, root)


def test_a_leaf_beyond_the_tree_has_no_proof() -> None:
    """Neither made nor verified."""
    with pytest.raises(ValueError, match="no leaf 8"):
        inclusion_ranges(8, 8)
    with pytest.raises(ProofInvalid, match="no leaf 8"):
        verify_inclusion(LEAVES[0], 8, 8, [], ROOTS[8])
    with pytest.raises(ValueError, match="cannot have grown"):
        consistency_ranges(9, 8)
    with pytest.raises(ProofInvalid, match="cannot have grown"):
        verify_consistency(8, 7, [], ROOTS[8], ROOTS[7])


def test_the_empty_tree_is_a_prefix_of_every_tree() -> None:
    """From size 0 the proof is empty, and only the root of the empty tree is taken."""
    verify_consistency(0, 8, [], EMPTY_ROOT, ROOTS[8])
    with pytest.raises(ProofInvalid, match="different roots"):
        verify_consistency(0, 8, [], ROOTS[1], ROOTS[8])


def test_two_roots_of_one_size_are_never_consistent() -> None:
    """Equal sizes need equal roots and no hashes."""
    verify_consistency(8, 8, [], ROOTS[8], ROOTS[8])
    with pytest.raises(ProofInvalid, match="different roots"):
        verify_consistency(8, 8, [], ROOTS[7], ROOTS[8])
    with pytest.raises(ProofInvalid, match="too long"):
        verify_consistency(8, 8, [ROOTS[1]], ROOTS[8], ROOTS[8])
