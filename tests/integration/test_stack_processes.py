"""Child processes: they are known to work, come back, end for certain, and never outlive us."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from runtime.stack.processes import Failed, Process, Program, keep_running, run, spawn
from runtime.stack.programs import answers_ok, serving

Ended = Callable[[Iterable[psutil.Process]], Awaitable[None]]

# A gRPC server that says that it serves.
HEALTH_SERVER = """
    from concurrent import futures
    import grpc
    from grpc_health.v1 import health, health_pb2_grpc
    server = grpc.server(futures.ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()
"""
DEAF = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(600)
"""
# A supervisor that starts one child, tells its pid and waits to be killed.
SUPERVISOR = """
    import asyncio, sys
    from pathlib import Path
    from runtime.stack.processes import Program, spawn
    async def main():
        child = await spawn(Program("child", ["sleep", "600"], Path(sys.argv[1])))
        print(child.pid, flush=True)
        await asyncio.sleep(600)
    asyncio.run(main())
"""


def python(source: str, log: Path, **fields: object) -> Program:
    """A program that runs `source`."""
    return Program("child", [sys.executable, "-c", textwrap.dedent(source)], log, **fields)  # type: ignore[arg-type]


@asynccontextmanager
async def started(program: Program) -> AsyncIterator[Process]:
    """Runs `program` as long as the block does."""
    process = Process(program)
    await process.start()
    try:
        yield process
    finally:
        await process.kill()


async def has_printed(word: str, log: Path) -> bool:
    """A readiness: the child wrote `word`."""
    return word in log.read_text()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log file in a folder that is not there yet."""
    return tmp_path / "logs" / "child.log"


async def test_a_server_is_ready_when_it_serves(log: Path, unused_tcp_port: int) -> None:
    """Ready means that grpc.health says SERVING, and after a kill it does not."""
    address = f"127.0.0.1:{unused_tcp_port}"
    program = python(HEALTH_SERVER.format(port=unused_tcp_port), log, ready=partial(serving, address))
    assert not await serving(address)
    async with started(program) as process:
        await process.wait_ready()
        assert await serving(address)
        await process.kill()
        assert not await serving(address)
        assert process.ending == "was ended by SIGKILL"


async def test_an_early_end_is_told_with_the_last_lines(log: Path) -> None:
    """Who starts a server that cannot start reads why, without looking for the log."""
    source = "import sys; print('no such journal', file=sys.stderr); sys.exit(3)"
    program = python(source, log, ready=partial(serving, "127.0.0.1:1"))
    async with started(program) as process:
        with pytest.raises(Failed, match=r"child ended with code 3; log: .*\n  no such journal"):
            await process.wait_ready()


async def test_structured_lines_are_told_in_short(log: Path) -> None:
    """Of a structured log line the level, the event and the error are shown, not the traceback in it."""
    line = '{"event": "stopped by an error", "level": "error", "error": "disk full", "exception": "Traceback"}'
    program = python(f"print({line!r}); raise SystemExit(1)", log)
    with pytest.raises(Failed) as failed:
        await run(program)
    assert str(failed.value) == f"child ended with code 1; log: {log}\n  error: stopped by an error: disk full"


async def test_a_server_that_is_never_ready_is_given_up(log: Path) -> None:
    """A server that lives and does not serve does not keep us waiting for ever."""
    program = Program("child", ["sleep", "600"], log, ready=partial(serving, "127.0.0.1:1"), ready_timeout_s=0.2)
    async with started(program) as process:
        with pytest.raises(Failed, match=r"child was not ready after 0.2 s"):
            await process.wait_ready()


async def test_nobody_answers_http(unused_tcp_port: int) -> None:
    """A port that nobody listens on is not ready, and not an error."""
    assert not await answers_ok("127.0.0.1", unused_tcp_port, "/ready")


async def test_an_orderly_end_comes_first(log: Path) -> None:
    """A process that heeds its signal ends by it."""
    async with started(Program("child", ["sleep", "600"], log)) as process:
        await process.stop()
        assert process.ending == "was ended by SIGTERM"


async def test_a_deaf_process_is_killed(log: Path) -> None:
    """A process that ignores its signal is killed when its time is up."""
    program = python(DEAF, log, stop_timeout_s=0.2, ready=partial(has_printed, "deaf", log))
    async with started(program) as process:
        await process.wait_ready()
        await process.stop()
        assert process.ending == "was ended by SIGKILL"


async def test_a_kill_takes_what_the_child_started(log: Path, ended: Ended) -> None:
    """A child's own children do not stay behind."""
    source = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    async with started(python(source, log, ready=partial(has_printed, "\n", log))) as process:
        await process.wait_ready()
        grandchild = psutil.Process(int(log.read_text()))
        await process.kill()
        await ended([grandchild])


async def test_what_dies_comes_back(log: Path) -> None:
    """A process that dies on its own is started again as another one, and we are told twice."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    async with started(Program("child", ["sleep", "600"], log)) as process:
        first = process.pid
        keeper = asyncio.create_task(keep_running(process, lines.put_nowait))
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(30):
            assert (await lines.get()).startswith("child was ended by SIGKILL; starting it again in 0.5 s")
            assert await lines.get() == "child is back"
        assert process.pid not in (None, first)
        keeper.cancel()


async def test_what_keeps_dying_is_started_ever_later(log: Path) -> None:
    """A server that cannot start does not eat the machine."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    process = Process(Program("child", ["false"], log, ready=partial(serving, "127.0.0.1:1")))
    await process.start()
    keeper = asyncio.create_task(keep_running(process, lines.put_nowait))
    async with asyncio.timeout(30):
        told = [await lines.get() for _ in range(3)]
    keeper.cancel()
    assert [line.split(" in ")[1].split(" (")[0] for line in told] == ["0.5 s", "1 s", "2 s"]
    await process.kill()


async def test_a_child_outlives_nobody(log: Path, ended: Ended) -> None:
    """When the supervisor is killed with SIGKILL, its children die with it."""
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(SUPERVISOR), str(log), stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    child = psutil.Process(int(await supervisor.stdout.readline()))
    supervisor.kill()
    await supervisor.wait()
    await ended([child])


async def test_ctrl_c_reaches_the_supervisor_alone(log: Path) -> None:
    """A child has a session of its own, so that the terminal's signals do not reach it."""
    async with started(Program("child", ["sleep", "600"], log)) as process:
        assert process.pid is not None
        assert os.getsid(process.pid) == process.pid


async def test_a_child_starts_with_ordinary_signals(log: Path) -> None:
    """What Python or a shell in the background ignores, a program must not inherit as ignored."""
    source = "grep SigIgn /proc/self/status"
    await run(Program("child", ["sh", "-c", source], log))
    # Signals from 32 up belong to the C library and to real-time use; nobody ignores them on purpose.
    assert int(log.read_text().split()[1], 16) & 0x7FFF_FFFF == 0


async def test_a_cancelled_run_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C during a migration ends the migration."""
    pipe = tmp_path / "pid"
    os.mkfifo(pipe)
    running = asyncio.create_task(
        run(Program("child", ["sh", "-c", f"echo $$ > {pipe}; exec sleep 600"], tmp_path / "log"))
    )
    child = psutil.Process(int(await asyncio.to_thread(pipe.read_text)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not child.is_running()


async def test_spawning_needs_a_log(tmp_path: Path) -> None:
    """A log that cannot be written stops the start with the system's error."""
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        await spawn(Program("child", ["true"], in_the_way / "child.log"))
