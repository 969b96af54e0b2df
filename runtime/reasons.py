"""The one table of reasons: what each means to gRPC and to a client that wonders whether to try again.

The codes are `ordergate.types.v1.Reason`, banded by origin. The table is total:
a test compares it with the enum, and `docs/reasons.md` is generated from it.
"""

from typing import NamedTuple

import grpc
from ordergate.types.v1 import types_pb2 as types

Code = grpc.StatusCode


class Rule(NamedTuple):
    """What follows from a reason."""

    status: grpc.StatusCode
    """The gRPC status of an error with this reason."""
    retryable: bool
    """Whether the same request can succeed later without a change."""


_NO, _YES = False, True

RULES: dict[types.Reason.ValueType, Rule] = {
    types.REASON_UNSPECIFIED: Rule(Code.UNKNOWN, _NO),
    types.REASON_TOKEN_MISSING: Rule(Code.UNAUTHENTICATED, _NO),
    types.REASON_TOKEN_INVALID: Rule(Code.UNAUTHENTICATED, _NO),
    types.REASON_TOKEN_EXPIRED: Rule(Code.UNAUTHENTICATED, _NO),
    types.REASON_ROLE_NOT_ALLOWED: Rule(Code.PERMISSION_DENIED, _NO),
    types.REASON_ACCOUNT_NOT_ALLOWED: Rule(Code.PERMISSION_DENIED, _NO),
    types.REASON_METHOD_CLOSED: Rule(Code.PERMISSION_DENIED, _NO),
    types.REASON_ROLES_CONFLICT: Rule(Code.PERMISSION_DENIED, _NO),
    types.REASON_TOKEN_REVOKED: Rule(Code.UNAUTHENTICATED, _NO),
    types.REASON_KEYS_UNAVAILABLE: Rule(Code.UNAVAILABLE, _YES),
    types.REASON_FIELD_MISSING: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_FIELD_INVALID: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_DECIMAL_INVALID: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_NOT_POSITIVE: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_PRICE_OFF_TICK: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_QTY_OFF_LOT: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_VALUE_TOO_LARGE: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_ENUM_UNKNOWN: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_NOT_SUPPORTED: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_SYMBOL_UNKNOWN: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_MESSAGE_TOO_LARGE: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_FIELDS_CONFLICT: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_PAGE_TOKEN_INVALID: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_RATE_EXCEEDED: Rule(Code.RESOURCE_EXHAUSTED, _YES),
    types.REASON_OVERLOADED: Rule(Code.RESOURCE_EXHAUSTED, _YES),
    types.REASON_SLOW_CONSUMER: Rule(Code.RESOURCE_EXHAUSTED, _YES),
    types.REASON_BUYING_POWER: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_POSITION_INSUFFICIENT: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_SHORT_SALE_NOT_PERMITTED: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_ORDER_QTY_LIMIT: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_ORDER_NOTIONAL_LIMIT: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_PRICE_COLLAR: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_POSITION_LIMIT: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_OPEN_NOTIONAL_LIMIT: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_DAILY_LOSS_LIMIT: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_MESSAGE_RATE_LIMIT: Rule(Code.RESOURCE_EXHAUSTED, _YES),
    types.REASON_DUPLICATE_ORDER: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_REPEATED_EXECUTION: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_RESTRICTED_INSTRUMENT: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_KILL_SWITCH: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_ACCOUNT_UNKNOWN: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_REFERENCE_STALE: Rule(Code.FAILED_PRECONDITION, _YES),
    types.REASON_CL_ORD_ID_CONFLICT: Rule(Code.ALREADY_EXISTS, _NO),
    types.REASON_ORDER_UNKNOWN: Rule(Code.NOT_FOUND, _NO),
    types.REASON_ORDER_NOT_OPEN: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_NO_LIQUIDITY: Rule(Code.FAILED_PRECONDITION, _YES),
    types.REASON_SELF_TRADE: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_WOULD_TAKE: Rule(Code.FAILED_PRECONDITION, _YES),
    types.REASON_HALTED: Rule(Code.FAILED_PRECONDITION, _YES),
    types.REASON_SESSION_CLOSED: Rule(Code.FAILED_PRECONDITION, _YES),
    types.REASON_QTY_BELOW_CUM: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_EXPIRED: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_NOT_FILLABLE: Rule(Code.FAILED_PRECONDITION, _YES),
    types.REASON_ALREADY_EXISTS: Rule(Code.ALREADY_EXISTS, _NO),
    types.REASON_NOTHING_TO_REPLACE: Rule(Code.INVALID_ARGUMENT, _NO),
    types.REASON_DELISTED: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_CONTINGENCY: Rule(Code.FAILED_PRECONDITION, _NO),
    types.REASON_PRICE_BAND: Rule(Code.FAILED_PRECONDITION, _YES),
    types.REASON_MATCHING_UNAVAILABLE: Rule(Code.UNAVAILABLE, _YES),
    types.REASON_OUTCOME_UNKNOWN: Rule(Code.UNAVAILABLE, _YES),
    types.REASON_DRAINING: Rule(Code.UNAVAILABLE, _YES),
    types.REASON_STORE_UNAVAILABLE: Rule(Code.UNAVAILABLE, _YES),
    types.REASON_SNAPSHOT_REQUIRED: Rule(Code.OUT_OF_RANGE, _NO),
    types.REASON_INTERNAL: Rule(Code.INTERNAL, _NO),
    types.REASON_STORAGE_FULL: Rule(Code.UNAVAILABLE, _YES),
    types.REASON_NOT_IN_LOG: Rule(Code.NOT_FOUND, _YES),
    types.REASON_DEADLINE: Rule(Code.DEADLINE_EXCEEDED, _YES),
    types.REASON_TOO_LATE: Rule(Code.UNAVAILABLE, _YES),
}


def reason_name(reason: types.Reason.ValueType) -> str:
    """The name that clients see: `REASON_` left off, as in `PRICE_OFF_TICK`."""
    return types.Reason.Name(reason).removeprefix("REASON_")
