"""What the fault tests share: one short campaign without any fault, to be forged."""

import copy
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.faults.campaign import Outcome, campaign
from tests.integration.faults.servers import Servers, servers


@pytest_asyncio.fixture(scope="session")
async def quiet_campaign(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A true history, and its journal."""
    return await campaign(tmp_path_factory.mktemp("quiet"), 1, settle_s=2.0)


@pytest.fixture
def true(quiet_campaign: Outcome) -> Outcome:
    """A copy of it that may be changed."""
    return copy.deepcopy(quiet_campaign)


@pytest_asyncio.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Servers]:
    """Matching and two gateways, every way between them over a network that fails."""
    async with servers(tmp_path, gateways=2, heartbeat_interval_s=1.0, gateway_grace_s=1.0) as started:
        yield started
