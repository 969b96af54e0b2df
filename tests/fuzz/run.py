"""`make fuzz`: nonsense of all kinds against a whole system that runs for nothing else.

Prints what was sent and how it was answered; exits with 1 when an answer was
not what it has to be. The seed is printed first; `--seed` repeats a run.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from runtime.stack.home import isolated
from runtime.stack.system import Stack, stack
from tests.fuzz.rest import Rest, token_of
from tests.fuzz.wire import fuzz_wire


def main() -> None:
    """Runs it; exits with 1 when it found something."""
    options = _options()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="ordergate-fuzz-") as folder:
        findings = asyncio.run(_fuzz(Path(folder), options))
    for finding in findings:
        print(f"\nFOUND {finding}")
    print(f"\n{len(findings)} findings" if findings else "\nnothing found")
    sys.exit(bool(findings))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="repeats the run with this seed")
    parser.add_argument("--cases", type=int, default=5_000, help="requests over REST, at least")
    parser.add_argument("--messages", type=int, default=6_000, help="calls with mutated messages")
    parser.add_argument("--connections", type=int, default=4_000, help="connections with wrong frames")
    return parser.parse_args()


async def _fuzz(folder: Path, options: argparse.Namespace) -> list[str]:
    async with stack(isolated(folder / "home")) as system:
        return [*await _fuzz_rest(system, options), *await _fuzz_wire(system, options)]


async def _fuzz_rest(system: Stack, options: argparse.Namespace) -> list[str]:
    began_s = time.monotonic()
    with Rest(system.rest_url, partial(token_of, system), options.seed) as rest:
        findings = await asyncio.to_thread(rest.run, options.cases)
    tally = rest.tally
    print(f"REST: {tally.requests} requests in {time.monotonic() - began_s:.0f} s, {tally.lines} lines of streams read")
    print(f"  {_counted(tally.statuses)}")
    for operation, statuses in tally.by_operation.items():
        print(f"  {operation}: {_counted(statuses)}")
    return findings


async def _fuzz_wire(system: Stack, options: argparse.Namespace) -> list[str]:
    began_s = time.monotonic()
    findings, tally = await fuzz_wire(system, options.seed, options.messages, options.connections)
    print(f"wire: {time.monotonic() - began_s:.0f} s")
    print(f"  mutated messages: {_counted(tally.messages)}")
    print(f"  wrong connections: {_counted(tally.connections)}")
    print(f"  healthy clients beside it: {_counted(tally.neighbours)}")
    print(f"  memory: {_counted({name: f'+{growth >> 20} MiB' for name, growth in tally.growth_bytes.items()})}")
    return findings


def _counted(counts: Mapping[str, object] | Mapping[int, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


if __name__ == "__main__":
    main()
