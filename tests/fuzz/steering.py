"""Makes generated requests meaningful: they get past the door, and meet what is there.

Of its own accord a generator names accounts and orders that do not exist, so
that it would only ever see two refusals. Here most requests name the token's
account, listed symbols, prices near the market, and ids that an earlier answer
gave. The rest stays as it was drawn.
"""

from collections import deque
from collections.abc import MutableMapping
from random import Random
from typing import Any

ACCOUNT = "DEMO"
SYMBOLS = ("AAPL", "MSFT", "NVDA", "EURUSD", "BTCUSD", "AAPL-20270115-C-200")
PRICES = ("190.00", "410.00", "189.99", "0.01", "1.10000", "60000.00", "12.05", "190.001", "0", "-1.00")
QTYS = ("1", "10", "100", "1000", "0.0001", "0", "1000000")
REMEMBERED_MAX = 200
PRICE_NAMES = ("price", "stop_px", "bid_px", "ask_px")
QTY_NAMES = ("qty", "display_qty", "min_qty", "bid_qty", "ask_qty")
KEY_NAMES = ("cl_ord_id", "orig_cl_ord_id", "quote_id", "list_id")


class Steering:
    """Knows what answers have told, and puts it into requests."""

    def __init__(self) -> None:
        self._order_ids: deque[str] = deque(["1"], REMEMBERED_MAX)
        self._keys: deque[str] = deque(["key-1"], REMEMBERED_MAX)
        self._tokens: deque[str] = deque([""], REMEMBERED_MAX)

    def learn(self, answer: Any) -> None:
        """Remembers the ids in an answer."""
        if isinstance(answer, dict):
            for name, value in answer.items():
                if name == "order_id" and value:
                    self._order_ids.append(value)
                elif name == "cl_ord_id" and value:
                    self._keys.append(value)
                elif name == "next_page_token" and value:
                    self._tokens.append(value)
                else:
                    self.learn(value)
        elif isinstance(answer, list):
            for inner in answer:
                self.learn(inner)

    def steer(self, part: Any, random: Random) -> None:
        """Changes some values of a part of a request in place."""
        if isinstance(part, MutableMapping):
            for name in list(part):
                self._steer_one(part, name, random)
        elif isinstance(part, list):
            for inner in part:
                self.steer(inner, random)

    def keep_to_account(self, part: Any) -> None:
        """Puts the token's account where a request names another; what is no text stays what it is."""
        if isinstance(part, MutableMapping):
            for name, value in part.items():
                if name == "account" and isinstance(value, str):
                    part[name] = ACCOUNT
                else:
                    self.keep_to_account(value)
        elif isinstance(part, list):
            for inner in part:
                self.keep_to_account(inner)

    def _steer_one(self, part: MutableMapping[str, Any], name: str, random: Random) -> None:
        value = part[name]
        if not isinstance(value, str):
            if name in ("symbols", "accounts") and isinstance(value, list) and random.random() < 0.8:
                part[name] = [ACCOUNT] if name == "accounts" else random.sample(SYMBOLS, 2)
            else:
                self.steer(value, random)
        elif random.random() < 0.85:
            part[name] = self._instead(name, value, random)

    def _instead(self, name: str, value: str, random: Random) -> str:
        if name == "account":
            return ACCOUNT
        if name == "symbol":
            return random.choice(SYMBOLS)
        if name in PRICE_NAMES:
            return random.choice(PRICES)
        if name in QTY_NAMES:
            return random.choice(QTYS)
        if name == "order_id":
            return random.choice(self._order_ids)
        if name in KEY_NAMES:
            # A key that was used is a repetition or a conflict; a new one begins something.
            return random.choice(self._keys) if random.random() < 0.4 else f"fuzz-{random.getrandbits(48):x}"
        return random.choice(self._tokens) if name == "page_token" else value
