"""Pages of the audit trail: filters, the query that serves them, and page tokens.

A page continues at a leaf index, not at an offset: it costs the same wherever
it is, and entries that come in meanwhile do not shift it.
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import astuple, dataclass
from hashlib import sha256
from typing import Any

from compliance.reader import Reader

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1000
_TOKEN = struct.Struct(">BQ8s")
_TOKEN_VERSION = 1
_COLUMNS = """
leaf_index, event_type, event_time_ns, received_time_ns,
account, symbol, order_id, cl_ord_id, actor, leaf_hash, entry"""
# Engine time never goes back (I10), so a time is a place in the log.
_FIRST_AT = """
SELECT leaf_index FROM audit.leaves WHERE event_time_ns >= $1 ORDER BY event_time_ns, leaf_index LIMIT 1"""


class PageTokenInvalid(ValueError):
    """Not a token of this list with these filters."""


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """Which entries; None and empty mean all. Times are unix ns, `to_time_ns` is the first one left out."""

    account: str | None = None
    symbol: str | None = None
    order_id: int | None = None
    cl_ord_id: str | None = None
    event_type: str | None = None
    from_time_ns: int | None = None
    to_time_ns: int | None = None

    def page_token(self, before_index: int) -> str:
        """The token of the page of entries below `before_index`."""
        return urlsafe_b64encode(_TOKEN.pack(_TOKEN_VERSION, before_index, self._digest())).rstrip(b"=").decode()

    def before_index(self, page_token: str) -> int:
        """The index that a token says to continue below.

        Raises:
            PageTokenInvalid: not a token, or one of other filters.
        """
        try:
            packed = urlsafe_b64decode(page_token + "=" * (-len(page_token) % 4))
            version, index, digest = _TOKEN.unpack(packed)
        except (ValueError, struct.error):
            raise PageTokenInvalid("not a page token of this server") from None
        if version != _TOKEN_VERSION or index >= 1 << 63:
            raise PageTokenInvalid("not a page token of this server")
        if digest != self._digest():
            raise PageTokenInvalid("the page token belongs to a list with other filters")
        return int(index)

    def _digest(self) -> bytes:
        return sha256(repr(astuple(self)).encode()).digest()[:8]


async def page(reader: Reader, wanted: TrailFilter, before_index: int | None, limit: int) -> list[Any]:
    """Up to `limit` leaves below `before_index`, newest first; rows as `_COLUMNS` says.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    conditions = {
        "account =": wanted.account,
        "symbol =": wanted.symbol,
        "order_id =": wanted.order_id,
        "cl_ord_id =": wanted.cl_ord_id,
        "event_type =": wanted.event_type,
        "leaf_index <": before_index,
    }
    if wanted.from_time_ns is not None:
        first = await _first_at(reader, wanted.from_time_ns)
        if first is None:
            return []
        conditions["leaf_index >="] = first
    if wanted.to_time_ns is not None:
        end = await _first_at(reader, wanted.to_time_ns)
        if end is not None:
            conditions["leaf_index <"] = end if before_index is None else min(end, before_index)
    given = {condition: value for condition, value in conditions.items() if value is not None}
    where = " AND ".join(f"{condition} ${number}" for number, condition in enumerate(given, 1)) or "true"
    # Only our own words are put together here; what was asked for travels as parameters.
    query = f"SELECT {_COLUMNS} FROM audit.leaves WHERE {where} ORDER BY leaf_index DESC LIMIT {limit:d}"  # noqa: S608
    return await reader.fetch(query, *given.values())


async def _first_at(reader: Reader, time_ns: int) -> int | None:
    """The first leaf of a time or later."""
    found = await reader.fetch(_FIRST_AT, time_ns)
    return found[0][0] if found else None
