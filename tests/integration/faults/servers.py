"""One matching server and its gateways as processes, every way between them and to them over a network that fails.

async with servers(folder, gateways=2) as venue:
    await venue.kill("matching")
    await venue.start("matching")
    venue.gateway_networks[0].back.holds()

At the end of the block the journal is held against the invariants, whatever the block was about.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from clients.sdk import Client, DevKeyTokens, Patience
from runtime.settings import Settings
from runtime.stack import programs
from runtime.stack.home import isolated
from runtime.stack.processes import Process, Program
from runtime.tokens import make_keys
from tests.integration.faults.network import Network, network
from tests.integration.faults.truth import Truth, read_truth

ACCOUNTS = tuple(f"FAULT-{number}" for number in range(8))
SYMBOLS = ("AAPL", "MSFT")
PATIENT = Patience(call_s=2.0, retry_s=120.0, reconnect_s=120.0)
SERVE = """
from native import switch
if switch.is_asked():
    switch.interpret()
from clients.cli.main import main
main()
"""
GENESIS = {
    "instruments": [
        {"symbol": symbol, "asset_class": "EQUITY", "currency": "USD", "tick_size": "0.01", "lot_size": "1"}
        for symbol in SYMBOLS
    ],
    "accounts": [
        {
            "account": account,
            "cash": {"USD": "1000000000"},
            "positions": {symbol: {"qty": "1000000", "price": "100"} for symbol in SYMBOLS},
        }
        for account in ACCOUNTS
    ],
}


class Servers:
    """The processes by name: "matching", "gateway-0", "gateway-1", …

    Attributes:
        settings: those of matching; each gateway has its own on top.
        matching_networks: the way from each gateway to matching.
        gateway_networks: the way of clients to each gateway.
    """

    def __init__(self, folder: Path, gateways: int, **overrides: Any) -> None:
        genesis = folder / "genesis.yaml"
        genesis.write_text(yaml.safe_dump(GENESIS))
        plain = {"genesis_file": genesis, "journal_segment_bytes": 1 << 20, "drain_notice_s": 0.2}
        self.settings: Settings = isolated(folder / "home", **(plain | overrides))
        make_keys(self.settings.home / "keys")
        self._count = gateways
        self._networks = AsyncExitStack()
        self._processes: dict[str, Process] = {}
        self._truth: Truth | None = None
        self.gateway_settings: list[Settings] = []
        self.matching_networks: list[Network] = []
        self.gateway_networks: list[Network] = []

    async def open(self) -> None:
        """Starts everything and waits until it is healthy."""
        self._processes["matching"] = _process(programs.server(self.settings, "matching"))
        await self.start("matching")
        for number in range(self._count):
            await self._add_gateway(number)
        await asyncio.gather(*(self.start(name) for name in self.gateways))

    async def close(self) -> None:
        """Kills everything."""
        for process in self._processes.values():
            await process.kill()
        await self._networks.aclose()

    @property
    def gateways(self) -> list[str]:
        """The names of the gateways."""
        return [f"gateway-{number}" for number in range(self._count)]

    @property
    def addresses(self) -> list[str]:
        """Where clients reach the gateways, over their networks."""
        return [one.address for one in self.gateway_networks]

    async def start(self, name: str, before: str = "") -> None:
        """Starts a process that does not run and waits until it is healthy; `before` is carried out in it first."""
        self._truth = None
        if before:
            program = self._processes[name].program
            command = [*program.command[:2], before + SERVE, *program.command[3:]]
            self._processes[name] = Process(replace(program, command=command))
        await self._processes[name].start()
        await self._processes[name].wait_ready()

    async def kill(self, name: str) -> None:
        """Ends a process with SIGKILL."""
        await self._processes[name].kill()

    async def stop(self, name: str) -> None:
        """Ends a process in order, with SIGTERM."""
        await self._processes[name].stop()

    async def ready(self, name: str) -> None:
        """Waits until a process that runs is healthy."""
        await self._processes[name].wait_ready()

    async def truth(self) -> Truth:
        """Kills matching and reads what happened.

        Raises:
            DamagedJournalError, ReplayMismatchError, AssertionError: an invariant does not hold, as `read_truth` says.
        """
        if self._truth is None:
            await self.kill("matching")
            self._truth = read_truth(self.settings.journal_dir)
        return self._truth

    def log(self, name: str) -> str:
        """Everything that a process has logged."""
        return self._processes[name].program.log.read_text()

    async def metric(self, server: int | str, name: str) -> float:
        """A metric of a gateway, by its number, or of matching; the sum where it has labels."""
        matching = self.settings.matching_metrics_port
        port = self.gateway_settings[server].gateway_metrics_port if isinstance(server, int) else matching
        url = f"http://127.0.0.1:{port}/metrics"
        text = await asyncio.to_thread(lambda: urlopen(url).read().decode())
        found = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        assert found, f"there is no metric {name}"
        return sum(float(line.split()[-1]) for line in found)

    def token(self, *accounts: str) -> DevKeyTokens:
        """Tokens of a market maker with these accounts."""
        return DevKeyTokens.from_settings(self.settings, subject="tester", roles=["market_maker"], accounts=accounts)

    def client(
        self,
        *accounts: str,
        gateways: Sequence[int] = (),
        addresses: Sequence[str] = (),
        patience: Patience = PATIENT,
    ) -> Client:
        """A client of `accounts`, or of all; of all gateways, of those with these numbers, or at these addresses."""
        token = self.token(*(accounts or ACCOUNTS))
        chosen = addresses or [self.addresses[number] for number in gateways] or self.addresses
        return Client(chosen, token=token, patience=patience)

    async def _add_gateway(self, number: int) -> None:
        to_matching = await self._networks.enter_async_context(network(self.settings.matching_port))
        free = isolated(self.settings.home)
        own = self.settings.model_copy(
            update={
                "gateway_id": f"gateway-{number}",
                "gateway_port": free.gateway_port,
                "gateway_metrics_port": free.gateway_metrics_port,
                "gateway_address": f"127.0.0.1:{free.gateway_port}",
                "matching_address": to_matching.address,
            }
        )
        to_gateway = await self._networks.enter_async_context(network(own.gateway_port))
        self.gateway_settings.append(own)
        self.matching_networks.append(to_matching)
        self.gateway_networks.append(to_gateway)
        program = programs.server(own, "gateway", f"gateway-{number}")
        self._processes[f"gateway-{number}"] = _process(program)


def _process(program: Program) -> Process:
    """A process of ours that is interpreted when these tests are."""
    server = program.command[-1]
    return Process(replace(program, command=[sys.executable, "-c", SERVE, "serve", server]))


@asynccontextmanager
async def servers(folder: Path, *, gateways: int = 1, **overrides: Any) -> AsyncIterator[Servers]:
    """Servers that run as long as the block does; then its invariants must hold."""
    made = Servers(folder, gateways, **overrides)
    try:
        await made.open()
        yield made
        await made.truth()
    finally:
        await made.close()
