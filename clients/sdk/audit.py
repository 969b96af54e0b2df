"""Reads the raw entries of the audit log, over as many connections as it takes.

The range is finite and dense: each message must begin where the one before
ended, and only the server's word that it is complete ends it.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from ordergate.compliance.v1 import audit_pb2 as audit

from clients.sdk import errors, wire
from clients.sdk.backoff import Backoff
from clients.sdk.calls import Caller, bearer
from clients.sdk.places import Method, Service
from clients.sdk.streams import end_error


@dataclass(frozen=True, slots=True)
class AuditLeaves:
    """Entries that follow each other; `first_index` is the leaf index of the first."""

    first_index: int
    entries: Sequence[bytes]


async def stream_leaves(
    caller: Caller, method: Method, from_index: int, to_index: int
) -> AsyncGenerator[AuditLeaves, None]:
    """The entries with `from_index` <= index < `to_index`, in order.

    Raises:
        StreamGap: the server left entries out.
        OrdergateError: the server refused, or patience is over.
    """
    backoff = Backoff(caller.patience.reconnect_s)
    next_index = from_index
    while next_index < to_index:
        place = method.place
        request = audit.StreamAuditEntriesRequest(from_index=next_index, to_index=to_index)
        call = method.at(place)(request, metadata=bearer(await caller.token()))
        try:
            while next_index < to_index:
                leaves = _leaves(await wire.read(call, caller.patience.call_s), next_index, to_index)
                next_index += len(leaves.entries)
                backoff.succeeded()
                yield leaves
        except errors.OrdergateError as failure:
            if not isinstance(failure, errors.Unavailable) and not _ran_out(failure, next_index > from_index):
                raise
            delay_s = backoff.next_delay(0.0 if method.leave(place) else failure.retry_after or 0.0)
            if delay_s is None:
                raise
            await asyncio.sleep(delay_s)
        finally:
            call.cancel()


class AuditLog:
    """The calls about the audit log; a part of `Client`."""

    _caller: Caller
    _audit: Service

    async def audit_entries(self, request: audit.ListAuditEntriesRequest) -> AsyncGenerator[audit.AuditEntry, None]:
        """Entries of the audit log that pass the filters of `request`, newest first."""
        async for page in self._caller.pages(self._audit.ListAuditEntries, request):
            for record in page.entries:
                yield record

    async def checkpoint(self, tree_size: int = 0) -> audit.GetCheckpointResponse:
        """The signed checkpoint of exactly `tree_size`; the newest when 0."""
        request = audit.GetCheckpointRequest(tree_size=tree_size)
        response: audit.GetCheckpointResponse = await self._caller.call(self._audit.GetCheckpoint, request)
        return response

    async def inclusion_proof(self, leaf_index: int, tree_size: int = 0) -> audit.GetInclusionProofResponse:
        """The proof that a leaf is in the tree of a checkpoint; raises NotFound while it is in none."""
        request = audit.GetInclusionProofRequest(leaf_index=leaf_index, tree_size=tree_size)
        response: audit.GetInclusionProofResponse = await self._caller.call(self._audit.GetInclusionProof, request)
        return response

    async def consistency_proof(self, from_size: int, to_size: int = 0) -> audit.GetConsistencyProofResponse:
        """The proof that the tree of `from_size` is a prefix of the later one."""
        request = audit.GetConsistencyProofRequest(from_size=from_size, to_size=to_size)
        response: audit.GetConsistencyProofResponse = await self._caller.call(self._audit.GetConsistencyProof, request)
        return response

    def audit_leaves(self, from_index: int, to_index: int) -> AsyncGenerator[AuditLeaves, None]:
        """The raw entries of a range of the log, in order and without a hole."""
        return stream_leaves(self._caller, self._audit.StreamAuditEntries, from_index, to_index)


def _ran_out(failure: errors.OrdergateError, had_begun: bool) -> bool:
    """Whether only the token ended while the entries were sent; the next connection has a newer one."""
    return had_begun and failure.reason == "TOKEN_EXPIRED"


def _leaves(message: audit.StreamAuditEntriesResponse, next_index: int, to_index: int) -> AuditLeaves:
    if message.entries and message.first_index != next_index:
        raise errors.StreamGap(
            f"the audit log sent leaf {message.first_index} where {next_index} was due",
            from_seq=next_index + 1,
            to_seq=message.first_index,
        )
    if message.HasField("end"):
        raise end_error(message.end)
    if message.complete and next_index + len(message.entries) < to_index:
        raise errors.StreamGap(
            f"the audit log ended at leaf {next_index + len(message.entries)} of {to_index}", from_seq=next_index + 1
        )
    return AuditLeaves(next_index, message.entries)
