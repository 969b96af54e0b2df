"""`make up`: starts everything, says where it listens, and stops it on Ctrl-C.

A second start goes on with the same data. Closing the terminal stops the system
in order like Ctrl-C; a second Ctrl-C stops it at once.
"""

import argparse
import asyncio
import ctypes
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from rich.console import Console

from runtime.settings import Server, Settings
from runtime.stack import examples
from runtime.stack.gateways import FIRST as GATEWAY
from runtime.stack.gateways import process_names
from runtime.stack.home import SERVERS, placed, variable
from runtime.stack.leash import PR_SET_PDEATHSIG, prctl
from runtime.stack.postgres import without_password
from runtime.stack.processes import Failed
from runtime.stack.system import Stack
from runtime.tokens import LIFETIME_S_MAX

EXIT_FAILED = 1
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminal(Console):
    """Where we speak; that nobody listens any more must not keep us from stopping in order."""

    def on_broken_pipe(self) -> None:
        """Falls silent."""
        self.quiet = True

    def say(self, text: str, style: str = "") -> None:
        """Prints `text` as it is, however long its lines are."""
        with suppress(OSError):
            self.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Runs until told to stop; exits 1 with a message when it cannot start."""
    options = _options()
    terminal = Terminal()
    if options.stop_with_parent and sys.platform == "linux":
        prctl(ctypes.CDLL(None, use_errno=True), PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        asyncio.run(_up(placed(_settings(options)), options.market_maker, terminal))
    except ValidationError as error:
        _refuse(terminal, "\n".join(f"{_setting(problem)}: {problem['msg']}" for problem in error.errors()))
    except (Failed, OSError) as error:
        _refuse(terminal, str(error))


def _refuse(terminal: Terminal, why: str) -> NoReturn:
    terminal.say("ordergate did not start", style="bold red")
    terminal.say(why)
    sys.exit(EXIT_FAILED)


def _setting(problem: ErrorDetails) -> str:
    """The environment variable that a problem is about."""
    name = str(problem["loc"][0])
    return variable(name) if name in Settings.model_fields else name


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make up", description=__doc__)
    parser.add_argument(
        "--no-market-maker", dest="market_maker", action="store_false", help="leave the books to your own orders"
    )
    parser.add_argument("--gateways", type=int, help="how many gateways run behind Envoy (ORDERGATE_GATEWAYS)")
    parser.add_argument("--stop-with-parent", action="store_true", help="stop when the process that started it dies")
    return parser.parse_args()


def _settings(options: argparse.Namespace) -> Settings:
    """The settings of the environment, with those of the command line in their place."""
    return Settings() if options.gateways is None else Settings(gateways=options.gateways)


async def _up(settings: Settings, market_maker: bool, terminal: Terminal) -> None:
    terminal.say(f"ordergate starts in {settings.home}; Ctrl-C stops it")
    system = Stack(settings, market_maker=market_maker, restarts=True, report=lambda line: terminal.say(f"  {line}"))
    told = asyncio.Event()
    starting = asyncio.create_task(system.start())

    def stop() -> None:
        if told.is_set():
            system.kill_all_now()
        told.set()
        starting.cancel()

    with _on_stop_signals(stop):
        try:
            with terminal.status("starting"):
                await starting
        except asyncio.CancelledError:
            terminal.say("stopped before everything ran")
            return
        _explain(system, terminal)
        await told.wait()
        terminal.say("stopping")
        await system.stop()
    terminal.say(f"stopped; the data stays in {settings.home}")


@contextmanager
def _on_stop_signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    # Who ignores SIGHUP, as nohup does, means to outlive the terminal.
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = [number for number in STOP_SIGNALS if not (outlives and number is signal.SIGHUP)]
    for number in numbers:
        loop.add_signal_handler(number, stop)
    with nullcontext() if outlives else _on_hangup(stop):
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


@contextmanager
def _on_hangup(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` when the terminal is gone.

    SIGHUP goes to the leader of the session alone; where that is make, as in
    `ssh -t host make up`, it waits for us and we would never hear of it.
    """
    if sys.platform != "linux" or not sys.stdin.isatty():
        yield
        return
    loop = asyncio.get_running_loop()
    with select.epoll() as hangups:

        def hung_up() -> None:
            loop.remove_reader(hangups)
            stop()

        # Hangups alone: reading would stop us where we run in the background.
        hangups.register(sys.stdin, select.EPOLLHUP)
        loop.add_reader(hangups, hung_up)
        try:
            yield
        finally:
            loop.remove_reader(hangups)


def _explain(system: Stack, terminal: Terminal) -> None:
    terminal.say("")
    for name, place in _places(system):
        terminal.say(f"{name:<11} {place}")
    minutes = LIFETIME_S_MAX // 60
    terminal.say(f"\nTry it in another terminal. The token is good for {minutes} minutes; another one comes from")
    terminal.say(f"{examples.program('ordergate')} token --role trader --account DEMO", style="cyan")
    for line in examples.lines(system.settings, system.rest_url, system.token()):
        terminal.say(f"\n{line}", style="cyan")
    terminal.say("")


def _places(system: Stack) -> list[tuple[str, str]]:
    """What there is, and where."""
    settings = system.settings
    gateways = zip(process_names(system.gateways), system.gateways, strict=True)
    servers = [_place(name, GATEWAY, own) for name, own in gateways]
    servers += [_place(server, server, settings) for server in SERVERS if server != GATEWAY]
    stores = [("database", without_password(str(settings.database_url)))]
    stores += [("budgets", without_password(settings.redis_url))] if settings.redis_url else []
    rest = f"{system.rest_url}/api/v1"
    docs = f"{system.rest_url}/docs, {system.rest_url}/redoc, {system.rest_url}/openapi.json"
    return [("REST", rest), ("docs", docs), *servers, *stores, ("logs", str(settings.home / "logs"))]


def _place(name: str, server: Server, settings: Settings) -> tuple[str, str]:
    return name, f"{settings.address(server)}, metrics on port {settings.metrics_port(server)}"


if __name__ == "__main__":
    main()
