"""The typed errors of the SDK, made from what the servers really send."""

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import errors
from runtime.errors import Refused, trailing_metadata
from runtime.reasons import RULES


def rpc_error(refused: Refused) -> grpc.aio.AioRpcError:
    """What a caller gets when a servicer raises `refused`."""
    trailing = grpc.aio.Metadata(*trailing_metadata(refused))
    return grpc.aio.AioRpcError(refused.status, grpc.aio.Metadata(), trailing, refused.text)


def test_a_denial_keeps_its_numbers() -> None:
    """A risk denial is `Denied` with the rule's numbers in its metadata."""
    numbers = {"rule": "buying_power", "limit": "10", "current": "0", "projected": "11"}
    error = errors.from_rpc(rpc_error(Refused(types.REASON_BUYING_POWER, "not enough cash", metadata=numbers)))
    assert type(error) is errors.Denied
    assert (error.reason, error.text, error.metadata) == ("BUYING_POWER", "not enough cash", numbers)
    assert error.status is grpc.StatusCode.FAILED_PRECONDITION


def test_a_wrong_field_is_named() -> None:
    """BadRequest names the field at fault."""
    error = errors.from_rpc(rpc_error(Refused(types.REASON_PRICE_OFF_TICK, "tick is 0.01", field="order.price")))
    assert type(error) is errors.Invalid
    assert error.field == "order.price"


def test_retry_info_becomes_seconds() -> None:
    """RetryInfo says when to try again."""
    error = errors.from_rpc(rpc_error(Refused(types.REASON_RATE_EXCEEDED, "too fast", retry_after_s=0.25)))
    assert type(error) is errors.RateLimited
    assert error.retry_after == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (types.REASON_TOKEN_EXPIRED, errors.Unauthenticated),
        (types.REASON_ACCOUNT_NOT_ALLOWED, errors.NotAllowed),
        (types.REASON_ORDER_UNKNOWN, errors.NotFound),
        (types.REASON_WOULD_TAKE, errors.Rejected),
        (types.REASON_MATCHING_UNAVAILABLE, errors.Unavailable),
        (types.REASON_OUTCOME_UNKNOWN, errors.OutcomeUnknown),
        (types.REASON_DEADLINE, errors.OutcomeUnknown),
        (types.REASON_INTERNAL, errors.Internal),
        (types.REASON_NOT_IN_LOG, errors.NotFound),
    ],
)
def test_the_class_follows_the_reason(reason: types.Reason.ValueType, kind: type[errors.OrdergateError]) -> None:
    """Each reason has the class of its kind of answer."""
    assert type(errors.from_rpc(rpc_error(Refused(reason, "because")))) is kind


@pytest.mark.parametrize("reason", [reason for reason in RULES if reason])
def test_every_reason_has_a_class(reason: types.Reason.ValueType) -> None:
    """No reason of the contract ends as an error without a kind."""
    error = errors.from_rpc(rpc_error(Refused(reason, "because")))
    assert type(error) is not errors.OrdergateError
    assert f"REASON_{error.reason}" == types.Reason.Name(reason)


def test_what_may_be_repeated_agrees_with_the_table_of_reasons() -> None:
    """The SDK repeats by itself only what the table calls retryable."""
    for reason, rule in RULES.items():
        if issubclass(errors.error_class(reason), errors.Unavailable):
            assert rule.retryable, types.Reason.Name(reason)


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable, "UNREACHABLE"),
        (grpc.StatusCode.INTERNAL, errors.Unavailable, "INTERNAL"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.OutcomeUnknown, "DEADLINE_EXCEEDED"),
        (grpc.StatusCode.UNAUTHENTICATED, errors.Unauthenticated, "UNAUTHENTICATED"),
    ],
)
def test_an_error_without_a_code_follows_its_status(
    code: grpc.StatusCode, kind: type[errors.OrdergateError], reason: str
) -> None:
    """A proxy's or the transport's own failure has no reason code; the gRPC status decides."""
    error = errors.from_rpc(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "gone"))
    assert type(error) is kind
    assert (error.reason, error.text) == (reason, "gone")


def test_a_foreign_reason_is_kept_and_not_believed() -> None:
    """ErrorInfo of another domain keeps its reason's name, and the status decides the class."""
    refused = Refused(types.REASON_BUYING_POWER, "because")
    error = rpc_error(refused)
    other = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert other is not None
    info = error_details_pb2.ErrorInfo(reason="QUOTA", domain="example.com")
    other.details[0].Pack(info)
    trailing = grpc.aio.Metadata(*rpc_status.to_status(other).trailing_metadata)
    got = errors.from_rpc(grpc.aio.AioRpcError(refused.status, grpc.aio.Metadata(), trailing, refused.text))
    assert type(got) is errors.Rejected
    assert got.reason == "QUOTA"


def test_a_refusal_inside_a_stream_is_the_same_error() -> None:
    """ReasonDetail of a session gives the same class, name and numbers as the unary call would."""
    detail = types.ReasonDetail(
        code=types.REASON_ORDER_QTY_LIMIT, text="too many", rule="order_qty", limit="5", projected="9", limits_version=3
    )
    error = errors.from_detail(detail)
    assert type(error) is errors.Denied
    assert error.metadata == {"rule": "order_qty", "limit": "5", "projected": "9", "limits_version": "3"}
    assert error.retry_after is None
    limited = types.ReasonDetail(code=types.REASON_RATE_EXCEEDED, text="too many", retry_after_ms=1_500)
    assert errors.from_detail(limited).retry_after == 1.5


def test_a_reason_of_a_later_version_is_its_number() -> None:
    """An unknown code is named by its number and classed by its band."""
    error = errors.from_end(499, "new rule")
    assert type(error) is errors.Denied
    assert error.reason == "499"
