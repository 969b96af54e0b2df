"""An order session: frames of commands in, frames of sequenced reports out.

One task reads and hands over, one loop writes; between them stand the reader's
bounded queue and a window of unanswered commands. Every way in which a session
ends is told in band, with the sequence to resume after.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.admission import Admission
from gateway.convert import report
from gateway.encoding import Envelope, report_frame
from gateway.events import Event
from gateway.link import Link
from gateway.reports import Reader, Reports, Told
from runtime.clock import timestamp, unix_ns
from runtime.errors import Refused, reason_detail
from runtime.instruments import Instruments
from runtime.logs import get_logger

FRAME_COMMANDS_MAX = 1_024
FRAME_REPORTS_MAX = 2_048
WINDOW_COMMANDS_MAX = 16_384
ACCOUNTS_MAX = 64
SESSION_NAME_MAX = 36
HEARTBEAT_S_MIN, HEARTBEAT_S_DEFAULT, HEARTBEAT_S_MAX = 1, 5, 60
RETRY_DELAY_MS = 500

log = get_logger(__name__)


class Session(Reader):
    """What the gateway knows of one live session."""

    def __init__(
        self,
        stream_id: str,
        envelope: Envelope,
        logon: wire.Logon,
        link: Link,
        reports: Reports,
        instruments: Instruments,
    ) -> None:
        super().__init__(frozenset(logon.accounts), reports.last_seq)
        self.stream_id = stream_id
        self._envelope = envelope
        self._logon = logon
        self._link = link
        self._reports = reports
        self._instruments = instruments
        self._answers_only = logon.ack_level == wire.ACK_LEVEL_ACCEPTED_ONLY
        self._only_account = logon.accounts[0] if len(logon.accounts) == 1 else ""
        self._direct: dict[int, int] = {}
        self._replies: list[wire.CommandReply] = []
        self._unanswered = 0
        self._room = asyncio.Event()
        self._room.set()
        self._sent_seq = logon.resume_after if logon.HasField("resume_after") else self.start_seq
        self.end: types.StreamEnd | None = None

    def answered(self, tag: int, told: Sequence[Event], durable_unix_ns: int, *, repeated: bool) -> None:
        """Hears from the link what became of the command with correlation id `tag`."""
        self._has_answer()
        if not repeated:
            self._direct[told[0].seq] = tag
            return
        original = report(told[0].parsed(), self._instruments, self._reports.epoch, durable_unix_ns, tag)
        original.poss_dup = True
        self._reply(wire.CommandReply(correlation_id=tag, original=original))

    def refused(self, tag: int, refused: Refused) -> None:
        """Hears from the link that the command with correlation id `tag` was not taken."""
        self._has_answer()
        self._reply(_refusal(tag, refused))

    def _has_answer(self) -> None:
        self._unanswered -= 1
        if not self._room.is_set():
            self._make_room()

    def hear(self, event: Event, epoch: int, durable_unix_ns: int) -> None:
        """Takes a live event, unless the session wants only the answers to its own commands."""
        tag = self._direct.pop(event.seq, 0)
        if tag or not self._answers_only:
            self.offer((event, epoch, durable_unix_ns, tag))

    async def read(self, requests: AsyncIterator[wire.OrderSessionRequest], admission: Admission) -> None:
        """Hands the client's commands over until it logs out or goes away."""
        async for request in requests:
            received_unix_ns = unix_ns()
            kind = request.WhichOneof("message")
            if kind == "frame":
                await self._room.wait()
                self._hand_over(request.frame, admission, received_unix_ns)
            elif kind == "logout":
                self.finish(types.REASON_UNSPECIFIED, "logged out")
                return
            else:
                self.finish(types.REASON_FIELDS_CONFLICT, "a session has one logon, its first message")
                return
        self.finish(types.REASON_UNSPECIFIED, "the client has ended its side")

    def finish(self, reason: types.Reason.ValueType, text: str) -> None:
        """Ends the session in band, after what already waits to be sent."""
        if self.end is None:
            self.end = types.StreamEnd(reason=reason, text=text, retry_delay_ms=RETRY_DELAY_MS)
        self.news.set()

    async def write(self, heartbeat_s: float) -> AsyncIterator[wire.OrderSessionResponse | bytes]:
        """Everything that the session has to say, until its end is said."""
        yield self._accepted(heartbeat_s)
        if self._logon.HasField("resume_after"):
            history = self._reports.history(self._link.stub, self.stream_id, self, self._logon.resume_after)
            async for past in history:
                yield self._frame(past, [])
        while True:
            if self._is_idle():
                self.news.clear()
                try:
                    async with asyncio.timeout(heartbeat_s):
                        await self.news.wait()
                except TimeoutError:
                    yield self._heartbeat()
                    continue
            replies, self._replies = self._replies, []
            taken = self.take()
            for begin in range(0, max(len(taken), len(replies)), FRAME_REPORTS_MAX):
                end = begin + FRAME_REPORTS_MAX
                yield self._frame(taken[begin:end], replies[begin:end])
            self._make_room()
            if self.too_slow:
                self.finish(types.REASON_SLOW_CONSUMER, "the session did not take its reports fast enough")
            if self.end is not None and not self._is_idle() and not (self.reports or self._replies):
                yield self._ended(self.end)
                return

    def _is_idle(self) -> bool:
        """Whether there is nothing to say now; an orderly end waits for the answers to what the client has sent."""
        if self.reports or self._replies or self.too_slow:
            return False
        orderly = self.end is not None and self.end.reason == types.REASON_UNSPECIFIED
        return self.end is None or (orderly and self._unanswered > 0 and self._link.up.is_set())

    def _hand_over(self, frame: wire.CommandFrame, admission: Admission, received_unix_ns: int) -> None:
        if len(frame.commands) > FRAME_COMMANDS_MAX:
            text = f"a frame has at most {FRAME_COMMANDS_MAX} commands, this one has {len(frame.commands)}"
            raise Refused(types.REASON_MESSAGE_TOO_LARGE, text, field="commands")
        encoded: list[bytes] = []
        tags: list[int] = []
        for command in frame.commands:
            try:
                encoded.append(self._encode(command, admission, received_unix_ns))
                tags.append(command.correlation_id)
            except Refused as refused:
                self._reply(_refusal(command.correlation_id, refused))
        if not encoded:
            return
        try:
            self._link.submit(encoded, self, tags)
        except Refused as refused:
            for tag in tags:
                self._reply(_refusal(tag, refused))
            return
        self._unanswered += len(encoded)
        self._make_room()

    def _encode(self, command: wire.SessionCommand, admission: Admission, received_unix_ns: int) -> bytes:
        if not command.correlation_id:
            raise Refused(types.REASON_FIELD_MISSING, "correlation_id is missing", field="correlation_id")
        kind = command.WhichOneof("command")
        if kind == "submit":
            order = command.submit
            self._bind(order)
            return admission.new_order(order, self._envelope, received_unix_ns)
        if kind == "cancel":
            self._bind(command.cancel)
            return admission.cancel_order(command.cancel, self._envelope, received_unix_ns)
        if kind == "replace":
            self._bind(command.replace)
            return admission.replace_order(command.replace, self._envelope, received_unix_ns)
        if kind is None:
            raise Refused(types.REASON_FIELD_MISSING, "the command is empty", field="command")
        raise Refused(types.REASON_NOT_SUPPORTED, f"{kind} is not served", field=kind)

    def _bind(self, request: orders.OrderTerms | wire.CancelOrderRequest | wire.ReplaceOrderRequest) -> None:
        """Holds a command's account against those of the session."""
        if not request.account:
            request.account = self._only_account
        if request.account not in self.accounts:
            text = f"the session is not bound to account {request.account[:40]!r}"
            raise Refused(types.REASON_ACCOUNT_NOT_ALLOWED, text, field="account")

    def _reply(self, reply: wire.CommandReply) -> None:
        self._replies.append(reply)
        self._make_room()
        self.news.set()

    def _make_room(self) -> None:
        """Lets the client's next frame in only while few commands wait for an answer, or answers for the client."""
        if self._unanswered + len(self._replies) < WINDOW_COMMANDS_MAX:
            self._room.set()
        else:
            self._room.clear()

    def _accepted(self, heartbeat_s: float) -> wire.OrderSessionResponse:
        accepted = wire.LogonAccepted(
            accounts=sorted(self.accounts),
            resume_after=self._sent_seq,
            heartbeat_interval_s=round(heartbeat_s),
            max_frame_commands=FRAME_COMMANDS_MAX,
            time=timestamp(unix_ns()),
        )
        return self._message(self._sent_seq, logon=accepted)

    def _frame(self, part: list[Told], replies: list[wire.CommandReply]) -> bytes:
        """A frame's message, laid out: its reports are never message objects."""
        sent_unix_ns = unix_ns()
        encode = self._reports.encode
        head = self._message(part[-1][0].seq if part else self._sent_seq)
        return report_frame(head, [encode(told, sent_unix_ns) for told in part], replies)

    def _heartbeat(self) -> wire.OrderSessionResponse:
        beat = types.Heartbeat(last_seq=self._sent_seq, time=timestamp(unix_ns()))
        return self._message(self._sent_seq, heartbeat=beat)

    def _ended(self, end: types.StreamEnd) -> wire.OrderSessionResponse:
        end.resume_after = self._sent_seq
        return self._message(self._sent_seq, end=end)

    def _message(
        self,
        seq: int,
        logon: wire.LogonAccepted | None = None,
        heartbeat: types.Heartbeat | None = None,
        end: types.StreamEnd | None = None,
    ) -> wire.OrderSessionResponse:
        prev_seq, self._sent_seq = self._sent_seq, seq
        return wire.OrderSessionResponse(
            stream_id=self.stream_id,
            epoch=self._reports.epoch,
            seq=seq,
            prev_seq=prev_seq,
            logon=logon,
            heartbeat=heartbeat,
            end=end,
        )


