"""The whole system as a library: started once, its servers killed and started again."""

import httpx
import pytest

from runtime.stack.home import SERVERS
from runtime.stack.programs import serving
from runtime.stack.system import Stack


async def test_everything_is_healthy(system: Stack) -> None:
    """All servers serve, and Envoy passes what the gateway says of itself."""
    await system.wait_healthy()
    async with httpx.AsyncClient(base_url=system.rest_url) as client:
        response = await client.get("/health/ready")
    assert response.status_code == 200
    assert response.json()["status"] == "COMPONENT_STATUS_UP"


@pytest.mark.parametrize("name", [*SERVERS, "envoy", "postgres"])
async def test_a_killed_process_can_be_started_again(system: Stack, name: str) -> None:
    """Each process, killed, stays dead until it is started again, as another process; then all is healthy."""
    before = system.pid(name)
    await system.kill(name)
    assert system.pid(name) is None
    await system.restart(name)
    assert system.pid(name) not in (None, before)
    await system.wait_healthy()


async def test_a_restart_is_orderly(system: Stack) -> None:
    """A server that runs is told to end before it is started again."""
    before = system.pid("marketdata")
    await system.restart("marketdata")
    assert system.pid("marketdata") not in (None, before)
    assert await serving(system.settings.marketdata_address)


async def test_tokens_are_taken(system: Stack) -> None:
    """A token of the system opens what its role may see, and nothing without one."""
    async with httpx.AsyncClient(base_url=system.rest_url) as client:
        headers = {"Authorization": f"Bearer {system.token()}"}
        assert (await client.get("/api/v1/portfolio", params={"account": "DEMO"}, headers=headers)).status_code == 200
        assert (await client.get("/api/v1/portfolio", params={"account": "DEMO"})).status_code == 401
