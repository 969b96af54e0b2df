"""`make up`: what it says, what it leaves behind, and what it goes on with."""

import asyncio
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest
import pytest_asyncio

from runtime.settings import Settings
from runtime.stack.home import environment, isolated
from runtime.stack.postgres import EmbeddedPostgres

Ended = Callable[[Iterable[psutil.Process]], Awaitable[None]]

REPOSITORY = Path(__file__).resolve().parents[2]
SAYS_WITHIN_S = 120
# The last line of its own that `up` prints before it waits.
LAST_EXAMPLE = "order submit"
ORDER_ID = re.compile(r"order_?id\W+(\d+)", re.IGNORECASE)


class Up:
    """A running `up` and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []

    async def says(self, words: str) -> str:
        """Reads on to the first line with `words` in it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SAYS_WITHIN_S):
            while line := (await self.process.stdout.readline()).decode():
                self.said.append(line.rstrip())
                if words in line:
                    return line.strip()
        raise AssertionError(f"it never said {words!r}:\n" + "\n".join(self.said))

    async def ends(self) -> int:
        """Reads on to the end; the exit code."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SAYS_WITHIN_S):
            self.said += (await self.process.stdout.read()).decode().splitlines()
            return await self.process.wait()

    def children(self) -> list[psutil.Process]:
        """Everything that it started and that still runs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words: str) -> psutil.Process:
        """The child whose command line ends with `words`."""
        return next(child for child in self.children() if tuple(child.cmdline()[-len(words) :]) == words)


@asynccontextmanager
async def up(settings: Settings, *options: str, stdin: int = DEVNULL) -> AsyncIterator[Up]:
    """Runs `up` with exactly `settings`; whatever it did not end itself is ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runtime.stack.up", *options),
        cwd=REPOSITORY,
        env=environment(settings),
        stdin=stdin,
        stdout=PIPE,
        stderr=STDOUT,
    )
    running = Up(process)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
            await running.ends()


async def shell(line: str) -> str:
    """Runs a line as a person would paste it; its output.

    Raises:
        AssertionError: it failed.
    """
    process = await asyncio.create_subprocess_shell(line, cwd=REPOSITORY, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest_asyncio.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Settings, Up]]:
    """An `up` with everything, that the tests of this module share."""
    settings = isolated(tmp_path_factory.mktemp("up") / "a home")
    async with up(settings) as started:
        await started.says(LAST_EXAMPLE)
        yield settings, started


async def test_the_three_lines_work(running: tuple[Settings, Up]) -> None:
    """Each line, pasted into a shell, places an order of its own."""
    _, started = running
    lines = [line for line in started.said if re.match(r"curl |\S*grpcurl |\S*ordergate --gateway", line)]
    assert len(lines) == 3
    order_ids = [ORDER_ID.findall(await shell(line)) for line in lines]
    assert all(order_ids)
    assert len({found[0] for found in order_ids}) == 3


async def test_a_second_one_is_told_who_runs(running: tuple[Settings, Up]) -> None:
    """A second `make up` in the same home ends at once, names the first, and does not disturb it."""
    settings, started = running
    async with up(settings) as second:
        assert await second.ends() == 1
    assert f"already running in {settings.home}: process {started.process.pid}, since" in "\n".join(second.said)
    assert started.process.returncode is None


async def test_a_server_that_dies_comes_back(running: tuple[Settings, Up]) -> None:
    """After kill -9 of a server `make up` says so, starts it again, and the system takes orders again."""
    _, started = running
    line = next(line for line in started.said if LAST_EXAMPLE in line)
    started.child("serve", "matching").kill()
    assert "was ended by SIGKILL; starting it again" in await started.says("matching")
    await started.says("matching is back")
    assert ORDER_ID.search(await shell(line))


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """Nothing is started while a port is taken; the message names it and the setting that chooses another."""
    settings = isolated(tmp_path / "home")
    with socket.create_server((settings.host, settings.matching_port)):
        async with up(settings) as started:
            assert await started.ends() == 1
    assert f"port {settings.matching_port} is taken; ORDERGATE_MATCHING_PORT chooses another one" in started.said
    assert not (settings.home / "database").exists()


async def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A home below a file cannot be, for root neither."""
    (tmp_path / "file").touch()
    async with up(isolated(tmp_path / "file" / "home")) as started:
        assert await started.ends() == 1
    assert any("cannot write to" in line and "ORDERGATE_HOME chooses" in line for line in started.said)


