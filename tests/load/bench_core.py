"""`make bench-core`: what the core does in a second, beside the order books of the registries in the same run.

ARGS names parts: peers, execution, memory, growth, journal, recovery; all of
them without. Each book and each measurement is a process of its own. The books
take turns with the same operations, so that noise of the machine meets all of
them, and must come to the same reports.

Beside the others ours does more for each operation: it knows the request if it
comes again, checks every limit, takes holds, settles cash, fees and positions,
and tells complete events.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from matching.storage import SNAPSHOTS
from native.modules import how_it_runs
from tests.load.core_runs import ASIDE
from tests.load.figures import ROOT, machine, show, show_conditions, store
from tests.load.latency import Latencies
from tests.load.peers.installed import FLOOR, OWN, PLACE, Peer, books
from tests.load.peers.operations import made, save

PARTS = ("peers", "execution", "memory", "growth", "journal", "recovery")
BATCHES = (1, 16, 256, 2_048)
RESTING = (1_000, 10_000, 100_000, 1_000_000)
INSTRUMENTS = (1, 10, 100, 1_000)
INSTRUMENTS_RESTING = 10_000
SEED = 1


class Player:
    """A book at play in its own process."""

    def __init__(self, peer: Peer, operations: Path) -> None:
        self.name = peer.name
        self.seconds: list[float] = []
        self.digests: set[str] = set()
        self._process = subprocess.Popen(
            [*peer.command, str(operations)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | peer.environment,
        )
        self.version: str = self._hear()["version"]

    def play(self) -> None:
        """Takes one turn."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        told = self._hear()
        self.seconds.append(told["seconds"])
        self.digests.add(told["digest"])

    def stop(self) -> None:
        """Ends the process."""
        self._process.communicate()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self._process.wait()}")
        told: dict[str, Any] = json.loads(line)
        return told


@contextmanager
def playing(peer: Peer, operations: Path) -> Iterator[Player]:
    """A book at play until the end of the block."""
    player = Player(peer, operations)
    try:
        yield player
    finally:
        player.stop()


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Operations a second of every book, and how ours stands to each."""
    PLACE.mkdir(parents=True, exist_ok=True)
    operations = PLACE / "operations.json"
    save(operations, made(options.operations, SEED))
    found, missing = books()
    for name, reason in missing.items():
        print(f"not measured: {name}: {reason}")
    with ExitStack() as stack:
        players = [stack.enter_context(playing(peer, operations)) for peer in found]
        for player in players:
            print(f"{player.name:32} {player.version}")
        for _ in range(options.rounds):
            for player in players:
                player.play()
    return {"not_measured": missing} | _standing(options.operations, players)


def _standing(operations: int, players: list[Player]) -> dict[str, Any]:
    """The figures of all books whose reports are those of the floor; ours must be."""
    by_name = {player.name: player for player in players}
    expected, own = by_name[FLOOR].digests, by_name[OWN]
    assert len(expected) == 1, "the floor gives the same reports each time"
    assert own.digests == expected, "our reports are those of a plain book"
    figures: dict[str, Any] = {"other_reports": [one.name for one in players if one.digests != expected]}
    for player in players:
        if player.digests != expected:
            continue
        figures[f"{player.name}_per_s"] = round(operations / statistics.median(player.seconds))
        figures[f"{player.name}_best_per_s"] = round(operations / min(player.seconds))
        if not player.name.startswith(OWN):
            figures[f"ratio_to_{player.name}"] = round(min(player.seconds) / min(own.seconds), 2)
    return figures


def run(*arguments: object) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "tests.load.core_runs", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return {name: Latencies(**value) if isinstance(value, dict) else value for name, value in figures.items()}


def growth(options: argparse.Namespace) -> dict[str, Any]:
    """Commands a second with more and more orders at rest, and over more and more instruments."""
    figures: dict[str, Any] = {}
    kinds = {
        "resting": [(count, count, 1) for count in RESTING if count <= options.resting],
        "instruments": [(count, INSTRUMENTS_RESTING, count) for count in INSTRUMENTS],
    }
    for kind, points in kinds.items():
        rates = []
        for count, orders, instruments in points:
            rates.append(run("growth", orders, instruments, options.commands)["commands_per_s"])
            figures[f"{kind}_{count}_commands_per_s"] = rates[-1]
        figures[f"{kind}_last_to_first"] = round(rates[-1] / rates[0], 2)
    return figures


def journal(options: argparse.Namespace) -> dict[str, Any]:
    """Batches of several sizes, with the barrier and without."""
    figures: dict[str, Any] = {}
    for size in BATCHES:
        for barrier in (1, 0):
            with place() as folder:
                told = run("journal", folder, min(options.commands, size * 2_000), size, barrier)
            prefix = f"batches_of_{size}" + ("" if barrier else "_no_barrier")
            figures |= {f"{prefix}_{name}": value for name, value in told.items()}
    return figures


def recovery(options: argparse.Namespace) -> dict[str, Any]:
    """A start from the whole journal, and one from a snapshot and the journal's tail; both end in the same state."""
    with place() as folder:
        figures = run("record", folder, options.recovered)
        told = run("recover", folder)
        (folder / ASIDE).rename(folder / SNAPSHOTS)
        shorter = run("recover", folder)
    assert told.pop("state_hash") == shorter.pop("state_hash"), "recovery comes to one state, wherever it begins"
    figures |= {f"replay_{name}": value for name, value in told.items()}
    figures["replay_commands_per_s"] = round(told["commands"] / told["seconds"])
    return figures | {f"snapshot_and_tail_{name}": value for name, value in shorter.items()}


@contextmanager
def place() -> Iterator[Path]:
    """A folder for a journal, on the disk that the repository is on: what is in /tmp may be in memory."""
    (ROOT / ".build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-core-", dir=ROOT / ".build") as folder:
        yield Path(folder)


def conditions(options: argparse.Namespace) -> dict[str, Any]:
    """What stands beside every figure."""
    return machine("of which one process at a time uses one") | {
        "core": how_it_runs(),
        "it does": "idempotency, every limit of the risk rules, holds, fees, ledger, complete events",
        "operations": f"{options.operations} of seed {SEED}: 35 % cancels, 15 % take, the others rest",
        "durability": "one fdatasync for each batch where nothing else is said",
        "rounds": options.rounds,
    }


def main() -> None:
    """Measures, prints, and writes JSON beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; everything if none is named")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each book")
    parser.add_argument("--operations", type=int, default=100_000, help="operations of a turn")
    parser.add_argument("--commands", type=int, default=50_000, help="commands of one turn of growth and journal")
    parser.add_argument("--resting", type=int, default=RESTING[-1], help="most orders at rest")
    parser.add_argument("--recovered", type=int, default=1_000_000, help="commands in the journal that is recovered")
    options = parser.parse_args()
    known = conditions(options)
    show_conditions(known)
    figures: dict[str, Any] = {}
    for part in options.parts or PARTS:
        found = measure(part, options)
        print(f"-- {part}")
        show({name: value for name, value in found.items() if not isinstance(value, (dict, list)) or value})
        figures |= {f"{part}_{name}": value for name, value in found.items()}
    store("bench-core", known, figures)


def measure(part: str, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one part."""
    match part:
        case "peers":
            return compare(options)
        case "execution":
            return run("execution", options.operations)
        case "memory":
            return run("memory", options.resting)
        case "growth":
            return growth(options)
        case "journal":
            return journal(options)
        case _:
            return recovery(options)


if __name__ == "__main__":
    main()
