"""What holds in a session: what a logon asks for, and what it is given where it says nothing."""

from typing import Any

import pytest
from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.session_terms import (
    ACCOUNTS_MAX,
    DEAD_MAN_MS_MAX,
    DEAD_MAN_MS_MIN,
    HEARTBEAT_S_DEFAULT,
    HEARTBEAT_S_MAX,
    SESSION_NAME_MAX,
    terms_of,
)
from runtime.errors import Refused
from runtime.session_ids import run_prefix, session_id


def logon(**fields: Any) -> wire.Logon:
    """A logon of one account, with changes."""
    return wire.Logon(**({"accounts": ["DEMO"]} | fields))


def test_what_holds_when_nothing_is_asked_for() -> None:
    """Orders end with the session, no timer runs, every report comes, and the session begins with the present."""
    terms = terms_of(logon())
    assert terms.accounts == frozenset({"DEMO"})
    assert terms.only_account == "DEMO"
    assert terms.cancel_on_disconnect
    assert (terms.dead_man_ms, terms.heartbeat_s) == (0, HEARTBEAT_S_DEFAULT)
    assert (terms.ack_level, terms.answers_only) == (wire.ACK_LEVEL_ALL, False)
    assert terms.resume_after is None


@pytest.mark.parametrize(
    ("asked", "field", "value"),
    [
        ({"cancel_on_disconnect": False}, "cancel_on_disconnect", False),
        ({"cancel_on_disconnect": True}, "cancel_on_disconnect", True),
        ({"dead_man_timer_ms": DEAD_MAN_MS_MIN}, "dead_man_ms", DEAD_MAN_MS_MIN),
        ({"dead_man_timer_ms": DEAD_MAN_MS_MAX}, "dead_man_ms", DEAD_MAN_MS_MAX),
        ({"heartbeat_interval_s": HEARTBEAT_S_MAX}, "heartbeat_s", HEARTBEAT_S_MAX),
        ({"ack_level": wire.ACK_LEVEL_ACCEPTED_ONLY}, "answers_only", True),
        ({"resume_after": 0}, "resume_after", 0),
        ({"resume_after": 7}, "resume_after", 7),
        ({"accounts": ["A", "B"]}, "only_account", ""),
        ({"accounts": ["A", "A"]}, "only_account", "A"),
        ({"session_name": "n" * SESSION_NAME_MAX}, "name", "n" * SESSION_NAME_MAX),
    ],
    ids=str,
)
def test_what_is_asked_for_holds(asked: dict[str, Any], field: str, value: object) -> None:
    """Each capability, at the edges of what is possible."""
    assert getattr(terms_of(logon(**asked)), field) == value


@pytest.mark.parametrize(
    ("asked", "reason", "field"),
    [
        ({"accounts": []}, types.REASON_FIELD_MISSING, "logon.accounts"),
        ({"accounts": ["A"] * (ACCOUNTS_MAX + 1)}, types.REASON_FIELD_INVALID, "logon.accounts"),
        ({"dead_man_timer_ms": DEAD_MAN_MS_MIN - 1}, types.REASON_FIELD_INVALID, "logon.dead_man_timer_ms"),
        ({"dead_man_timer_ms": DEAD_MAN_MS_MAX + 1}, types.REASON_FIELD_INVALID, "logon.dead_man_timer_ms"),
        ({"heartbeat_interval_s": HEARTBEAT_S_MAX + 1}, types.REASON_FIELD_INVALID, "logon.heartbeat_interval_s"),
        ({"ack_level": 3}, types.REASON_ENUM_UNKNOWN, "logon.ack_level"),
        ({"session_name": "n" * (SESSION_NAME_MAX + 1)}, types.REASON_FIELD_INVALID, "logon.session_name"),
    ],
    ids=str,
)
def test_what_is_not_possible_is_refused(asked: dict[str, Any], reason: types.Reason.ValueType, field: str) -> None:
    """One beyond each edge, with the field."""
    with pytest.raises(Refused) as refused:
        terms_of(logon(**asked))
    assert (refused.value.reason, refused.value.field) == (reason, field)


def test_sessions_of_different_runs_have_different_names() -> None:
    """A name begins with the prefix of its own run, and of no other one, whatever the numbers."""
    name = session_id("gateway-1", 0x12, 3)
    assert name.startswith(run_prefix("gateway-1", 0x12))
    assert not name.startswith(run_prefix("gateway-1", 0x1))
    assert not name.startswith(run_prefix("gateway-1", 0x123))
    assert name != session_id("gateway-1", 0x12, 33)
