"""Holds what clients saw against the journal; every lie is a `Lie`.

acknowledged  what was acknowledged stands in the journal, with the same content (I1)
original      a repeated request gets the original answer, and is executed once (I2)
phantom       nothing stands in the journal for these accounts that nobody asked for, of whatever kind
refused       a refusal of the venue stands there too; what the gateway refused was not executed
reports       a reader heard every report of its accounts once and in order, as it was (I9)
lookup        an answer was true at some moment between question and answer (a linearizable register; I7)
order         what was asked after another answer had come, happened after it
counted       what an order traded is what its fills say (I5)
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from tests.integration.faults.history import Heard, History, Lookup, Request
from tests.integration.faults.truth import ORDER_REQUESTS, Asked, Truth

VARIES = ("durable_unix_ns", "sent_unix_ns", "correlation_id", "poss_dup", "epoch")
"""Fields of a report that belong to the delivery, not to what happened."""
ACCEPTED_AS = {
    types.REQUEST_KIND_SUBMIT: types.EXEC_TYPE_NEW,
    types.REQUEST_KIND_REPLACE: types.EXEC_TYPE_REPLACED,
    types.REQUEST_KIND_CANCEL: types.EXEC_TYPE_CANCELED,
}
VENUE_BANDS = (4, 5)
SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Lie:
    """Something that a client was told and that is not so."""

    kind: str
    text: str


def check(history: History, truth: Truth) -> list[Lie]:
    """Every lie of a history, by the rules above."""
    rules = (_acknowledged, _original, _phantom, _refused, _order, _counted)
    found = [lie for rule in rules for lie in rule(history, truth)]
    for reader in history.readers:
        found += _reports(reader, truth)
    return found + list(_lookups(history, truth))


def require_truth(history: History, truth: Truth) -> None:
    """Raises AssertionError with the first lies, if there are any."""
    lies = check(history, truth)
    assert not lies, "\n".join([f"{len(lies)} lies", *(f"{lie.kind}: {lie.text}" for lie in lies[:SHOWN_MAX])])


def _acknowledged(history: History, truth: Truth) -> Iterator[Lie]:
    for request in history.requests:
        if request.answer is None:
            continue
        event = truth.events.get(request.seq)
        if event is None:
            yield Lie("acknowledged", f"{request.key}: seq {request.seq} is not in the journal")
        elif not isinstance(request.answer, orders.ExecutionReport):
            yield from _acknowledged_reply(request, truth)
        elif event.WhichOneof("body") != "order":
            yield Lie("acknowledged", f"{request.key}: seq {request.seq} is no event of an order")
        else:
            wrong = difference(request.answer, truth.report(request.seq))
            own = (request.answer.account, request.answer.cl_ord_id, request.answer.exec_type)
            if own != (request.account, request.key, ACCEPTED_AS[request.kind]):
                wrong = f"answered with {own}"
            if wrong or not request.correlated:
                yield Lie("acknowledged", f"{request.key} at seq {request.seq}: {wrong or 'under another number'}")


def _acknowledged_reply(request: Request, truth: Truth) -> Iterator[Lie]:
    """A mass cancel or quote: the event is of that kind, and has the request's key."""
    event, answer = truth.events[request.seq], request.answer
    if isinstance(answer, entry.MassCancelOrdersResponse):
        told = event.orders_mass_canceled
        same = (told.cl_ord_id, told.canceled_orders) == (answer.cl_ord_id, answer.canceled_orders)
        key = answer.cl_ord_id
    else:
        assert isinstance(answer, entry.SubmitQuotesResponse)
        same, key = event.mass_quote_accepted.quote_id == answer.quote_id, answer.quote_id
    if not same or key != request.key or not request.correlated:
        yield Lie("acknowledged", f"{request.key} at seq {request.seq}: the reply says {answer}, the journal {event}")


def _original(history: History, truth: Truth) -> Iterator[Lie]:
    answers: dict[tuple[str, str], set[int]] = defaultdict(set)
    for request in history.requests:
        if request.seq and request.refused != "CL_ORD_ID_CONFLICT":
            answers[request.account, request.key].add(request.seq)
    for (account, key), seqs in answers.items():
        if len(seqs) > 1:
            yield Lie("original", f"{account} {key} was answered with the events {sorted(seqs)}")
    for account, key in truth.by_key:
        for kind in ORDER_REQUESTS:
            commands = truth.commands_of(account, key, kind)
            if len(commands) > 1:
                yield Lie("original", f"{account} {key} was executed at {commands}")
    for command, executed in truth.by_command.items():
        if command.kind not in ORDER_REQUESTS and len(executed) > 1:
            yield Lie("original", f"{_name(command)} was executed at {executed}")


