"""A venue so plain that it is right by reading it: the oracle of the core.

It keeps one list of orders and finds everything by looking at all of them: the
best price, what is held, who is first. It shares no code with the core beyond
the commands, and says every event in full.
"""

from collections.abc import Callable
from typing import Any

from ordergate.matching.v1 import events_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.plain_ledger import BOUND, Holding, PlainLedger, PlainOrder, Said


class PlainVenue(PlainLedger):
    """Lists and loops. `execute` gives the events of a command, or the one event that a repetition is answered with."""

    def execute(self, command: c.Command, now: int) -> list[Said] | Said:
        """Carries out a command."""
        body = command.body
        self.command, self.now, self.events = command, now, []
        self.actor = command.actor
        self.live = [order for order in self.live if order.is_open]
        original = self._original(body)
        if original is not None:
            return original
        self.command_seq = self.seq + 1
        kinds: dict[type, Callable[[Any], None]] = {
            c.NewOrder: self._new,
            c.ReplaceOrder: self._replace,
            c.CancelOrder: self._cancel,
            c.ListInstrument: self.list_instrument,
            c.OpenAccount: self.open_account,
            c.AdjustCash: self.adjust_cash,
            c.AdjustPosition: self.adjust_position,
            c.CloseDay: self._close_day,
        }
        kinds[type(body)](body)
        return self.events

    def _original(self, body: Any) -> Said | None:
        if isinstance(body, c.ListInstrument):
            listed = self.listed.get(body.symbol)
            return listed[2] if listed and listed[0] == body else None
        if isinstance(body, c.CloseDay) or body.account not in self.accounts:
            return None
        account = self.accounts[body.account]
        if isinstance(body, c.OpenAccount):
            return self.opened[body.account]
        if isinstance(body, (c.AdjustCash, c.AdjustPosition)):
            adjusted = account.adjusted.get(body.request_id)
            return adjusted[1] if adjusted and adjusted[0] == body else None
        used = account.keys.get(body.cl_ord_id)
        return used[1] if used and used[0] == body else None

    def _tell(self, order: PlainOrder, exec_type: int, cause: int, request: int = 0, **more: Any) -> Said:
        account = self.accounts[order.command.account]
        account.seq += 1
        asked = {"actor": self.command.actor, "received_unix_ns": self.command.received_unix_ns} if request else {}
        given = {"cl_ord_id": order.cl_ord_id} | {name: value for name, value in more.items() if value}
        said = self.say(
            **self._terms(order.command),
            account_seq=account.seq,
            exec_type=exec_type,
            ord_status=order.status,
            cause=cause,
            request=request,
            order_id=order.order_id,
            qty_lots=order.qty,
            price_ticks=order.price,
            cum_qty_lots=order.cum,
            leaves_qty_lots=order.leaves,
            cum_value_ticks_lots=order.value,
            **asked,
            **given,
        )
        if exec_type not in (types.EXEC_TYPE_REJECTED, types.EXEC_TYPE_DENIED):
            order.last = said
        return said

    def _terms(self, order: c.NewOrder) -> Said:
        names = ("account", "symbol", "side", "ord_type", "time_in_force", "self_trade_prevention")
        return {name: getattr(order, name) for name in (*names, "decision_maker", "strategy_id")}

    def _refuse(
        self, body: Any, exec_type: int, request: int, reason: int, *, takes_key: bool = True, **more: Any
    ) -> None:
        account = self.accounts.get(body.account)
        if account is not None:
            account.seq += 1
        terms = self._terms(body) if isinstance(body, c.NewOrder) else {"account": body.account}
        said = self.say(
            **terms,
            account_seq=account.seq if account is not None else 0,
            cl_ord_id=body.cl_ord_id,
            exec_type=exec_type,
            ord_status=types.ORD_STATUS_REJECTED,
            cause=types.CAUSE_CLIENT,
            request=request,
            actor=self.command.actor,
            received_unix_ns=self.command.received_unix_ns,
            reason=reason,
            **more,
        )
        if account is not None and body.cl_ord_id and takes_key:
            account.keys[body.cl_ord_id] = (body, said, None)

    def _conflict(self, body: Any, request: int) -> bool:
        account = self.accounts.get(body.account)
        used = account.keys.get(body.cl_ord_id) if account is not None else None
        if used is None:
            return False
        differs = [name for name in body.__struct_fields__ if getattr(used[0], name, None) != getattr(body, name)]
        wrong = differs[0] if type(used[0]) is type(body) else "request"
        reason = types.REASON_CL_ORD_ID_CONFLICT
        self._refuse(body, types.EXEC_TYPE_REJECTED, request, reason, takes_key=False, field=wrong)
        return True

    def _lacks_cash(self, account: str, symbol: str, more_value: int) -> Said | None:
        currency = self.listed[symbol][0].currency
        owned, held = self.accounts[account].cash.get(currency, 0), self.held_cash(account, currency)
        more = more_value * self.worth(symbol)
        if more <= 0 or held + more <= owned:
            return None
        numbers = ("buying_power", wire.RISK_UNIT_MONEY_MICRO, owned, held, min(BOUND, held + more))
        return {"reason": types.REASON_BUYING_POWER, "risk": numbers}

    def _lacks_lots(self, account: str, symbol: str, more: int) -> Said | None:
        owned = self.accounts[account].holdings.get(symbol, Holding()).lots
        held = self.held_lots(account, symbol)
        if more <= 0 or held + more <= owned:
            return None
        numbers = ("position", wire.RISK_UNIT_LOTS, owned, held, min(BOUND, held + more))
        return {"reason": types.REASON_POSITION_INSUFFICIENT, "risk": numbers}

    def resting(self, symbol: str, *, buys: bool) -> list[PlainOrder]:
        """The open orders of a side, in the order in which they would trade."""
        side = [o for o in self.live if o.is_open and o.command.symbol == symbol and o.buys is buys]
        return sorted(side, key=lambda o: (-o.price if buys else o.price, o.arrival))

    def _new(self, body: c.NewOrder) -> None:
        if self._conflict(body, types.REQUEST_KIND_SUBMIT):
            return
        no = self._wrong(body) or self._denied(body)
        if no is not None:
            exec_type = no.pop("exec_type", types.EXEC_TYPE_DENIED)
            numbers: Said = {"qty_lots": body.qty_lots, "price_ticks": body.price_ticks}
            self._refuse(body, exec_type, types.REQUEST_KIND_SUBMIT, no.pop("reason"), **no, **numbers)
            return
        order = PlainOrder(self.seq + 1, body, body.cl_ord_id, body.qty_lots, body.price_ticks, 0, self.now)
        self.orders[order.order_id] = order
        self.live.append(order)
        said = self._tell(order, types.EXEC_TYPE_NEW, types.CAUSE_CLIENT, types.REQUEST_KIND_SUBMIT)
        self.accounts[body.account].keys[body.cl_ord_id] = (body, said, order)
        self._work(order)

    def _wrong(self, body: c.NewOrder) -> Said | None:
        rejected = {"exec_type": types.EXEC_TYPE_REJECTED}
        if body.account not in self.accounts:
            return {"reason": types.REASON_ACCOUNT_UNKNOWN, "field": "account"}
        if body.symbol not in self.listed:
            return rejected | {"reason": types.REASON_SYMBOL_UNKNOWN, "field": "symbol"}
        served = {
            "side": (types.SIDE_BUY, types.SIDE_SELL, types.SIDE_SELL_SHORT),
            "ord_type": (types.ORD_TYPE_MARKET, types.ORD_TYPE_LIMIT),
            "time_in_force": (types.TIME_IN_FORCE_DAY, types.TIME_IN_FORCE_GTC, types.TIME_IN_FORCE_IOC),
            "self_trade_prevention": (types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,),
        }
        for name, values in served.items():
            if getattr(body, name) not in values:
                return rejected | {"reason": types.REASON_NOT_SUPPORTED, "field": name}
        if not body.cl_ord_id:
            return rejected | {"reason": types.REASON_FIELD_MISSING, "field": "cl_ord_id"}
        for name, value, least in (("qty", body.qty_lots, 1), ("price", body.price_ticks, 0)):
            if value < least:
                return rejected | {"reason": types.REASON_NOT_POSITIVE, "field": name}
        if (body.ord_type == types.ORD_TYPE_LIMIT) != (body.price_ticks > 0):
            return rejected | {"reason": types.REASON_FIELDS_CONFLICT, "field": "price"}
        return None

    def _denied(self, body: c.NewOrder) -> Said | None:
        if body.side == types.SIDE_SELL_SHORT:
            return {"reason": types.REASON_SHORT_SALE_NOT_PERMITTED, "field": "side"}
        value = body.price_ticks * body.qty_lots
        if body.ord_type == types.ORD_TYPE_MARKET and body.side == types.SIDE_BUY:
            left = body.qty_lots
            for order in self.resting(body.symbol, buys=False):
                value += min(left, order.leaves) * order.price
                left -= min(left, order.leaves)
        if value * self.worth(body.symbol) > BOUND:
            return {"reason": types.REASON_VALUE_TOO_LARGE, "field": "price" if body.price_ticks else "qty"}
        if body.side == types.SIDE_BUY:
            return self._lacks_cash(body.account, body.symbol, value)
        return self._lacks_lots(body.account, body.symbol, body.qty_lots)

    def _work(self, taker: PlainOrder) -> None:
        body = taker.command
        taker.arrival = self.arrivals = self.arrivals + 1
        for maker in self.resting(body.symbol, buys=not taker.buys):
            crosses = not taker.price or (maker.price <= taker.price if taker.buys else maker.price >= taker.price)
            if not taker.leaves or not crosses:
                break
            if maker.command.account == body.account:
                self._end(taker, types.CAUSE_SELF_TRADE_PREVENTION, types.REASON_SELF_TRADE)
                return
            self._trade(maker, taker)
        if taker.leaves and (not taker.price or body.time_in_force == types.TIME_IN_FORCE_IOC):
            self._end(taker, types.CAUSE_SYSTEM, types.REASON_NO_LIQUIDITY)

    def _end(self, order: PlainOrder, cause: int, reason: int) -> None:
        order.status = types.ORD_STATUS_CANCELED
        self._tell(order, types.EXEC_TYPE_CANCELED, cause, reason=reason)

    def _trade(self, maker: PlainOrder, taker: PlainOrder) -> None:
        qty, price, symbol = min(maker.leaves, taker.leaves), maker.price, maker.command.symbol
        for order in (maker, taker):
            order.cum += qty
            order.value += qty * price
            order.status = types.ORD_STATUS_PARTIALLY_FILLED if order.cum < order.qty else types.ORD_STATUS_FILLED
        buyer, seller = (maker, taker) if maker.buys else (taker, maker)
        money = qty * price * self.worth(symbol)
        currency = self.listed[symbol][0].currency
        for order, sign in ((buyer, 1), (seller, -1)):
            cash = self.accounts[order.command.account].cash
            cash[currency] = cash.get(currency, 0) - sign * money
        bought = self.accounts[buyer.command.account].holdings.setdefault(symbol, Holding())
        bought.lots, bought.cost = bought.lots + qty, bought.cost + qty * price
        sold = self.accounts[seller.command.account].holdings[symbol]
        cost = sold.cost * qty // sold.lots
        sold.lots, sold.cost = sold.lots - qty, sold.cost - cost
        sold.pnl += (qty * price - cost) * self.worth(symbol)
        trade = {"trade_id": self.seq + 2, "last_px_ticks": price, "last_qty_lots": qty}
        for order, other, liquidity in (
            (maker, taker, types.LIQUIDITY_MAKER),
            (taker, maker, types.LIQUIDITY_TAKER),
        ):
            more = {"liquidity": liquidity, "contra_order_id": other.order_id} | trade
            self._tell(order, types.EXEC_TYPE_TRADE, types.CAUSE_TRADE, **more)

    def _find(self, body: c.ReplaceOrder | c.CancelOrder, request: int) -> PlainOrder | None:
        account = self.accounts.get(body.account)
        found = None
        if account is not None and body.order_id:
            named = self.orders.get(body.order_id)
            found = named if named is not None and named.command.account == body.account else None
        elif account is not None and body.orig_cl_ord_id in account.keys:
            found = account.keys[body.orig_cl_ord_id][2]
        if found is None:
            reason = types.REASON_ORDER_UNKNOWN if account is not None else types.REASON_ACCOUNT_UNKNOWN
            more: Said = {"orig_cl_ord_id": body.orig_cl_ord_id}
            self._refuse(body, types.EXEC_TYPE_REJECTED, request, reason, **more)
        return found

    def _turn_down(self, body: Any, order: PlainOrder, request: int, no: Said) -> None:
        exec_type = types.EXEC_TYPE_DENIED if "risk" in no else types.EXEC_TYPE_REJECTED
        chain = {"cl_ord_id": body.cl_ord_id, "orig_cl_ord_id": body.cl_ord_id and order.cl_ord_id}
        said = self._tell(order, exec_type, types.CAUSE_CLIENT, request, **chain, **no)
        if body.cl_ord_id:
            self.accounts[body.account].keys[body.cl_ord_id] = (body, said, None)

    def _replace(self, body: c.ReplaceOrder) -> None:
        request = types.REQUEST_KIND_REPLACE
        if self._conflict(body, request):
            return
        order = self._find(body, request)
        if order is None:
            return
        terms = self.listed[order.command.symbol][0]
        qty = body.qty_nano // terms.lot_size_nano or order.qty
        price = body.price_nano // terms.tick_size_nano or order.price
        no = self._wrong_replace(body, order, qty, price)
        if no is not None:
            self._turn_down(body, order, request, no)
            return
        stays = price == order.price and qty < order.qty
        orig, order.cl_ord_id, order.qty, order.price = order.cl_ord_id, body.cl_ord_id, qty, price
        said = self._tell(order, types.EXEC_TYPE_REPLACED, types.CAUSE_CLIENT, request, orig_cl_ord_id=orig)
        self.accounts[body.account].keys[body.cl_ord_id] = (body, said, order)
        if not stays:
            self._work(order)

    def _wrong_replace(self, body: c.ReplaceOrder, order: PlainOrder, qty: int, price: int) -> Said | None:
        terms = self.listed[order.command.symbol][0]
        no: list[tuple[bool, int, str]] = [
            (not body.cl_ord_id, types.REASON_FIELD_MISSING, "cl_ord_id"),
            (body.qty_nano % terms.lot_size_nano != 0, types.REASON_QTY_OFF_LOT, "qty"),
            (body.price_nano % terms.tick_size_nano != 0, types.REASON_PRICE_OFF_TICK, "price"),
            (not order.is_open, types.REASON_ORDER_NOT_OPEN, ""),
            ((qty, price) == (order.qty, order.price), types.REASON_NOTHING_TO_REPLACE, ""),
            (qty <= order.cum, types.REASON_QTY_BELOW_CUM, "qty"),
            (price <= 0, types.REASON_NOT_POSITIVE, "price"),
            (qty * price * self.worth(terms.symbol) > BOUND, types.REASON_VALUE_TOO_LARGE, "qty"),
        ]
        for is_wrong, reason, at_fault in no:
            if is_wrong:
                return {"reason": reason, "field": at_fault}
        if order.buys:
            more = (qty - order.cum) * price - order.leaves * order.price
            return self._lacks_cash(body.account, terms.symbol, more)
        return self._lacks_lots(body.account, terms.symbol, qty - order.qty)

    def _cancel(self, body: c.CancelOrder) -> None:
        request = types.REQUEST_KIND_CANCEL
        if self._conflict(body, request):
            return
        order = self._find(body, request)
        if order is None:
            return
        if not order.is_open:
            self._turn_down(body, order, request, {"reason": types.REASON_ORDER_NOT_OPEN})
            return
        order.status = types.ORD_STATUS_CANCELED
        chain = {"cl_ord_id": body.cl_ord_id, "orig_cl_ord_id": body.cl_ord_id and order.cl_ord_id}
        said = self._tell(order, types.EXEC_TYPE_CANCELED, types.CAUSE_CLIENT, request, **chain)
        if body.cl_ord_id:
            self.accounts[body.account].keys[body.cl_ord_id] = (body, said, order)

    def _close_day(self, body: c.CloseDay) -> None:
        if body.trading_day <= self.closed_day:
            self.record(reason=types.REASON_ALREADY_EXISTS, field="trading_day")
            return
        self.closed_day = body.trading_day
        day = [o for o in self.live if o.is_open and o.command.time_in_force == types.TIME_IN_FORCE_DAY]
        for order in day:
            order.status = types.ORD_STATUS_EXPIRED
            self._tell(order, types.EXEC_TYPE_EXPIRED, types.CAUSE_SYSTEM, reason=types.REASON_EXPIRED)
        self.record(trading_day=body.trading_day, expired_orders=len(day))
