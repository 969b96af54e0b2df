"""The whole system as processes: what there is, in which order it starts and ends, and how each is known to work.

    async with stack(isolated(folder)) as system:
        await system.kill("matching")
        await system.restart("matching")

`make up` runs it with restarts; tests and benchmarks run it without, and kill
and restart servers themselves.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from runtime import tls
from runtime.settings import Settings
from runtime.stack import programs, valkey
from runtime.stack.gateways import FIRST as GATEWAY
from runtime.stack.gateways import gateways_of, process_names
from runtime.stack.home import SERVERS, held, ports_free
from runtime.stack.postgres import EmbeddedPostgres, migrate, short_folder
from runtime.stack.processes import POLL_INTERVAL_S, Failed, Process, Program, Report, keep_running
from runtime.tokens import DEV_KID, LIFETIME_S_MAX, issue

# What starts together; each waits for what stands before it. Of the gateways only the first is named.
START_STAGES = (
    ("postgres", "valkey", "matching"),
    ("compliance", "marketdata", GATEWAY),
    # Takes nothing before it has looked at every server.
    ("envoy",),
    ("market-maker",),
)
# The way in closes first, what others write to closes last.
STOP_ORDER = ("envoy", "market-maker", GATEWAY, "marketdata", "compliance", "matching", "valkey", "postgres")

SEEN_WITHIN_S = 30.0


def silent(_: str) -> None:
    """Reports to nobody."""


class Stack:
    """A system that runs, and the handles on its processes by name."""

    def __init__(
        self, settings: Settings, *, market_maker: bool = False, restarts: bool = False, report: Report = silent
    ) -> None:
        """Starts nothing yet.

        Args:
            settings: as `placed` gives them.
            market_maker: whether the simulated market maker quotes.
            restarts: whether a process that dies is started again.
            report: is told, in a line each, what becomes ready, dies and comes back.
        """
        self.settings = settings
        self.gateways: tuple[Settings, ...] = gateways_of(settings)
        """The settings of each gateway; the first one's are those of the system."""
        self._market_maker = market_maker
        self._restarts = restarts
        self._report = report
        self._postgres: EmbeddedPostgres | None = None
        self._processes: dict[str, Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._held = ExitStack()

    async def start(self) -> None:
        """Starts everything and waits until all of it is healthy.

        Raises:
            Failed: something is in the way, or a process did not come up; nothing runs then.
        """
        self._held.enter_context(held(self.settings))
        try:
            await ports_free(self.settings)
            self._processes = {program.name: Process(program) for program in self._programs()}
            for stage in START_STAGES:
                await self._start_together(self._with_every_gateway(stage))
            await self._seen_by_envoy(self.names)
        except BaseException:
            await self.stop()
            raise
        if self._restarts:
            for name in self._processes:
                self._keep(name)

    async def stop(self) -> None:
        """Ends everything in order; when it is cancelled, at once."""
        try:
            await self._leave_alone(*self._keepers)
            for name in STOP_ORDER:
                await asyncio.gather(*(self._stop_one(every) for every in self._with_every_gateway([name])))
        finally:
            self.kill_all_now()
            self._held.close()

    def kill_all_now(self) -> None:
        """Kills every process without waiting."""
        for process in self._processes.values():
            process.kill_now()

    async def kill(self, name: str) -> None:
        """Kills a process with SIGKILL and waits for its end."""
        await self._processes[name].kill()

    async def restart(self, name: str) -> None:
        """Ends a process, if it runs, starts it again and waits until it is healthy.

        Raises:
            Failed: it did not come up.
        """
        process = self._processes[name]
        await self._leave_alone(name)
        await process.stop()
        await process.start()
        await process.wait_ready()
        await self._seen_by_envoy([name])
        if self._restarts:
            self._keep(name)

    async def wait_healthy(self, *names: str) -> None:
        """Waits until the processes named, or all, are healthy.

        Raises:
            Failed: one has ended, or needs too long.
        """
        await asyncio.gather(*(self._processes[name].wait_ready() for name in names or self._processes))
        await self._seen_by_envoy(names or self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The processes there are."""
        return tuple(self._processes)

    def pid(self, name: str) -> int | None:
        """The process id of `name` while it runs."""
        return self._processes[name].pid

    def log(self, name: str) -> Path:
        """The file that `name` writes to."""
        return self._processes[name].program.log

    @property
    def rest_url(self) -> str:
        """Where REST is served, without a closing slash."""
        host = self.settings.address("gateway").rpartition(":")[0]
        scheme = "https" if tls.is_on(self.settings) else "http"
        return f"{scheme}://{host}:{self.settings.envoy_port}"

    def token(
        self, *roles: str, accounts: Sequence[str] = ("DEMO",), subject: str = "demo", ttl_s: int = LIFETIME_S_MAX
    ) -> str:
        """A token of this system, for a trader if no role is named."""
        return issue(
            self.settings.auth_dev_key_file.read_bytes(),
            kid=DEV_KID,
            subject=subject,
            roles=roles or ("trader",),
            accounts=accounts,
            ttl_s=ttl_s,
            issuer=self.settings.auth_issuer,
            audience=self.settings.auth_audience,
        )

    def _programs(self) -> list[Program]:
        """What there is to run; from here on the settings name the database."""
        found = [*self._database(), *self._budgets()]
        found += [programs.server(self.settings, name) for name in SERVERS if name != GATEWAY]
        for name, settings in zip(process_names(self.gateways), self.gateways, strict=True):
            found.append(programs.server(settings, GATEWAY, name))
        found.append(programs.proxy(self.settings, self.gateways))
        if self._market_maker:
            found.append(programs.market_maker(self.settings))
        return found

    def _database(self) -> Iterator[Program]:
        """The embedded PostgreSQL, unless there is another one."""
        if self.settings.database_url is None:
            socket_folder = self._held.enter_context(short_folder(self.settings.home / "socket"))
            log = programs.log_file(self.settings, "postgres")
            self._postgres = EmbeddedPostgres(self.settings.home / "database", socket_folder, log)
            self._learn({"database_url": self._postgres.url()})
            yield self._postgres.program()

    def _budgets(self) -> Iterator[Program]:
        """The embedded Valkey, where several gateways have nothing else to share their budgets with."""
        server = valkey.binary()
        if self.settings.redis_url is None and len(self.gateways) > 1 and server is not None:
            folder = self.settings.home / "valkey"
            folder.mkdir(mode=0o700, exist_ok=True)
            folder = self._held.enter_context(short_folder(folder))
            self._learn({"redis_url": valkey.url(folder)})
            yield valkey.program(server, folder, programs.log_file(self.settings, "valkey"))

    def _learn(self, found: dict[str, str]) -> None:
        self.settings = self.settings.model_copy(update=found)
        self.gateways = tuple(settings.model_copy(update=found) for settings in self.gateways)

    def _with_every_gateway(self, names: Sequence[str]) -> list[str]:
        """The names, with those of all gateways in place of the first one's."""
        every = process_names(self.gateways)
        return [each for name in names for each in (every if name == GATEWAY else (name,))]

    async def _stop_one(self, name: str) -> None:
        if name in self._processes:
            await self._processes[name].stop()

    async def _start_together(self, stage: Sequence[str]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for name in stage:
                    group.create_task(self._start_database() if name == "postgres" else self._start_one(name))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _start_one(self, name: str) -> None:
        if name not in self._processes:
            return
        process = self._processes[name]
        started_s = asyncio.get_running_loop().time()
        await process.start()
        await process.wait_ready()
        self._report(f"{name} ready after {asyncio.get_running_loop().time() - started_s:.1f} s")

    async def _start_database(self) -> None:
        if self._postgres is not None:
            await self._postgres.prepare()
        await self._start_one("postgres")
        url = self.settings.database_url
        assert url is not None, "_programs chose one"
        await migrate(url, programs.log_file(self.settings, "migration"))
        self._report("schema up to date")

    async def _seen_by_envoy(self, names: Sequence[str]) -> None:
        """Waits until Envoy, if it runs, has seen those of the gateways among `names` that serve; a new Envoy, all.

        It looks every 0.4 s; until then it would answer that there is nobody.

        Raises:
            Failed: it did not see them.
        """
        wanted = self._with_every_gateway([GATEWAY]) if "envoy" in names else names
        ours = zip(process_names(self.gateways), self.gateways, strict=True)
        named = [own for name, own in ours if name in wanted and self.pid(name) is not None]
        gateways = [own for own in named if await programs.serving(own.gateway_address)]
        try:
            async with asyncio.timeout(SEEN_WITHIN_S):
                while self.pid("envoy") is not None and not await programs.seen_by_envoy(self.settings, gateways):
                    await asyncio.sleep(POLL_INTERVAL_S)
        except TimeoutError:
            raise Failed(f"envoy does not see that the gateways serve; log: {self.log('envoy')}") from None

    def _keep(self, name: str) -> None:
        self._keepers[name] = asyncio.create_task(keep_running(self._processes[name], self._report))

    async def _leave_alone(self, *names: str) -> None:
        """From here on nobody starts these again."""
        keepers = [self._keepers.pop(name) for name in names if name in self._keepers]
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)


@asynccontextmanager
async def stack(
    settings: Settings, *, market_maker: bool = False, restarts: bool = False, report: Report = silent
) -> AsyncIterator[Stack]:
    """A whole system that runs as long as the block does; see `Stack`.

    Raises:
        Failed: it did not come up.
    """
    system = Stack(settings, market_maker=market_maker, restarts=restarts, report=report)
    await system.start()
    try:
        yield system
    finally:
        await system.stop()
