"""Spoiled bytes on the gRPC wire: mutated messages of valid requests, and connections with wrong HTTP/2 frames.

    findings, tally = await fuzz_wire(system, seed=7, messages=2_000, connections=1_000)

Whatever arrives, a server answers with a status of a refusal, or closes; it
never answers with a fault, never falls silent, never ends, does not grow, and
serves a healthy client all the while.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import grpc
import psutil
from google.protobuf.descriptor import MethodDescriptor

from runtime.settings import Server
from runtime.stack.system import Stack
from tests.fuzz import frames, valid
from tests.fuzz.mutations import mutated

FAULTS = frozenset({grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED})
"""Statuses that say that a server did not expect what it was sent."""
ENDED_MEANWHILE = "Internal error from Core"
GONE = grpc.StatusCode.UNAVAILABLE
ANSWERED_WITHIN_S = 20.0
QUIET_S = 0.05
"""A connection on which a server says nothing for so long has nothing more to say."""
READ_AT_MOST = 3
AT_ONCE = 8
BOMB_BYTES = 256 << 20
GROWTH_BYTES_MAX = 160 << 20
"""How much a server may grow while it is sent nonsense: less than one bomb, more than what its allocator keeps."""


@dataclass
class Tally:
    """What was sent, and how it was answered."""

    messages: Counter[str] = field(default_factory=Counter)
    """Calls with mutated messages, by status."""
    connections: Counter[str] = field(default_factory=Counter)
    """Connections with wrong frames, by what the server did."""
    neighbours: Counter[str] = field(default_factory=Counter)
    """Calls of the healthy clients that were served, by server."""
    growth_bytes: dict[str, int] = field(default_factory=dict)


async def fuzz_wire(system: Stack, seed: int, messages: int, connections: int) -> tuple[list[str], Tally]:
    """Sends so many mutated calls, and opens so many wrong connections, spread over all servers and Envoy."""
    run = _Run(system, seed)
    async with run.neighbours():
        await run.messages(messages)
        await run.bombs()
        await run.connections(connections)
    return run.findings, run.tally


class _Run:
    def __init__(self, system: Stack, seed: int) -> None:
        self._system = system
        self._seed = seed
        self._pids = {name: system.pid(name) for name in (*valid.SERVED_BY, "envoy")}
        self._memory = {name: psutil.Process(pid) for name, pid in self._pids.items() if pid is not None}
        self._before = {name: process.memory_info().rss for name, process in self._memory.items()}
        self._tokens = {
            role: system.token(role, accounts=accounts, subject=f"wire-{role}")
            for role, accounts in (("market_maker", (valid.ACCOUNT,)), ("auditor", ()))
        }
        self.findings: list[str] = []
        self.tally = Tally()

    @asynccontextmanager
    async def neighbours(self) -> AsyncIterator[None]:
        """Healthy clients of every server while the block runs; after it, what has become of the servers."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._neighbour(name)) for name in valid.SERVED_BY]
            yield
            for task in tasks:
                task.cancel()
        for name, pid in self._pids.items():
            if self._system.pid(name) != pid or pid is None:
                self.findings.append(f"{name} has ended")
        for name, growth in self.tally.growth_bytes.items():
            if growth > GROWTH_BYTES_MAX:
                self.findings.append(f"{name} grew by {growth >> 20} MiB")

    async def messages(self, count: int) -> None:
        """Calls every public method with mutated messages."""
        targets = [(name, method) for name in valid.SERVED_BY for method in valid.methods(name)]
        channels = {name: grpc.aio.insecure_channel(self._system.settings.address(name)) for name in valid.SERVED_BY}
        try:
            await self._side_by_side(
                [
                    self._call(channels[name], method, Random(f"{self._seed} {method.full_name} {number}"))
                    for number in range(-(-count // len(targets)))
                    for name, method in targets
                ]
            )
        finally:
            for channel in channels.values():
                await channel.close()

    async def bombs(self) -> None:
        """Small messages that become large ones when they are unpacked."""
        packed = frames.bomb(BOMB_BYTES)
        for name in valid.SERVED_BY:
            method = next(valid.methods(name))
            headers = [*frames.call_headers(valid.path_of(method), self._token(method)), (b"grpc-encoding", b"gzip")]
            sent = frames.message(packed, compressed=1)
            parts = [sent[begin : begin + 16_384] for begin in range(0, len(sent), 16_384)]
            data = [frames.frame(frames.DATA, 0, 1, part) for part in parts]
            head = [frames.PREFACE, frames.frame(frames.SETTINGS, 0, 0, b"")]
            head.append(frames.frame(frames.HEADERS, frames.END_HEADERS, 1, frames.header_block(headers)))
            window = frames.frame(frames.WINDOW_UPDATE, 0, 0, b"\x00\xff\xff\xff")
            await self._connect(
                self._system.settings.address(name), b"".join([*head, window, *data]), f"bomb at {name}"
            )
            self._measure(name)

    async def connections(self, count: int) -> None:
        """Opens connections to every server and to Envoy, and sends wrong frames."""
        settings = self._system.settings
        addresses: list[tuple[Server, str, str]] = [(name, name, settings.address(name)) for name in valid.SERVED_BY]
        addresses.append(("gateway", "envoy", self._system.rest_url.removeprefix("http://")))
        jobs = []
        for number in range(count):
            server, name, address = addresses[number % len(addresses)]
            random = Random(f"{self._seed} {name} {number}")
            method = random.choice(list(valid.methods(server)))
            sent = frames.spoiled(valid.path_of(method), self._token(method), valid.messages(method), random)
            jobs.append(self._connect(address, sent, f"{name}, connection {number}"))
        await self._side_by_side(jobs)

    async def _call(self, channel: grpc.aio.Channel, method: MethodDescriptor, random: Random) -> None:
        """One call with a mutated message; it must end with a status that is no fault."""
        messages = valid.messages(method)
        place = random.randrange(len(messages))
        messages[place] = mutated(messages[place], random)
        metadata = (("authorization", f"Bearer {self._token(method)}"),)
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                status = await _status_of(channel, method, messages, metadata)
        except TimeoutError:
            self._found(method, messages, "was not answered")
            return
        self.tally.messages[status.name] += 1
        if status in FAULTS or status is GONE:
            self._found(method, messages, f"was answered {status.name}")

    def _found(self, method: MethodDescriptor, messages: Sequence[bytes], what: str) -> None:
        shown = " ".join(one.hex() if len(one) < 2_000 else f"({len(one)} bytes)" for one in messages)
        self.findings.append(f"{method.full_name} {what}; its messages: {shown}")

    async def _connect(self, address: str, sent: bytes, what: str) -> None:
        """One connection: the server must say something or close it."""
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                reader, writer = await asyncio.open_connection(host, int(port))
                try:
                    closed = await _spoken_to(reader, writer, sent)
                finally:
                    writer.transport.abort()
        except TimeoutError:
            self.findings.append(f"{what}: the server neither answers nor closes; it was sent {sent[:2_000].hex()}")
        except OSError as error:
            self.findings.append(f"{what}: {error}")
        else:
            self.tally.connections["closed" if closed else "answered"] += 1

    async def _neighbour(self, name: Server) -> None:
        """A client that does nothing wrong, and is served."""
        method = {"gateway": "GetPortfolio", "marketdata": "GetMarketData", "compliance": "ListAuditEntries"}[name]
        (found,) = [one for one in valid.methods(name) if one.name == method]
        metadata = (("authorization", f"Bearer {self._token(found)}"),)
        async with grpc.aio.insecure_channel(self._system.settings.address(name)) as channel:
            ask: Any = channel.unary_unary(valid.path_of(found))
            while True:
                try:
                    await ask(valid.messages(found)[0], metadata=metadata, timeout=ANSWERED_WITHIN_S)
                except grpc.aio.AioRpcError as error:
                    self.findings.append(f"{name} does not serve its healthy client: {error.code()} {error.details()}")
                    return
                self.tally.neighbours[name] += 1
                self._measure(name)
                # One call after the other would be a load of its own.
                await asyncio.sleep(QUIET_S)

    def _measure(self, name: Server) -> None:
        with suppress(psutil.NoSuchProcess):
            growth = self._memory[name].memory_info().rss - self._before[name]
            self.tally.growth_bytes[name] = max(growth, self.tally.growth_bytes.get(name, 0))

    def _token(self, method: MethodDescriptor) -> str:
        return self._tokens["auditor" if method.containing_service.name == "AuditService" else "market_maker"]

    async def _side_by_side(self, jobs: Sequence[Any]) -> None:
        """Runs jobs, some at once."""
        left = iter(jobs)

        async def work() -> None:
            for job in left:
                await job

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())


async def _status_of(
    channel: grpc.aio.Channel, method: MethodDescriptor, messages: Sequence[bytes], metadata: Any
) -> grpc.StatusCode:
    """The status that a call ends with; an endless one is left after some messages."""
    call: Any = _begun(channel, method, messages, metadata)
    try:
        if not method.server_streaming:
            await call
            return grpc.StatusCode.OK
        if method.client_streaming:
            for one in messages:
                await call.write(one)
            await call.done_writing()
        try:
            for _ in range(READ_AT_MOST):
                if await call.read() is grpc.aio.EOF:
                    break
        finally:
            call.cancel()
    except grpc.aio.AioRpcError as error:
        # What gRPC's own client says of a call that ended while it was written to.
        return grpc.StatusCode.CANCELLED if error.details() == ENDED_MEANWHILE else error.code()
    except asyncio.InvalidStateError:
        # It had ended already.
        return await call.code()  # type: ignore[no-any-return]
    return grpc.StatusCode.OK


def _begun(channel: grpc.aio.Channel, method: MethodDescriptor, messages: Sequence[bytes], metadata: Any) -> Any:
    path = valid.path_of(method)
    begin: Any
    if method.client_streaming:
        begin = channel.stream_stream(path)
        return begin(metadata=metadata)
    begin = channel.unary_stream(path) if method.server_streaming else channel.unary_unary(path)
    return begin(messages[0], metadata=metadata)


async def _spoken_to(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> bool:
    """Sends and reads until the server is silent or closes; whether it closed. It may close before all is sent."""
    heard = False
    with suppress(ConnectionError):
        writer.write(sent)
        while True:
            # The first word may take as long as the caller waits.
            timeout = QUIET_S if heard else None
            try:
                async with asyncio.timeout(timeout):
                    part = await reader.read(65_536)
            except TimeoutError:
                return False
            if not part:
                return True
            heard = True
    return True
