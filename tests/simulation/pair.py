"""The core and the plain venue, given the same commands: every event compared as its bytes say it.

`Mismatch` tells at which command they part, and how; its `kind` is what shrinking
keeps the same. What holds for any venue (money, lots, books) is checked on both.
"""

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message
from ordergate.matching.v1 import events_pb2 as wire

from matching.convert import encode_events, risk_numbers
from matching.core import commands as c
from matching.core.engine import Engine
from matching.core.events import Event, Replay
from tests.simulation.plain.state import KEYS_MAX, Said
from tests.simulation.plain.venue import PlainVenue
from tests.simulation.state_check import broken, differences, still_held
from tests.simulation.tally import Tally


class Mismatch(AssertionError):
    """The core and the plain venue do not agree."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}\n{text}")
        self.kind = kind


def words(message: Message) -> Said:
    """What a message says beyond zero, as the plain venue says it."""
    told: Said = {}
    for field, value in message.ListFields():
        if isinstance(value, Message):
            told[field.name] = words(value)
        elif isinstance(value, (int, str)):
            told[field.name] = value
        else:
            told[field.name] = [words(item) if isinstance(item, Message) else item for item in value]
    return told


def said_on_the_wire(data: bytes) -> Said:
    """What the bytes of an event say beyond zero."""
    event = wire.Event.FromString(data)
    kind = event.WhichOneof("body") or ""
    told = words(getattr(event, kind)) | {"kind": kind, "seq": event.seq, "command_seq": event.command_seq}
    told["time_unix_ns"] = event.time_unix_ns
    if event.actor:
        told["actor"] = event.actor
    if event.last_of_command:
        told["last_of_command"] = True
    return told


def said(events: Sequence[Event]) -> list[Said]:
    """The events of a command."""
    return [said_on_the_wire(data) for data in encode_events(events)]


def difference(told: list[Said], wanted: list[Said]) -> tuple[str, str]:
    """A short name for the first difference, and its description."""
    for number, (mine, plain) in enumerate(zip(told, wanted, strict=False)):
        names = [name for name in mine.keys() | plain.keys() if mine.get(name) != plain.get(name)]
        names = [name for name in sorted(names) if name != "last_of_command"]
        if names:
            lines = [f"  {name}: core {mine.get(name)!r}, plain {plain.get(name)!r}" for name in names]
            kind = "/".join([plain["kind"], str(plain.get("exec_type", 0)), str(mine.get("exec_type", 0)), *names])
            return kind, "\n".join([f"event {number}: core {mine}", f"         plain {plain}", *lines])
    more = told[len(wanted) :] or wanted[len(told) :]
    who = "core" if len(told) > len(wanted) else "plain"
    kind = f"only {who}: {more[0]['kind']}/{more[0].get('exec_type', 0)}/{more[0].get('reason', 0)}" if more else ""
    return kind, "\n".join(f"only {who}: {event}" for event in more)


class Pair:
    """Both venues."""

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self.engine = Engine(keys_max, keys_max)
        self.plain = PlainVenue(keys_max)
        self.tally = Tally()
        self.replays = 0

    def execute(self, command: c.Command, now: int) -> list[Said]:
        """Carries a command out twice and compares every word; gives the events."""
        wanted = self.plain.execute(command, now)
        told = self.engine.execute(command, now)
        if isinstance(told, Replay) or not isinstance(wanted, list):
            self._compare_replays(told, wanted)
            return []
        mine = said(told)
        if mine != wanted:
            raise Mismatch(*difference(mine, wanted))
        self.tally.hear(mine)
        return wanted

    def _compare_replays(self, told: Any, wanted: Any) -> None:
        if isinstance(told, Replay) != isinstance(wanted, dict):
            raise Mismatch(f"replay: core {isinstance(told, Replay)}", f"core {told}\nplain {wanted}")
        self.replays += 1
        mine = said([told.original])[0] | {"last_of_command": False}
        if mine != wanted | {"last_of_command": False}:
            raise Mismatch("replayed event", f"core {mine}\nplain {wanted}")

    def check(self, command: c.Command, now: int) -> None:
        """CheckOrder: both give the decision, and the core's is the plain venue's."""
        wanted = self.plain.check(command, now) or {}
        told, mine = self.engine.check(command, now), Said()
        if told is not None:
            mine = {"exec_type": told.exec_type, "reason": told.reason, "field": told.field}
            mine["risk"] = words(risk_numbers(told.risk)) if told.risk is not None else {}
        if {n: x for n, x in mine.items() if x} != {n: x for n, x in wanted.items() if x}:
            raise Mismatch("check", f"core {mine}\nplain {wanted}")

    def check_invariants(self) -> None:
        """What holds between any two commands."""
        self._none("invariant", broken(self.plain) + self.tally.wrong)

    def check_state(self) -> None:
        """Both have the same orders, books, positions and money, and these are what the events say."""
        self._none("state", differences(self.engine, self.plain) + self._untold())

    def check_drained(self) -> None:
        """When all orders are cancelled nothing is held (invariant I11)."""
        self._none("drained", still_held(self.engine, self.plain))

    def _untold(self) -> list[str]:
        found = []
        for name, account in self.engine.venue.accounts.items():
            told = {currency: self.tally.cash[name, currency] for currency in account.cash}
            has = {currency: cash.cash_micro for currency, cash in account.cash.items()}
            lots = {symbol: self.tally.lots[name, symbol] for symbol in account.positions}
            owns = {symbol: position.qty_lots for symbol, position in account.positions.items()}
            if (told, lots) != (has, owns):
                found.append(f"{name}: by its events {told} {lots}, in the ledger {has} {owns}")
        return found

    def _none(self, kind: str, found: list[str]) -> None:
        if found:
            raise Mismatch(kind, "\n".join(found))
