"""What can go wrong between the log and its database."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from ordergate.types.v1 import types_pb2 as types

from runtime.errors import Refused

_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What asyncpg says when the server ends a session just as a query begins.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    # The server is starting, stopping or was told to end the session.
    asyncpg.OperatorInterventionError,
    # Disk full, out of memory, too many connections.
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    # Not made or not migrated yet.
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,
    asyncpg.InvalidAuthorizationSpecificationError,
)


class StoreUnavailable(Refused):
    """The database cannot be used at the moment; trying again can succeed. `detail` is for our log only."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            types.REASON_STORE_UNAVAILABLE, "the database of the audit log cannot be reached at the moment"
        )
        self.detail = detail


class LogCorrupt(RuntimeError):
    """What is stored is not what was signed, or not what the journal says: no entry may be added."""


@contextmanager
def reaching_the_store() -> Iterator[None]:
    """Turns the passing faults of a database into `StoreUnavailable`; all others are faults of ours."""
    try:
        yield
    except _PASSING as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