def _phantom(history: History, truth: Truth) -> Iterator[Lie]:
    requests = {(one.kind, one.account, one.key) for one in history.requests}
    known = {account for _, account, _ in requests}
    for command, seqs in truth.by_command.items():
        if command.account in known and command not in requests:
            yield Lie("phantom", f"seq {seqs[0]}: nobody asked for {_name(command)}")
    yield from _other_orders(history, truth)


def _name(command: Asked) -> str:
    return f"{types.RequestKind.Name(command.kind)} {command.account} {command.key}"


def _other_orders(history: History, truth: Truth) -> Iterator[Lie]:
    """Orders that are not as they were asked for."""
    asked = {(one.account, one.key): one.terms for one in history.requests if one.kind == types.REQUEST_KIND_SUBMIT}
    accounts = {account for account, _ in asked}
    for account in accounts:
        for seq in truth.by_account.get(account, ()):
            order = truth.events[seq].order
            if order.request != types.REQUEST_KIND_SUBMIT or order.exec_type != types.EXEC_TYPE_NEW:
                continue
            terms = asked.get((account, order.cl_ord_id))
            got = truth.report(seq)
            if terms is not None and (terms.symbol, terms.side, terms.qty, terms.price) != (
                got.symbol,
                got.side,
                got.qty,
                got.price,
            ):
                yield Lie("phantom", f"seq {seq}: {order.cl_ord_id} is not the order that was asked for")


def _refused(history: History, truth: Truth) -> Iterator[Lie]:
    may_be_executed = {(one.account, one.key) for one in history.requests if not one.refused or one.refused_seq}
    for request in history.requests:
        if not request.refused:
            continue
        if request.refused_seq:
            event = truth.events.get(request.refused_seq)
            told = (request.account, request.key, request.refused, request.refused_exec)
            order = event.order if event is not None else None
            if order is None or told != (
                order.account,
                order.cl_ord_id,
                types.Reason.Name(order.reason).removeprefix("REASON_"),
                types.ExecType.Name(order.exec_type).removeprefix("EXEC_TYPE_"),
            ):
                yield Lie("refused", f"{told}: the journal has another event at seq {request.refused_seq}")
        elif types.Reason.Value(f"REASON_{request.refused}") // 100 in VENUE_BANDS:
            yield Lie("refused", f"{request.key}: {request.refused} is the venue's to say, and names no event")
        elif (request.account, request.key) not in may_be_executed and truth.by_key.get((request.account, request.key)):
            yield Lie("refused", f"{request.key}: refused for {request.refused}, and executed")


def _order(history: History, truth: Truth) -> Iterator[Lie]:
    """Requests that were asked one after the other happened so."""
    first_asked: dict[tuple[str, str], int] = {}
    for request in history.requests:
        key = (request.account, request.key)
        first_asked[key] = min(request.asked_at, first_asked.get(key, request.asked_at))
    answered = _known(history)
    for request in history.requests:
        before = _highest(answered, first_asked[request.account, request.key])
        if request.seq and request.seq <= before:
            yield Lie("order", f"{request.key} has seq {request.seq}, and {before} was known before it was asked for")


def _counted(_history: History, truth: Truth) -> Iterator[Lie]:
    for order_id, seqs in truth.by_order.items():
        traded = 0
        for seq in seqs:
            order = truth.events[seq].order
            traded += order.last_qty_lots if order.exec_type == types.EXEC_TYPE_TRADE else 0
            if order.cum_qty_lots != traded:
                yield Lie("counted", f"order {order_id} at seq {seq}: {order.cum_qty_lots} traded, fills of {traded}")


def _reports(reader: Heard, truth: Truth) -> Iterator[Lie]:
    heard = [report.seq for _, report in reader.reports]
    last = max([reader.after_seq, reader.until_seq, *heard])
    due = sorted(
        seq
        for account in reader.accounts
        for seq in truth.by_account.get(account, ())
        if reader.after_seq < seq <= last
    )
    if heard != due:
        missing, more = sorted(set(due) - set(heard)), sorted(set(heard) - set(due))
        twice = sorted({seq for seq in heard if heard.count(seq) > 1}) if len(heard) != len(set(heard)) else []
        yield Lie(
            "reports", f"{reader.name}: missing {missing[:5]}, not due {more[:5]}, twice {twice[:5]}, or out of order"
        )
    for _, report in reader.reports:
        event = truth.events.get(report.seq)
        if event is not None and event.WhichOneof("body") == "order":
            wrong = difference(report, truth.report(report.seq))
            if wrong:
                yield Lie("reports", f"{reader.name} at seq {report.seq}: {wrong}")


