"""The Chrome DevTools protocol over two pipes: commands out, answers and events in.

Pipes instead of a port: nobody else can reach the browser, nothing has to be
waited for, and no other package is needed. Messages are JSON and end with a NUL.
"""

import asyncio
import fcntl
import json
import os
import sys
from asyncio.subprocess import DEVNULL, STDOUT
from collections.abc import Callable
from itertools import count
from typing import Any

from runtime.stack.processes import Program, leashed

# Where the browser reads and writes: its own convention.
BROWSER_READS, BROWSER_WRITES = 3, 4
ABOVE_THESE = 10
# A screenshot comes as one message.
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
ON_PIPES = f"""
import os, sys
os.dup2(int(sys.argv[1]), {BROWSER_READS})
os.dup2(int(sys.argv[2]), {BROWSER_WRITES})
os.execv(sys.argv[3], sys.argv[3:])
"""

Listener = Callable[[str, dict[str, Any]], None]


class DevToolsError(Exception):
    """The browser refused a command, or is gone."""


class DevTools:
    """The conversation with one browser."""

    def __init__(
        self, reader: asyncio.StreamReader, incoming: asyncio.ReadTransport, writer: asyncio.WriteTransport
    ) -> None:
        self._reader = reader
        self._incoming = incoming
        self._writer = writer
        self._ids = count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listeners: dict[str, Listener] = {}
        self._listening = asyncio.create_task(self._listen())

    async def call(self, method: str, session: str = "", /, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to a command.

        Args:
            method: such as "Page.navigate".
            session: of the page; the browser itself when empty.
            parameters: as the protocol names them.

        Raises:
            DevToolsError: it refused, or is gone.
        """
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        if self._listening.done():
            raise DevToolsError("the browser is gone")
        self._writer.write(json.dumps(message).encode() + b"\0")
        return await answer

    def listen(self, session: str, listener: Listener) -> None:
        """From here on `listener` is told each event of a page: its name and parameters."""
        self._listeners[session] = listener

    async def close(self) -> None:
        """Ends the conversation; what still waits for an answer fails."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._incoming.close()
        self._writer.close()

    async def _listen(self) -> None:
        try:
            while True:
                self._take(json.loads((await self._reader.readuntil(b"\0"))[:-1]))
        except asyncio.IncompleteReadError:
            pass
        finally:
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(DevToolsError("the browser is gone"))
                    # Nobody may be waiting any more.
                    answer.exception()

    def _take(self, message: dict[str, Any]) -> None:
        if "id" not in message:
            listener = self._listeners.get(message.get("sessionId", ""))
            if listener is not None:
                listener(message["method"], message["params"])
            return
        answer = self._asked.pop(message["id"])
        if answer.done():
            return
        if "error" in message:
            answer.set_exception(DevToolsError(message["error"]["message"]))
        else:
            answer.set_result(message["result"])


async def start(program: Program) -> tuple[asyncio.subprocess.Process, DevTools]:
    """Starts a browser on a leash: it cannot outlive this process."""
    commands_out, commands_in = _above(*os.pipe())
    events_out, events_in = _above(*os.pipe())
    command = [sys.executable, "-I", "-S", "-c", ON_PIPES, str(commands_out), str(events_in), *program.command]
    with program.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *leashed(Program(program.name, command, program.log)),
            stdin=DEVNULL,
            stdout=log,
            stderr=STDOUT,
            env=program.environment,
            start_new_session=True,
            pass_fds=(commands_out, events_in),
        )
    os.close(commands_out)
    os.close(events_in)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MESSAGE_BYTES_MAX)
    incoming, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(events_out, "rb")
    )
    writer, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(commands_in, "wb"))
    return process, DevTools(reader, incoming, writer)


def _above(*numbers: int) -> list[int]:
    """The same files under numbers that do not clash with those of the browser."""
    moved = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, ABOVE_THESE) for number in numbers]
    for number in numbers:
        os.close(number)
    return moved
