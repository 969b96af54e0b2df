"""The commands of a session that wait for their answer. Pure bookkeeping, in sending order.

Used by `clients.sdk.session`, which owns the connection. A command is answered
by a report or reply with its correlation id, or, for reports replayed after a
reconnect, which carry none, by the key (`cl_ord_id`) of its request. A mass
cancel and a quote are about several orders: reports with their key are of those
orders, and do not answer them.
"""

from collections.abc import Iterable, Iterator, Sequence

from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders

Key = tuple[str, str]
BY_REPORT = frozenset({"submit", "replace", "cancel"})
"""Commands that any report with their key answers."""


class Window:
    """Unanswered commands by correlation id; ids are dense from 1.

    Args:
        limit: most commands that may wait at once.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: dict[int, entry.SessionCommand] = {}
        self._by_key: dict[Key, int] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def commands(self) -> list[entry.SessionCommand]:
        """The commands that wait, in sending order."""
        return list(self._waiting.values())

    @property
    def last_correlation_id(self) -> int:
        """The id of the newest command."""
        return self._last_id

    @property
    def room(self) -> int:
        """How many more commands may be sent now."""
        return self.limit - len(self._waiting)

    def add(self, commands: Sequence[entry.SessionCommand]) -> None:
        """Numbers `commands` and remembers them until they are answered."""
        number = self._last_id
        for command in commands:
            number += 1
            command.correlation_id = number
            self._waiting[number] = command
        self._last_id = number

    def answered_by(self, report: orders.ExecutionReport) -> int:
        """Correlation id of the command that `report` answers for the first time; 0 if none."""
        number = report.correlation_id
        if not number and self._by_key:
            number = self._by_key.pop((report.account, report.cl_ord_id), 0)
        return number if self._waiting.pop(number, None) is not None else 0

    def close(self, correlation_id: int) -> bool:
        """Takes a reply; False when the command was answered before."""
        return self._waiting.pop(correlation_id, None) is not None

    def holds(self, correlation_id: int) -> bool:
        """Whether the command still waits."""
        return correlation_id in self._waiting

    def waiting_among(self, correlation_ids: Iterable[int]) -> list[entry.SessionCommand]:
        """The commands with these ids that still wait, in sending order."""
        return [self._waiting[number] for number in sorted(correlation_ids) if number in self._waiting]

    def begin_resend(self) -> list[entry.SessionCommand]:
        """All unanswered commands in sending order; from here on, replayed reports answer them by key too."""
        self._by_key = {key: number for number, command in self._waiting.items() for key in _keys(command)}
        return list(self._waiting.values())


def _keys(command: entry.SessionCommand) -> Iterator[Key]:
    kind = command.WhichOneof("command")
    if kind in BY_REPORT:
        request = getattr(command, kind)
        yield request.account, request.cl_ord_id
