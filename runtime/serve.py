"""Runs a server: loop, logs, metrics, interceptor, health, reflection, and an orderly end.

A server's own module gives its parts as an async context manager; entering it
builds and recovers everything, leaving it closes everything. Health turns to
SERVING only once the parts say so.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import grpc
import uvloop
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from runtime import metrics
from runtime.auth import Verifier
from runtime.calls import Guard
from runtime.limits import CALLS_MAX, allow_open_files, server_options
from runtime.logs import configure, get_logger
from runtime.settings import Server, Settings
from runtime.tls import server_credentials

EXIT_FAILED = 1
PART_FAILED_EXIT = 70
STOP_SLACK_S = 5.0
LIVENESS = "liveness"
"""The health service that serves as long as the loop turns, whatever the parts say: for whoever restarts servers."""
GC_YOUNG_OBJECTS = 100_000
log = get_logger(__name__)

Register = Callable[[grpc.aio.Server], None]


class Health:
    """What a server says of itself; the parts set it, probes and Envoy read it."""

    def __init__(self) -> None:
        self.servicer = grpc_health.aio.HealthServicer()
        self._services: tuple[str, ...] = ("",)
        self._serving = False
        self._draining = False
        self._detail = "starting"
        self._changes: set[asyncio.Task[None]] = set()
        self._on_drain: list[Callable[[], Awaitable[None]]] = []

    @property
    def serving(self) -> bool:
        """Whether the server takes calls."""
        return self._serving

    @property
    def detail(self) -> str:
        """Why not, for people."""
        return self._detail

    async def cover(self, services: Sequence[str]) -> None:
        """Names the services that share this health."""
        self._services = ("", *services)
        await self.servicer.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        await self._publish()

    def set(self, serving: bool, detail: str = "") -> None:
        """Says whether the server takes calls, and why not; without effect on one that drains."""
        if self._draining:
            return
        if serving != self._serving or detail != self._detail:
            log.info("health", serving=serving, detail=detail)
        self._serving, self._detail = serving, detail
        change = asyncio.get_running_loop().create_task(self._publish())
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)

    def on_drain(self, end_streams: Callable[[], Awaitable[None]]) -> None:
        """Names what counts down on the live streams and ends them in band when the server is told to stop."""
        self._on_drain.append(end_streams)

    async def drain(self) -> None:
        """Says that the server is about to end, and returns once its streams were told; nothing turns it back."""
        self._draining, self._serving, self._detail = True, False, "draining"
        # First: whoever asks the health sends no new calls while the streams count down.
        await self.servicer.enter_graceful_shutdown()
        await asyncio.gather(*(end_streams() for end_streams in self._on_drain))

    async def _publish(self) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if self._serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in self._services:
            await self.servicer.set(service, status)


Parts = Callable[[Settings, Health], AbstractAsyncContextManager[Sequence[Register]]]


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs."""

    port: int
    metrics_port: int
    health: Health


@asynccontextmanager
async def running(name: Server, parts: Parts, settings: Settings) -> AsyncIterator[Running]:
    """Runs a server in the current loop until the block ends, then drains it.

    Raises:
        OSError: a port is taken, or a file that the server needs cannot be read.
        ValueError: keys, revocations or certificates make no sense.
    """
    verifier = Verifier.of(settings)
    health = Health()
    guard = Guard(verifier, settings.default_deadline_s)
    server = grpc.aio.server(interceptors=[guard], options=server_options(), maximum_concurrent_rpcs=CALLS_MAX)
    port = _bind(server, f"{settings.host}:{settings.port(name)}", server_credentials(settings, name))
    with metrics.exposed(settings.host, settings.metrics_port(name)) as metrics_port:
        async with _kept_up_to_date(verifier), parts(settings, health) as registrations:
            await _register(server, registrations, health)
            _spare_the_collector()
            await server.start()
            log.info("listening", port=port, metrics_port=metrics_port)
            try:
                yield Running(port, metrics_port, health)
            finally:
                await health.drain()
                # The parts live on until the last call has ended: it may still need them.
                await _stopped(server, settings.drain_timeout_s)


@asynccontextmanager
async def _kept_up_to_date(verifier: Verifier) -> AsyncIterator[None]:
    """Looks after keys and revocations for as long as the block lives."""
    looking = asyncio.create_task(verifier.run(), name="verifier")
    looking.add_done_callback(end_if_failed)
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait([looking])


async def _stopped(server: grpc.aio.Server, grace_s: float) -> None:
    """Ends a server's calls; gives up waiting when gRPC itself does not come back long after it should have."""
    try:
        async with asyncio.timeout(grace_s + STOP_SLACK_S):
            await server.stop(grace_s)
    except TimeoutError:
        log.error("the server's calls did not end in time", grace_s=grace_s)


def serve(name: Server, parts: Parts, settings: Settings) -> None:
    """Runs a server as the whole process, until SIGTERM or SIGINT; exits 1 when it cannot start or fails."""
    configure(name, settings.log_level)
    allow_open_files()
    try:
        uvloop.run(_until_told(name, parts, settings))
    except (OSError, ValueError, RuntimeError) as error:
        log.error("stopped by an error", error=str(error), exc_info=error)
        sys.exit(EXIT_FAILED)


def end_if_failed(task: asyncio.Task[Any]) -> None:
    """Ends the process at once when a task that must not end has failed; for `add_done_callback`."""
    if not task.cancelled() and task.exception() is not None:
        log.error("a part failed; the process ends", part=task.get_name(), exc_info=task.exception())
        os._exit(PART_FAILED_EXIT)


async def _until_told(name: Server, parts: Parts, settings: Settings) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with AsyncExitStack() as stack:
        starting = asyncio.ensure_future(stack.enter_async_context(running(name, parts, settings)))
        # Starting can take long: a standby waits in it until it is its turn.
        stopping = asyncio.create_task(told.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
        else:
            await starting
            await stopping
            log.info("draining")
    log.info("stopped")


class _NamedServer:
    """Passes registrations on to a server and remembers the names of the services."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server
        self.names: list[str] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        self.names.extend(handler.service_name() for handler in handlers)
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        self._server.add_registered_method_handlers(service, handlers)


async def _register(server: grpc.aio.Server, registrations: Sequence[Register], health: Health) -> None:
    """Adds the parts' services, then health and reflection, which need their names."""
    named = _NamedServer(server)
    for register in registrations:
        register(cast(grpc.aio.Server, named))
    await health.cover(named.names)
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    names = (*named.names, grpc_health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)


def _spare_the_collector() -> None:
    """Keeps what start and recovery built out of garbage collection: it lives as long as the process does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG_OBJECTS, 50, 100)


def _bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: is the port taken? ({error})") from error
    if not port:
        raise OSError(f"cannot listen on {address}: is the port taken?")
    return port
