"""The embedded PostgreSQL: wherever its home is, whoever runs it, however it ended."""

import os
import sys
import textwrap
from asyncio import create_subprocess_exec, subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from runtime.stack import postgres as stack_postgres
from runtime.stack.leash import REACHING
from runtime.stack.postgres import (
    SOCKET_PATH_BYTES_MAX,
    EmbeddedPostgres,
    answers,
    migrate,
    short_folder,
    without_password,
)
from runtime.stack.processes import Failed, Process

Ended = Callable[[Iterable[psutil.Process]], Awaitable[None]]

MIGRATION = """
-- migrate:up
CREATE TABLE kept (value integer);
-- migrate:down
DROP TABLE kept;
"""
# A supervisor that starts the server in the folder it is told, says its pid and waits to be killed.
SUPERVISOR = """
    import asyncio, sys
    from pathlib import Path
    from runtime.stack.postgres import EmbeddedPostgres
    from runtime.stack.processes import Process
    async def main(home):
        server = EmbeddedPostgres(home / "database", home / "socket", home / "log")
        await server.prepare()
        process = Process(server.program())
        await process.start()
        await process.wait_ready()
        print(process.pid, flush=True)
        await asyncio.sleep(600)
    asyncio.run(main(Path(sys.argv[1])))
"""


@asynccontextmanager
async def served(home: Path) -> AsyncIterator[tuple[EmbeddedPostgres, Process]]:
    """A server in `home` as long as the block runs."""
    home.mkdir(mode=0o700, exist_ok=True)
    with short_folder(home / "socket") as socket_folder:
        server = EmbeddedPostgres(home / "database", socket_folder, home / "log")
        await server.prepare()
        process = Process(server.program())
        await process.start()
        try:
            await process.wait_ready()
            yield server, process
        finally:
            await process.stop()


@pytest.fixture
def one_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a migration of its own in place of ours."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "001_kept.sql").write_text(MIGRATION)
    monkeypatch.setattr(stack_postgres, "MIGRATIONS", folder)
    return folder


async def test_data_stays(tmp_path: Path, one_migration: Path) -> None:
    """A home that is closed to others and has a space in its path keeps its data from one run to the next."""
    home = tmp_path / "a home"
    async with served(home) as (server, process):
        await migrate(server.url(), home / "migration.log")
        connection = await asyncpg.connect(server.url())
        await connection.execute("INSERT INTO kept VALUES (42)")
        await connection.close()
    assert process.ending == "ended with code 0"
    async with served(home) as (server, _):
        await migrate(server.url(), home / "migration.log")
        connection = await asyncpg.connect(server.url())
        assert await connection.fetchval("SELECT value FROM kept") == 42
        await connection.close()


async def test_variables_of_other_servers_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PGPORT and its like point at somebody else's server, never at ours."""
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    monkeypatch.setenv("PGDATA", "/nowhere")
    async with served(tmp_path / "home") as (server, _):
        assert await answers(server.url("postgres"))


async def test_a_long_path_has_a_short_socket(tmp_path: Path) -> None:
    """A home too deep for the name of a socket gets a socket elsewhere, which is removed afterwards."""
    home = tmp_path / ("deep" * 25)
    async with served(home) as (server, _):
        assert await answers(server.url("postgres"))
        socket_folder = server.socket_folder
        assert len(os.fsencode(socket_folder)) < SOCKET_PATH_BYTES_MAX
        assert not socket_folder.is_relative_to(home)
    assert not socket_folder.exists()


async def test_only_its_user_reaches_the_socket(tmp_path: Path) -> None:
    """Who may connect may do everything, so the socket's folder and the data are closed to other users."""
    async with served(tmp_path / "home") as (server, process):
        user = psutil.Process(process.pid).uids().effective
        assert user != 0
        for folder in (server.socket_folder, server.folder):
            assert folder.stat().st_uid == user
            assert folder.stat().st_mode & 0o077 == 0


async def test_root_keeps_one_capability(tmp_path: Path) -> None:
    """Where root starts it, the server can reach files in closed folders and has no other right of root."""
    async with served(tmp_path / "home") as (_, process):
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    assert effective in ([1 << bit for bit in REACHING.values()] if os.geteuid() == 0 else [0])


async def test_no_folder_above_is_opened(tmp_path: Path) -> None:
    """The folders above the data keep the mode they had."""
    home = tmp_path / "home"
    async with served(home) as (server, _):
        assert await answers(server.url("postgres"))
    assert home.stat().st_mode & 0o777 == 0o700


async def test_the_server_dies_with_its_supervisor(tmp_path: Path, ended: Ended) -> None:
    """After SIGKILL of the supervisor no server stays, and the next one takes the data over."""
    home = tmp_path / "home"
    home.mkdir()
    supervisor = await create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(SUPERVISOR), str(home), stdout=subprocess.PIPE
    )
    assert supervisor.stdout is not None
    server_process = psutil.Process(int(await supervisor.stdout.readline()))
    workers = server_process.children()
    supervisor.kill()
    await supervisor.wait()
    async with served(home) as (server, _):
        assert await answers(server.url("postgres"))
    await ended([server_process, *workers])


async def test_a_killed_server_recovers(tmp_path: Path) -> None:
    """After kill -9 the same process handle starts a server that recovers and answers."""
    async with served(tmp_path / "home") as (server, process):
        await process.kill()
        assert not await answers(server.url("postgres"))
        await process.start()
        await process.wait_ready()
        assert await answers(server.url("postgres"))


async def test_data_of_another_version_is_refused(tmp_path: Path) -> None:
    """Data that another major version made is left alone, with a message that says what to do."""
    folder = tmp_path / "database"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("9\n")
    server = EmbeddedPostgres(folder, tmp_path / "socket", tmp_path / "log")
    with pytest.raises(Failed, match=r"database was made by PostgreSQL 9, and this is \d+: dump it there"):
        await server.prepare()


async def test_a_half_made_cluster_is_made_again(tmp_path: Path) -> None:
    """What a kill in the middle of initdb left behind does not stand in the way."""
    home = tmp_path / "home"
    (home / "database.part").mkdir(parents=True)
    (home / "database.part" / "PG_VERSION").write_text("18\n")
    async with served(home) as (server, _):
        assert await answers(server.url("postgres"))


async def test_a_failing_migration_says_what_failed(
    postgres: EmbeddedPostgres, tmp_path: Path, one_migration: Path
) -> None:
    """The message of PostgreSQL comes through, and the database stays as it was."""
    (one_migration / "002_bad.sql").write_text("-- migrate:up\nSELECT nothing_like_that;\n-- migrate:down\n")
    with pytest.raises(Failed, match='column "nothing_like_that" does not exist'):
        await migrate(postgres.url("failing"), tmp_path / "migration.log")
    connection = await asyncpg.connect(postgres.url("failing"))
    assert await connection.fetch("SELECT version FROM schema_migrations") == [("001",)]
    await connection.close()


def test_a_password_is_not_shown() -> None:
    """A URL is shown to people without its password."""
    assert without_password("postgresql://me:se%40cret@db/x?y=1") == "postgresql://me:***@db/x?y=1"
    assert without_password("postgresql://me@db/x") == "postgresql://me@db/x"
