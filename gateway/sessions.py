"""All sessions of a gateway: begins each, runs it, and sees to it that each ends in the venue too.

A session's id names the gateway and this run of it, so it is never used twice.
Whatever ends a call - a word of the client, a broken connection, a token, a
drain - leads to one place here, which hands the session's end to the link.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from itertools import count
from typing import Any

from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.admission import Admission
from gateway.link import Link
from gateway.rates.limits import RateLimits, taken
from gateway.reports import Reports
from gateway.session import FRAME_COMMANDS_MAX, Session
from gateway.session_commands import SessionCommands
from gateway.session_terms import Terms, terms_of
from runtime.auth import Principal, authorize, bind_account, current_principal, current_verifier, rule_of
from runtime.clock import NANOS_PER_SECOND, timestamp, unix_ns
from runtime.errors import Refused
from runtime.instruments import Instruments
from runtime.lifetimes import Life, Lifetimes, break_off
from runtime.logs import get_logger
from runtime.session_ids import session_id
from runtime.settings import Settings
from runtime.verifier import Verifier

METHOD = "/ordergate.orders.v1.OrderEntryService/OrderSession"
LOGON_WITHIN_S = 10.0
"""Until the logon nobody looks after the call: it has no session that could end."""
Requests = AsyncIterator[wire.OrderSessionRequest]

log = get_logger(__name__)


class Sessions:
    """The live sessions of one gateway."""

    def __init__(
        self,
        settings: Settings,
        link: Link,
        reports: Reports,
        admission: Admission,
        instruments: Instruments,
        lifetimes: Lifetimes,
        limits: RateLimits,
    ) -> None:
        self._gateway_id = settings.gateway_id
        self._link = link
        self._reports = reports
        self._admission = admission
        self._instruments = instruments
        self._lifetimes = lifetimes
        self._limits = limits
        self._numbers = count(1)
        self._known: dict[str, Session] = {}
        """Every session until the venue has answered its end: what it has sent may be sent again until then."""
        link.watch(self)

    async def serve(self, requests: Requests, context: Any) -> AsyncIterator[wire.OrderSessionResponse | bytes]:
        """Runs a session for as long as its call lives.

        Raises:
            Refused: it cannot begin; whatever comes later is told in band.
        """
        terms = await self._logged_on(requests)
        running = _Running(self._begun(terms), self, requests, context)
        session = running.session
        try:
            async for message in session.write(self._accepted(session)):
                session.handing()
                yield message
                session.handed()
        finally:
            running.stop()

    def session_closed(self, session_id: str) -> None:
        """Ends a session that the venue has ended: its gateway was away from it for too long."""
        session = self._known.get(session_id)
        if session is None:
            return
        if not self._link.up.is_set():
            session.reopen()
        if not session.has_left:
            session.finish(types.REASON_MATCHING_UNAVAILABLE, "the venue has ended the session: its gateway was away")

    def missed(self) -> None:
        """Ends every session: nobody knows what was missed, the end of sessions perhaps."""
        self._begin_again(types.REASON_SNAPSHOT_REQUIRED, "events have passed that are not kept any more")

    def displaced(self) -> None:
        """Ends every session here, as the venue has done."""
        self._begin_again(types.REASON_MATCHING_UNAVAILABLE, "another process has taken this gateway's place")

    def _begin_again(self, reason: types.Reason.ValueType, text: str) -> None:
        """Lets every session end, those that have ended here too, in which something may be sent again."""
        for session in self._known.values():
            session.reopen()
            if not session.has_left:
                session.finish(reason, text)

    def began(self, session: Session, context: Any) -> Life:
        """Lets a session live: it hears reports, and is looked after.

        Raises:
            Refused: DRAINING, or matching cannot be reached.
        """
        life = self._lifetimes.begin(session, current_principal(), current_verifier(), context)
        try:
            session.open()
        except Refused:
            self._lifetimes.end(life)
            raise
        self._reports.subscribe(session)
        self._known[session.stream_id] = session
        session.on_gone = partial(self._forget, session.stream_id)
        log.info("session begins", session=session.stream_id, name=session.terms.name)
        return life

    def ended(self, session: Session, life: Life) -> None:
        """Lets go of a session, in the venue too."""
        session.forget_history()
        self._reports.unsubscribe(session)
        self._lifetimes.end(life)
        self._limits.forget_session(session.stream_id)
        session.leave()

    def _forget(self, session_id: str) -> None:
        self._known.pop(session_id, None)

    async def _logged_on(self, requests: Requests) -> Terms:
        try:
            async with asyncio.timeout(LOGON_WITHIN_S):
                first = await anext(requests, None)
        except TimeoutError:
            raise Refused(types.REASON_DEADLINE, f"no logon came within {LOGON_WITHIN_S:g} seconds") from None
        if first is None or first.WhichOneof("message") != "logon":
            raise Refused(types.REASON_FIELD_MISSING, "a session begins with a logon", field="logon")
        terms = terms_of(first.logon)
        self._lifetimes.check_open()
        self._link.check_up()
        for account in terms.accounts:
            await taken(self._limits.take_query, account)
        if terms.resume_after is not None:
            await self._reports.reach(self._link.stub, terms.resume_after)
        return terms

    def _begun(self, terms: Terms) -> Session:
        principal = current_principal()
        stream_id = session_id(self._gateway_id, self._link.incarnation, next(self._numbers))
        envelope = self._admission.envelope(principal.subject, stream_id)
        commands = SessionCommands(envelope, terms, principal.roles, self._admission, self._limits)
        return Session(stream_id, terms, commands, self._link, self._reports, self._instruments)

    def _accepted(self, session: Session) -> wire.LogonAccepted:
        terms, principal = session.terms, current_principal()
        return wire.LogonAccepted(
            accounts=sorted(terms.accounts),
            heartbeat_interval_s=terms.heartbeat_s,
            max_frame_commands=FRAME_COMMANDS_MAX,
            cancel_on_disconnect=terms.cancel_on_disconnect,
            time=timestamp(unix_ns()),
            dead_man_timer_ms=terms.dead_man_ms,
            session_id=session.stream_id,
            ack_level=terms.ack_level,
            budgets=self._limits.session_budgets(session.stream_id),
            token_expires_at=timestamp(round(principal.expires_at_s * NANOS_PER_SECOND)),
        )


class _Running:
    """One session that runs: its reading side, its life, and its end."""

    def __init__(self, session: Session, sessions: Sessions, requests: Requests, context: Any) -> None:
        """Begins it.

        Raises:
            Refused: it cannot begin.
        """
        self.session = session
        self._sessions = sessions
        self._principal = current_principal()
        self._verifier: Verifier = current_verifier()
        self._life = sessions.began(session, context)
        self._writing = asyncio.current_task()
        self._context = context
        self._has_stopped = False
        session.break_off = self._break_off
        # The generators around a call may be closed late when its client goes away; this is called at once.
        context.add_done_callback(lambda _: self.stop())
        self._reading = asyncio.create_task(self._read(requests), name=f"requests of {session.stream_id}")
        self._reading.add_done_callback(self._has_read)

    def stop(self) -> None:
        """Ends it, however its call has ended; called more than once."""
        if self._has_stopped:
            return
        self._has_stopped = True
        self._reading.cancel()
        self.session.break_off = None
        self._sessions.ended(self.session, self._life)

    async def _read(self, requests: Requests) -> None:
        """Takes in what the client says until it logs out or goes away, or the session is to end."""
        session = self.session
        async for request in requests:
            received_unix_ns = unix_ns()
            if session.end is not None:
                return
            kind = request.WhichOneof("message")
            if kind == "frame":
                await session.take_frame(request.frame, received_unix_ns)
            elif kind == "logout":
                session.finish(types.REASON_UNSPECIFIED, f"logged out {request.logout.text[:80]}".rstrip())
                return
            elif kind == "authentication":
                await self._authenticate(request.authentication.token)
            else:
                session.finish(types.REASON_FIELDS_CONFLICT, "a session has one logon, its first message")
                return
        session.finish(types.REASON_UNSPECIFIED, "the client has ended its side")

    async def _authenticate(self, token: str) -> None:
        """Goes on with a newer token of the same caller, if it allows what the session does.

        Raises:
            Refused: it does not.
        """
        newer = await self._verifier.verified(f"Bearer {token}", unix_ns() / NANOS_PER_SECOND)
        if newer.subject != self._principal.subject:
            raise Refused(types.REASON_TOKEN_INVALID, "the token is another caller's")
        rule = rule_of(METHOD)
        authorize(rule, newer)
        assert rule is not None, "a method that is closed lets nobody pass"
        accounts = sorted(self.session.accounts)
        bind_account(rule, newer, wire.OrderSessionRequest(logon=wire.Logon(accounts=accounts)))
        self._take_on(newer)

    def _take_on(self, newer: Principal) -> None:
        self._principal = newer
        self._life.renew(newer)
        self.session.commands.roles = newer.roles
        log.info("session renewed", session=self.session.stream_id)

    def _has_read(self, reading: asyncio.Task[None]) -> None:
        """Ends a session whose reading side has failed."""
        if reading.cancelled():
            return
        error = reading.exception()
        if isinstance(error, Refused):
            self.session.finish(error.reason, error.text)
        elif error is not None:
            log.error("a session's requests could not be read", session=self.session.stream_id, exc_info=error)
            self.session.finish(types.REASON_INTERNAL, "the session's requests could not be read")

    def _break_off(self) -> None:
        """Ends the call whose client takes nothing any more."""
        text = "the session did not take its reports fast enough"
        break_off(self._context, self._writing, Refused(types.REASON_SLOW_CONSUMER, text))
        self.stop()
