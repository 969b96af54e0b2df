"""The checker of histories: a true one passes, and every kind of lie is found."""

from collections.abc import Callable
from typing import cast

import pytest
from ordergate.matching.v1 import events_pb2 as wire
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from tests.integration.faults.campaign import Outcome
from tests.integration.faults.checker import check
from tests.integration.faults.history import Heard, Lookup, Request

SUBMIT = types.REQUEST_KIND_SUBMIT


def kinds(outcome: Outcome) -> set[str]:
    """The kinds of lies that are found."""
    return {lie.kind for lie in check(outcome.history, outcome.truth)}


def accepted(outcome: Outcome, kind: types.RequestKind.ValueType = SUBMIT) -> Request:
    """A request that was accepted, whose key nobody used again."""
    asked = [one.key for one in outcome.history.requests]
    return next(
        one
        for one in outcome.history.requests
        if one.kind == kind and one.answer is not None and asked.count(one.key) == 1
    )


def report_of(request: Request) -> orders.ExecutionReport:
    """The report that answers it."""
    return cast(orders.ExecutionReport, request.answer)


def repeated(outcome: Outcome) -> Request:
    """A request that was repeated."""
    return next(
        one
        for one in outcome.history.requests
        if isinstance(one.answer, orders.ExecutionReport) and one.answer.poss_dup and one.kind == SUBMIT
    )


def refused(outcome: Outcome) -> Request:
    """A request that the venue refused."""
    return next(one for one in outcome.history.requests if one.refused_seq)


def listener(outcome: Outcome) -> Heard:
    """A reader of one account."""
    return next(one for one in outcome.history.readers if one.name.startswith("reports of"))


def session(outcome: Outcome) -> Heard:
    """A session, as a reader."""
    return next(one for one in outcome.history.readers if one.name.startswith("session"))


def raw(outcome: Outcome) -> Heard:
    """The reader that nothing stands before."""
    return next(one for one in outcome.history.readers if one.name.startswith("raw"))


def looked_up(outcome: Outcome) -> Lookup:
    """A lookup that found an order."""
    return next(one for one in outcome.history.lookups if one.order is not None and one.order.order_id)


def changed_order(outcome: Outcome) -> list[int]:
    """The changes of an order with several of them, the last of which was known well before the end."""
    known = {report.seq for _, report in listener(outcome).reports}
    return next(seqs for seqs in outcome.truth.by_order.values() if len(seqs) > 1 and seqs[-1] in known)


def append(outcome: Outcome, event: wire.Event, **changes: object) -> None:
    """Writes another event behind the journal."""
    forged = wire.Event()
    forged.CopyFrom(event)
    forged.seq = forged.command_seq = forged.order.order_id = outcome.truth.last_seq + 1
    for name, value in changes.items():
        setattr(forged.order, name, value)
    outcome.truth.add(forged, outcome.truth.epochs[outcome.truth.last_seq])


def carried_out(outcome: Outcome, request: Request, key: str) -> None:
    """Writes what answers a request behind the journal once more, as if it had come under that key."""
    forged = wire.Event()
    forged.CopyFrom(outcome.truth.events[request.seq])
    forged.seq = forged.command_seq = outcome.truth.last_seq + 1
    if forged.HasField("order"):
        forged.order.cl_ord_id = key
    elif forged.HasField("orders_mass_canceled"):
        forged.orders_mass_canceled.cl_ord_id = key
    else:
        forged.mass_quote_accepted.quote_id = key
    outcome.truth.add(forged, outcome.truth.epochs[outcome.truth.last_seq])


def ask_after(outcome: Outcome, account: str, key: str, order: orders.Order | None) -> None:
    """A lookup after everything."""
    history = outcome.history
    history.lookups.append(Lookup(account, key, history.now(), history.now(), order))


def state_at(outcome: Outcome, seq: int) -> orders.Order:
    """What a lookup says of an order as of an event."""
    true = outcome.truth.report(seq)
    return orders.Order(
        terms=orders.OrderTerms(cl_ord_id=true.cl_ord_id, qty=true.qty, price=true.price),
        order_id=true.order_id,
        ord_status=true.ord_status,
        cum_qty=true.cum_qty,
        leaves_qty=true.leaves_qty,
        avg_px=true.avg_px,
        last_seq=seq,
    )


