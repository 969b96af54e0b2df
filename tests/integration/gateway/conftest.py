"""What the gateway's tests share: one venue for all that leave it running, and one for each that does not."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.gateway.venue import Venue

NewVenue = Callable[..., Venue]


@pytest_asyncio.fixture
async def venue(shared_venue: Venue) -> Venue:
    """A gateway with its link to matching, shared by all tests that leave it so.

    Between two tests nothing moves here: a test that needs no loop may take longer than a link's silence may last.
    """
    await shared_venue.becomes(serving=True)
    return shared_venue


@pytest_asyncio.fixture(scope="session")
async def shared_venue(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Venue]:
    """What `venue` gives."""
    shared = Venue(tmp_path_factory.mktemp("venue"))
    await shared.start_matching()
    await shared.start_gateway()
    await shared.becomes(serving=True)
    yield shared
    await shared.stop()


@pytest_asyncio.fixture
async def own_venue(tmp_path: Path) -> AsyncIterator[NewVenue]:
    """Makes a venue that a test may break; it is not started yet."""
    async with AsyncExitStack() as stack:

        def make(**overrides: Any) -> Venue:
            made = Venue(tmp_path, **overrides)
            stack.push_async_callback(made.stop)
            return made

        yield make
