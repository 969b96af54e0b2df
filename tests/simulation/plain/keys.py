"""Which requests and orders are remembered (section 1): decided anew each time, by what is open and what is newest."""

from typing import Any

from matching.core import commands as c
from tests.simulation.plain.state import Account, Known, Order, Said, Venue, given, names_of

NOT_COMPARED = ("client_unix_ns",)
PRUNED_EVERY = 256
"""Requests after which an account's forgotten keys are thrown away; they count as forgotten before."""


def known(v: Venue, account: Account, key: str) -> Known | None:
    """What became of a request, if its key is still remembered."""
    found = account.keys.get(key)
    return found if found is not None and _is_kept(v, account, found) else None


def _is_kept(v: Venue, account: Account, found: Known) -> bool:
    return found.number > account.keyed - v.keys_max or (found.order is not None and found.order.is_open)


def remember(v: Venue, account: Account, key: str, body: Any, said: Said, order: Order | None = None) -> None:
    """Uses up a key."""
    account.keyed += 1
    account.keys[key] = Known(account.keyed, body, said, order)
    if order is not None:
        order.keys.append(key)
    if account.keyed % PRUNED_EVERY == 0:
        _prune(v, account)


def _prune(v: Venue, account: Account) -> None:
    account.keys = {key: found for key, found in account.keys.items() if _is_kept(v, account, found)}
    v.orders = {
        number: order for number, order in v.orders.items() if order.account != account.name or _is_known(v, order)
    }


def _is_known(v: Venue, order: Order) -> bool:
    account = v.accounts[order.account]
    return order.is_open or any((found := known(v, account, key)) and found.order is order for key in order.keys)


def find(v: Venue, body: c.ReplaceOrder | c.CancelOrder) -> Order | None:
    """The order that a request names, by either id."""
    account = v.accounts[body.account]
    if body.order_id:
        order = v.orders.get(body.order_id)
        return order if order is not None and order.account == body.account and _is_known(v, order) else None
    found = known(v, account, body.orig_cl_ord_id)
    return found.order if found is not None else None


def difference(first: Any, second: Any) -> str:
    """The first field in which two requests of the same key differ; empty for the same request."""
    if type(first) is not type(second):
        return "request"
    for name in names_of(first):
        one, other = getattr(first, name), getattr(second, name)
        if name not in NOT_COMPARED and given(one) != given(other):
            return name
    return ""


def administration_key(body: Any) -> tuple[str, str] | None:
    """The key of a request that is not about orders."""
    request_id = getattr(body, "request_id", "")
    return (getattr(body, "account", ""), request_id) if request_id else None


def request_known(v: Venue, key: tuple[str, str] | None) -> Known | None:
    """What became of a request of administration."""
    found = v.requests.get(key) if key is not None else None
    return found if found is not None and found.number > v.requested - v.keys_max else None


def remember_request(v: Venue, body: Any, said: Said) -> None:
    """Uses up the key of a request that has been carried out."""
    key = administration_key(body)
    if key is None:
        return
    v.requested += 1
    v.requests[key] = Known(v.requested, body, said)
    if v.requested % PRUNED_EVERY == 0:
        v.requests = {k: found for k, found in v.requests.items() if found.number > v.requested - v.keys_max}
