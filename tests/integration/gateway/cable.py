"""A TCP cable between two servers that can be held still in one direction, and cut."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress


class Cable:
    """Passes bytes on between whoever connects and a server, unless it is told otherwise."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._there = asyncio.Event()
        self._back = asyncio.Event()
        self._passing: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server
        self.passes()

    @property
    def address(self) -> str:
        """Where it is plugged in."""
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    def passes(self) -> None:
        """Lets everything through."""
        self._there.set()
        self._back.set()

    def holds_requests(self) -> None:
        """Lets nothing reach the server any more."""
        self._there.clear()

    def holds_answers(self) -> None:
        """Lets nothing come back from the server any more."""
        self._back.clear()

    async def cut(self) -> None:
        """Breaks every connection, with what was held in it, and lets new ones through."""
        passing = list(self._passing)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)
        self.passes()

    async def open(self) -> None:
        """Begins to take connections."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def close(self) -> None:
        """Takes no more connections and breaks those there are."""
        self._server.close()
        await self.cut()
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, as long as both ends hold and nobody cuts it."""
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        writers = [writer]
        # A cut ends this task, which asyncio.start_server would else report as a fault.
        with suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            writers.append(far_writer)
            await self._pass_on(_pump(reader, far_writer, self._there), _pump(far_reader, writer, self._back))
        self._passing.discard(task)
        for end in writers:
            end.transport.abort()
            with suppress(OSError):
                await end.wait_closed()

    async def _pass_on(self, *directions: Coroutine[None, None, None]) -> None:
        """Passes bytes on until one direction ends."""
        pumps = [asyncio.create_task(direction) for direction in directions]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, open_: asyncio.Event) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            await open_.wait()
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def cable(target_port: int) -> AsyncIterator[Cable]:
    """A cable to a server on this machine."""
    laid = Cable(target_port)
    await laid.open()
    try:
        yield laid
    finally:
        await laid.close()
