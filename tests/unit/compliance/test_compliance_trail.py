"""Page tokens of the audit trail, and what a request may ask for."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from ordergate.compliance.v1 import audit_pb2 as audit
from ordergate.types.v1 import types_pb2 as types

from compliance.convert import page_of, trail_filter
from compliance.trail import PageTokenInvalid, TrailFilter
from runtime.errors import Refused


@given(st.integers(0, 2**63 - 1), st.text(max_size=10))
def test_a_page_token_continues_where_it_says(index: int, account: str) -> None:
    """A token gives back the index for the filters it was made with."""
    wanted = TrailFilter(account=account)
    assert wanted.before_index(wanted.page_token(index)) == index


def test_a_page_token_of_other_filters_is_refused() -> None:
    """A list cannot be continued as another one."""
    token = TrailFilter(account="A").page_token(7)
    with pytest.raises(PageTokenInvalid, match="other filters"):
        TrailFilter(account="B").before_index(token)


@given(st.text(max_size=40))
def test_anything_else_is_no_page_token(text: str) -> None:
    """Whatever is made up is refused, not an error of ours."""
    with pytest.raises(PageTokenInvalid):
        TrailFilter().before_index(text)


@pytest.mark.parametrize(
    ("request_message", "reason", "field"),
    [
        (audit.ListAuditEntriesRequest(page_size=1001), types.REASON_FIELD_INVALID, "page_size"),
        (audit.ListAuditEntriesRequest(page_token="§"), types.REASON_PAGE_TOKEN_INVALID, "page_token"),
        (audit.ListAuditEntriesRequest(order_id="O-1"), types.REASON_FIELD_INVALID, "order_id"),
        (audit.ListAuditEntriesRequest(order_id="²"), types.REASON_FIELD_INVALID, "order_id"),
        (audit.ListAuditEntriesRequest(order_id="9" * 19), types.REASON_FIELD_INVALID, "order_id"),
        (audit.ListAuditEntriesRequest(event_type="ORDER_LOST"), types.REASON_FIELD_INVALID, "event_type"),
        (
            audit.ListAuditEntriesRequest(from_time=Timestamp(seconds=10**11)),
            types.REASON_FIELD_INVALID,
            "from_time",
        ),
    ],
)
def test_a_request_that_cannot_be_is_refused(
    request_message: audit.ListAuditEntriesRequest, reason: int, field: str
) -> None:
    """The refusal names the field."""
    with pytest.raises(Refused) as refused:
        page_of(request_message, trail_filter(request_message))
    assert (refused.value.reason, refused.value.field) == (reason, field)


def test_a_request_becomes_filters() -> None:
    """Empty fields filter nothing; times are kept to the nanosecond; a page has 100 entries unless told otherwise."""
    assert trail_filter(audit.ListAuditEntriesRequest()) == TrailFilter()
    request = audit.ListAuditEntriesRequest(
        account="A", order_id="12", event_type="ORDER_TRADE", from_time=Timestamp(seconds=1, nanos=2), page_size=5
    )
    wanted = trail_filter(request)
    assert wanted == TrailFilter("A", None, 12, None, "ORDER_TRADE", 1_000_000_002, None)
    assert page_of(request, wanted) == (None, 5)
    assert page_of(audit.ListAuditEntriesRequest(), TrailFilter()) == (None, 100)