def test_a_true_history_passes(true: Outcome) -> None:
    """Nothing is found where nobody lied, and there is something of every kind to lie about."""
    assert check(true.history, true.truth) == []
    for kind in (SUBMIT, types.REQUEST_KIND_REPLACE, types.REQUEST_KIND_CANCEL):
        assert accepted(true, kind).seq
    assert isinstance(accepted(true, types.REQUEST_KIND_MASS_CANCEL).answer, entry.MassCancelOrdersResponse)
    assert isinstance(accepted(true, types.REQUEST_KIND_QUOTE).answer, entry.SubmitQuotesResponse)
    assert repeated(true) is not None
    assert refused(true).refused
    assert any(one.refused and not one.refused_seq for one in true.history.requests)
    assert any(len(one.accounts) > 1 for one in true.history.readers)


def of_the_future(outcome: Outcome) -> None:
    """An acknowledgement of what is not in the journal."""
    report_of(accepted(outcome)).seq = outcome.truth.last_seq + 7


def of_other_content(outcome: Outcome) -> None:
    """An acknowledgement with another price."""
    report_of(accepted(outcome)).price = "1.23"


def of_another_request(outcome: Outcome) -> None:
    """An acknowledgement that belongs to somebody else."""
    mine, other = accepted(outcome), accepted(outcome, types.REQUEST_KIND_CANCEL)
    mine.answer = other.answer


def under_another_number(outcome: Outcome) -> None:
    """A session's answer that came under the number of another command."""
    accepted(outcome).correlated = False


def of_another_count(outcome: Outcome) -> None:
    """A mass cancel that says that it cancelled more."""
    answer = accepted(outcome, types.REQUEST_KIND_MASS_CANCEL).answer
    cast(entry.MassCancelOrdersResponse, answer).canceled_orders += 1


def of_another_quote(outcome: Outcome) -> None:
    """A quote's answer with another key."""
    cast(entry.SubmitQuotesResponse, accepted(outcome, types.REQUEST_KIND_QUOTE).answer).quote_id = "another"


def with_another_answer(outcome: Outcome) -> None:
    """A repeated request that is answered with something new."""
    report_of(repeated(outcome)).seq += 1


def executed_again(outcome: Outcome) -> None:
    """A key that is in the journal as two orders."""
    append(outcome, outcome.truth.events[accepted(outcome).seq])


def canceled_in_mass_again(outcome: Outcome) -> None:
    """A mass cancel that is in the journal twice."""
    request = accepted(outcome, types.REQUEST_KIND_MASS_CANCEL)
    carried_out(outcome, request, request.key)


def quoted_again(outcome: Outcome) -> None:
    """A quote that is in the journal twice."""
    request = accepted(outcome, types.REQUEST_KIND_QUOTE)
    carried_out(outcome, request, request.key)


def of_nobody(outcome: Outcome) -> None:
    """An order that nobody placed."""
    append(outcome, outcome.truth.events[accepted(outcome).seq], cl_ord_id="of nobody")


def cancel_of_nobody(outcome: Outcome) -> None:
    """A cancel that nobody sent."""
    carried_out(outcome, accepted(outcome, types.REQUEST_KIND_CANCEL), "of nobody")


def replace_of_nobody(outcome: Outcome) -> None:
    """A replace that nobody sent."""
    carried_out(outcome, accepted(outcome, types.REQUEST_KIND_REPLACE), "of nobody")


def mass_cancel_of_nobody(outcome: Outcome) -> None:
    """A mass cancel that nobody sent."""
    carried_out(outcome, accepted(outcome, types.REQUEST_KIND_MASS_CANCEL), "of nobody")


def quote_of_nobody(outcome: Outcome) -> None:
    """A quote that nobody sent."""
    carried_out(outcome, accepted(outcome, types.REQUEST_KIND_QUOTE), "of nobody")


def of_another_quantity(outcome: Outcome) -> None:
    """An order of another quantity than was asked for."""
    outcome.truth.events[accepted(outcome).seq].order.qty_lots += 1


def for_another_reason(outcome: Outcome) -> None:
    """A refusal for another reason than the venue had."""
    refused(outcome).refused = "SELF_TRADE"


def as_another_kind(outcome: Outcome) -> None:
    """A rejection that is told as a denial, or the other way round."""
    request = refused(outcome)
    request.refused_exec = "DENIED" if request.refused_exec == "REJECTED" else "REJECTED"


def without_an_event(outcome: Outcome) -> None:
    """A refusal in the name of the venue that it never made."""
    refused(outcome).refused_seq = 0


def refused_and_executed(outcome: Outcome) -> None:
    """A request that the gateway said it had refused, and that was carried out."""
    request = accepted(outcome)
    request.answer, request.refused = None, "PRICE_OFF_TICK"


def missing(outcome: Outcome) -> None:
    """A report that never came."""
    del listener(outcome).reports[5]


