"""What the messages of a gateway mean to a session: new reports, answers, and commands left undecided. Pure.

Holds each message against the chain, drops what a replay repeats, and closes
the commands of the window that are answered. Used by `clients.sdk.session`.
"""

from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass

from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk.chain import Chain
from clients.sdk.window import Window

# Refusals after which the same command is sent again: it was not decided.
UNDECIDED = frozenset(
    {
        types.REASON_MATCHING_UNAVAILABLE,
        types.REASON_OUTCOME_UNKNOWN,
        types.REASON_DRAINING,
        types.REASON_DEADLINE,
    }
)


RENEWALS_FROM = 1 << 63
"""Correlation ids from here on are those of the session's own renewals of its timer."""
Answer = orders.ExecutionReport | entry.CommandReply


@dataclass(frozen=True, slots=True)
class SessionFrame:
    """What one message of the gateway brought.

    Attributes:
        reports: new execution reports, in sequence.
        replies: definite answers outside the sequence.
        answered: correlation ids of the commands that this message answers for the first time.
    """

    reports: Sequence[orders.ExecutionReport]
    replies: Sequence[entry.CommandReply]
    answered: Sequence[int]


class Inbox:
    """The receiving side of a session.

    Attributes:
        epoch: incarnation of the matching server, as last heard.
        awaited: who waits for the answer to a command, by correlation id.
    """

    def __init__(self, window: Window, chain: Chain) -> None:
        self._window = window
        self._chain = chain
        self.epoch = 0
        self.awaited: dict[int, Future[Answer]] = {}

    def accept(self, message: entry.OrderSessionResponse) -> None:
        """Takes the answer to a logon.

        Raises:
            ChainBroken: the reports begin later than was asked for.
        """
        self.epoch = max(self.epoch, message.epoch)
        self._chain.begin(message.logon.resume_after)

    def take(self, message: entry.OrderSessionResponse) -> tuple[SessionFrame, list[int]]:
        """What a frame brings, and the correlation ids that the gateway could not decide.

        Raises:
            ChainBroken: reports are missing before it.
        """
        self.epoch = max(self.epoch, message.epoch)
        reports = self._new_reports(message)
        window = self._window
        answered: list[int] = []
        for report in reports:
            number = window.answered_by(report)
            if number:
                answered.append(number)
                self._hand_over(number, report)
        replies: list[entry.CommandReply] = []
        undecided: list[int] = []
        for reply in message.frame.replies:
            number = reply.correlation_id
            if number >= RENEWALS_FROM:
                continue
            if reply.refused.code in UNDECIDED and window.holds(number):
                undecided.append(number)
                continue
            replies.append(reply)
            if window.close(number):
                answered.append(number)
                self._hand_over(number, reply)
        return SessionFrame(reports, replies, answered), undecided

    def _hand_over(self, number: int, answer: Answer) -> None:
        if self.awaited:
            waiting = self.awaited.pop(number, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)

    def _new_reports(self, message: entry.OrderSessionResponse) -> list[orders.ExecutionReport]:
        reports = list(message.frame.reports)
        if not reports:
            self._chain.confirm(message.seq)
            return reports
        held = self._chain.position or 0
        self._chain.advance(message.prev_seq, message.seq)
        if reports[0].seq > held:
            return reports
        return [report for report in reports if report.seq > held]
