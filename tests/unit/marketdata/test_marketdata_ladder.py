"""What the market maker decides, without a network."""

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.market_maker import COOLDOWN_S, STALE_AFTER_S, Budget, Ladder
from runtime.decimals import parse_nano

BUY, SELL = types.SIDE_BUY, types.SIDE_SELL
AAPL = marketdata.Instrument(symbol="AAPL", tick_size="0.01", lot_size="1", asset_class=types.ASSET_CLASS_EQUITY)
REASON_OF_RISK = types.ReasonDetail(code=types.REASON_BUYING_POWER, text="no")


class Venue:
    """Answers commands as the venue would, and knows what stands."""

    def __init__(self) -> None:
        self.standing: dict[str, orders.ExecutionReport] = {}
        self.correlations = 0

    def number(self, command: entry.SessionCommand) -> entry.SessionCommand:
        """The command as the session sends it."""
        self.correlations += 1
        command.correlation_id = self.correlations
        return command

    def carried_out(self, command: entry.SessionCommand) -> orders.ExecutionReport:
        """The report that answers the command."""
        kind = str(command.WhichOneof("command"))
        if kind == "submit":
            terms = command.submit
            report = orders.ExecutionReport(
                cl_ord_id=terms.cl_ord_id,
                symbol=terms.symbol,
                side=terms.side,
                price=terms.price,
                qty=terms.qty,
                cum_qty="0",
                leaves_qty=terms.qty,
                exec_type=types.EXEC_TYPE_NEW,
                ord_status=types.ORD_STATUS_NEW,
            )
        else:
            report = self.changed(getattr(command, kind))
        if report.ord_status in (types.ORD_STATUS_NEW, types.ORD_STATUS_PARTIALLY_FILLED):
            self.standing[report.cl_ord_id] = report
        return report

    def changed(self, request: entry.ReplaceOrderRequest | entry.CancelOrderRequest) -> orders.ExecutionReport:
        """The report of a replace or cancel; a refusal when the order is gone."""
        old = self.standing.pop(request.orig_cl_ord_id, None)
        if old is None:
            return orders.ExecutionReport(
                cl_ord_id=request.cl_ord_id,
                exec_type=types.EXEC_TYPE_REJECTED,
                reason=types.ReasonDetail(code=types.REASON_ORDER_NOT_OPEN),
            )
        report = orders.ExecutionReport()
        report.CopyFrom(old)
        report.cl_ord_id, report.orig_cl_ord_id = request.cl_ord_id, request.orig_cl_ord_id
        if isinstance(request, entry.CancelOrderRequest):
            report.exec_type, report.ord_status = types.EXEC_TYPE_CANCELED, types.ORD_STATUS_CANCELED
            return report
        report.exec_type = types.EXEC_TYPE_REPLACED
        report.price = request.price or old.price
        report.qty = request.qty or old.qty
        report.leaves_qty = str(int(report.qty) - int(report.cum_qty))
        return report

    def fill(self, cl_ord_id: str, qty: int) -> orders.ExecutionReport:
        """The report of a fill."""
        report = orders.ExecutionReport()
        report.CopyFrom(self.standing[cl_ord_id])
        qty = min(qty, int(report.leaves_qty))
        report.cum_qty = str(int(report.cum_qty) + qty)
        report.leaves_qty = str(int(report.leaves_qty) - qty)
        report.exec_type = types.EXEC_TYPE_TRADE
        done = report.leaves_qty == "0"
        report.ord_status = types.ORD_STATUS_FILLED if done else types.ORD_STATUS_PARTIALLY_FILLED
        self.standing[cl_ord_id] = report
        if done:
            del self.standing[cl_ord_id]
        return report

    def prices(self, side: int) -> list[str]:
        """Prices at which orders of a side stand, best first."""
        found = [report.price for report in self.standing.values() if report.side == side]
        return sorted(found, key=float, reverse=side == BUY)

    @property
    def is_crossed(self) -> bool:
        """Whether an own bid stands at or above an own ask."""
        bids, asks = self.prices(BUY), self.prices(SELL)
        return bool(bids and asks) and parse_nano(bids[0]) >= parse_nano(asks[0])


