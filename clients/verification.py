"""Verifies the audit log of a running system without believing it.

Every entry is fetched and hashed again (`compliance.verify`), the result held
against the signed checkpoint; on request also against a checkpoint kept from
before and against the journal. The CLI calls it, and `ordergate flow` at its end.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ordergate.compliance.v1 import audit_pb2 as audit

from clients.sdk.client import Client
from clients.sdk.errors import Unavailable
from compliance.checkpoint import NoteInvalid, VerifierKey, open_checkpoint
from compliance.verify import Finding, InclusionProof, LogVerifier, Verdict, verify_growth

POLL_S = 0.1
PROOFS_MAX = 64
"""More than any tree is high."""


@dataclass(frozen=True, slots=True)
class LogVerification:
    """The outcome of a verification.

    Attributes:
        verdict: what was found; all that follows is only worth something if it is ok.
        note: the checkpoint that was verified, as text.
        verifier_key: the key that was trusted.
        pinned: whether the caller gave the key; else the log itself named it.
        compared: entries that were found equal to the journal's; None when none was given.
        grown_from: size of the checkpoint that was kept; None when none was given.
    """

    verdict: Verdict
    note: str
    verifier_key: str
    pinned: bool
    compared: int | None = None
    grown_from: int | None = None


async def wait_until_logged(client: Client, seq: int, timeout_s: float = 300.0) -> None:
    """Waits until a signed checkpoint covers the event `seq`.

    Raises:
        Unavailable: it did not within `timeout_s`.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while (await client.checkpoint()).checkpoint.tree_size < seq:
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        text = f"no checkpoint of the audit log covers seq {seq} after {timeout_s:g} s"
        raise Unavailable(text, reason="AUDIT_LOG_BEHIND") from None


async def verify_log(
    client: Client, *, verifier_key: str = "", journal: Iterator[bytes] | None = None, kept_note: str = ""
) -> LogVerification:
    """Verifies the whole log up to its newest checkpoint.

    Args:
        client: one whose token may read the whole log.
        verifier_key: the key to trust; the log's own word for it when empty.
        journal: the entries as the journal has them, to be compared one by one.
        kept_note: a checkpoint kept from before; the log must have grown from it.

    Raises:
        OrdergateError: the log cannot be read.
    """
    answer = await client.checkpoint()
    note, key = answer.checkpoint.note, verifier_key or answer.verifier_key
    outcome = LogVerification(_signed(note, key), note, key, bool(verifier_key))
    if outcome.verdict.ok and kept_note:
        outcome = await _grown(client, outcome, kept_note)
    if outcome.verdict.ok:
        outcome = await _entries_verified(client, outcome, journal)
    return outcome


def _signed(note: str, key: str) -> Verdict:
    try:
        checkpoint = open_checkpoint(note, VerifierKey.parse(key))
    except NoteInvalid as error:
        return Verdict(Finding.CHECKPOINT_INVALID, str(error))
    return Verdict(Finding.VERIFIED, "the signature holds", checkpoint.tree_size, checkpoint.root_hash)


async def _grown(client: Client, outcome: LogVerification, kept_note: str) -> LogVerification:
    kept = _signed(kept_note, outcome.verifier_key)
    later = outcome.verdict
    if not kept.ok:
        text = f"the checkpoint that was kept: {kept.text}"
        return replace(outcome, verdict=replace(kept, text=text))
    hashes: list[bytes] = []
    if 0 < kept.tree_size < later.tree_size:
        hashes = list((await client.consistency_proof(kept.tree_size, later.tree_size)).hashes)
    grown = verify_growth(kept_note, outcome.note, hashes, outcome.verifier_key)
    return replace(outcome, verdict=later if grown.ok else grown, grown_from=kept.tree_size)


async def _entries_verified(
    client: Client, outcome: LogVerification, journal: Iterator[bytes] | None
) -> LogVerification:
    size = outcome.verdict.tree_size
    verifier = LogVerifier()
    async for leaves in client.audit_leaves(0, size):
        verifier.add(leaves.entries)
        for index, leaf in enumerate(leaves.entries, leaves.first_index):
            if journal is not None and next(journal, None) != leaf:
                text = f"entry {index} is not what the journal has at seq {index + 1}"
                verdict = replace(outcome.verdict, finding=Finding.ENTRY_CHANGED, text=text, index=index)
                return replace(outcome, verdict=verdict, compared=index)
    verdict = verifier.check(outcome.note, outcome.verifier_key)
    for _ in range(PROOFS_MAX):
        if verdict.ask_for is None:
            break
        verdict = verifier.narrow(verdict, inclusion(await client.inclusion_proof(verdict.ask_for, size)))
    return replace(outcome, verdict=verdict, compared=None if journal is None else verifier.entries)


def inclusion(proof: audit.GetInclusionProofResponse) -> InclusionProof:
    """A proof as the verifier takes it."""
    return InclusionProof(proof.leaf_index, proof.leaf_hash, list(proof.hashes))
