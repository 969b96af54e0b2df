"""Where a service is to be had: one address, or several that stand for each other.

A client without a proxy in front of its gateways names all of them. It stays
with one until that one fails or says that it is about to stop, and then goes on
to the next; what it repeats there is safe, because the gateways share one venue.
"""

from collections.abc import Sequence
from typing import Any

import grpc


class Places:
    """The channels to servers that stand for each other.

    Attributes:
        present: number of the one in use.
    """

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        self.channels = channels
        self.present = 0

    @property
    def has_others(self) -> bool:
        """Whether there is anywhere else to go."""
        return len(self.channels) > 1

    def leave(self, place: int) -> bool:
        """Goes on from `place`, unless somebody did so before; False when there is nowhere else."""
        if self.has_others and place == self.present:
            self.present = (place + 1) % len(self.channels)
        return self.has_others


class Method:
    """One method of a service, at each of its places."""

    def __init__(self, places: Places, calls: Sequence[Any]) -> None:
        self._places = places
        self._calls = calls

    @property
    def place(self) -> int:
        """Number of the place in use."""
        return self._places.present

    @property
    def has_others(self) -> bool:
        """Whether it can be called anywhere else."""
        return self._places.has_others

    def at(self, place: int) -> Any:
        """What makes the call there."""
        return self._calls[place]

    def leave(self, place: int) -> bool:
        """Says that `place` is of no use now; True when the next call goes to another one."""
        return self._places.leave(place)


class Service:
    """A service by its stub class; its methods are attributes, as those of a stub are."""

    def __init__(self, stub: Any, places: Places) -> None:
        self._places = places
        self._stubs = [stub(channel) for channel in places.channels]

    def __getattr__(self, name: str) -> Method:
        return Method(self._places, [getattr(stub, name) for stub in self._stubs])