def settled(ladder: Ladder, venue: Venue, now_s: float) -> int:
    """Sends and answers until nothing more is due; gives the number of commands."""
    count = 0
    while commands := list(ladder.due(now_s)):
        for command in commands:
            count += 1
            assert count < 100, "the ladder does not come to rest"
            ladder.report(venue.carried_out(venue.number(command)), now_s)
    return count


def quoted(px: str = "190") -> tuple[Ladder, Venue]:
    """A ladder whose orders stand around `px`."""
    ladder, venue = Ladder(AAPL, "mm"), Venue()
    ladder.reference(px, 0.0)
    settled(ladder, venue, 0.0)
    return ladder, venue


def test_a_ladder_has_three_levels_around_the_reference_price() -> None:
    """250 ppm of 190.00 is 4 ticks; levels are one, two and three of these away, with growing quantities."""
    _, venue = quoted()
    assert venue.prices(BUY) == ["189.96", "189.92", "189.88"]
    assert venue.prices(SELL) == ["190.04", "190.08", "190.12"]
    assert sorted(int(report.qty) for report in venue.standing.values()) == [100, 100, 200, 200, 300, 300]


def test_without_a_reference_price_nothing_is_quoted() -> None:
    """A symbol that no feed prices gets no order."""
    assert list(Ladder(AAPL, "mm").due(0.0)) == []


def test_small_moves_are_not_followed() -> None:
    """The ladder stays until the reference price is 125 ppm away, then moves as a whole, by replacing."""
    ladder, venue = quoted()
    ladder.reference("190.02", 1.0)
    assert settled(ladder, venue, 1.0) == 0
    ladder.reference("190.03", 1.0)
    assert settled(ladder, venue, 1.0) == 6
    assert venue.prices(BUY)[0] == "189.99"
    assert venue.prices(SELL)[0] == "190.07"


def test_a_command_under_way_is_not_followed_by_another() -> None:
    """A rung waits for its answer, however the price moves meanwhile."""
    ladder = Ladder(AAPL, "mm")
    ladder.reference("190", 0.0)
    assert len(list(ladder.due(0.0))) == 6
    ladder.reference("200", 0.0)
    assert list(ladder.due(0.0)) == []


@pytest.mark.parametrize(("px", "waiting"), [("200", BUY), ("180", SELL)])
def test_the_side_that_would_cross_waits_for_the_other(px: str, waiting: int) -> None:
    """On a jump, the side that moves away goes first; the other follows once that is answered."""
    ladder, venue = quoted()
    ladder.reference(px, 1.0)
    moving = list(ladder.due(1.0))
    sides = {venue.standing[command.replace.orig_cl_ord_id].side for command in moving}
    assert sides == {SELL if waiting == BUY else BUY}
    assert list(ladder.due(1.0)) == []
    for command in moving:
        ladder.report(venue.carried_out(command), 1.0)
    follow = [venue.standing[command.replace.orig_cl_ord_id].side for command in ladder.due(1.0)]
    assert follow == [waiting] * 3


def test_a_stale_reference_price_takes_the_orders_out() -> None:
    """Who does not know the price does not quote: orders are cancelled, and come back with the price."""
    ladder, venue = quoted()
    assert settled(ladder, venue, STALE_AFTER_S) == 0
    assert settled(ladder, venue, STALE_AFTER_S + 1) == 6
    assert venue.standing == {}
    ladder.reference("190", 20.0)
    settled(ladder, venue, 20.0)
    assert len(venue.standing) == 6


def test_a_filled_order_is_placed_again_and_a_low_one_filled_up() -> None:
    """A gone order is submitted anew; one with less than half left is replaced to the full quantity."""
    ladder, venue = quoted()
    best_bid, best_ask = (
        next(key for key, one in venue.standing.items() if one.price == px) for px in ("189.96", "190.04")
    )
    ladder.report(venue.fill(best_bid, 100), 1.0)
    ladder.report(venue.fill(best_ask, 60), 1.0)
    submit, replace = ladder.due(1.0)
    assert (submit.submit.side, submit.submit.price, submit.submit.qty) == (BUY, "189.96", "100")
    assert (replace.replace.orig_cl_ord_id, replace.replace.price, replace.replace.qty) == (best_ask, "190.04", "160")
    for command in (submit, replace):
        ladder.report(venue.carried_out(command), 1.0)
    assert list(ladder.due(1.0)) == []


