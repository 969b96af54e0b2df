"""Traffic under faults, and what came of it held against the journal; `make faults` runs it for minutes.

python -m tests.integration.faults.campaign --seconds 120 --seed 7
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import Patience
from tests.integration.faults.checker import SHOWN_MAX, check
from tests.integration.faults.history import History
from tests.integration.faults.network import Network, Way
from tests.integration.faults.raw_reader import RawReader
from tests.integration.faults.servers import ACCOUNTS, Servers, servers
from tests.integration.faults.session_traffic import SessionTrader
from tests.integration.faults.traffic import Listener, Trader, note_answer
from tests.integration.faults.truth import Truth

LASTS_S = (0.2, 1.5)
"""How long a fault of the network lasts."""
BETWEEN_S = (0.3, 1.0)
BYTES_MAX = 4_096
FINISH_S = 150.0
SESSIONS = 4
"""So many accounts also trade by session."""
HASTY = Patience(call_s=0.25, retry_s=0.0)
"""Of clients that often do not hear what became of a request, and ask."""


@dataclass(slots=True)
class Outcome:
    """What a campaign recorded, what really happened, and which faults there were."""

    history: History
    truth: Truth
    faults: Counter[str]


class Faults:
    """Injects one fault after the other, each of them healed before the next."""

    def __init__(self, venue: Servers, seed: int) -> None:
        self._venue = venue
        self._random = random.Random(seed)
        self.done: Counter[str] = Counter()

    async def run(self, seconds: float, rounds: int) -> None:
        """Injects each kind so many times, and on for so long; everything is whole afterwards."""
        kinds = [
            self.matching_is_killed,
            self.gateway_is_killed,
            self.gateway_is_stopped,
            self.requests_are_held,
            self.answers_are_held,
            self.all_is_swallowed,
            self.cut_within_a_message,
            self.slow,
            self.half_open,
            self.refused,
            self.duplicated,
            self.repeated_within_a_connection,
        ]
        now_s = asyncio.get_running_loop().time
        ends_at_s = now_s() + seconds
        while self.done.total() < rounds * len(kinds) or now_s() < ends_at_s:
            self._random.shuffle(kinds)
            for kind in kinds:
                await asyncio.sleep(self._random.uniform(*BETWEEN_S))
                await kind()
                self.done[kind.__name__] += 1
        await asyncio.gather(*(self._venue.ready(name) for name in ("matching", *self._venue.gateways)))

    async def matching_is_killed(self) -> None:
        """SIGKILL, and a new life from the journal."""
        await self._restarted("matching", self._venue.kill)

    async def gateway_is_killed(self) -> None:
        """SIGKILL of one of the gateways."""
        await self._restarted(self._random.choice(self._venue.gateways), self._venue.kill)

    async def gateway_is_stopped(self) -> None:
        """SIGTERM of one of the gateways: it drains."""
        await self._restarted(self._random.choice(self._venue.gateways), self._venue.stop)

    async def _restarted(self, name: str, end: Callable[[str], Awaitable[None]]) -> None:
        await end(name)
        await asyncio.sleep(self._random.uniform(0, LASTS_S[1]))
        await self._venue.start(name)

    async def requests_are_held(self) -> None:
        """Nothing gets there for a while; then everything does, or the connection breaks."""
        await self._way_is(Way.holds, "there")

    async def answers_are_held(self) -> None:
        """It happens, and nobody hears of it for a while; then everybody does, or the connection breaks."""
        await self._way_is(Way.holds, "back")

    async def _way_is(self, fault: Callable[[Way], None], direction: str) -> None:
        network = self._network()
        fault(getattr(network, direction))
        await self._lasts()
        if self._random.random() < 0.5:
            await network.cut()
        network.heals()

    async def all_is_swallowed(self) -> None:
        """A black hole in one direction or both, until somebody breaks the connection."""
        network = self._network()
        ways = self._random.choice(([network.there], [network.back], [network.there, network.back]))
        for way in ways:
            way.swallows = True
        await self._lasts()
        await network.cut()
        network.heals()

    async def cut_within_a_message(self) -> None:
        """The connection breaks after a number of bytes, wherever that is."""
        network = self._network()
        way = self._random.choice((network.there, network.back))
        way.cut_after(self._random.randint(1, BYTES_MAX))
        try:
            async with asyncio.timeout(LASTS_S[1]):
                await way.struck()
        except TimeoutError:
            pass  # nobody said so much
        network.heals()

    async def slow(self) -> None:
        """Everything takes longer."""
        network = self._network()
        network.there.delay_s = network.back.delay_s = self._random.uniform(0.01, 0.1)
        await self._lasts()
        network.heals()

    async def half_open(self) -> None:
        """The server's end is gone, and nobody tells the client; later its machine says so."""
        network = self._network()
        await network.half_open()
        await self._lasts()
        await network.cut()

    async def refused(self) -> None:
        """Every connection breaks, and no new one is taken."""
        network = self._network()
        network.refuses()
        await network.cut()
        await self._lasts()
        network.heals()

    async def duplicated(self) -> None:
        """All that was said over connections is said once more, over others, whose answers nobody hears."""
        network = self._network()
        network.duplicates()
        await self._lasts()
        network.heals()

    async def repeated_within_a_connection(self) -> None:
        """A piece comes twice in a row, until somebody breaks the connection."""
        network = self._network()
        network.there.repeats()
        await self._lasts()
        await network.cut()
        network.heals()

    def _network(self) -> Network:
        return self._random.choice([*self._venue.matching_networks, *self._venue.gateway_networks])

    async def _lasts(self) -> None:
        await asyncio.sleep(self._random.uniform(*LASTS_S))


