"""The stream of the audit log ends with the token of its caller."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from ordergate.compliance.v1 import audit_pb2 as audit
from ordergate.types.v1 import types_pb2 as types

from compliance import service as compliance_service
from compliance.reader import Reader
from runtime.lifetimes import TICK_S
from runtime.revocations import add
from tests.integration.compliance.test_compliance_server import AUDITOR, BUY, Venue, settings, venue
from tests.integration.revoking import FORMS, revocation

__all__ = ["settings", "venue"]
Metadata = tuple[tuple[str, str], ...]
OVER_WITHIN_S = 30
ENTRIES = 100


async def refused(venue: Venue, metadata: Metadata) -> None:
    """Waits until calls with this token are refused."""
    while True:
        try:
            await venue.stub.GetCheckpoint(audit.GetCheckpointRequest(), metadata=metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return
            raise


@pytest.mark.parametrize("form", FORMS)
async def test_a_revoked_auditor_gets_no_more_entries(venue: Venue, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """In band, with the reason and the place to go on, so that REST shows it too; the next call is refused."""
    await venue.carry_out(*(venue.limit(BUY, 100, 1) for _ in range(ENTRIES)))
    await venue.checkpoint(ENTRIES)
    # The stream reads an entry at a time, when the test lets it.
    gate, read = asyncio.Semaphore(0), Reader.entries

    async def gated(reader: Reader, begin: int, end: int) -> Sequence[bytes]:
        await gate.acquire()
        return await read(reader, begin, end)

    monkeypatch.setattr(compliance_service, "STREAM_READ_ENTRIES", 1)
    monkeypatch.setattr(Reader, "entries", gated)
    metadata = venue.as_role(AUDITOR)
    call: Any = venue.stub.StreamAuditEntries(audit.StreamAuditEntriesRequest(), metadata=metadata)
    gate.release()
    assert (await call.read()).first_index == 0
    token = metadata[0][1].removeprefix("Bearer ")
    add(venue.settings.auth_revocations_file, [revocation(form, token)], time.time())
    async with asyncio.timeout(OVER_WITHIN_S):
        await refused(venue, metadata)
        sent = 1
        while True:
            gate.release()
            message = await call.read()
            assert message.first_index == sent
            assert not message.complete
            if message.HasField("end"):
                break
            assert len(message.entries) == 1
            sent += 1
            await asyncio.sleep(TICK_S / 10)
        assert message.end.reason == types.REASON_TOKEN_REVOKED
        assert not message.entries
        assert await call.read() is grpc.aio.EOF