def check_logon(logon: wire.Logon) -> int:
    """The heartbeat interval in seconds that a logon asks for.

    Raises:
        Refused: it names no account or too many, or asks for what is not served.
    """
    if not logon.accounts or len(logon.accounts) > ACCOUNTS_MAX:
        reason = types.REASON_FIELD_INVALID if logon.accounts else types.REASON_FIELD_MISSING
        raise Refused(reason, f"a session has 1 to {ACCOUNTS_MAX} accounts", field="logon.accounts")
    if logon.cancel_on_disconnect or logon.dead_man_timer_ms:
        field = "logon.cancel_on_disconnect" if logon.cancel_on_disconnect else "logon.dead_man_timer_ms"
        raise Refused(types.REASON_NOT_SUPPORTED, f"{field} is not served", field=field)
    if logon.ack_level not in wire.AckLevel.values():
        raise Refused(types.REASON_ENUM_UNKNOWN, f"ack_level {logon.ack_level} is not known", field="logon.ack_level")
    if len(logon.session_name) > SESSION_NAME_MAX:
        text = f"a session's name has at most {SESSION_NAME_MAX} characters"
        raise Refused(types.REASON_FIELD_INVALID, text, field="logon.session_name")
    heartbeat_s = logon.heartbeat_interval_s or HEARTBEAT_S_DEFAULT
    if not HEARTBEAT_S_MIN <= heartbeat_s <= HEARTBEAT_S_MAX:
        text = f"heartbeats come every {HEARTBEAT_S_MIN} to {HEARTBEAT_S_MAX} seconds"
        raise Refused(types.REASON_FIELD_INVALID, text, field="logon.heartbeat_interval_s")
    return heartbeat_s


def _refusal(correlation_id: int, refused: Refused) -> wire.CommandReply:
    return wire.CommandReply(correlation_id=correlation_id, refused=reason_detail(refused))
