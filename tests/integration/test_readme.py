"""What the README shows works as it stands there."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from runtime.stack.home import environment
from runtime.stack.system import Stack

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", README, re.DOTALL)
ORDERS = [(kind, text) for kind, text in BLOCKS if "readme-" in text]
WITHIN_S = 60


def placed(text: str, system: Stack) -> str:
    """A block with the addresses of the running system, this environment's programs, and keys of its own."""
    host = system.settings.gateway_address
    replaced = text.replace("http://localhost:8000", system.rest_url).replace("localhost:50051", host)
    replaced = replaced.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    return replaced.replace("readme-", f"readme-{uuid4().hex[:8]}-")


async def run(command: list[str], system: Stack) -> str:
    """What a command writes; it must end well."""
    env = environment(system.settings) | {"TOKEN": system.token()}
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, env=env, check=False, timeout=WITHIN_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_shows_four_ways() -> None:
    """Three for a shell and one for Python."""
    assert [kind for kind, _ in ORDERS] == ["sh", "sh", "sh", "python"]


@pytest.mark.parametrize(("kind", "text"), ORDERS, ids=["curl", "grpcurl", "ordergate", "stubs"])
async def test_each_way_places_an_order(system: Stack, kind: str, text: str) -> None:
    """Run as it stands in the README, each way places the order that it shows, and tells its id."""
    if text.startswith("curl") and not shutil.which("curl"):
        pytest.skip("this machine has no curl; test_four_ways sends the same request by another client")
    shell = {"sh": ["sh", "-c"], "python": [sys.executable, "-c"]}[kind]
    block = placed(text, system)
    told = await run([*shell, block], system)
    (key,) = set(re.findall(r"readme-[0-9a-f]{8}-\d", block))
    url = f"{system.rest_url}/api/v1/accounts/DEMO/orders/by-client-id/{key}"
    async with httpx.AsyncClient() as client:
        found = await client.get(url, headers={"Authorization": f"Bearer {system.token()}"})
    assert found.status_code == httpx.codes.OK, (found.text, told)
    order = found.json()["order"]
    assert (order["terms"]["cl_ord_id"], order["terms"]["symbol"], order["terms"]["qty"]) == (key, "AAPL", "10")
    assert order["order_id"] in told


@pytest.mark.parametrize("command", re.findall(r"\.venv/bin/ordergate (audit \S+[^#\n]*|positions[^#\n]*)", README))
async def test_the_commands_that_end_by_themselves_work(system: Stack, command: str) -> None:
    """Each command of the README's list that ends by itself ends well."""
    await run(["sh", "-c", placed(f".venv/bin/ordergate {command}", system)], system)
