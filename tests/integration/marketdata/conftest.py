"""One venue for each test of the marketdata server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.integration.marketdata.venue import Venue, venue_in


@pytest_asyncio.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    """A venue of this test's own."""
    async with venue_in(tmp_path) as started:
        yield started
