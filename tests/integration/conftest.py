"""What integration tests share: a real PostgreSQL, and the whole system as real processes."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg
import psutil
import pytest
import pytest_asyncio

from runtime.stack.home import environment, isolated
from runtime.stack.postgres import EmbeddedPostgres, migrate, short_folder
from runtime.stack.processes import Process
from runtime.stack.system import Stack, stack

TEMPLATE = "migrated"
ENDED_WITHIN_S = 30


class Finished(NamedTuple):
    """What a command wrote, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON object of each line of its output."""
        return [json.loads(line) for line in self.out.splitlines()]


Ordergate = Callable[..., Coroutine[Any, Any, Finished]]
Ended = Callable[[Iterable[psutil.Process]], Awaitable[None]]


@pytest.fixture
def ended() -> Ended:
    """Waits until processes have ended; what nobody has collected yet (a zombie) has ended too."""

    def runs(process: psutil.Process) -> bool:
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    async def wait(processes: Iterable[psutil.Process]) -> None:
        async with asyncio.timeout(ENDED_WITHIN_S):
            while left := [process for process in processes if runs(process)]:
                await asyncio.to_thread(psutil.wait_procs, left, 0.1)

    return wait


@pytest_asyncio.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL server of the test run's own; `postgres.url("postgres")` is its superuser's database."""
    home = tmp_path_factory.mktemp("postgres")
    with short_folder(home / "socket") as socket_folder:
        server = EmbeddedPostgres(home / "database", socket_folder, home / "postgres.log")
        await server.prepare()
        process = Process(server.program())
        await process.start()
        try:
            await process.wait_ready()
            yield server
        finally:
            await process.stop()


@pytest_asyncio.fixture(scope="session")
async def migrated_template(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with our schema and no rows, to copy from."""
    await migrate(postgres.url(TEMPLATE), tmp_path_factory.mktemp("migration") / "migration.log")
    return TEMPLATE


@pytest_asyncio.fixture
async def database_url(postgres: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[str]:
    """The URL of a database of this test's own, with our schema and no rows."""
    name = f"test_{uuid4().hex}"
    superuser = await asyncpg.connect(postgres.url("postgres"))
    try:
        await superuser.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
        yield postgres.url(name)
        await superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await superuser.close()


@pytest_asyncio.fixture(scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """The whole system on ports of its own, without restarts and without the market maker.

    Tests share it: one that kills a server starts it again.
    """
    home: Path = tmp_path_factory.mktemp("system") / "home"
    async with stack(isolated(home)) as running:
        yield running


@pytest.fixture
def ordergate(system: Stack) -> Ordergate:
    """Runs the command line against the system, as a process of its own."""

    async def run(*arguments: object, **variables: str) -> Finished:
        command = (sys.executable, "-m", "clients.cli.main", *map(str, arguments))
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment(system.settings) | variables,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(120):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Finished(process.returncode or 0, out.decode(), err.decode())

    return run
