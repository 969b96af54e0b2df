"""Reasons and refusals: the table is total, and a refusal becomes a google.rpc.Status with its details."""

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from ordergate.types.v1 import types_pb2 as types

from runtime.errors import DOMAIN, Refused, reason_detail, status_of, trailing_metadata
from runtime.reasons import RULES, reason_name
from runtime.reasons_page import BANDS, CONTRACT, PAGE, REPOSITORY, meanings, page

DETAILS: tuple[type[Message], ...] = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.RetryInfo,
)


def unpacked(status: status_pb2.Status) -> list[Any]:
    """The details of a status as messages, in their order."""
    found = []
    for packed in status.details:
        kind = next(kind for kind in DETAILS if packed.Is(kind.DESCRIPTOR))
        message = kind()
        packed.Unpack(message)
        found.append(message)
    return found


def names(details: Iterable[Message]) -> list[str]:
    """The kinds of the details."""
    return [detail.DESCRIPTOR.name for detail in details]


def test_the_table_is_total() -> None:
    """Every reason of the contract has its rule, and no rule is without a reason."""
    assert set(RULES) == set(types.Reason.values())


@pytest.mark.parametrize("reason", sorted(set(types.Reason.values()) - {types.REASON_UNSPECIFIED}))
def test_reasons_keep_to_their_band(reason: types.Reason.ValueType) -> None:
    """Each reason is in a band of its origin, and its status is an error that is meant: never OK or UNKNOWN."""
    assert reason // 100 in BANDS
    status = RULES[reason].status
    assert status not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN)
    shape = 200
    if reason // 100 * 100 == shape:
        assert status == grpc.StatusCode.INVALID_ARGUMENT
    assert (status == grpc.StatusCode.INTERNAL) == (reason == types.REASON_INTERNAL)


@pytest.mark.parametrize("reason", types.Reason.values())
def test_every_reason_becomes_a_status(reason: types.Reason.ValueType) -> None:
    """The status has the table's code, the text, ErrorInfo first, and RetryInfo exactly where a retry can succeed."""
    status = status_of(Refused(reason, "because"))
    info, *rest = unpacked(status)
    assert status.code == code_pb2.Code.Value(RULES[reason].status.name)
    assert status.message == "because"
    assert (info.reason, info.domain) == (reason_name(reason), DOMAIN)
    assert names(rest) == (["RetryInfo"] if RULES[reason].retryable else [])


def test_a_field_becomes_a_bad_request() -> None:
    """The field at fault is named with the same sentence."""
    refused = Refused(types.REASON_DECIMAL_INVALID, "price is odd", field="order.price", metadata={"a": "1"})
    info, bad_request = unpacked(status_of(refused))
    assert dict(info.metadata) == {"a": "1"}
    (violation,) = bad_request.field_violations
    assert (violation.field, violation.description) == ("order.price", "price is odd")


@pytest.mark.parametrize(
    ("delay_s", "expected"), [(0.25, (0, 250_000_000)), (1, (1, 0)), (2.5, (2, 500_000_000)), (0.0, (0, 0))]
)
def test_a_delay_becomes_retry_info(delay_s: float, expected: tuple[int, int]) -> None:
    """When to try again is told to the nanosecond, whatever the reason, and wins over the default."""
    for reason in (types.REASON_RATE_EXCEEDED, types.REASON_BUYING_POWER):
        retry = unpacked(status_of(Refused(reason, "later", retry_after_s=delay_s)))[-1]
        assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == expected


def test_trailing_metadata_carry_the_status() -> None:
    """The details travel where gRPC clients look for them."""
    refused = Refused(types.REASON_HALTED, "halted")
    ((key, value),) = trailing_metadata(refused)
    assert key == "grpc-status-details-bin"
    assert status_pb2.Status.FromString(value) == status_of(refused)


def test_streams_carry_the_same_reason() -> None:
    """In a stream the refusal is a ReasonDetail with code, text and field."""
    refused = Refused(types.REASON_QTY_OFF_LOT, "off", field="qty")
    assert reason_detail(refused) == types.ReasonDetail(code=types.REASON_QTY_OFF_LOT, text="off", field="qty")


def test_every_reason_has_a_meaning() -> None:
    """The page takes its sentences from the contract; none may be missing."""
    said = meanings(CONTRACT.read_text())
    assert set(said) == {reason_name(reason) for reason in RULES}
    assert all(sentence.endswith(".") for sentence in said.values())


def test_the_page_is_up_to_date() -> None:
    """docs/reasons.md is what `python -m runtime.reasons_page` writes."""
    assert PAGE.read_text() == page(CONTRACT.read_text())
    command = [sys.executable, "-m", "runtime.reasons_page", "--check"]
    assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 0


def test_the_page_lists_every_reason_once() -> None:
    """One row for each reason but the one that stands for none."""
    rows = [line.split(" | ") for line in page(CONTRACT.read_text()).splitlines() if line.startswith("| ")]
    listed = [(row[0].removeprefix("| "), row[1]) for row in rows if row[0] != "| code"]
    assert listed == [(str(reason), reason_name(reason)) for reason in sorted(RULES) if reason]
