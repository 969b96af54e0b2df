"""A session's commands on their way in: account, role and shape checked, and laid out for the link.

Also the three commands by which a session itself begins, is renewed and ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.admission import Admission
from gateway.encoding import Envelope
from gateway.rates.bucket import Bucket
from gateway.rates.limits import RateLimits, taken
from gateway.session_terms import Terms
from runtime.clock import NANOS_PER_SECOND, unix_ns
from runtime.errors import Refused

NANOS_PER_MS = 1_000_000
RENEWALS_PER_S = 50.0
"""Renewals of a session's timer in a second, and at once: far more than a timer needs. They draw on no budget, so that
who has used up all of them can still renew; each is a command of the journal all the same."""

Charge = tuple[str, bool]
"""Whom a command is charged to: the account, and whether it is a cancel, which has a budget of its own."""


class Encoded(NamedTuple):
    """Commands of one frame that may be sent."""

    commands: list[bytes]
    tags: list[int]
    """The client's numbers."""
    charges: list[Charge | None]
    """None for what costs nothing."""


class SessionCommands:
    """Turns the commands of one session into bytes."""

    def __init__(
        self, envelope: Envelope, terms: Terms, roles: frozenset[int], admission: Admission, limits: RateLimits
    ) -> None:
        self._envelope = envelope
        self._terms = terms
        self.roles = roles
        """Those of the token that counts now."""
        self._admission = admission
        self._limits = limits
        self._only_account = terms.only_account
        self._renewals = Bucket(round(RENEWALS_PER_S), RENEWALS_PER_S, time.monotonic_ns())
        self._order_charges = {account: (account, False) for account in terms.accounts}
        self._cancel_charges = {account: (account, True) for account in terms.accounts}

    def opening(self) -> bytes:
        """The command that begins the session."""
        body = commands.OpenSession(
            session_id=self._envelope.session_id,
            gateway_id=self._envelope.gateway_id,
            cancel_on_disconnect=self._terms.cancel_on_disconnect,
            dead_man_ns=self._terms.dead_man_ms * NANOS_PER_MS,
        )
        return self._of_the_session(unix_ns(), open_session=body)

    def closing(self) -> bytes:
        """The command that ends the session."""
        return self._of_the_session(
            unix_ns(), close_session=commands.CloseSession(session_id=self._envelope.session_id)
        )

    def encode(self, command: wire.SessionCommand, received_unix_ns: int, encoded: Encoded) -> None:
        """Adds the bytes of a client's command to a frame's.

        Raises:
            Refused: SHAPE reasons with the field, or an account or role that is not allowed.
        """
        if not command.correlation_id:
            raise Refused(types.REASON_FIELD_MISSING, "correlation_id is missing", field="correlation_id")
        kind = command.WhichOneof("command")
        charge: Charge | None
        if kind == "submit":
            order = command.submit
            charge = self._bound(order, self._order_charges)
            data = self._admission.new_order(order, self._envelope, received_unix_ns)
        elif kind == "cancel":
            charge = self._bound(command.cancel, self._cancel_charges)
            data = self._admission.cancel_order(command.cancel, self._envelope, received_unix_ns)
        elif kind == "replace":
            charge = self._bound(command.replace, self._order_charges)
            data = self._admission.replace_order(command.replace, self._envelope, received_unix_ns)
        else:
            data, charge = self._encode_rare(kind, command, received_unix_ns)
        encoded.commands.append(data)
        encoded.tags.append(command.correlation_id)
        encoded.charges.append(charge)

    async def charge(self, encoded: Encoded) -> dict[int, Refused]:
        """Takes what a frame's commands cost out of their budgets.

        All of a kind at once; only where they do not all fit, one by one in their order.

        Returns:
            By their places: those that do not fit any more, and why.
        """
        refused: dict[int, Refused] = {}
        counts = {charge: encoded.charges.count(charge) for charge in set(encoded.charges) if charge is not None}
        for charge, count in counts.items():
            try:
                await self._take(charge, count)
            except Refused:
                refused.update(await self._charge_singly(charge, encoded.charges))
        return refused

    async def _charge_singly(self, charge: Charge, charges: Sequence[Charge | None]) -> dict[int, Refused]:
        refused: dict[int, Refused] = {}
        over: Refused | None = None
        for place, one in enumerate(charges):
            if one != charge:
                continue
            try:
                # Behind the first that does not fit none is tried: those that were sent first go first.
                if over is None:
                    await self._take(charge, 1)
            except Refused as error:
                over = error
            if over is not None:
                refused[place] = over
        return refused

    async def _take(self, charge: Charge, count: int) -> None:
        account, is_cancel = charge
        take = self._limits.take_cancels if is_cancel else self._limits.take_orders
        await taken(take, account, count, self._envelope.session_id)

    def _encode_rare(
        self, kind: str | None, command: wire.SessionCommand, received_unix_ns: int
    ) -> tuple[bytes, Charge | None]:
        if kind == "mass_cancel":
            charge = self._bound(command.mass_cancel, self._cancel_charges)
            return self._admission.mass_cancel(command.mass_cancel, self._envelope, received_unix_ns), charge
        if kind == "quote":
            return self._quote(command.quote, received_unix_ns)
        if kind == "renew_timer":
            if not self._terms.dead_man_ms:
                text = "the session has no dead-man timer: none was asked for at logon"
                raise Refused(types.REASON_FIELDS_CONFLICT, text, field="renew_timer")
            if wait_ns := self._renewals.take(time.monotonic_ns()):
                text = f"the timer is renewed more than {RENEWALS_PER_S:g} times in a second"
                raise Refused(types.REASON_RATE_EXCEEDED, text, retry_after_s=wait_ns / NANOS_PER_SECOND)
            body = commands.RenewSession(session_id=self._envelope.session_id)
            return self._of_the_session(received_unix_ns, renew_session=body), None
        raise Refused(types.REASON_FIELD_MISSING, "the command is empty", field="command")

    def _quote(self, quote: orders.QuoteTerms, received_unix_ns: int) -> tuple[bytes, Charge]:
        if auth.ROLE_MARKET_MAKER not in self.roles:
            raise Refused(types.REASON_ROLE_NOT_ALLOWED, "only a market maker may quote", field="quote")
        charge = self._bound(quote, self._order_charges)
        data = self._admission.mass_quote(quote.account, quote.quote_id, [quote], self._envelope, received_unix_ns)
        return data, charge

    def _bound(
        self,
        request: orders.OrderTerms
        | orders.QuoteTerms
        | wire.CancelOrderRequest
        | wire.ReplaceOrderRequest
        | wire.MassCancelOrdersRequest,
        charges: dict[str, Charge],
    ) -> Charge:
        """Holds a command's account against those of the session; gives whom to charge."""
        if not request.account:
            request.account = self._only_account
        charge = charges.get(request.account)
        if charge is None:
            text = f"the session is not bound to account {request.account[:40]!r}"
            raise Refused(types.REASON_ACCOUNT_NOT_ALLOWED, text, field="account")
        return charge

    def _of_the_session(self, received_unix_ns: int, **body: Any) -> bytes:
        command = commands.Command(
            actor=self._envelope.actor,
            session_id=self._envelope.session_id,
            gateway_id=self._envelope.gateway_id,
            received_unix_ns=received_unix_ns,
            **body,
        )
        return command.SerializeToString()
