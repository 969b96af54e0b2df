"""How much an order could trade now, found by going through the other side turn by turn (section 8)."""

from ordergate.types.v1 import types_pb2 as types

from tests.simulation.plain import book, lists, money
from tests.simulation.plain.state import Order, Venue


def are_own(v: Venue, one: Order, other: Order) -> bool:
    """Whether two orders are of one owner."""
    group = v.accounts[one.account].self_trade_group
    return one.account == other.account or (bool(group) and group == v.accounts[other.account].self_trade_group)


class Turn:
    """A resting order as it would be after the trades before."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.left = order.leaves
        self.shown = order.shown or order.leaves

    def refill(self) -> None:
        """An iceberg shows more."""
        self.shown = min(self.order.display, self.left)


def fillable(v: Venue, order: Order, limit: int | None) -> int:
    """The lots that a sweep would trade, at most those of the order."""
    most = order.qty
    if order.body.reduce_only:
        most = min(most, money.reducible(v, order.account, order.symbol, buys=order.buys))
    positions = {name: account.lots(order.symbol) for name, account in v.accounts.items()}
    queue = [Turn(maker) for maker in book.resting(v, order.symbol, buys=not order.buys)]
    found = 0
    while queue and found < most and _is_reached(v, order, queue[0].order.price, limit):
        turn = queue.pop(0)
        maker = turn.order
        if are_own(v, maker, order):
            if order.body.self_trade_prevention != types.SELF_TRADE_PREVENTION_CANCEL_OLDEST:
                break
            continue
        other = lists.other_leg(v, maker)
        queue = [later for later in queue if later.order is not other]
        lots = min(turn.shown, most - found, _allowed(turn, positions[maker.account]))
        positions[maker.account] += lots if maker.buys else -lots
        found += lots
        turn.left, turn.shown = turn.left - lots, turn.shown - lots
        if lots and turn.left:
            _stay(queue, turn)
    return found


def _is_reached(v: Venue, order: Order, price: int, limit: int | None) -> bool:
    reached = limit is not None and book.reaches(price, limit, buys=order.buys)
    return reached and book.in_band(v.listings[order.symbol], price)


def _allowed(turn: Turn, position: int) -> int:
    if not turn.order.body.reduce_only:
        return turn.left
    return max(0, -position if turn.order.buys else position)


def _stay(queue: list[Turn], turn: Turn) -> None:
    """What is not used up stays in front; an iceberg that shows nothing goes to the back of its level."""
    place = 0
    if not turn.shown:
        turn.refill()
        place = sum(later.order.price == turn.order.price for later in queue)
    queue.insert(place, turn)