def test_a_refused_command_cools_down() -> None:
    """After a denial the same rung is quiet for a while and then tries again; the others go on."""
    ladder, venue = Ladder(AAPL, "mm"), Venue()
    ladder.reference("190", 0.0)
    commands = [venue.number(command) for command in ladder.due(0.0)]
    refused = orders.ExecutionReport(
        cl_ord_id=commands[0].submit.cl_ord_id, exec_type=types.EXEC_TYPE_DENIED, reason=REASON_OF_RISK
    )
    ladder.report(refused, 0.0)
    ladder.reply(entry.CommandReply(correlation_id=commands[1].correlation_id, refused=REASON_OF_RISK), 0.0)
    for command in commands[2:]:
        ladder.report(venue.carried_out(command), 0.0)
    assert list(ladder.due(COOLDOWN_S - 0.1)) == []
    again = [command.submit.price for command in ladder.due(COOLDOWN_S)]
    assert again == [commands[0].submit.price, commands[1].submit.price]


def test_a_replace_of_an_order_that_is_gone_leads_to_a_new_one() -> None:
    """A fill that overtakes a replace: the refusal frees the rung at once."""
    ladder, venue = quoted()
    key = next(key for key, one in venue.standing.items() if one.price == "190.04")
    ladder.reference("190.04", 1.0)
    commands = list(ladder.due(1.0))
    ladder.report(venue.fill(key, 100), 1.0)
    for command in commands:
        ladder.report(venue.carried_out(command), 1.0)
    (again,) = ladder.due(1.0)
    assert (again.submit.side, again.submit.price) == (SELL, "190.08")


def test_a_repeated_submit_counts_as_its_original() -> None:
    """After a reconnect the answer may be the original report; the order then stands as reported."""
    ladder, venue = Ladder(AAPL, "mm"), Venue()
    ladder.reference("190", 0.0)
    commands = [venue.number(command) for command in ladder.due(0.0)]
    for command in commands:
        original = venue.carried_out(command)
        ladder.reply(entry.CommandReply(correlation_id=command.correlation_id, original=original), 0.0)
    assert list(ladder.due(0.0)) == []


def test_at_the_end_everything_is_cancelled() -> None:
    """Standing orders and submits under way are cancelled by their keys."""
    ladder, venue = quoted()
    key = next(iter(venue.standing))
    ladder.report(venue.fill(key, 1000), 1.0)
    (under_way,) = ladder.due(1.0)
    keys = {command.cancel.orig_cl_ord_id for command in ladder.cancels()}
    assert keys == {*venue.standing, under_way.submit.cl_ord_id}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("reference"), st.integers(18000, 20000)),
        st.tuples(st.just("send"), st.integers(1, 6)),
        st.tuples(st.just("answer"), st.integers(0, 20)),
        st.tuples(st.just("fill"), st.integers(1, 400)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(steps)
def test_own_orders_never_cross_whatever_is_answered_when(chosen: list[tuple[str, int]]) -> None:
    """With answers late and in any order, and with fills between, no own bid ever stands at an own ask's price."""
    ladder, venue = Ladder(AAPL, "mm"), Venue()
    under_way: list[entry.SessionCommand] = []
    for name, number in chosen:
        if name == "reference":
            ladder.reference(f"{number // 100}.{number % 100:02d}", 0.0)
        elif name == "send":
            under_way.extend(map(venue.number, islice(ladder.due(0.0), number)))
        elif name == "answer" and under_way:
            ladder.report(venue.carried_out(under_way.pop(number % len(under_way))), 0.0)
        elif name == "fill" and venue.standing:
            key = sorted(venue.standing)[number % len(venue.standing)]
            ladder.report(venue.fill(key, number), 0.0)
        assert not venue.is_crossed
    for command in under_way:
        ladder.report(venue.carried_out(command), 0.0)
        assert not venue.is_crossed
    settled(ladder, venue, 0.0)
    assert len(venue.standing) == (6 if any(name == "reference" for name, _ in chosen) else 0)


def test_the_budget_bounds_the_rate() -> None:
    """At most the given number at once and each second; what was not used does not pile up."""
    budget = Budget(40, 0.0)
    assert budget.available(0.0) == 40
    budget.spend(40)
    assert budget.available(0.0) == 0
    assert budget.available(0.5) == 20
    assert budget.available(100.0) == 40
