"""What the tests of the log share: a log at work, a superuser, a journal."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.integration.compliance.journal import Journal
from tests.integration.compliance.running import Running, log_over


@pytest_asyncio.fixture
async def running(database_url: str) -> AsyncIterator[Running]:
    """A log over a database of this test's own."""
    async with log_over(database_url) as log:
        yield log


@pytest_asyncio.fixture
async def superuser(database_url: str) -> AsyncIterator[Any]:
    """A connection that may do anything, and for which triggers do not fire."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("SET session_replication_role = replica")
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def journal() -> Journal:
    """A journal of 700 events: two finished tiles and an unfinished one."""
    made = Journal()
    made.orders(700 - made.seq)
    return made
