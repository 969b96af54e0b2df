"""What a flow run counts, and how latency is measured."""

import time

import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.flow.tally import Tally
from clients.sdk.inbox import SessionFrame


def frame(*reports: orders.ExecutionReport, answered: tuple[int, ...] = ()) -> SessionFrame:
    """A message with reports."""
    return SessionFrame(reports, (), answered)


def report(exec_type: types.ExecType.ValueType, **fields: object) -> orders.ExecutionReport:
    """A report of the run."""
    return orders.ExecutionReport(exec_type=exec_type, cl_ord_id="run-1", **fields)  # type: ignore[arg-type]


def test_a_trade_counts_once() -> None:
    """Both sides of a trade are reported; the taker's is counted."""
    tally = Tally("run-")
    tally.take(
        frame(
            report(types.EXEC_TYPE_TRADE, liquidity=types.LIQUIDITY_MAKER, last_qty="7"),
            report(types.EXEC_TYPE_TRADE, liquidity=types.LIQUIDITY_TAKER, last_qty="7"),
        )
    )
    assert (tally.fills, tally.filled_qty) == (1, 7)


def test_a_cancel_is_not_the_end_of_an_ioc_order() -> None:
    """What a client cancelled, what found nothing to trade with and what met itself are counted apart."""
    tally = Tally("run-")
    tally.take(
        frame(
            report(types.EXEC_TYPE_CANCELED, request=types.REQUEST_KIND_CANCEL),
            report(types.EXEC_TYPE_CANCELED, cause=types.CAUSE_SYSTEM),
            report(types.EXEC_TYPE_CANCELED, cause=types.CAUSE_SELF_TRADE_PREVENTION),
            report(types.EXEC_TYPE_CANCELED, cause=types.CAUSE_SELF_TRADE_PREVENTION),
            report(types.EXEC_TYPE_REPLACED),
            report(types.EXEC_TYPE_NEW),
        )
    )
    assert (tally.cancels, tally.unfilled_rests, tally.self_trades_prevented) == (1, 1, 2)
    assert (tally.replaces, tally.accepted) == (1, 1)


def test_refusals_are_counted_by_reason_wherever_they_come_from() -> None:
    """The gateway refuses in a reply, risk and venue in a report."""
    tally = Tally("run-")
    detail = types.ReasonDetail(code=types.REASON_PRICE_OFF_TICK)
    reply = entry.CommandReply(correlation_id=1, refused=detail)
    tally.intend(0)
    tally.take(SessionFrame((), (reply,), (1,)))
    unknown = types.ReasonDetail(code=types.REASON_ORDER_UNKNOWN)
    tally.take(
        frame(report(types.EXEC_TYPE_REJECTED, reason=unknown), report(types.EXEC_TYPE_REJECTED, reason=unknown))
    )
    assert tally.rejects == {"PRICE_OFF_TICK": 1, "ORDER_UNKNOWN": 2}


def test_reports_of_others_do_not_count() -> None:
    """The accounts may be used by somebody else as well."""
    tally = Tally("run-")
    tally.take(frame(orders.ExecutionReport(exec_type=types.EXEC_TYPE_NEW, cl_ord_id="other-1")))
    assert tally.accepted == 0


def test_only_answers_of_an_earlier_run_are_repeats() -> None:
    """A command of this run that was sent again and is answered with its original report is not a repeat."""
    tally = Tally("run-", start_seq=10)
    for seq in (10, 11):
        original = orders.ExecutionReport(cl_ord_id="run-1", seq=seq)
        tally.take(SessionFrame((), (entry.CommandReply(correlation_id=1, original=original),), ()))
    assert tally.repeats == 1


def test_latency_runs_from_the_intended_time() -> None:
    """A command that was meant to go out a second ago and is answered now has taken a second."""
    tally = Tally("run-")
    now_ns = time.perf_counter_ns()
    tally.intend(now_ns - 1_000_000_000)
    tally.intend(now_ns)
    tally.take(frame(report(types.EXEC_TYPE_NEW), answered=(1, 2)))
    first_ns, second_ns = tally.latencies_ns
    assert first_ns - second_ns == 1_000_000_000


@pytest.mark.parametrize(("count", "p50", "p99", "highest"), [(1, 1.0, 1.0, 1.0), (1001, 501.0, 991.0, 1001.0)])
def test_percentiles_are_measured_values(count: int, p50: float, p99: float, highest: float) -> None:
    """Percentiles are by nearest rank, in microseconds; nothing is interpolated."""
    tally = Tally("run-")
    tally.latencies_ns.extend(1000 * value for value in range(count, 0, -1))
    latency = tally.latency_us()
    assert (latency["p50"], latency["p99"], latency["max"]) == (p50, p99, highest)


def test_without_answers_there_is_no_latency() -> None:
    """An empty run has no percentiles."""
    assert Tally("run-").latency_us() == {}
