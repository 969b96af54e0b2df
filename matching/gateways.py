"""The gateways that are linked, and the end of the sessions of those that are not.

One link of a gateway is live at a time: a newer one takes its place. Sessions of
an earlier run of a gateway end when it links again; all sessions of a gateway
end when it has not been linked for a grace, counted from the start of this
process for sessions that were found then. A short break ends nothing. The ends
are commands like any other, so replay and followers see them. Called by the
link's door in `matching.service`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.types.v1 import types_pb2 as types
from prometheus_client import Counter, Gauge

from matching.core.engine import Engine
from matching.sequencer import NO_LINK, Sequencer
from runtime.clock import unix_ns
from runtime.errors import Refused
from runtime.logs import get_logger
from runtime.session_ids import run_prefix

ACTOR = "system"

log = get_logger(__name__)
links_gauge = Gauge("ordergate_matching_gateways", "Gateways that are linked.")
lost_total = Counter(
    "ordergate_matching_gateways_lost_total", "Gateways whose sessions ended because they stayed away."
)


class GatewayLink:
    """One life of a gateway's link."""

    def __init__(self, gateway_id: str, incarnation: int) -> None:
        self.gateway_id = gateway_id
        self.incarnation = incarnation
        self.reading: asyncio.Task[int] | None = None
        """What takes its commands; given by the link's door."""
        self.is_displaced = False
        """Whether a newer link has taken its place."""

    def displace(self) -> None:
        """Takes its commands no more: what is still under way in it would come behind those of its successor."""
        self.is_displaced = True
        if self.reading is not None:
            self.reading.cancel()


class Gateways:
    """All gateways of one matching server."""

    def __init__(self, sequencer: Sequencer, grace_s: float) -> None:
        self._sequencer = sequencer
        self._grace_s = grace_s
        self._links: dict[str, GatewayLink] = {}
        self._awaited: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    async def expect(self) -> None:
        """Gives every gateway that has sessions, after a start, the time to link again."""
        for gateway_id in await self._sequencer.query(_gateways_with_sessions):
            self._await_return(gateway_id)

    async def enter(self, gateway_id: str, incarnation: int) -> GatewayLink:
        """Takes a link in, once what it must not find any more has ended.

        When it returns, everything that was decided about the gateway's sessions
        before is durable: the gateway hears of it before its first command.

        Args:
            gateway_id: the gateway's name.
            incarnation: the number of its run.

        Raises:
            Refused: the logon says too little, or a newer run of the gateway is linked.
        """
        if not gateway_id or not incarnation:
            field = "logon.incarnation" if gateway_id else "logon.gateway_id"
            raise Refused(types.REASON_FIELD_MISSING, f"{field} is missing", field=field)
        present = self._links.get(gateway_id)
        if present is not None and incarnation < present.incarnation:
            raise displaced_by_newer()
        if present is not None:
            present.displace()
        waiting = self._awaited.pop(gateway_id, None)
        if waiting is not None:
            waiting.cancel()
        link = self._links[gateway_id] = GatewayLink(gateway_id, incarnation)
        links_gauge.set(len(self._links))
        try:
            await self._end_earlier_runs(link)
        except BaseException:
            self.leave(link)
            raise
        return link

    def leave(self, link: GatewayLink) -> None:
        """Hears that a link has ended; without effect the second time, and for one that was displaced."""
        if self._links.get(link.gateway_id) is not link:
            return
        del self._links[link.gateway_id]
        links_gauge.set(len(self._links))
        if not self._closed:
            self._await_return(link.gateway_id)

    async def close(self) -> None:
        """Waits for nobody any more: this process ends, and the next one gives everybody time again."""
        self._closed = True
        for waiting in self._awaited.values():
            waiting.cancel()
        await asyncio.gather(*self._awaited.values(), return_exceptions=True)
        self._awaited.clear()

    def _await_return(self, gateway_id: str) -> None:
        waiting = asyncio.create_task(self._end_when_lost(gateway_id), name=f"return of {gateway_id}")
        self._awaited[gateway_id] = waiting

    async def _end_when_lost(self, gateway_id: str) -> None:
        await asyncio.sleep(self._grace_s)
        if await self._sequencer.query(lambda engine: _sessions_of(engine, gateway_id)):
            lost_total.inc()
            log.warning("gateway lost", gateway=gateway_id, grace_s=self._grace_s)
            await self._submit([_all_of(gateway_id)])
        self._awaited.pop(gateway_id, None)

    async def _end_earlier_runs(self, link: GatewayLink) -> None:
        """Ends the sessions of other runs of a gateway; its own ones live on."""
        sessions = await self._sequencer.query(lambda engine: _sessions_of(engine, link.gateway_id))
        prefix = run_prefix(link.gateway_id, link.incarnation)
        earlier = [session_id for session_id in sessions if not session_id.startswith(prefix)]
        if not earlier:
            return
        log.info("sessions of an earlier run end", gateway=link.gateway_id, sessions=len(earlier))
        whole = len(earlier) == len(sessions)
        await self._submit([_all_of(link.gateway_id)] if whole else [_one(session_id) for session_id in earlier])
        # Not before they are durable: the link begins behind them.
        await self._sequencer.query(lambda engine: engine.seq)

    async def _submit(self, ends: list[bytes]) -> None:
        await self._sequencer.submit(NO_LINK, 0, ends)


def displaced_by_newer() -> Refused:
    """What a link is told whose place a newer one has taken."""
    return Refused(types.REASON_ALREADY_EXISTS, "a newer run of this gateway is linked")


def _gateways_with_sessions(engine: Engine) -> list[str]:
    return sorted({session.gateway_id for session in engine.venue.sessions.values()})


def _sessions_of(engine: Engine, gateway_id: str) -> list[str]:
    return sorted(session.session_id for session in engine.venue.sessions.values() if session.gateway_id == gateway_id)


def _all_of(gateway_id: str) -> bytes:
    return _command(close_session=commands.CloseSession(gateway_id=gateway_id))


def _one(session_id: str) -> bytes:
    return _command(close_session=commands.CloseSession(session_id=session_id))


def _command(**body: Any) -> bytes:
    return commands.Command(actor=ACTOR, received_unix_ns=unix_ns(), **body).SerializeToString()
