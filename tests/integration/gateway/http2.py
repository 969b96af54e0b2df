"""HTTP/2 by hand (RFC 9113): a client without manners, and a tap that listens in between and can fall silent."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 1, 3, 4, 6, 7
ACK, END_HEADERS = 1, 4
REFUSED_STREAM, ENHANCE_YOUR_CALM = 7, 11
HEADER_BYTES = 9


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    def encoded(self) -> bytes:
        """The bytes on the wire."""
        head = len(self.payload).to_bytes(3, "big") + bytes([self.kind, self.flags]) + self.stream.to_bytes(4, "big")
        return head + self.payload


def headers(path: str, **more: str) -> bytes:
    """A header block of a gRPC call: literals without indexing (RFC 7541, 6.2.2), each of at most 126 bytes."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "test", "te": "trailers"}
    fields |= {"content-type": "application/grpc"} | more
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())


def _text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


class RawClient:
    """A connection on which anything can be said."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *frames: Frame) -> None:
        """Sends frames at once."""
        self._writer.write(b"".join(frame.encoded() for frame in frames))
        await self._writer.drain()

    async def frames(self) -> AsyncIterator[Frame]:
        """What comes, until the connection is closed."""
        with suppress(asyncio.IncompleteReadError, ConnectionResetError):
            while True:
                head = await self._reader.readexactly(HEADER_BYTES)
                payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
                yield Frame(head[3], head[4], int.from_bytes(head[5:], "big"), payload)

    async def until(self, kind: int) -> Frame | None:
        """The next frame of a kind; None when the connection is closed before."""
        async for frame in self.frames():
            if frame.kind == kind:
                return frame
        return None


@asynccontextmanager
async def raw_client(port: int) -> AsyncIterator[RawClient]:
    """A connection that has said hello."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # Without a drain: the server may have closed the connection already.
    writer.write(PREFACE + Frame(SETTINGS, 0, 0, b"").encoded())
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


class Tap:
    """Stands between clients and a server, counts the pings of the clients, and can go silent without closing."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._passing: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server
        self.connections = 0
        self.pings: Counter[str] = Counter()
        self.news = asyncio.Event()

    @property
    def address(self) -> str:
        """Where clients find it."""
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    def goes_silent(self) -> None:
        """From here on nothing passes, and no connection is closed either: both ends are alone."""
        self._open.clear()

    async def asked(self, side: str, times: int) -> None:
        """Waits until `side`, client or server, has asked so often whether the other is there."""
        while self.pings[side] < times:
            self.news.clear()
            await self.news.wait()

    async def open(self) -> None:
        """Begins to take connections."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def close(self) -> None:
        """Breaks all connections."""
        self._server.close()
        passing = list(self._passing)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        self.connections += 1
        # A cut ends this task, which asyncio.start_server would else report as a fault.
        with suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            try:
                await asyncio.gather(
                    self._pump(reader, far_writer, "client", len(PREFACE)), self._pump(far_reader, writer, "server", 0)
                )
            finally:
                far_writer.transport.abort()
        writer.transport.abort()
        self._passing.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, side: str, skip: int) -> None:
        rest = bytearray()
        while data := await reader.read(65_536):
            await self._open.wait()
            rest += data
            skipped = min(skip, len(rest))
            del rest[:skipped]
            skip -= skipped
            if not skip:
                asked = sum(1 for kind, flags in _complete(rest) if kind == PING and not flags & ACK)
                self.pings[side] += asked
                self.news.set()
            writer.write(data)
            await writer.drain()
        writer.close()


def _complete(rest: bytearray) -> Iterator[tuple[int, int]]:
    """Takes the complete frames out of `rest`; their kinds and flags."""
    while len(rest) >= HEADER_BYTES and len(rest) >= (end := HEADER_BYTES + int.from_bytes(rest[:3], "big")):
        yield rest[3], rest[4]
        del rest[:end]


@asynccontextmanager
async def tap(target_port: int) -> AsyncIterator[Tap]:
    """A tap in front of a server on this machine."""
    opened = Tap(target_port)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()
