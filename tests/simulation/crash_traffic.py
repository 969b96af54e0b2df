"""What a gateway asks of a server that is about to be killed, and what it has been told.

The commands are those of the random stream. The plain venue beside it only
tells the stream what there is: it does not hear what the server says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from matching.core import commands as c
from tests.simulation import traders
from tests.simulation.gateway_link import Link
from tests.simulation.matching_story import drawn, encoded
from tests.simulation.plain.venue import PlainVenue
from tests.simulation.streams import Stream

FRAME_COMMANDS = 16
UNANSWERED_FRAMES_MAX = 8


class Asked(NamedTuple):
    """A command as it was sent."""

    body: c.Body
    data: bytes


class Traffic:
    """An endless stream of commands to a server whose clock is not the stream's."""

    def __init__(self, seed: int, now_unix_ns: int) -> None:
        self._plain = PlainVenue()
        self._stream = Stream(Random(seed), self._plain)
        self._ahead_ns = self._stream.now - now_unix_ns

    def frame(self, now_unix_ns: int) -> list[Asked]:
        """The next commands that travel together."""
        return [self._next(now_unix_ns) for _ in range(FRAME_COMMANDS)]

    def _next(self, now_unix_ns: int) -> Asked:
        command, stream_unix_ns = drawn(self._stream)
        self._plain.execute(command, stream_unix_ns)
        self._ahead_ns = stream_unix_ns - now_unix_ns
        body = self._here(command.body)
        # Without a time at which it was read: nothing is too late.
        return Asked(body, encoded(c.Command(body, command.actor, 0, command.session_id, command.gateway_id)))

    def _here(self, body: c.Body) -> c.Body:
        """The command as it makes sense to the server: its events have other numbers, and its clock another time."""
        if isinstance(body, c.ReplaceOrder | c.CancelOrder) and body.order_id in self._plain.orders:
            order = self._plain.orders[body.order_id]
            return traders.copy(body, order_id=0, orig_cl_ord_id=order.cl_ord_id)
        if isinstance(body, c.NewOrder) and body.expire_unix_ns > self._ahead_ns > 0:
            return traders.copy(body, expire_unix_ns=body.expire_unix_ns - self._ahead_ns)
        return body


@dataclass
class Ledger:
    """What is known of every command so far."""

    acknowledged: dict[int, bytes] = field(default_factory=dict)
    """By the seq of the first event."""
    repeated: list[tuple[Asked, int]] = field(default_factory=list)
    """Commands that were answered with the event of an earlier one, and its seq."""
    unanswered: list[Asked] = field(default_factory=list)
    """Commands of the last life, in the order in which they were sent."""
    epochs: list[int] = field(default_factory=list)

    def close(self, link: Link, sent: Sequence[Asked]) -> None:
        """Takes in what a link was told before it broke."""
        self.unanswered = []
        for correlation, asked in enumerate(sent, 1):
            result = link.results.get(correlation)
            if result is None:
                self.unanswered.append(asked)
            elif result.repeated is not None:
                self.repeated.append((asked, result.repeated.seq))
            elif result.seq:
                assert result.seq not in self.acknowledged, "a seq answers one command"
                self.acknowledged[result.seq] = asked.data


async def pour(link: Link, sent: list[Asked], traffic: Traffic, now_unix_ns: int) -> None:
    """Sends frame after frame until the link breaks; never waits for a single result."""
    while True:
        await send(link, sent, traffic.frame(now_unix_ns))
        await link.until(lambda: link.sent - len(link.results) < UNANSWERED_FRAMES_MAX * FRAME_COMMANDS)


async def send(link: Link, sent: list[Asked], commands: Sequence[Asked]) -> range:
    """Sends commands; gives their correlations."""
    sent.extend(commands)
    return await link.send(*(asked.data for asked in commands))
