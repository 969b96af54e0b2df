"""Reads the raw entries of the audit log, over as many connections as it takes.

The range is finite and dense: each message must begin where the one before
ended, and only the server's word that it is complete ends it.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from ordergate.compliance.v1 import audit_pb2 as audit

from clients.sdk import errors, wire
from clients.sdk.backoff import Backoff
from clients.sdk.calls import Caller, bearer


@dataclass(frozen=True, slots=True)
class AuditLeaves:
    """Entries that follow each other; `first_index` is the leaf index of the first."""

    first_index: int
    entries: Sequence[bytes]


async def stream_leaves(
    caller: Caller, method: Any, from_index: int, to_index: int
) -> AsyncGenerator[AuditLeaves, None]:
    """The entries with `from_index` <= index < `to_index`, in order.

    Raises:
        StreamGap: the server left entries out.
        OrdergateError: the server refused, or patience is over.
    """
    backoff = Backoff(caller.patience.reconnect_s)
    next_index = from_index
    while next_index < to_index:
        call = method(
            audit.StreamAuditEntriesRequest(from_index=next_index, to_index=to_index),
            metadata=await bearer(caller.token),
        )
        try:
            while next_index < to_index:
                leaves = _leaves(await wire.read(call, caller.patience.call_s), next_index, to_index)
                next_index += len(leaves.entries)
                backoff.succeeded()
                yield leaves
        except errors.Unavailable as failure:
            delay_s = backoff.next_delay(failure.retry_after or 0.0)
            if delay_s is None:
                raise
            await asyncio.sleep(delay_s)
        finally:
            call.cancel()


def _leaves(message: audit.StreamAuditEntriesResponse, next_index: int, to_index: int) -> AuditLeaves:
    if message.entries and message.first_index != next_index:
        raise errors.StreamGap(
            f"the audit log sent leaf {message.first_index} where {next_index} was due",
            from_seq=next_index + 1,
            to_seq=message.first_index,
        )
    if message.complete and next_index + len(message.entries) < to_index:
        raise errors.StreamGap(
            f"the audit log ended at leaf {next_index + len(message.entries)} of {to_index}", from_seq=next_index + 1
        )
    return AuditLeaves(next_index, message.entries)
