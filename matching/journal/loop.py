"""An event loop in a thread of its own, for callers that must wait for it.

The journal's calls wait, and one of them is made on the server's event loop,
which cannot run another one meanwhile; the driver of PostgreSQL needs one.
"""

import asyncio
from collections.abc import Coroutine
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

Result = TypeVar("Result")


class LoopThread:
    """An event loop that runs until it is closed."""

    def __init__(self, name: str) -> None:
        # Python's own: it can be made in a forked child, too, whatever loop the parent runs.
        self._loop = asyncio.SelectorEventLoop()
        self._thread = Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`, which runs in the thread; raises what it raises. From any other thread.

        Raises:
            ConnectionError: the loop is closed.
        """
        if self._loop.is_closed():
            work.close()
            raise ConnectionError("closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Ends the thread, once; what it has open must have been closed."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        """The thread itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()
