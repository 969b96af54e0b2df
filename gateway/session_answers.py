"""What became of a session's commands: which report answers which, and replies where no report does.

A command is answered once: by a report that carries its number, or by a reply.
The link tells this of each command; the session's writer takes what there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ordergate.matching.v1 import events_pb2 as events
from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.convert import mass_canceled, quoted, refused_command, report
from gateway.events import Event
from gateway.reports import Reports
from runtime.clock import unix_ns
from runtime.errors import Refused, reason_detail
from runtime.instruments import Instruments

WINDOW_COMMANDS_MAX = 16_384
"""Commands that wait for their answers, or answers for the client, before no further frame is taken."""


class Answers:
    """The answers of one session; the waiter of its commands."""

    def __init__(self, reports: Reports, instruments: Instruments, news: Callable[[], None], *, alone: bool) -> None:
        """Makes the answers of a session that has sent nothing.

        Args:
            reports: knows the epoch.
            instruments: for original reports.
            news: called when there is something to say.
            alone: whether the session wants nothing but answers; then the sides of its quotes are noted too.
        """
        self._reports = reports
        self._instruments = instruments
        self._news = news
        self._alone = alone
        self.direct: dict[int, int] = {}
        """The client's number of the command that an event answers, by the event's seq; 0 for what belongs to an
        answer without being one."""
        self.unanswered = 0
        self.room = asyncio.Event()
        """Set while a further frame may come."""
        self.room.set()
        self._replies: list[wire.CommandReply] = []

    def __bool__(self) -> bool:
        """Whether there are replies to send."""
        return bool(self._replies)

    def expect(self, commands: int) -> None:
        """Counts commands that were handed to the link."""
        self.unanswered += commands
        self._find_room()

    def answered(self, tag: int, told: Sequence[Event], durable_unix_ns: int, *, repeated: bool) -> None:
        """Hears from the link what became of the command with correlation id `tag`."""
        del durable_unix_ns
        self._has_answer()
        first = told[0]
        if repeated:
            self.reply(self._original(tag, first.parsed()))
        elif first.account:
            self.direct[first.seq] = tag
        else:
            # Noted before the events are heard: this is called ahead of them.
            if self._alone:
                self.direct.update((event.seq, 0) for event in told[1:] if _is_of_a_quote(event))
            self.reply(_reply(tag, first.parsed(), poss_dup=False))

    def refused(self, tag: int, refused: Refused) -> None:
        """Hears from the link that the command with correlation id `tag` was not taken."""
        self._has_answer()
        self.refuse(tag, refused)

    def refuse(self, tag: int, refused: Refused) -> None:
        """Answers a command that was not handed to the link."""
        self.reply(wire.CommandReply(correlation_id=tag, refused=reason_detail(refused)))

    def reply(self, reply: wire.CommandReply) -> None:
        """Puts a reply in line."""
        self._replies.append(reply)
        if self.room.is_set():
            self._find_room()
        self._news()

    def take(self, most: int) -> list[wire.CommandReply]:
        """Gives the oldest replies, `most` at most."""
        taken, self._replies = self._replies[:most], self._replies[most:]
        self._find_room()
        return taken

    def drop(self) -> None:
        """Forgets what waits to be sent."""
        self._replies.clear()
        self.direct.clear()

    def _original(self, tag: int, event: events.Event) -> wire.CommandReply:
        if not event.HasField("order"):
            return _reply(tag, event, poss_dup=True)
        # When it was durable is not known any more; that of the repetition is another time.
        original = report(event, self._instruments, self._reports.epoch, 0, tag)
        original.poss_dup, original.sent_unix_ns = True, unix_ns()
        return wire.CommandReply(correlation_id=tag, original=original)

    def _has_answer(self) -> None:
        self.unanswered -= 1
        if not self.room.is_set():
            self._find_room()
        # An end may have waited for just this answer.
        if not self.unanswered:
            self._news()

    def _find_room(self) -> None:
        if self.unanswered + len(self._replies) < WINDOW_COMMANDS_MAX:
            self.room.set()
        else:
            self.room.clear()


def _reply(tag: int, event: events.Event, *, poss_dup: bool) -> wire.CommandReply:
    """The reply to a command whose first event is not one of an order."""
    kind = event.WhichOneof("body")
    if kind == "orders_mass_canceled":
        return wire.CommandReply(correlation_id=tag, mass_canceled=mass_canceled(event, poss_dup=poss_dup))
    if kind == "mass_quote_accepted":
        return wire.CommandReply(correlation_id=tag, quoted=quoted(event, poss_dup=poss_dup))
    if kind == "session_renewed":
        return wire.CommandReply(correlation_id=tag, timer_renewed=wire.TimerRenewed(seq=event.seq))
    refused = refused_command(event.command_refused)
    return wire.CommandReply(correlation_id=tag, refused=reason_detail(refused))


def _is_of_a_quote(event: Event) -> bool:
    """Whether an event tells what became of a side of a quote; this is asked of rare commands only."""
    return event.parsed().order.request == types.REQUEST_KIND_QUOTE
