"""Child processes: started on a leash, watched, and stopped for certain.

Every child runs in a session of its own, so that Ctrl-C in the terminal reaches
the supervisor alone and the order of the end stays ours. What a child prints
goes to its log file. `runtime.stack.system` says which processes there are.
"""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
POLL_INTERVAL_S = 0.03
RESTART_DELAY_MIN_S = 0.5
RESTART_DELAY_MAX_S = 15.0
# A server that lived this long did not die of its start.
STABLE_AFTER_S = 60.0
# What is shown of the log of a process that failed.
TAIL_LINES = 12
TAIL_LINE_CHARS = 300
TAIL_BYTES = 64 * 1024

Report = Callable[[str], None]


class Failed(Exception):
    """A process ended, or did not become ready; the text says which, why, and what it printed last."""


async def at_once() -> bool:
    """The readiness of a program that has nothing to ask."""
    return True


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how to know and end it."""

    name: str
    command: Sequence[str]
    log: Path
    """What it prints is appended there."""
    environment: Mapping[str, str] | None = None
    """That of the supervisor when not given."""
    ready: Callable[[], Awaitable[bool]] = at_once
    ready_timeout_s: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0
    orphan_signal: signal.Signals = signal.SIGKILL
    """What it gets when the supervisor is killed."""
    user: str | None = None
    """The user it runs as when the supervisor is root."""


def leashed(program: Program) -> list[str]:
    """The command line that starts `program` on a leash."""
    leash = [sys.executable, "-I", "-S", str(LEASH), "--parent", str(os.getpid())]
    leash += ["--orphan-signal", str(int(program.orphan_signal))]
    leash += ["--user", program.user] if program.user else []
    return [*leash, "--", *program.command]


async def spawn(program: Program) -> asyncio.subprocess.Process:
    """Starts `program`.

    The kernel ties a child to the thread that started it, so this must be
    called from the main thread.

    Raises:
        OSError: the log cannot be written.
    """
    program.log.parent.mkdir(parents=True, exist_ok=True)
    with program.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *leashed(program),
            stdin=DEVNULL,
            stdout=log,
            stderr=STDOUT,
            env=program.environment,
            start_new_session=True,
        )


async def run(program: Program) -> None:
    """Runs `program` to its end; when the caller is cancelled, it is killed.

    Raises:
        Failed: it ended with another code than 0.
    """
    child = await spawn(program)
    try:
        code = await child.wait()
    except asyncio.CancelledError:
        _signal_group(child.pid, signal.SIGKILL)
        await child.wait()
        raise
    if code != 0:
        raise Failed(_failure(program, _ending(code)))


class Process:
    """One program and the child that runs it now, if any."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._child: asyncio.subprocess.Process | None = None

    @property
    def name(self) -> str:
        """Name of the program."""
        return self.program.name

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def start(self) -> None:
        """Starts it, unless it runs.

        Raises:
            OSError: its log cannot be written.
        """
        if self.pid is None:
            self._child = await spawn(self.program)

    async def wait_ready(self) -> None:
        """Waits until it can be used.

        Raises:
            Failed: it ended instead, or took longer than its `ready_timeout_s`.
        """
        try:
            async with asyncio.timeout(self.program.ready_timeout_s):
                while True:
                    if self.pid is None:
                        raise Failed(_failure(self.program, self.ending))
                    if await self.program.ready():
                        return
                    await asyncio.sleep(POLL_INTERVAL_S)
        except TimeoutError:
            why = f"was not ready after {self.program.ready_timeout_s:g} s"
            raise Failed(_failure(self.program, why)) from None

    async def wait(self) -> None:
        """Waits for its end."""
        if self._child is not None:
            await self._child.wait()

    @property
    def ending(self) -> str:
        """How it ended, for people."""
        if self._child is None or self._child.returncode is None:
            return "is not started"
        return _ending(self._child.returncode)

    async def stop(self) -> None:
        """Tells it to end, and kills it after its `stop_timeout_s`."""
        if self._child is None or self.pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self._child.pid, self.program.stop_signal)
        try:
            async with asyncio.timeout(self.program.stop_timeout_s):
                await self._child.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """Kills it and whatever it started, as `kill -9` does, and waits for its end."""
        self.kill_now()
        await self.wait()

    def kill_now(self) -> None:
        """Kills it without waiting."""
        if self.pid is not None:
            _signal_group(self.pid, signal.SIGKILL)


async def keep_running(process: Process, report: Report) -> None:
    """Starts `process` again whenever it ends, ever later when it does so often; until cancelled."""
    loop = asyncio.get_running_loop()
    delay_s = RESTART_DELAY_MIN_S
    while True:
        since = loop.time()
        await process.wait()
        delay_s = RESTART_DELAY_MIN_S if loop.time() - since > STABLE_AFTER_S else delay_s
        report(f"{process.name} {process.ending}; starting it again in {delay_s:g} s (log: {process.program.log})")
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, RESTART_DELAY_MAX_S)
        try:
            await process.start()
            await process.wait_ready()
            report(f"{process.name} is back")
        except (Failed, OSError):
            await process.kill()


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _failure(program: Program, why: str) -> str:
    return "\n  ".join([f"{program.name} {why}; log: {program.log}", *_last_lines(program.log)])


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [_readable(line)[:TAIL_LINE_CHARS] for line in lines[-TAIL_LINES:]]


def _readable(line: str) -> str:
    """A log line as a person wants it: of a structured one what happened, without its traceback."""
    try:
        fields = json.loads(line)
        return ": ".join(str(fields[key]) for key in ("level", "event", "error") if key in fields)
    except (ValueError, TypeError):
        return line
