"""What the events alone say: counts, lots and cash, added up by somebody who sees nothing else.

It hears the events of both venues (they are the same) and knows no rule of
trading; what it finds must be what the ledgers have.
"""

from collections import Counter, defaultdict

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.plain.state import Said

TRADE, FILLED = types.EXEC_TYPE_TRADE, types.ORD_STATUS_FILLED
OPEN = (types.ORD_STATUS_NEW, types.ORD_STATUS_PARTIALLY_FILLED, types.ORD_STATUS_PENDING_NEW)


class Tally:
    """Sums over events; `wrong` tells what does not add up."""

    def __init__(self) -> None:
        self.seq = self.time = 0
        self.account_seq: Counter[str] = Counter()
        self.lots: dict[tuple[str, str], int] = defaultdict(int)
        self.cash: dict[tuple[str, str], int] = defaultdict(int)
        self.listed: dict[str, Said] = {}
        self.kinds: Counter[tuple[str, int, int]] = Counter()
        self.wrong: list[str] = []

    def hear(self, events: list[Said]) -> None:
        """The events of one command."""
        if events[0]["time_unix_ns"] <= self.time or events[0]["command_seq"] != self.seq + 1:
            self.wrong.append(f"time or sequence went back at {events[0]}")
        self.time = events[0]["time_unix_ns"]
        for event in events:
            self.kinds[event["kind"], event.get("exec_type", 0), event.get("reason", 0)] += 1
            self.seq += 1
            self._hear_one(event)
        fills = [event for event in events if event.get("exec_type") == TRADE]
        for maker, taker in zip(fills[::2], fills[1::2], strict=True):
            self._check_trade(maker, taker)
        if [bool(event.get("last_of_command")) for event in events] != [False] * (len(events) - 1) + [True]:
            self.wrong.append("the last event of a command, and only that, says so")

    def _hear_one(self, event: Said) -> None:
        if (event["seq"], event["time_unix_ns"]) != (self.seq, self.time):
            self.wrong.append(f"sequence or time of {event}")
        if event["kind"] == "instrument_listed":
            self.listed[event["instrument"]["symbol"]] = event["instrument"]
        elif event["kind"] == "cash_adjusted":
            self.cash[event["account"], event["currency"]] += event.get("amount_micro", 0)
        elif event["kind"] == "position_adjusted":
            self.lots[event["account"], event["symbol"]] += event.get("qty_lots", 0)
        elif event["kind"] == "order":
            self._hear_order(event)

    def _hear_order(self, event: Said) -> None:
        if "account_seq" in event:
            self.account_seq[event["account"]] += 1
            if event["account_seq"] != self.account_seq[event["account"]]:
                self.wrong.append(f"sequence of the account of {event}")
        qty, cum, leaves = (event.get(name, 0) for name in ("qty_lots", "cum_qty_lots", "leaves_qty_lots"))
        status = event["ord_status"]
        adds_up = cum + leaves == qty if status in OPEN else leaves == 0 and (status != FILLED or cum == qty)
        if not adds_up:
            self.wrong.append(f"{cum} + {leaves} of {qty} in {event}")
        if event["exec_type"] == TRADE:
            self._settle(event)

    def _settle(self, event: Said) -> None:
        terms = c.ListInstrument(**self.listed[event["symbol"]])
        worth = terms.tick_size_nano * terms.lot_size_nano * terms.multiplier // 10**12
        sign = 1 if event["side"] == types.SIDE_BUY else -1
        value = event["last_px_ticks"] * event["last_qty_lots"] * worth
        self.cash[event["account"], terms.currency] -= sign * value + event.get("fee_micro", 0)
        if terms.asset_class == types.ASSET_CLASS_FX:
            base = event["last_qty_lots"] * terms.lot_size_nano * terms.multiplier // 1_000
            self.cash[event["account"], terms.base_currency] += sign * base
        self.lots[event["account"], event["symbol"]] += sign * event["last_qty_lots"]

    def _check_trade(self, maker: Said, taker: Said) -> None:
        same = ("trade_id", "symbol", "last_px_ticks", "last_qty_lots")
        is_whole = (
            all(maker[name] == taker[name] for name in same)
            and (maker["side"] == types.SIDE_BUY) != (taker["side"] == types.SIDE_BUY)
            and (maker["contra_order_id"], taker["contra_order_id"]) == (taker["order_id"], maker["order_id"])
            and maker["trade_id"] == taker["seq"] == maker["seq"] + 1
        )
        if not is_whole:
            self.wrong.append(f"the sides of a trade differ: {maker} {taker}")
