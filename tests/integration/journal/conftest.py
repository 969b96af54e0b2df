"""A database of each test's own for its journal."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest_asyncio

from runtime.stack.postgres import EmbeddedPostgres


@pytest_asyncio.fixture
async def journal_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of an empty database."""
    name = f"journal_{uuid4().hex}"
    superuser = await asyncpg.connect(postgres.url("postgres"))
    try:
        await superuser.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        yield postgres.url(name)
        await superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await superuser.close()
