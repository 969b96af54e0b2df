"""Counts what came back: reports by kind, refusals by reason, and the latency of every answer.

Latency runs from the moment a command was meant to be sent, so that a client or
a server that falls behind cannot hide it (no coordinated omission).
"""

import time
from array import array
from collections import Counter
from dataclasses import dataclass, field

from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk.errors import reason_name
from clients.sdk.inbox import SessionFrame

PERCENTILES = (("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999), ("max", 1000))
"""Names, and ranks in thousandths."""


@dataclass(slots=True)
class Tally:
    """Results so far.

    Args:
        prefix: what every `cl_ord_id` of the run begins with; other reports of the accounts do not count.
        start_seq: where the run's reports begin; an original answer from before it comes from an earlier run.
    """

    prefix: str
    start_seq: int = 0
    accepted: int = 0
    fills: int = 0
    filled_qty: int = 0
    replaces: int = 0
    cancels: int = 0
    unfilled_rests: int = 0
    self_trades_prevented: int = 0
    repeats: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    intended_ns: "array[int]" = field(default_factory=lambda: array("q"))
    latencies_ns: "array[int]" = field(default_factory=lambda: array("q"))

    def intend(self, at_ns: int) -> None:
        """The next command in sending order is meant for `at_ns` of the performance counter."""
        self.intended_ns.append(at_ns)

    def take(self, frame: SessionFrame) -> None:
        """Counts what one message brought."""
        prefix = self.prefix
        for report in frame.reports:
            if report.cl_ord_id.startswith(prefix):
                self._count(report)
        for reply in frame.replies:
            if reply.WhichOneof("reply") == "refused":
                self.rejects[reason_name(reply.refused.code)] += 1
            elif reply.original.seq <= self.start_seq:
                self.repeats += 1
        if frame.answered:
            now_ns, intended_ns = time.perf_counter_ns(), self.intended_ns
            self.latencies_ns.extend([now_ns - intended_ns[number - 1] for number in frame.answered])

    def _count(self, report: orders.ExecutionReport) -> None:
        kind = report.exec_type
        if kind == types.EXEC_TYPE_NEW:
            self.accepted += 1
        elif kind == types.EXEC_TYPE_TRADE:
            if report.liquidity == types.LIQUIDITY_TAKER:
                self.fills += 1
                self.filled_qty += int(report.last_qty)
        elif kind == types.EXEC_TYPE_CANCELED:
            if report.request == types.REQUEST_KIND_CANCEL:
                self.cancels += 1
            elif report.cause == types.CAUSE_SELF_TRADE_PREVENTION:
                self.self_trades_prevented += 1
            else:
                self.unfilled_rests += 1
        elif kind == types.EXEC_TYPE_REPLACED:
            self.replaces += 1
        elif kind in (types.EXEC_TYPE_DENIED, types.EXEC_TYPE_REJECTED):
            self.rejects[reason_name(report.reason.code)] += 1

    def latency_us(self) -> dict[str, float]:
        """Acknowledgement latency percentiles in microseconds, by nearest rank; empty without answers."""
        ordered = sorted(self.latencies_ns)
        last = len(ordered) - 1
        if last < 0:
            return {}
        return {name: ordered[last * rank // 1000] / 1000 for name, rank in PERCENTILES}
