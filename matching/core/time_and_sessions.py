"""Time and clients' sessions: expiries, the end of the day, dead-man timers, cancel-on-disconnect."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from matching.core import lifecycle
from matching.core.cancels import cancel_all
from matching.core.orders import id_of
from matching.core.trading import work_line
from matching.core.venue import ClientSession
from matching.core.words import Cause, Reason, TimeInForce

if TYPE_CHECKING:
    from matching.core.commands import CloseDay, CloseSession, OpenSession, RenewSession, TimeTick
    from matching.core.venue import Venue


def time_tick(venue: Venue, command: TimeTick) -> None:
    """Ends what is due: expired orders, then the orders of sessions that were not renewed."""
    del command
    now_unix_ns = venue.time_unix_ns
    count = bisect_right(venue.expiries, (now_unix_ns, venue.seq))
    due = [venue.orders[order_id] for _, order_id in venue.expiries[:count]]
    overdue = sorted(
        [
            (session.due_unix_ns, session.session_id)
            for session in venue.sessions.values()
            if 0 < session.due_unix_ns <= now_unix_ns
        ]
    )
    venue.say("time_advanced", {"expired_orders": len(due)})
    for order in due:
        if order.is_open:
            lifecycle.expire(venue, order)
    for _, session_id in overdue:
        _time_out(venue, venue.sessions[session_id])
    work_line(venue)
    find_due(venue)


def close_day(venue: Venue, command: CloseDay) -> None:
    """Expires all DAY orders; a day is closed once, and days close in order."""
    if command.trading_day <= venue.last_closed_day:
        venue.refuse(Reason.ALREADY_EXISTS, "trading_day")
        return
    expiring = [
        order
        for account in venue.accounts.values()
        for order in account.open_orders()
        if order.terms.time_in_force == TimeInForce.DAY
    ]
    expired = 0
    for order in sorted(expiring, key=id_of):
        if order.is_open:
            lifecycle.expire(venue, order)
            expired += 1
    work_line(venue)
    venue.last_closed_day = command.trading_day
    for account in venue.accounts.values():
        for cash in account.cash.values():
            cash.day_result_micro = cash.result_micro()
        over = [name for name, known in account.lists.items() if not any(leg.is_open for leg in known.legs.values())]
        for name in over:
            for leg in account.lists.pop(name).legs.values():
                leg.order_list = None
    venue.say("day_closed", {"trading_day": command.trading_day, "expired_orders": expired})


def open_session(venue: Venue, command: OpenSession) -> None:
    """Begins a session; its timer runs from now."""
    if not command.session_id or command.dead_man_ns < 0:
        missing = not command.session_id
        venue.refuse(Reason.FIELD_MISSING if missing else Reason.NOT_POSITIVE, _field(missing))
        return
    if command.session_id in venue.sessions:
        venue.refuse(Reason.ALREADY_EXISTS, "session_id")
        return
    session = ClientSession(command.session_id, command.gateway_id, command.cancel_on_disconnect, command.dead_man_ns)
    venue.sessions[command.session_id] = session
    _arm(venue, session)
    venue.say("session_opened", {"session": command})


def renew_session(venue: Venue, command: RenewSession) -> None:
    """Lets a session's timer begin again."""
    session = venue.sessions.get(command.session_id)
    if session is None:
        venue.refuse(Reason.FIELD_INVALID, "session_id")
        return
    _arm(venue, session)
    venue.say("session_renewed", {"session_id": command.session_id})


def close_session(venue: Venue, command: CloseSession) -> None:
    """Ends a session, or every session of a gateway that was lost, by id."""
    if not command.session_id and not command.gateway_id:
        venue.refuse(Reason.FIELD_MISSING, "session_id")
        return
    if command.session_id:
        found = [command.session_id] if command.session_id in venue.sessions else []
    else:
        found = sorted([s.session_id for s in venue.sessions.values() if s.gateway_id == command.gateway_id])
    if not found:
        venue.refuse(Reason.FIELD_INVALID, "session_id" if command.session_id else "gateway_id")
        return
    for session_id in found:
        session = venue.sessions.pop(session_id)
        ending = list(session.orders.values()) if session.cancel_on_disconnect else []
        venue.say("session_closed", {"session_id": session_id, "canceled_orders": len(ending)})
        cancel_all(venue, ending, Cause.DISCONNECT, Reason.NONE)
    work_line(venue)


def find_due(venue: Venue) -> None:
    """Finds when the next expiry or timer is due."""
    venue.due_unix_ns = venue.expiries[0][0] if venue.expiries else 0
    for session in venue.sessions.values():
        if session.due_unix_ns:
            venue.due_at(session.due_unix_ns)


def _time_out(venue: Venue, session: ClientSession) -> None:
    session.due_unix_ns = 0
    ending = list(session.orders.values())
    venue.say("session_timed_out", {"session_id": session.session_id, "canceled_orders": len(ending)})
    cancel_all(venue, ending, Cause.DISCONNECT, Reason.NONE)


def _arm(venue: Venue, session: ClientSession) -> None:
    if session.dead_man_ns:
        session.due_unix_ns = venue.time_unix_ns + session.dead_man_ns
        venue.due_at(session.due_unix_ns)


def _field(missing: bool) -> str:
    return "session_id" if missing else "dead_man_ns"
