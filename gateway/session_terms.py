"""What a client and the gateway agree on when a session begins."""

from __future__ import annotations

from typing import NamedTuple

from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from runtime.errors import Refused

ACCOUNTS_MAX = 64
SESSION_NAME_MAX = 36
HEARTBEAT_S_MIN, HEARTBEAT_S_DEFAULT, HEARTBEAT_S_MAX = 1, 5, 60
DEAD_MAN_MS_MIN, DEAD_MAN_MS_MAX = 1_000, 3_600_000


class Terms(NamedTuple):
    """What holds in one session."""

    accounts: frozenset[str]
    only_account: str
    """The account, where there is only one; commands need not name it."""
    cancel_on_disconnect: bool
    dead_man_ms: int
    """0 for no timer."""
    heartbeat_s: int
    ack_level: wire.AckLevel.ValueType
    resume_after: int | None
    """None to begin with the present."""
    name: str

    @property
    def answers_only(self) -> bool:
        """Whether the client wants only the answers to its own commands."""
        return self.ack_level == wire.ACK_LEVEL_ACCEPTED_ONLY


def terms_of(logon: wire.Logon) -> Terms:
    """What a logon asks for, with what holds where it says nothing.

    Raises:
        Refused: it names no account or too many, or a value that is not possible.
    """
    if not logon.accounts or len(logon.accounts) > ACCOUNTS_MAX:
        reason = types.REASON_FIELD_INVALID if logon.accounts else types.REASON_FIELD_MISSING
        raise Refused(reason, f"a session has 1 to {ACCOUNTS_MAX} accounts", field="logon.accounts")
    if logon.ack_level not in wire.AckLevel.values():
        raise Refused(types.REASON_ENUM_UNKNOWN, f"ack_level {logon.ack_level} is not known", field="logon.ack_level")
    if len(logon.session_name) > SESSION_NAME_MAX:
        text = f"a session's name has at most {SESSION_NAME_MAX} characters"
        raise Refused(types.REASON_FIELD_INVALID, text, field="logon.session_name")
    accounts = frozenset(logon.accounts)
    return Terms(
        accounts=accounts,
        only_account=logon.accounts[0] if len(accounts) == 1 else "",
        cancel_on_disconnect=logon.cancel_on_disconnect if logon.HasField("cancel_on_disconnect") else True,
        dead_man_ms=_dead_man_ms(logon),
        heartbeat_s=_heartbeat_s(logon),
        ack_level=logon.ack_level or wire.ACK_LEVEL_ALL,
        resume_after=logon.resume_after if logon.HasField("resume_after") else None,
        name=logon.session_name,
    )


def _dead_man_ms(logon: wire.Logon) -> int:
    timer_ms = logon.dead_man_timer_ms
    if timer_ms and not DEAD_MAN_MS_MIN <= timer_ms <= DEAD_MAN_MS_MAX:
        text = f"a dead-man timer has {DEAD_MAN_MS_MIN} to {DEAD_MAN_MS_MAX} milliseconds, or is 0 for none"
        raise Refused(types.REASON_FIELD_INVALID, text, field="logon.dead_man_timer_ms")
    return timer_ms


def _heartbeat_s(logon: wire.Logon) -> int:
    heartbeat_s = logon.heartbeat_interval_s or HEARTBEAT_S_DEFAULT
    if not HEARTBEAT_S_MIN <= heartbeat_s <= HEARTBEAT_S_MAX:
        text = f"heartbeats come every {HEARTBEAT_S_MIN} to {HEARTBEAT_S_MAX} seconds"
        raise Refused(types.REASON_FIELD_INVALID, text, field="logon.heartbeat_interval_s")
    return heartbeat_s