async def campaign(folder: Path, seed: int, *, seconds: float = 0.0, rounds: int = 0, settle_s: float = 0.0) -> Outcome:
    """Lets clients trade while faults come and go, and then without any; then all is stopped and read.

    Args:
        folder: of the servers.
        seed: of all choices.
        seconds: how long there are faults, in whole rounds.
        rounds: how often each kind of fault comes at least.
        settle_s: how long there is none at the end.
    """
    played = Played(History(), seed)
    async with servers(folder, gateways=2, heartbeat_interval_s=1.0, gateway_grace_s=1.0) as venue:
        faults = Faults(venue, seed)
        async with AsyncExitStack() as clients, asyncio.timeout(seconds + FINISH_S), asyncio.TaskGroup() as group:
            await played.begin(venue, clients, group)
            await faults.run(seconds, rounds)
            await asyncio.sleep(settle_s)
            await played.end(venue)
        return Outcome(played.history, await venue.truth(), faults.done)


class Played:
    """The clients of a campaign: traders by call and by session, readers of accounts and of the drop copy."""

    def __init__(self, history: History, seed: int) -> None:
        self.history = history
        self._seed = seed
        self._stopping = asyncio.Event()
        self._trading: list[asyncio.Task[None]] = []

    async def begin(self, venue: Servers, clients: AsyncExitStack, group: asyncio.TaskGroup) -> None:
        """Lets everybody begin; each of them prefers the one gateway or the other."""
        for number, account in enumerate(ACCOUNTS):
            preferred = [number % 2, 1 - number % 2]
            client = await clients.enter_async_context(venue.client(account, gateways=preferred))
            hasty = await clients.enter_async_context(venue.client(account, gateways=preferred, patience=HASTY))
            for caller, name in ((client, "call"), (hasty, "hasty")):
                trader = Trader(self.history, caller, account, f"{name}-{number}", self._seed + number)
                self._trading.append(group.create_task(trader.run(self._stopping)))
            if number % 2:
                listener = Listener(self.history, client, (account,), f"reports of {account}")
                group.create_task(listener.run(partial(self._is_last, account)))
            if number < SESSIONS:
                session = await clients.enter_async_context(
                    client.session([account], cancel_on_disconnect=number == 0, heartbeat_interval_s=1)
                )
                speaker = SessionTrader(self.history, session, account, f"session-{number}", self._seed - number)
                self._trading.append(group.create_task(speaker.run(self._stopping)))
                group.create_task(speaker.listen(partial(self._is_last, account)))
        raw = RawReader(self.history, venue, ACCOUNTS[-2])
        group.create_task(raw.run(partial(self._is_last, ACCOUNTS[-2])))
        everybody = await clients.enter_async_context(venue.client())
        listener = Listener(self.history, everybody, ACCOUNTS, "the drop copy")
        group.create_task(listener.run(partial(self._is_last, ACCOUNTS[-1])))

    async def end(self, venue: Servers) -> None:
        """Lets the traders finish, and places one last order for each account, by which readers know the end.

        They must have heard everything up to it, as the answer to the call that placed it says where that is.
        """
        self._stopping.set()
        await asyncio.gather(*self._trading)
        async with venue.client() as client:
            for account in ACCOUNTS:
                terms = orders.OrderTerms(
                    account=account,
                    cl_ord_id=f"last-{account}",
                    symbol="AAPL",
                    side=types.SIDE_BUY,
                    ord_type=types.ORD_TYPE_LIMIT,
                    time_in_force=types.TIME_IN_FORCE_GTC,
                    qty="1",
                    price="1.00",
                )
                request = self.history.ask(types.REQUEST_KIND_SUBMIT, account, terms.cl_ord_id, terms)
                report = await client.submit(terms)
                note_answer(self.history, request, report)
                for reader in self.history.readers:
                    if account in reader.accounts:
                        reader.until_seq = report.seq

    def _is_last(self, account: str, report: orders.ExecutionReport) -> bool:
        return report.account == account and report.cl_ord_id == f"last-{account}"


def main() -> int:
    """Runs a campaign and says what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long faults are injected")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="ordergate-faults-") as folder:
        outcome = asyncio.run(campaign(Path(folder), options.seed, seconds=options.seconds))
    lies = check(outcome.history, outcome.truth)
    print(summary(outcome))
    for lie in lies[:SHOWN_MAX]:
        print(f"{lie.kind}: {lie.text}")
    print(f"{len(lies)} lies")
    return bool(lies)


def summary(outcome: Outcome) -> str:
    """What a campaign was about, in numbers."""
    history = outcome.history
    answered = sum(request.answered_at > 0 for request in history.requests)
    heard = sum(len(reader.reports) for reader in history.readers)
    faults = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in sorted(outcome.faults.items()))
    return (
        f"{len(history.requests)} requests ({answered} answered), {len(history.lookups)} lookups, "
        f"{heard} reports by {len(history.readers)} readers, {outcome.truth.last_seq} events; faults: {faults}"
    )


if __name__ == "__main__":
    sys.exit(main())
