"""The quickstart of the SDK works as it stands there, and is as short as it says."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.stack.home import environment

if TYPE_CHECKING:
    from runtime.stack.system import Stack

README = (Path(__file__).resolve().parents[2] / "clients" / "README.md").read_text()
(QUICKSTART,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
LINES_MAX = 15
WITHIN_S = 60


def test_the_quickstart_is_fifteen_lines() -> None:
    """Lines with something on them."""
    assert len([line for line in QUICKSTART.splitlines() if line.strip()]) <= LINES_MAX


async def test_the_quickstart_places_an_order_and_hears_of_it(system: Stack) -> None:
    """Run as it stands, against a running system, it prints the report of its own order."""
    code = QUICKSTART.replace("localhost:50051", system.settings.gateway_address)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        env=environment(system.settings) | {"TOKEN": system.token()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN_S):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    seq, order_id, leaves_qty = out.decode().split()
    assert (seq, leaves_qty) == (order_id, "10")
