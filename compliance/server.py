"""The compliance server: its parts and how they hang together.

1. The store and the reader share a pool of connections to PostgreSQL.
2. The log follows the journal into the store, and signs checkpoints.
3. The service reads and proves.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import NoReturn

from ordergate.compliance.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server

from compliance.checkpoint import Signer
from compliance.log import MS_PER_S, AuditLog
from compliance.reader import Reader
from compliance.service import AuditService
from compliance.store import Store, connections
from runtime.lifetimes import Lifetimes
from runtime.logs import get_logger
from runtime.serve import Health, Register, end_if_failed, serve
from runtime.settings import Settings

log = get_logger(__name__)


@asynccontextmanager
async def parts(settings: Settings, health: Health) -> AsyncIterator[Sequence[Register]]:
    """Everything that the server consists of; it serves while the database can be reached.

    Raises:
        ValueError: there is no database or no key to sign with.
        LogCorrupt: what is stored is not what was signed.
    """
    signer = _signer(settings)
    if settings.database_url is None:
        raise ValueError("DATABASE_URL is not set: the audit log needs a PostgreSQL")
    async with connections(settings.database_url) as pool:
        reader = Reader(pool)
        audit_log = AuditLog(Store(pool, reader, signer), reader, settings, health)
        await audit_log.open()
        lifetimes = Lifetimes(settings)
        interval_s = settings.audit_checkpoint_interval_ms / MS_PER_S
        service = AuditService(reader, signer.verifier_key, lifetimes, interval_s)
        watching = asyncio.create_task(lifetimes.run(), name="lifetimes")
        watching.add_done_callback(end_if_failed)
        running = [asyncio.create_task(work) for work in (audit_log.follow(), audit_log.store(), audit_log.publish())]
        health.on_drain(partial(lifetimes.drain, settings.drain_notice_s))
        for task in running:
            task.add_done_callback(partial(_ended, health))
        try:
            yield [partial(add_AuditServiceServicer_to_server, service)]
        finally:
            watching.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(watching, *running, return_exceptions=True)


def main() -> None:
    """Runs the compliance server until it is told to stop."""
    serve("compliance", parts, Settings())


def _signer(settings: Settings) -> Signer:
    path = settings.audit_key_file
    try:
        return Signer.from_pem(settings.audit_origin, path.read_bytes())
    except OSError as error:
        raise ValueError(
            f"the key of the audit log, {path}, cannot be read ({error}): make one, or name yours"
        ) from error
    except ValueError as error:
        raise ValueError(f"the key of the audit log, {path}: {error}") from error


def _ended(health: Health, task: asyncio.Task[NoReturn]) -> None:
    """The log goes no further: what there is can still be read and proved, and health says why."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the audit log stands still", error=str(error), exc_info=error)
        health.set(False, f"the audit log stands still: {error}")


if __name__ == "__main__":
    main()
