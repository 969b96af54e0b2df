"""A matching server as a process of its own, to be killed."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from runtime.settings import Settings

ROOT = Path(__file__).parents[2]
MAIN = "from matching.server import main; main()"
FAILING_DISK = """
import errno, os
barrier, left = os.fdatasync, [{barriers}]
def fails(fd):
    left[0] -= 1
    if left[0] < 0:
        raise OSError(errno.EIO, "the disk is gone")
    barrier(fd)
os.fdatasync = fails
"""
"""Put before MAIN: after that many barriers every one fails."""
PASSED_ON = (
    "home",
    "genesis_file",
    "journal_segment_bytes",
    "journal_keep_events",
    "snapshot_interval_events",
    "auth_jwks_file",
    "auth_service_key_file",
)
LOGGED_MAX = 200


class Server:
    """The process, the port it listens on, and the last lines of its log."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.port = 0
        self.log: list[dict[str, object]] = []
        self._listening = asyncio.Event()
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    @property
    def said(self) -> str:
        """Everything that it logged, as text."""
        return "\n".join(json.dumps(line) for line in self.log)

    async def listening(self) -> None:
        """Waits until it takes calls.

        Raises:
            RuntimeError: it has ended instead.
        """
        waiting = asyncio.create_task(self._listening.wait())
        async with asyncio.timeout(60):
            await asyncio.wait((waiting, self._reading), return_when=asyncio.FIRST_COMPLETED)
        if not self._listening.is_set():
            waiting.cancel()
            raise RuntimeError(self.said)

    async def logged(self, event: str, times: int = 1) -> list[dict[str, object]]:
        """Waits until it has logged an event so many times; gives those lines."""
        async with self._news, asyncio.timeout(60):
            await self._news.wait_for(lambda: len(self._lines(event)) >= times)
        return self._lines(event)

    def _lines(self, event: str) -> list[dict[str, object]]:
        return [line for line in self.log if line.get("event") == event]

    async def ended(self) -> int:
        """Waits for its end; gives the exit code, negative for a signal."""
        async with asyncio.timeout(60):
            await self._reading
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            try:
                told = json.loads(line)
            except ValueError:
                told = {"text": line.decode(errors="replace").rstrip()}
            async with self._news:
                self.log = [*self.log[-LOGGED_MAX:], told]
                self._news.notify_all()
            if told.get("event") == "listening":
                self.port = told["port"]
                self._listening.set()


@asynccontextmanager
async def started(settings: Settings, before: str = "") -> AsyncIterator[Server]:
    """A process that has been started; it is killed at the end if it still runs.

    Args:
        settings: what it keeps where.
        before: statements that it carries out first.
    """
    given = {f"ORDERGATE_{name.upper()}": str(getattr(settings, name)) for name in PASSED_ON}
    if settings.journal_url:
        given["JOURNAL_URL"] = settings.journal_url
    ports = {"ORDERGATE_MATCHING_PORT": "0", "ORDERGATE_MATCHING_METRICS_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"{before}\n{MAIN}", env=os.environ | given | ports, cwd=ROOT, stderr=PIPE
    )
    server = Server(process)
    try:
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await server.ended()
