"""A network that fails: a TCP proxy between whoever connects and one server on this machine.

Each direction can be delayed, held still, swallowed (a black hole), cut after so
many bytes, or made to repeat a piece; connections can be cut, left half open,
duplicated, or not taken at all. What was swallowed or repeated leaves a
connection that is of no use any more and has to be cut.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from weakref import WeakSet

CHUNK_BYTES = 65_536
RECORDED_BYTES_MAX = 64 << 20
"""A connection that has said more is not duplicated."""
PREFACE_BYTES = 24
FRAME_HEAD_BYTES = 9
PING = b"\x06"


class Way:
    """One direction of the network, for all of its connections."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        """How much later each piece arrives."""
        self.swallows = False
        """Nothing arrives any more, and nobody is told."""
        self._open = asyncio.Event()
        self._left: int | None = None
        self._struck = asyncio.Event()
        self._repeats = False
        self._out_of_step: WeakSet[asyncio.StreamWriter] = WeakSet()
        self.passes()

    def passes(self) -> None:
        """Lets everything through at once."""
        self.delay_s, self.swallows, self._left, self._repeats = 0.0, False, None, False
        self._open.set()

    def holds(self) -> None:
        """Keeps what comes until it passes again."""
        self._open.clear()

    def cut_after(self, number: int) -> None:
        """Lets so many bytes through, over all connections, and then breaks the connection that carries the next."""
        self._left = number
        self._struck.clear()

    def repeats(self) -> None:
        """Lets the next piece arrive twice, and nothing after it on that connection.

        What followed would be read out of step with the compression of headers: as a request that nobody has sent.
        """
        self._repeats = True
        self._struck.clear()

    async def struck(self) -> None:
        """Waits until `cut_after` or `repeats` has done what it was asked for."""
        await self._struck.wait()

    async def carry(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """Carries a piece on; False when the connection has to break now."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._open.wait()
        if self.swallows or writer in self._out_of_step:
            return True
        # A piece that fills a chunk may end within a message, and half a message may be read as another one.
        if self._repeats and len(data) < CHUNK_BYTES:
            self._repeats = False
            self._out_of_step.add(writer)
            self._struck.set()
            data += data
        breaks = False
        if self._left is not None:
            breaks = len(data) >= self._left
            data, self._left = data[: self._left], None if breaks else self._left - len(data)
        writer.write(data)
        await writer.drain()
        if breaks:
            self._struck.set()
        return not breaks


class Said:
    """All that a client has said over one connection, whether or not it has arrived."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.is_whole = True

    def note(self, piece: bytes) -> None:
        """Takes the next piece, while there is room."""
        self.is_whole = self.is_whole and len(self.data) + len(piece) <= RECORDED_BYTES_MAX
        if self.is_whole:
            self.data += piece
        else:
            self.data.clear()


Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter, Way, Said | None]
"""A direction of a connection, and where it is written down, if it is."""


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
        self._said: dict[asyncio.Task[None], Said] = {}
        self._copies: set[asyncio.Task[None]] = set()
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
        """Lets everything through again, each thing once; what is broken stays broken."""
        self._refuses = False
        for copy in self._copies:
            copy.cancel()
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
        passing = [*self._connections, *self._copies]
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    def duplicates(self) -> int:
        """Says all that was said over each connection once more, over another one; gives how many there are.

        Each copy begins with the connection's first byte and ends with what was said last, even if that is held up
        and has not arrived itself; only HTTP/2 pings are left out. Its answers are thrown away; it stays open until
        the network heals or is cut.
        """
        whole = [_without_pings(bytes(said.data)) for said in self._said.values() if said.is_whole]
        for data in whole:
            copy = asyncio.create_task(self._copy(data))
            self._copies.add(copy)
            copy.add_done_callback(self._copies.discard)
        return len(whole)

    async def _copy(self, data: bytes) -> None:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            try:
                writer.write(data)
                while await reader.read(CHUNK_BYTES):
                    pass
            finally:
                writer.transport.abort()

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
                said = self._said[task] = Said()
                await self._pass_on((reader, far_writer, self.there, said), (far_reader, writer, self.back, None))
        self._said.pop(task, None)
        for end in self._connections.pop(task):
            end.transport.abort()
            with suppress(OSError):
                await end.wait_closed()

    async def _pass_on(self, *pairs: Pair) -> None:
        """Passes bytes on until one direction ends."""
        pumps = [asyncio.create_task(_pump(*pair)) for pair in pairs]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way, said: Said | None) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            if said is not None:
                said.note(data)
            if not await way.carry(data, writer):
                return


def _without_pings(data: bytes) -> bytes:
    """What a client said, as HTTP/2 frames; a server takes its pings of minutes, all at once, for a flood."""
    kept = bytearray(data[:PREFACE_BYTES])
    begin = PREFACE_BYTES
    while begin < len(data):
        end = begin + FRAME_HEAD_BYTES + int.from_bytes(data[begin : begin + 3])
        if data[begin + 3 : begin + 4] != PING:
            kept += data[begin:end]
        begin = end
    return bytes(kept)


@asynccontextmanager
async def network(target_port: int) -> AsyncIterator[Network]:
    """A network to a server on this machine."""
    made = Network(target_port)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
