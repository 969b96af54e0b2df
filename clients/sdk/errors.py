"""What can go wrong for a caller, as types.

Every failure of the SDK is an `OrdergateError`. Its class says what kind of
answer it is (our risk said no: `Denied`; the venue said no: `Rejected`; …), its
`reason` is the code's name, `metadata` holds the numbers. The class follows the
band of the reason; without a reason (a proxy's or the transport's own failure)
it follows the gRPC status.
"""

from collections.abc import Mapping
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from ordergate.types.v1 import types_pb2 as types

DOMAIN = "ordergate"
LOST_STATUS = "Internal error from Core"
"""What grpc.aio says, with INTERNAL, instead of the status of a call that ended while it was written to."""


class OrdergateError(Exception):
    """A call or a stream failed.

    Attributes:
        reason: name of the reason code without its prefix, such as "PRICE_OFF_TICK"; empty when none was given.
        text: one sentence for people.
        field: the request field at fault; empty if none.
        metadata: the numbers: rule, limit, current, projected, …
        retry_after: seconds to wait before another attempt; None when the server did not say.
        status: the gRPC status; None when the answer came inside a stream.
    """

    def __init__(
        self,
        text: str,
        *,
        reason: str = "",
        field: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        status: grpc.StatusCode | None = None,
    ) -> None:
        super().__init__(f"{reason}: {text}" if reason else text)
        self.reason = reason
        self.text = text
        self.field = field
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.status = status


class Unauthenticated(OrdergateError):
    """No token, or none that the server takes (reasons 100 to 102)."""


class Revoked(Unauthenticated):
    """The token, its subject or one of its roles was revoked: another attempt needs another token."""


class NotAllowed(OrdergateError):
    """The token is good and does not permit the call (reasons 103 to 199)."""


class Invalid(OrdergateError):
    """The request's form is wrong; the same request can never succeed (reasons 200 to 299)."""


class RateLimited(OrdergateError):
    """Too many requests, or too slow a reader (reasons 300 to 399): nothing happened.

    `retry_after` says when there is room again; `Client.rate_budget` shows the budgets.
    """


class Denied(OrdergateError):
    """The venue's risk checks said no (reasons 400 to 499)."""


class Rejected(OrdergateError):
    """The venue said no (reasons 500 to 599)."""


class NotFound(Rejected):
    """What the request names does not exist."""


class Unavailable(OrdergateError):
    """The system cannot answer at the moment; the same request may succeed later."""


class OutcomeUnknown(Unavailable):
    """Whether it happened is not known: repeat the same request, or ask with `get_order`."""


class Internal(OrdergateError):
    """A fault of the server."""


class StreamGap(OrdergateError):
    """Messages of a stream are missing and cannot be had any more: go on from a snapshot.

    Attributes:
        from_seq: the first missing sequence; 0 when that is not known.
        to_seq: the last missing sequence; 0 when that is not known.
    """

    def __init__(
        self, text: str, *, from_seq: int = 0, to_seq: int = 0, reason: str = "SNAPSHOT_REQUIRED", **more: Any
    ) -> None:
        super().__init__(text, reason=reason, **more)
        self.from_seq = from_seq
        self.to_seq = to_seq


