"""What really happened, read afterwards from the drop copy: every order that was answered, once, and no other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import grpc
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from runtime.stack.system import Stack
from tests.load.desks import Desks


@dataclass(frozen=True, slots=True)
class Truth:
    """What the venue has written down about the orders of a run."""

    accepted: Counter[str]
    """How often each key was accepted."""
    order_ids: dict[str, str]
    refused: int

    def check(self, desks: Desks) -> None:
        """Holds it against what the desks were told.

        Raises:
            AssertionError: an order was lost, carried out twice, answered twice, or answered wrongly.
        """
        assert len(desks.told) == desks.sent, f"{desks.sent - len(desks.told)} orders have no answer"
        assert not desks.repeated, f"answered more than once: {desks.repeated[:5]}"
        twice = [key for key, times in self.accepted.items() if times != 1]
        assert not twice, f"carried out more than once: {twice[:5]}"
        assert self.order_ids == desks.told, "an answer names another order than the one that was placed"
        assert not self.refused


async def truth(system: Stack) -> Truth:
    """Reads everything that the venue has told about orders so far."""
    found = Truth(Counter(), {}, 0)
    refused = 0
    address = f"{system.settings.host}:{system.settings.envoy_port}"
    metadata = (("authorization", f"Bearer {system.token('auditor', accounts=[])}"),)
    async with grpc.aio.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
        call = stub.StreamDropCopy(entry.StreamDropCopyRequest(resume_after=0), metadata=metadata)
        last_seq = await _last_seq(stub, metadata)
        async for message in call:
            for report in message.frame.reports:
                if report.exec_type == types.EXEC_TYPE_NEW:
                    found.accepted[report.cl_ord_id] += 1
                    found.order_ids[report.cl_ord_id] = report.order_id
                elif report.exec_type == types.EXEC_TYPE_REJECTED:
                    refused += 1
            if message.seq >= last_seq:
                break
        call.cancel()
    return Truth(found.accepted, found.order_ids, refused)


async def _last_seq(stub: Any, metadata: Any) -> int:
    """The sequence of the present, from a second stream that begins with it."""
    call = stub.StreamDropCopy(entry.StreamDropCopyRequest(), metadata=metadata)
    first = await call.read()
    call.cancel()
    return int(first.seq)
