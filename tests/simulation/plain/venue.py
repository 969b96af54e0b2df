"""The plain venue: docs/matching.md a second time, as plainly as it can be said.

It keeps lists and finds everything by going through them: the best price, what
is held, who is first, what is triggered. It shares no code with the core beyond
the commands. `execute` gives the events of a command, or the one event that a
repeated request is answered with.
"""

from collections.abc import Callable
from typing import Any

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.plain import administration, batches, control, keys, orders, triggers
from tests.simulation.plain.state import KEYS_MAX, Said, Venue

HANDLERS: dict[type, Callable[[Venue, Any], None]] = {
    c.NewOrder: orders.new_order,
    c.ReplaceOrder: orders.replace_order,
    c.CancelOrder: orders.cancel_order,
    c.MassCancel: batches.mass_cancel,
    c.MassQuote: batches.mass_quote,
    c.NewOrderList: batches.new_order_list,
    c.ListInstrument: administration.list_instrument,
    c.OpenAccount: administration.open_account,
    c.AdjustCash: administration.adjust_cash,
    c.AdjustPosition: administration.adjust_position,
    c.ConfigureAccount: administration.configure_account,
    c.ConfigureInstrument: administration.configure_instrument,
    c.DelistInstrument: administration.delist_instrument,
    c.SetFeeSchedule: administration.set_fee_schedule,
    c.SetLimits: administration.set_limits,
    c.OpenSession: administration.open_session,
    c.RenewSession: control.renew_session,
    c.CloseSession: control.close_session,
    c.CloseDay: control.close_day,
    c.TimeTick: control.time_tick,
    c.SetTradingSession: control.set_trading_session,
    c.SetReferencePrice: control.set_reference_price,
    c.EngageKillSwitch: control.engage_kill_switch,
    c.ReleaseKillSwitch: control.release_kill_switch,
    c.ReleaseThrottle: control.release_throttle,
}
KEYED = {
    c.NewOrder: "cl_ord_id",
    c.ReplaceOrder: "cl_ord_id",
    c.CancelOrder: "cl_ord_id",
    c.MassCancel: "cl_ord_id",
    c.MassQuote: "quote_id",
}


class PlainVenue(Venue):
    """The oracle."""

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        super().__init__(keys_max)

    def execute(self, command: c.Command, now: int) -> list[Said] | Said:
        """Carries out a command."""
        self.command, self.now, self.events = command, now, []
        self.live = [order for order in self.live if order.is_open]
        original = self._original(command.body)
        if original is not None:
            return original
        self.command_seq = self.seq + 1
        HANDLERS[type(command.body)](self, command.body)
        triggers.finish(self)
        for latch in self.latches:
            self.record("throttle_engaged", **latch)
        self.latches = []
        self.events[-1]["last_of_command"] = True
        return self.events

    def check(self, command: c.Command, now: int) -> Said | None:
        """What would stand against a new order now; keys play no part in it."""
        self.command, self.now = command, now
        self.live = [order for order in self.live if order.is_open]
        body = command.body
        assert isinstance(body, c.NewOrder)
        refusal = orders.account_unknown(self, body.account)
        if refusal is None:
            requests = self.accounts[body.account].requests
            refusal = orders.decide(self, body)
            self.accounts[body.account].requests = requests
        return {"exec_type": types.EXEC_TYPE_REJECTED} | refusal if refusal is not None else None

    def _original(self, body: Any) -> Said | None:
        if isinstance(body, c.NewOrderList):
            return self._original_of_list(body)
        name = KEYED.get(type(body))
        if name is None:
            return administration.original(self, body)
        account = self.accounts.get(body.account)
        found = keys.known(self, account, getattr(body, name)) if account is not None else None
        return found.said if found is not None and not keys.difference(found.body, body) else None

    def _original_of_list(self, body: c.NewOrderList) -> Said | None:
        originals = [self._original(order) for order in body.orders]
        return originals[0] if originals and all(one is not None for one in originals) else None