_BY_REASON: dict[int, type[OrdergateError]] = {
    types.REASON_TOKEN_MISSING: Unauthenticated,
    types.REASON_TOKEN_INVALID: Unauthenticated,
    types.REASON_TOKEN_EXPIRED: Unauthenticated,
    types.REASON_TOKEN_REVOKED: Revoked,
    types.REASON_KEYS_UNAVAILABLE: Unavailable,
    types.REASON_ORDER_UNKNOWN: NotFound,
    types.REASON_NOT_IN_LOG: NotFound,
    types.REASON_OUTCOME_UNKNOWN: OutcomeUnknown,
    types.REASON_DEADLINE: OutcomeUnknown,
    types.REASON_SNAPSHOT_REQUIRED: StreamGap,
    types.REASON_INTERNAL: Internal,
}
_BY_BAND: dict[int, type[OrdergateError]] = {
    1: NotAllowed,
    2: Invalid,
    3: RateLimited,
    4: Denied,
    5: Rejected,
    6: Unavailable,
}
# Our servers code every error, INTERNAL too: without a code it is a broken
# connection that gRPC calls so.
_BY_STATUS: dict[grpc.StatusCode, type[OrdergateError]] = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: NotAllowed,
    grpc.StatusCode.INVALID_ARGUMENT: Invalid,
    grpc.StatusCode.OUT_OF_RANGE: Invalid,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RateLimited,
    grpc.StatusCode.FAILED_PRECONDITION: Rejected,
    grpc.StatusCode.ABORTED: Rejected,
    grpc.StatusCode.ALREADY_EXISTS: Rejected,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: OutcomeUnknown,
    grpc.StatusCode.INTERNAL: Unavailable,
    grpc.StatusCode.UNKNOWN: Unavailable,
    grpc.StatusCode.DATA_LOSS: Internal,
    grpc.StatusCode.UNIMPLEMENTED: Invalid,
}
_DETAIL_NUMBERS = ("rule", "limit", "current", "projected")


def reason_name(reason: int) -> str:
    """The name of a reason code without its prefix; the number itself when this version does not know it."""
    value = types.Reason.DESCRIPTOR.values_by_number.get(reason)
    return value.name.removeprefix("REASON_") if value else str(reason)


def error_class(reason: int) -> type[OrdergateError]:
    """The class of a reason code: by itself where it has one of its own, else by its band."""
    return _BY_REASON.get(reason) or _BY_BAND.get(reason // 100, OrdergateError)


def from_detail(detail: types.ReasonDetail) -> OrdergateError:
    """The error of a refusal that came inside a stream."""
    metadata = {name: getattr(detail, name) for name in _DETAIL_NUMBERS if getattr(detail, name)}
    if detail.limits_version:
        metadata["limits_version"] = str(detail.limits_version)
    return error_class(detail.code)(
        detail.text,
        reason=reason_name(detail.code),
        field=detail.field,
        metadata=metadata,
        retry_after=detail.retry_after_ms / 1_000 if detail.retry_after_ms else None,
    )


def from_end(reason: int, text: str) -> OrdergateError:
    """The error of a stream that its server ended for `reason`."""
    return error_class(reason)(text or "the server ended the stream", reason=reason_name(reason))


def from_rpc(error: grpc.aio.AioRpcError) -> OrdergateError:
    """The typed form of a gRPC error: reason, field, numbers and retry delay from its `google.rpc.Status`."""
    code = error.code()
    fallback = _BY_STATUS.get(code, OrdergateError)
    status = _rich_status(error)
    if status is None:
        if code is grpc.StatusCode.INTERNAL and error.details() == LOST_STATUS:
            return Unavailable("the call ended while it was written to", reason="ENDED", status=code)
        return fallback(error.details() or code.name, reason=_transport_reason(code), status=code)
    info, fields = _unpacked(status)
    number = types.Reason.DESCRIPTOR.values_by_name.get(f"REASON_{info.reason}") if info.domain == DOMAIN else None
    kind = error_class(number.number) if number else fallback
    reason = info.reason or _transport_reason(code)
    return kind(status.message, reason=reason, metadata=dict(info.metadata), status=code, **fields)


def _transport_reason(code: grpc.StatusCode) -> str:
    return "UNREACHABLE" if code is grpc.StatusCode.UNAVAILABLE else str(code.name)


def _rich_status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    try:
        return rpc_status.from_call(error)  # type: ignore[arg-type]  # it reads what AioRpcError has too
    except ValueError:
        return None


def _unpacked(status: status_pb2.Status) -> tuple[error_details_pb2.ErrorInfo, dict[str, Any]]:
    info = error_details_pb2.ErrorInfo()
    fields: dict[str, Any] = {}
    bad, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Unpack(bad) and bad.field_violations:
            fields["field"] = bad.field_violations[0].field
        elif detail.Unpack(retry):
            fields["retry_after"] = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return info, fields
