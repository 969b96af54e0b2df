"""Refusals, and the one place that turns them into `google.rpc.Status`.

A servicer raises `Refused`; the interceptor in `runtime.calls` ends the call
with the status made here. Every error of ordergate carries an `ErrorInfo`
whose domain is "ordergate" and whose reason is a name of the Reason enum.
"""

import math
from collections.abc import Mapping

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from ordergate.types.v1 import types_pb2 as types

from runtime.reasons import RULES, reason_name

DOMAIN = "ordergate"
RETRY_DELAY_DEFAULT_S = 1.0
MS_PER_S = 1_000
DELAY_MS_MAX = 2**32 - 1


class Refused(Exception):  # an answer, not a fault
    """A request that is answered with a coded error.

    Args:
        reason: why; decides the gRPC status.
        text: one sentence for people.
        field: the request field at fault, such as "order.price"; becomes a BadRequest.
        metadata: numbers and names that a program needs; becomes ErrorInfo.metadata.
        retry_after_s: when to try again, in seconds; becomes RetryInfo.
    """

    def __init__(
        self,
        reason: types.Reason.ValueType,
        text: str,
        *,
        field: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.field = field
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> grpc.StatusCode:
        """The gRPC status of the reason."""
        return RULES[self.reason].status


def status_of(refused: Refused) -> status_pb2.Status:
    """The refusal as `google.rpc.Status`, with ErrorInfo first and BadRequest or RetryInfo where they apply."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=reason_name(refused.reason), domain=DOMAIN, metadata=refused.metadata)
    ]
    if refused.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=refused.field, description=refused.text)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    delay_s = refused.retry_after_s
    if delay_s is None and RULES[refused.reason].retryable:
        delay_s = RETRY_DELAY_DEFAULT_S
    if delay_s is not None:
        nanos = round(delay_s * 1e9)
        delay = duration_pb2.Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(code=_number(refused.status), message=refused.text, details=[_packed(d) for d in details])


def trailing_metadata(refused: Refused) -> tuple[tuple[str, str | bytes], ...]:
    """The trailing metadata that carries the refusal's details."""
    return tuple(rpc_status.to_status(status_of(refused)).trailing_metadata)


def reason_of(error: grpc.aio.AioRpcError) -> types.Reason.ValueType:
    """The reason that another server has refused a call with; REASON_UNSPECIFIED when the error is not one of ours."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it has what a call has
    info = error_details_pb2.ErrorInfo()
    if status is None or not status.details or not status.details[0].Unpack(info) or info.domain != DOMAIN:
        return types.REASON_UNSPECIFIED
    name = f"REASON_{info.reason}"
    return types.Reason.Value(name) if name in types.Reason.keys() else types.REASON_UNSPECIFIED  # noqa: SIM118


def reason_detail(refused: Refused) -> types.ReasonDetail:
    """The refusal as a message of a stream carries it."""
    retry_after_ms = math.ceil((refused.retry_after_s or 0.0) * MS_PER_S)
    return types.ReasonDetail(
        code=refused.reason, text=refused.text, field=refused.field, retry_after_ms=min(retry_after_ms, DELAY_MS_MAX)
    )


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _number(code: grpc.StatusCode) -> int:
    number: int = code.value[0]
    return number
