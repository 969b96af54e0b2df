"""The home of one system on this machine: its folder, keys, ports and settings.

Everything that a system keeps is below its home, so that several systems can
run side by side and one can be removed with its folder. One supervisor at a
time: it holds the lock on the home. `runtime.stack.system` calls it.
"""

import asyncio
import fcntl
import os
import random
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, get_args

from runtime.settings import Server, Settings
from runtime.stack.processes import POLL_INTERVAL_S, Failed
from runtime.tokens import make_keys

REPOSITORY = Path(__file__).resolve().parents[2]
SERVERS: tuple[Server, ...] = get_args(Server)
PORT_SETTINGS = tuple(name for name in Settings.model_fields if name.endswith("_port"))
KEY_FILES = {
    "auth_jwks_file": "jwks.json",
    "auth_service_key_file": "service.pem",
    "auth_dev_key_file": "dev.pem",
    "audit_key_file": "audit.pem",
    "auth_revocations_file": "revocations.json",
}
# Below the ports that Linux and macOS give to outgoing connections, so that none of those takes one in between.
CHOSEN_PORTS = range(20_000, 32_000)
PORTS_FREE_WITHIN_S = 2.0
EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound


def placed(settings: Settings) -> Settings:
    """`settings` with all that follows from the home and the ports, unless it was set itself.

    Paths become absolute, a port of 0 a free one, and the addresses those of
    the ports.
    """
    home = settings.home.expanduser().resolve()
    ports = _chosen_ports(settings)
    reached_at = "127.0.0.1" if settings.host in EVERY_ADDRESS else settings.host
    derived: dict[str, Any] = {name: home / "keys" / file for name, file in KEY_FILES.items()}
    derived |= {f"{server}_address": f"{reached_at}:{ports[f'{server}_port']}" for server in SERVERS}
    derived["genesis_file"] = REPOSITORY / Settings.model_fields["genesis_file"].default
    given = {
        name: value.resolve() if isinstance(value, Path) else value
        for name in settings.model_fields_set & derived.keys()
        for value in [getattr(settings, name)]
    }
    return settings.model_copy(update={**derived, **given, **ports, "home": home})


def isolated(home: Path, **overrides: object) -> Settings:
    """Settings of a system beside any other: free ports, nothing shared, nothing from the environment.

    Args:
        home: its folder, made when it is not there.
        overrides: settings by name that shall be otherwise.
    """
    defaults = Settings.model_construct()
    values: dict[str, Any] = {**dict.fromkeys(PORT_SETTINGS, 0), "home": home, **overrides}
    return placed(defaults.model_copy(update=values))


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a process that shall read exactly `settings`."""
    names = {field: variable(field) for field in Settings.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name not in names.values()}
    values = {name: getattr(settings, field) for field, name in names.items()}
    return inherited | {name: str(value) for name, value in values.items() if value is not None}


def variable(field: str) -> str:
    """The environment variable of the setting `field`."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"{Settings.model_config['env_prefix']}{field.upper()}"


async def ports_free(settings: Settings) -> None:
    """Makes sure that every port is free; servers of a supervisor that was just killed get a moment to be gone.

    Raises:
        Failed: some are not; the text names each with its setting.
    """
    ports = {name: int(getattr(settings, name)) for name in PORT_SETTINGS}
    try:
        async with asyncio.timeout(PORTS_FREE_WITHIN_S):
            while taken := [name for name, port in ports.items() if not _is_free(settings.host, port)]:
                await asyncio.sleep(POLL_INTERVAL_S)
    except TimeoutError:
        lines = [f"port {ports[name]} is taken; {variable(name)} chooses another one" for name in taken]
        raise Failed("\n".join(lines)) from None


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    """Makes the home with its keys and holds it for this process alone; the kernel lets go if it dies.

    Raises:
        Failed: the home cannot be written, or another process holds it.
    """
    try:
        lock = _locked(settings.home)
        make_keys(settings.home / "keys")
    except OSError as error:
        place = error.filename or settings.home
        raise Failed(f"cannot write to {place}: {error.strerror}; ORDERGATE_HOME chooses another folder") from error
    with closing(lock):
        yield


def _locked(home: Path) -> IO[str]:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = (home / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with closing(lock):
            lock.seek(0)
            raise Failed(f"already running in {home}: {lock.read().strip() or 'by an unknown process'}") from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n")
    lock.flush()
    return lock


def _chosen_ports(settings: Settings) -> Mapping[str, int]:
    """The ports by setting, free ones in place of 0."""
    ports = {name: int(getattr(settings, name)) for name in PORT_SETTINGS}
    free = free_ports(settings.host, set(ports.values()))
    return {name: port or next(free) for name, port in ports.items()}


def free_ports(host: str, taken: Collection[int]) -> Iterator[int]:
    """Ports of `host` that are free now and are none of `taken`, each once."""
    candidates = random.sample(CHOSEN_PORTS, len(CHOSEN_PORTS))
    return (port for port in candidates if port not in taken and _is_free(host, port))


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run that still wait for their end do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True