async def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    """A setting of the wrong type is a message with its name, not a traceback."""
    settings = isolated(tmp_path / "home").model_copy(update={"gateway_port": 70_000})
    async with up(settings) as started:
        assert await started.ends() == 1
    assert started.said == [
        "ordergate did not start",
        "ORDERGATE_GATEWAY_PORT: Input should be less than or equal to 65535",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_what_starts_can_be_stopped(tmp_path: Path, ended: Ended, number: signal.Signals) -> None:
    """Ctrl-C, a polite kill or a closed terminal in the middle of the start leaves no process."""
    async with up(isolated(tmp_path / "home")) as started:
        await started.says("matching ready")
        children = started.children()
        assert children
        started.process.send_signal(number)
        assert await started.ends() == 0
    await ended(children)


async def test_a_lost_terminal_stops_it(tmp_path: Path, ended: Ended) -> None:
    """When the terminal goes without a signal to us, as behind make in a session of its own, it stops as well."""
    terminal, stdin = os.openpty()
    async with up(isolated(tmp_path / "home"), stdin=stdin) as started:
        os.close(stdin)
        await started.says("matching ready")
        children = started.children()
        os.close(terminal)
        assert await started.ends() == 0
    await ended(children)


async def test_it_goes_on_with_the_same_data(tmp_path: Path, ended: Ended) -> None:
    """Killed with SIGKILL, it leaves no process and can be started again at once: the order before is still known."""
    settings = isolated(tmp_path / "home")
    async with up(settings, "--no-market-maker") as first:
        line = await first.says(LAST_EXAMPLE)
        placed = ORDER_ID.findall(await shell(line))[0]
        children = first.children()
        first.process.kill()
        await first.process.wait()
    async with up(settings, "--no-market-maker") as second:
        await second.says(LAST_EXAMPLE)
        assert placed in await shell(line.replace("order submit", f"order get {placed} #"))
        children += second.children()
        second.process.send_signal(signal.SIGINT)
        assert await second.ends() == 0
    assert f"stopped; the data stays in {settings.home}" in second.said
    await ended(children)


async def test_another_postgresql_is_used(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    """With DATABASE_URL no PostgreSQL of our own is started, and the schema is made in that one."""
    settings = isolated(tmp_path / "home", database_url=postgres.url("elsewhere"))
    async with up(settings, "--no-market-maker") as started:
        await started.says(LAST_EXAMPLE)
        assert not any(child.name().startswith("postgres") for child in started.children())
        assert not (settings.home / "database").exists()
        connection = await asyncpg.connect(postgres.url("elsewhere"))
        assert await connection.fetchval("SELECT count(*) FROM schema_migrations") > 0
        await connection.close()


async def test_it_can_stop_with_its_parent(tmp_path: Path, ended: Ended) -> None:
    """When make is killed, what it ran ends too."""
    settings = isolated(tmp_path / "home")
    in_between = await asyncio.create_subprocess_exec(
        *("sh", "-c", '"$0" -m runtime.stack.up --stop-with-parent & wait', sys.executable),
        cwd=REPOSITORY,
        env=environment(settings),
        stdout=PIPE,
    )
    started = Up(in_between)
    await started.says("matching ready")
    children = started.children()
    in_between.kill()
    assert await started.ends() == -signal.SIGKILL
    await ended(children)
