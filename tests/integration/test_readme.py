"""What the README shows works as it stands there."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

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
    """Run as it stands in the README, each way ends well and tells the order's id."""
    if text.startswith("curl") and not shutil.which("curl"):
        pytest.skip("this machine has no curl; test_four_ways sends the same request by another client")
    shell = {"sh": ["sh", "-c"], "python": [sys.executable, "-c"]}[kind]
    told = await run([*shell, placed(text, system)], system)
    assert re.search(r"order_?id|\b\d+\b", told, re.IGNORECASE), told


@pytest.mark.parametrize("command", re.findall(r"\.venv/bin/ordergate (audit \S+[^#\n]*|positions[^#\n]*)", README))
async def test_the_commands_that_end_by_themselves_work(system: Stack, command: str) -> None:
    """Each command of the README's list that ends by itself ends well."""
    await run(["sh", "-c", placed(f".venv/bin/ordergate {command}", system)], system)
