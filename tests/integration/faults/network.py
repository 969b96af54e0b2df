"""A network that fails: a TCP proxy between whoever connects and one server on this machine.

Each direction can be delayed, held still, swallowed (a black hole) or cut after
so many bytes; connections can be cut, left half open, or not taken at all. What
TCP cannot do, it does not do: bytes that were swallowed never come, so such a
connection is of no use any more and has to be cut.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK_BYTES = 65_536


class Way:
    """One direction of the network, for all of its connections."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        """How much later each piece arrives."""
        self.swallows = False
        """Nothing arrives any more, and nobody is told."""
        self._open = asyncio.Event()
        self._left: int | None = None
        self._used_up = asyncio.Event()
        self.passes()

    def passes(self) -> None:
        """Lets everything through at once."""
        self.delay_s, self.swallows, self._left = 0.0, False, None
        self._open.set()

    def holds(self) -> None:
        """Keeps what comes until it passes again."""
        self._open.clear()

    def cut_after(self, number: int) -> None:
        """Lets so many bytes through, over all connections, and then breaks the connection that carries the next."""
        self._left = number
        self._used_up.clear()

    async def was_cut(self) -> None:
        """Waits until `cut_after` has done what it was asked for."""
        await self._used_up.wait()

    async def carry(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """Carries a piece on; False when the connection has to break now."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._open.wait()
        if self.swallows:
            return True
        breaks = False
        if self._left is not None:
            breaks = len(data) >= self._left
            data, self._left = data[: self._left], None if breaks else self._left - len(data)
        writer.write(data)
        await writer.drain()
        if breaks:
            self._used_up.set()
        return not breaks


class Network:
    """Passes connections on to a server, unless it is told otherwise.

    Attributes:
        there: from the client to the server.
        back: from the server to the client.
        connected: how many connections were made so far.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._connections: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._half_open: list[asyncio.StreamWriter] = []
        self._refuses = False
        self._server: asyncio.Server
        self.there = Way()
        self.back = Way()
        self.connected = 0

    @property
    def address(self) -> str:
        """Where clients connect."""
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def open(self) -> None:
        """Begins to take connections."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)

    async def close(self) -> None:
        """Takes no more connections and breaks those there are."""
        self._server.close()
        await self.cut()
        await self._server.wait_closed()

    def heals(self) -> None:
        """Lets everything through again; what is broken stays broken."""
        self._refuses = False
        self.there.passes()
        self.back.passes()

    def refuses(self) -> None:
        """Breaks every new connection at once."""
        self._refuses = True

    async def cut(self) -> None:
        """Breaks every connection, at both ends, with what was held in it."""
        for writer in self._half_open:
            writer.transport.abort()
        self._half_open.clear()
        passing = list(self._connections)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def half_open(self) -> None:
        """Lets the server's ends break while the clients' stay open and hear nothing more.

        It is what remains of a server whose machine has lost its power, until somebody gives up.
        """
        for task, (near, *far) in list(self._connections.items()):
            self._half_open.append(near)
            for writer in far:
                writer.transport.abort()
            self._connections[task] = []
            task.cancel()
        await asyncio.sleep(0)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connected += 1
        self._connections[task] = [writer]
        # A cut ends this task, which asyncio.start_server would else report as a fault.
        with suppress(OSError, asyncio.CancelledError):
            if not self._refuses:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
                self._connections[task].append(far_writer)
                await self._pass_on((reader, far_writer, self.there), (far_reader, writer, self.back))
        for end in self._connections.pop(task):
            end.transport.abort()
            with suppress(OSError):
                await end.wait_closed()

    async def _pass_on(self, *pairs: tuple[asyncio.StreamReader, asyncio.StreamWriter, Way]) -> None:
        """Passes bytes on until one direction ends."""
        pumps = [asyncio.create_task(_pump(*pair)) for pair in pairs]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            if not await way.carry(data, writer):
                return


@asynccontextmanager
async def network(target_port: int) -> AsyncIterator[Network]:
    """A network to a server on this machine."""
    made = Network(target_port)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
