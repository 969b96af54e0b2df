"""Between the messages of the contract and the values of the log."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from ordergate.compliance.v1 import audit_pb2 as audit
from ordergate.types.v1 import types_pb2 as types

from compliance.reader import StoredCheckpoint
from compliance.rows import EVENT_TYPES, indexed_text
from compliance.trail import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PageTokenInvalid, TrailFilter
from runtime.clock import NANOS_PER_SECOND, timestamp
from runtime.errors import Refused

INT64_MAX = (1 << 63) - 1


def trail_filter(request: audit.ListAuditEntriesRequest) -> TrailFilter:
    """The filters of a request.

    Raises:
        Refused: an order id, event type or time that cannot be.
    """
    if request.event_type and request.event_type not in EVENT_TYPES:
        text = f"event_type is one of {', '.join(sorted(EVENT_TYPES))}"
        raise Refused(types.REASON_FIELD_INVALID, text, field="event_type")
    return TrailFilter(
        account=indexed_text(request.account),
        symbol=indexed_text(request.symbol),
        order_id=_order_id(request.order_id),
        cl_ord_id=indexed_text(request.cl_ord_id),
        event_type=request.event_type or None,
        from_time_ns=_time_ns(request.from_time, "from_time") if request.HasField("from_time") else None,
        to_time_ns=_time_ns(request.to_time, "to_time") if request.HasField("to_time") else None,
    )


def page_of(request: audit.ListAuditEntriesRequest, wanted: TrailFilter) -> tuple[int | None, int]:
    """The index to continue below, None for the first page, and the number of entries.

    Raises:
        Refused: a page size above the largest one, or a token that is not ours.
    """
    if request.page_size > PAGE_SIZE_MAX:
        raise Refused(types.REASON_FIELD_INVALID, f"page_size is at most {PAGE_SIZE_MAX}", field="page_size")
    limit = request.page_size or PAGE_SIZE_DEFAULT
    if not request.page_token:
        return None, limit
    try:
        return wanted.before_index(request.page_token), limit
    except PageTokenInvalid as error:
        raise Refused(types.REASON_PAGE_TOKEN_INVALID, str(error), field="page_token") from None


def audit_entry(row: Any) -> audit.AuditEntry:
    """One leaf, as `compliance.trail` reads it."""
    leaf_index, event_type, event_ns, received_ns, account, symbol, order_id, cl_ord_id, actor, leaf_hash, entry = row
    return audit.AuditEntry(
        leaf_index=leaf_index,
        seq=leaf_index + 1,
        event_type=event_type,
        event_time=timestamp(event_ns),
        received_time=timestamp(received_ns),
        account=account or "",
        symbol=symbol or "",
        order_id=str(order_id) if order_id else "",
        cl_ord_id=cl_ord_id or "",
        actor=actor or "",
        leaf_hash=leaf_hash,
        entry=entry,
    )


def checkpoint_message(origin: str, checkpoint: StoredCheckpoint) -> audit.Checkpoint:
    """A checkpoint."""
    return audit.Checkpoint(
        origin=origin,
        tree_size=checkpoint.tree_size,
        root_hash=checkpoint.root_hash,
        note=checkpoint.note,
        time=timestamp(checkpoint.signed_time_ns),
    )


def _order_id(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or int(text) > INT64_MAX:
        raise Refused(types.REASON_FIELD_INVALID, "order_id is a number, as reports give it", field="order_id")
    return int(text)


def _time_ns(time: Timestamp, field: str) -> int:
    at_ns = time.seconds * NANOS_PER_SECOND + time.nanos
    if not -INT64_MAX <= at_ns <= INT64_MAX:
        raise Refused(types.REASON_FIELD_INVALID, f"{field} is out of range", field=field)
    return at_ns
