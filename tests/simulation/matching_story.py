"""A stream of random commands that is carried out as the sequencer would, and what the journal keeps of it."""

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
from tests.simulation.plain.state import names_of
from tests.simulation.plain.venue import PlainVenue
from tests.simulation.streams import Stream


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
    values = {name: getattr(body, name) for name in names_of(body)}
    for name, value in values.items():
        if isinstance(value, c.Limits):
            values[name] = _message(value)
        elif isinstance(value, list):
            values[name] = [part if isinstance(part, str) else _message(part) for part in value]
    return getattr(wire_commands, type(body).__name__)(**values)


def drawn(stream: Stream) -> tuple[c.Command, int]:
    """The next command of a stream that a message can carry, and its time: nonsense may have numbers of any length."""
    while True:
        command, now_unix_ns = stream.next()
        try:
            encoded(command)
        except ValueError:
            continue
        return command, now_unix_ns


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
    """A stream that is carried out by an engine, while the plain venue beside it tells the stream what there is."""

    def __init__(self, seed: int, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self._plain = PlainVenue()
        self._stream = Stream(Random(seed), self._plain)

    def steps(self, count: int) -> Iterator[Step]:
        """Carries out `count` commands."""
        for _ in range(count):
            command, now_unix_ns = drawn(self._stream)
            self._plain.execute(command, now_unix_ns)
            data = encoded(command)
            yield Step(data, now_unix_ns, self.engine.execute(decode_command(data), now_unix_ns))

    def entries(self, count: int) -> Iterator[wire.JournalEntry]:
        """The same; gives what the journal keeps of it."""
        for step in self.steps(count):
            if not isinstance(step.told, Replay):
                yield step.entry
