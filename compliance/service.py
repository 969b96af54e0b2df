"""AuditService: reads and proves the log. It never writes, and works while the log is behind."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from ordergate.compliance.v1 import audit_pb2 as audit
from ordergate.compliance.v1 import audit_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from compliance import trail
from compliance.checkpoint import VerifierKey, proof_note
from compliance.convert import INT64_MAX, audit_entry, checkpoint_message, page_of, trail_filter
from compliance.errors import LogCorrupt
from compliance.merkle import Range, consistency_ranges, inclusion_ranges
from compliance.reader import Reader, StoredCheckpoint
from runtime.auth import current_principal, current_verifier
from runtime.errors import Refused
from runtime.lifetimes import Lifetimes
from runtime.pulled import Pulled

# Both bound what one stream holds in memory; a message stays far below what gRPC takes.
STREAM_READ_ENTRIES = 1000
MESSAGE_BYTES_SOFT_MAX = 1024 * 1024
RETRY_DELAY_MS = 500


class AuditService(audit_pb2_grpc.AuditServiceServicer):
    """The RPCs of `ordergate.compliance.v1.AuditService`."""

    def __init__(
        self, reader: Reader, verifier_key: VerifierKey, lifetimes: Lifetimes, checkpoint_interval_s: float
    ) -> None:
        self._reader = reader
        self._lifetimes = lifetimes
        self._key = verifier_key
        self._interval_s = checkpoint_interval_s

    async def ListAuditEntries(
        self, request: audit.ListAuditEntriesRequest, context: Any
    ) -> audit.ListAuditEntriesResponse:
        """A page of the trail."""
        wanted = trail_filter(request)
        before_index, limit = page_of(request, wanted)
        # One more than asked for tells whether there is a next page.
        rows = await trail.page(self._reader, wanted, before_index, limit + 1)
        tree_size, _ = await self._reader.position()
        response = audit.ListAuditEntriesResponse(tree_size=tree_size)
        response.entries.extend(audit_entry(row) for row in rows[:limit])
        if len(rows) > limit:
            response.next_page_token = wanted.page_token(response.entries[-1].leaf_index)
        return response

    async def GetCheckpoint(self, request: audit.GetCheckpointRequest, context: Any) -> audit.GetCheckpointResponse:
        """The newest checkpoint, or the one of a size."""
        checkpoint = await self._checkpoint(request.tree_size)
        return audit.GetCheckpointResponse(
            checkpoint=checkpoint_message(self._key.name, checkpoint), verifier_key=str(self._key)
        )

    async def GetInclusionProof(
        self, request: audit.GetInclusionProofRequest, context: Any
    ) -> audit.GetInclusionProofResponse:
        """The proof of a leaf in the tree of a checkpoint."""
        checkpoint = await self._checkpoint(request.tree_size)
        index, size = request.leaf_index, checkpoint.tree_size
        if index >= size:
            raise self._not_in_log(f"leaf {index} is not in the tree of {size} leaves that was signed", size)
        ranges = [Range(index, index + 1), *inclusion_ranges(index, size)]
        leaf_hash, *hashes = await self._reader.hashes(ranges, size)
        return audit.GetInclusionProofResponse(
            leaf_index=index,
            leaf_hash=leaf_hash,
            hashes=hashes,
            checkpoint=checkpoint_message(self._key.name, checkpoint),
            proof_note=proof_note(index, hashes, checkpoint.note),
        )

    async def GetConsistencyProof(
        self, request: audit.GetConsistencyProofRequest, context: Any
    ) -> audit.GetConsistencyProofResponse:
        """The proof that the log only grew between two sizes."""
        newest = (await self._checkpoint(0)).tree_size
        first, second = request.from_size, request.to_size or newest
        if second > newest:
            raise self._not_in_log(f"{second} leaves have not been signed yet, only {newest}", newest)
        if first > second:
            raise Refused(types.REASON_FIELDS_CONFLICT, "from_size is above to_size", field="from_size")
        ranges = [Range(0, first), Range(0, second), *consistency_ranges(first, second)]
        first_root, second_root, *hashes = await self._reader.hashes(ranges, second)
        return audit.GetConsistencyProofResponse(
            from_size=first, to_size=second, from_root_hash=first_root, to_root_hash=second_root, hashes=hashes
        )

    async def StreamAuditEntries(
        self, request: audit.StreamAuditEntriesRequest, context: Any
    ) -> AsyncIterator[audit.StreamAuditEntriesResponse]:
        """The entries of a range; the last message says that it is the last, or why the rest is not sent."""
        begin, end = request.from_index, await self._end_of(request)
        ended = _Ended()
        async with self._lifetimes.of(Pulled(ended.tell), current_principal(), current_verifier(), context):
            try:
                async for message in self._entries(begin, end):
                    if ended.end is not None:
                        yield audit.StreamAuditEntriesResponse(first_index=message.first_index, end=ended.end)
                        return
                    yield message
            except LogCorrupt as error:
                raise Refused(types.REASON_INTERNAL, str(error)) from error
        yield audit.StreamAuditEntriesResponse(first_index=end, complete=True)

    async def _entries(self, begin: int, end: int) -> AsyncIterator[audit.StreamAuditEntriesResponse]:
        for at in range(begin, end, STREAM_READ_ENTRIES):
            entries = await self._reader.entries(at, min(end, at + STREAM_READ_ENTRIES))
            for message in _messages(at, entries):
                yield message

    async def _end_of(self, request: audit.StreamAuditEntriesRequest) -> int:
        end = request.to_index or (await self._checkpoint(0)).tree_size
        size, _ = await self._reader.position()
        if end > size:
            raise self._not_in_log(f"the log has {size} leaves, not {end}", size)
        if request.from_index > end:
            raise Refused(types.REASON_FIELDS_CONFLICT, f"from_index is above {end}", field="from_index")
        return end

    async def _checkpoint(self, tree_size: int) -> StoredCheckpoint:
        checkpoint = await self._reader.checkpoint(tree_size) if tree_size <= INT64_MAX else None
        if checkpoint is None:
            what = f"there is no checkpoint of {tree_size} leaves" if tree_size else "nothing has been signed yet"
            raise self._not_in_log(what, tree_size)
        return checkpoint

    def _not_in_log(self, what: str, tree_size: int) -> Refused:
        """Retryable: what comes in now is signed within an interval."""
        text = f"{what}; checkpoints come at least every {self._interval_s:g} s while entries do"
        metadata = {"tree_size": str(tree_size)}
        return Refused(types.REASON_NOT_IN_LOG, text, metadata=metadata, retry_after_s=self._interval_s)


class _Ended:
    """Why a stream is not sent to its end, once that is known."""

    def __init__(self) -> None:
        self.end: types.StreamEnd | None = None

    def tell(self, reason: types.Reason.ValueType, text: str) -> None:
        """From now on the next message is the last."""
        self.end = self.end or types.StreamEnd(reason=reason, text=text, retry_delay_ms=RETRY_DELAY_MS)


def _messages(first_index: int, entries: Sequence[bytes]) -> Iterator[audit.StreamAuditEntriesResponse]:
    """The entries in messages of a bounded size; a message has at least one."""
    message = audit.StreamAuditEntriesResponse(first_index=first_index)
    total_bytes = 0
    for index, entry in enumerate(entries, first_index):
        if message.entries and total_bytes + len(entry) > MESSAGE_BYTES_SOFT_MAX:
            yield message
            message, total_bytes = audit.StreamAuditEntriesResponse(first_index=index), 0
        message.entries.append(entry)
        total_bytes += len(entry)
    if message.entries:
        yield message