def missing_at_the_end(outcome: Outcome) -> None:
    """The last reports, which never came."""
    del listener(outcome).reports[-1:]


def missing_at_the_end_of_a_session(outcome: Outcome) -> None:
    """The last report of a session, which never came."""
    del session(outcome).reports[-1:]


def missing_from_a_session(outcome: Outcome) -> None:
    """All that a session was due, and of which nothing came."""
    session(outcome).reports.clear()


def twice_where_nobody_filters(outcome: Outcome) -> None:
    """The last report, which came again to the reader without the SDK."""
    reports = raw(outcome).reports
    reports.append(reports[-1])


def twice(outcome: Outcome) -> None:
    """A report that came twice."""
    reports = listener(outcome).reports
    reports.insert(6, reports[5])


def out_of_order(outcome: Outcome) -> None:
    """Two reports in the wrong order."""
    reports = listener(outcome).reports
    reports[5], reports[6] = reports[6], reports[5]


def altered(outcome: Outcome) -> None:
    """A report that says something else."""
    listener(outcome).reports[5][1].leaves_qty = "12345"


def of_another_account(outcome: Outcome) -> None:
    """A report of an account that the reader does not read."""
    reader = listener(outcome)
    drop_copy = next(one for one in outcome.history.readers if len(one.accounts) > 1)
    at, foreign = next(told for told in drop_copy.reports if told[1].account not in reader.accounts)
    reader.reports.append((at, foreign))


def denies_what_was_acknowledged(outcome: Outcome) -> None:
    """ "There is no such order", after it was acknowledged."""
    request = accepted(outcome)
    ask_after(outcome, request.account, request.key, None)


def is_stale(outcome: Outcome) -> None:
    """The state before a change that was known."""
    first, *_ = changed_order(outcome)
    true = outcome.truth.report(first)
    ask_after(outcome, true.account, true.cl_ord_id, state_at(outcome, first))


def foretells(outcome: Outcome) -> None:
    """A state that came to be only by what was asked for later."""
    lookup = looked_up(outcome)
    lookup.asked_at, lookup.answered_at = 0, 0


def tells_of_another_order(outcome: Outcome) -> None:
    """The state of another order than the one that was asked for."""
    lookup = looked_up(outcome)
    lookup.key = next(
        one.key for one in outcome.history.requests if one.account == lookup.account and one.answer is None
    )


def tells_another_state(outcome: Outcome) -> None:
    """A quantity that the order never had."""
    order = looked_up(outcome).order
    assert order is not None
    order.cum_qty = "777"


def later_than_it_happened(outcome: Outcome) -> None:
    """A request that was first sent when events after its own were known."""
    accepted(outcome).asked_at = outcome.history.now()


def traded_more_than_its_fills(outcome: Outcome) -> None:
    """An order whose traded quantity is not the sum of its fills."""
    outcome.truth.events[changed_order(outcome)[-1]].order.cum_qty_lots += 1


LIES: list[tuple[str, Callable[[Outcome], None]]] = [
    *(
        ("acknowledged", lie)
        for lie in (
            of_the_future,
            of_other_content,
            of_another_request,
            under_another_number,
            of_another_count,
            of_another_quote,
        )
    ),
    ("original", with_another_answer),
    *(("original", lie) for lie in (executed_again, canceled_in_mass_again, quoted_again)),
    *(
        ("phantom", lie)
        for lie in (
            of_nobody,
            cancel_of_nobody,
            replace_of_nobody,
            mass_cancel_of_nobody,
            quote_of_nobody,
            of_another_quantity,
        )
    ),
    *(("refused", lie) for lie in (for_another_reason, as_another_kind, without_an_event, refused_and_executed)),
    *(
        ("reports", lie)
        for lie in (
            missing,
            missing_at_the_end,
            missing_at_the_end_of_a_session,
            missing_from_a_session,
            twice,
            twice_where_nobody_filters,
            out_of_order,
            altered,
            of_another_account,
        )
    ),
    *(
        ("lookup", lie)
        for lie in (
            denies_what_was_acknowledged,
            is_stale,
            foretells,
            tells_of_another_order,
            tells_another_state,
        )
    ),
    ("order", later_than_it_happened),
    ("counted", traded_more_than_its_fills),
]


@pytest.mark.parametrize(("kind", "lie"), LIES, ids=[lie.__name__ for _, lie in LIES])
def test_every_lie_is_found(true: Outcome, kind: str, lie: Callable[[Outcome], None]) -> None:
    """A single forged entry makes the checker name the rule that it breaks."""
    lie(true)
    assert kind in kinds(true)
