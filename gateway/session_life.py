"""What a session hears of its own life in the venue: the answers to the commands that begin it and end it.

Made by `gateway.session` and handed to the link with those commands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ordergate.types.v1 import types_pb2 as types

from gateway.events import Event
from runtime.errors import Refused
from runtime.logs import get_logger

log = get_logger(__name__)


class Opening:
    """Waits for the answer to the command that begins a session."""

    def __init__(self, opened: Callable[[], None], failed: Callable[[types.Reason.ValueType, str], None]) -> None:
        self._opened = opened
        self._failed = failed

    def answered(self, tag: int, told: Sequence[Event], durable_unix_ns: int, *, repeated: bool) -> None:
        """It has begun; or it had: the command was sent again after the link broke."""
        del tag, durable_unix_ns, repeated
        refused = told[0].parsed().command_refused
        if refused.reason in (types.REASON_UNSPECIFIED, types.REASON_ALREADY_EXISTS):
            self._opened()
        else:
            self._failed(refused.reason, "the venue has not taken the session")

    def refused(self, tag: int, refused: Refused) -> None:
        """It was not taken."""
        del tag
        self._failed(refused.reason, refused.text)


class Closing:
    """Waits for the answer to the command that ends a session."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone

    def answered(self, tag: int, told: Sequence[Event], durable_unix_ns: int, *, repeated: bool) -> None:
        """It has ended; or the venue had ended it before."""
        del tag, told, durable_unix_ns, repeated
        self._gone()

    def refused(self, tag: int, refused: Refused) -> None:
        """It was not taken: matching writes down the end of a session even where it has no room for orders."""
        del tag
        log.error("a session's end was not taken", reason=refused.reason, text=refused.text)
        self._gone()


class Reopening:
    """Waits for nothing: a session that begins again only for what is sent again in it, and then ends."""

    def answered(self, tag: int, told: Sequence[Event], durable_unix_ns: int, *, repeated: bool) -> None:
        """It has begun again; or it was there still."""

    def refused(self, tag: int, refused: Refused) -> None:
        """It was not taken: matching writes down sessions even where it has no room for orders."""
        del tag
        log.error("a session was not begun again", reason=refused.reason, text=refused.text)