def _lookups(history: History, truth: Truth) -> Iterator[Lie]:
    known = _known(history)
    begun = sorted((one.asked_at, one.seq) for one in _first_requests(history) if one.seq)
    begun_at = [at for at, _ in begun]
    earliest_from = [0] * len(begun) + [truth.last_seq + 1]
    for place in range(len(begun) - 1, -1, -1):
        earliest_from[place] = min(begun[place][1], earliest_from[place + 1])
    for lookup in history.lookups:
        low = _highest(known, lookup.asked_at)
        high = earliest_from[bisect_right(begun_at, lookup.answered_at)]
        yield from _lookup(lookup, truth, low, high)


def _lookup(lookup: Lookup, truth: Truth, low: int, high: int) -> Iterator[Lie]:
    """The answer must be the order's state after some event from `low` on and before `high`."""
    seqs = truth.by_key.get((lookup.account, lookup.key), [])
    name = f"{lookup.account} {lookup.key}"
    if lookup.order is None:
        if seqs and seqs[0] <= low:
            yield Lie("lookup", f"{name} did not exist, said a lookup after seq {low}; it exists since {seqs[0]}")
        return
    seq = lookup.order.last_seq
    event = truth.events.get(seq)
    if event is None or event.WhichOneof("body") != "order":
        yield Lie("lookup", f"{name} is as of seq {seq}, which is no event of an order")
        return
    states = truth.by_order.get(event.order.order_id, [seq])
    wrong = _state_difference(lookup.order, truth.report(seq))
    place = bisect_left(states, seq)
    if not set(states) & set(seqs):
        yield Lie("lookup", f"{name} is answered with another order, {lookup.order.order_id}")
    elif wrong:
        yield Lie("lookup", f"{name} at seq {seq}: {wrong}")
    elif seq >= high:
        yield Lie("lookup", f"{name} is as of seq {seq}, before what has seq {high} was asked for")
    elif place + 1 < len(states) and states[place + 1] <= low:
        yield Lie("lookup", f"{name} is as of seq {seq}, but {states[place + 1]} was known before the question")


def _first_requests(history: History) -> Iterator[Request]:
    """The first request of each key: only that one can have made an event."""
    seen: set[tuple[str, str]] = set()
    for request in sorted(history.requests, key=lambda one: one.asked_at):
        if (request.account, request.key) not in seen:
            seen.add((request.account, request.key))
            yield request


def _known(history: History) -> tuple[list[int], list[int]]:
    """Moments, and the highest sequence that any client had been told of by then."""
    told = [(one.answered_at, one.seq) for one in history.requests if one.seq]
    told += [(one.answered_at, one.order.last_seq) for one in history.lookups if one.order is not None]
    told += [(at, report.seq) for reader in history.readers for at, report in reader.reports]
    moments: list[int] = []
    highest: list[int] = []
    for at, seq in sorted(told):
        moments.append(at)
        highest.append(max(seq, highest[-1] if highest else 0))
    return moments, highest


def _highest(known: tuple[list[int], list[int]], before: int) -> int:
    place = bisect_left(known[0], before)
    return known[1][place - 1] if place else 0


def difference(told: orders.ExecutionReport, true: orders.ExecutionReport) -> str:
    """The fields in which two reports of one event differ, apart from those of the delivery; empty for none."""
    names = [field.name for field in orders.ExecutionReport.DESCRIPTOR.fields if field.name not in VARIES]
    parts = [
        f"{name} {getattr(told, name)!r} for {getattr(true, name)!r}"
        for name in names
        if getattr(told, name) != getattr(true, name)
    ]
    return ", ".join(parts)


def _state_difference(order: orders.Order, true: orders.ExecutionReport) -> str:
    told = {
        "order_id": order.order_id,
        "ord_status": order.ord_status,
        "cum_qty": order.cum_qty,
        "leaves_qty": order.leaves_qty,
        "avg_px": order.avg_px,
        "cl_ord_id": order.terms.cl_ord_id,
        "qty": order.terms.qty,
        "price": order.terms.price,
    }
    return ", ".join(
        f"{name} {value!r} for {getattr(true, name)!r}" for name, value in told.items() if value != getattr(true, name)
    )
