"""What clients saw, in the order in which they saw it: requests and their answers, lookups, and streams of reports.

One counter gives every moment its place; a moment that has the smaller place was
over before the other one began. Recorded by `traffic`, judged by `checker`.
"""

from dataclasses import dataclass, field
from itertools import count

from google.protobuf.message import Message
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types


@dataclass(slots=True)
class Request:
    """One request to change something, with all of its retries.

    Attributes:
        kind: what was asked.
        account: whose.
        key: its key.
        terms: what an order was to be; None for other kinds.
        asked_at: before the first attempt.
        answered_at: when it was answered; 0 while it is not.
        answer: the report, or the reply that answers it.
        refused: name of the reason that it was refused for.
        refused_seq: the event of the refusal, where the venue refused it.
        refused_exec: name of its execution type: DENIED or REJECTED.
        correlated: whether the answer came under the number that the client gave the request.
    """

    kind: types.RequestKind.ValueType
    account: str
    key: str
    terms: orders.OrderTerms | None
    asked_at: int
    answered_at: int = 0
    answer: Message | None = None
    refused: str = ""
    refused_seq: int = 0
    refused_exec: str = ""
    correlated: bool = True

    @property
    def seq(self) -> int:
        """The event that answers it; 0 when there is none, or none is known."""
        return self.refused_seq or int(getattr(self.answer, "seq", 0))


@dataclass(slots=True)
class Lookup:
    """A question for an order by its key.

    Attributes:
        account: whose.
        key: the client's key.
        asked_at: before the question.
        answered_at: after the answer.
        order: the answer; None for "there is none".
    """

    account: str
    key: str
    asked_at: int
    answered_at: int
    order: orders.Order | None


@dataclass(slots=True)
class Heard:
    """What one reader of report streams was told, over all of its connections.

    Attributes:
        name: which reader.
        accounts: whose reports it reads.
        after_seq: where it began.
        reports: in the order in which they came, each with its moment.
        until_seq: an event up to which it must have heard everything, as somebody else was told of it; 0 for none.
    """

    name: str
    accounts: frozenset[str]
    after_seq: int
    reports: list[tuple[int, orders.ExecutionReport]] = field(default_factory=list)
    until_seq: int = 0


@dataclass(slots=True)
class History:
    """Everything that was recorded."""

    requests: list[Request] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    readers: list[Heard] = field(default_factory=list)
    _moments: "count[int]" = field(default_factory=lambda: count(1))

    def now(self) -> int:
        """The place of this moment."""
        return next(self._moments)

    def ask(
        self, kind: types.RequestKind.ValueType, account: str, key: str, terms: orders.OrderTerms | None = None
    ) -> Request:
        """A request is about to be sent for the first time."""
        request = Request(kind, account, key, terms, self.now())
        self.requests.append(request)
        return request
