"""A flow of commands that is carried out as the sequencer would, and what the journal keeps of it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from ordergate.matching.v1 import commands_pb2 as wire_commands
from ordergate.matching.v1 import events_pb2 as wire

from matching.convert import decode_command, encode_events
from matching.core import commands as c
from matching.core.engine import Engine
from matching.core.events import Event, Replay
from tests.simulation.matching_flow import FIRST_TIME_UNIX_NS, Flow, opening, values_of


def encoded(command: c.Command) -> bytes:
    """The bytes of a command, written field by field."""
    message = wire_commands.Command(
        actor=command.actor,
        received_unix_ns=command.received_unix_ns,
        session_id=command.session_id,
        gateway_id=command.gateway_id,
    )
    name = type(command.body).__name__
    field = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")
    getattr(message, field).CopyFrom(_message(command.body))
    return message.SerializeToString()


def _message(body: object) -> Any:
    values = values_of(body)
    for name, value in values.items():
        if isinstance(value, c.Limits):
            values[name] = _message(value)
        elif isinstance(value, list):
            values[name] = [part if isinstance(part, str) else _message(part) for part in value]
    return getattr(wire_commands, type(body).__name__)(**values)


class Step(NamedTuple):
    """A command, its time, and what it gave."""

    data: bytes
    time_unix_ns: int
    told: list[Event] | Replay

    @property
    def entry(self) -> wire.JournalEntry:
        """What the journal keeps of it."""
        assert not isinstance(self.told, Replay), "repetitions leave nothing"
        return wire.JournalEntry(command=self.data, time_unix_ns=self.time_unix_ns, events=encode_events(self.told))


class Story:
    """A flow that is carried out: by an engine, at times of its own, told that something is due when it is."""

    def __init__(self, seed: int, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self.now_unix_ns = FIRST_TIME_UNIX_NS
        self._flow = Flow(Random(seed))
        self._times = Random(seed + 1)
        self._opening = opening()

    def steps(self, count: int) -> Iterator[Step]:
        """Carries out `count` commands, and ticks of the time between them."""
        for _ in range(count):
            self.now_unix_ns += self._times.choice((1, 10**6, 10**6, 10**7))
            due_unix_ns = self.engine.due_unix_ns
            if due_unix_ns and due_unix_ns <= self.now_unix_ns:
                yield self._step(c.Command(c.TimeTick()))
                self.now_unix_ns += 1
            yield self._step(next(self._opening, None) or self._flow.next())

    def entries(self, count: int) -> Iterator[wire.JournalEntry]:
        """The same; gives what the journal keeps of it."""
        for step in self.steps(count):
            if not isinstance(step.told, Replay):
                yield step.entry

    def _step(self, command: c.Command) -> Step:
        data = encoded(command)
        told = self.engine.execute(decode_command(data), self.now_unix_ns)
        if not isinstance(told, Replay):
            self._flow.hear(told)
        return Step(data, self.now_unix_ns, told)
