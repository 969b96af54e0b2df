"""The long run of the core against the plain venue: `python -m tests.simulation.sim --commands 1000000 --seed 1`.

A run is a row of lives: a life begins with empty venues, carries out random
commands, and ends with everything cancelled. A mismatch ends the run with its
seed and command, the commands shrunk to a few, and a script that shows it.
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.pair import Pair
from tests.simulation.plain.state import KEYS_MAX
from tests.simulation.shrinking import found_by, kind_of, shrunk, write_script
from tests.simulation.streams import Step, Stream

LIVES_COMMANDS = (2_000, 6_000, 20_000)
"""Lengths of the lives, in turn: what a short one finds is shrunk more easily."""
KEYS_KEPT = (40, 1_000, KEYS_MAX)
"""Windows of the lives, in turn: what is forgotten is tested by small ones."""
CHECKED_PART = 0.1
"""Of the orders, how many are checked before they are placed."""
INVARIANTS_EVERY, STATE_EVERY = 10, 100


class Failed(AssertionError):
    """The commands of a life until the one at which it failed."""

    def __init__(self, life: "Life", error: Exception) -> None:
        super().__init__(f"life {life.name} at command {len(life.steps)}: {error}")
        self.life, self.error = life, error


@dataclass
class Life:
    """One row of commands for new venues."""

    seed: int
    number: int
    commands: int = 0
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = f"{self.seed}/{self.number}"
        self.random = Random(self.name)
        self.commands = self.commands or LIVES_COMMANDS[self.number % len(LIVES_COMMANDS)]
        self.keys_max = KEYS_KEPT[self.number // len(LIVES_COMMANDS) % len(KEYS_KEPT)]
        self.pair = Pair(self.keys_max)
        self.stream = Stream(self.random, self.pair.plain)

    def live(self) -> Pair:
        """Carries out all commands.

        Raises:
            Failed: the venues do not agree, or something does not hold.
        """
        try:
            for number in range(1, self.commands + 1):
                self._step(number)
            self._drain()
        except Exception as error:
            raise Failed(self, error) from error
        return self.pair

    def _step(self, number: int) -> None:
        step = self.stream.next()
        self.steps.append(step)
        if isinstance(step.command.body, c.NewOrder) and self.random.random() < CHECKED_PART:
            self.pair.check(*step)
        self.pair.execute(*step)
        if number % INVARIANTS_EVERY == 0:
            self.pair.check_invariants()
        if number % STATE_EVERY == 0:
            self.pair.check_state()

    def _drain(self) -> None:
        """Everything is cancelled: a kill switch for the firm, released first where it is engaged."""
        firm = types.KILL_SWITCH_SCOPE_FIRM
        for body in (c.ReleaseKillSwitch(firm, "", "drain-1", "olga"), c.EngageKillSwitch(firm, "", "drain-2")):
            step = Step(c.Command(body, "ann"), self.stream.now + len(self.steps))
            self.stream.now = step.now
            self.steps.append(step)
            self.pair.execute(*step)
        self.pair.check_invariants()
        self.pair.check_state()
        self.pair.check_drained()


def explain(failed: Failed, folder: Path) -> str:
    """Shrinks what failed and writes the script that shows it."""
    life, kind = failed.life, kind_of(failed.error if isinstance(failed.error, Exception) else failed)
    few = shrunk(life.steps, kind, life.keys_max)
    path = folder / f"mismatch_{life.seed}_{life.number}.py"
    write_script(path, few, kind, str(failed.error), life.keys_max)
    still = found_by(few, life.keys_max)
    return (
        f"seed {life.seed}, life {life.number}, command {len(life.steps)}: {kind}\n{failed.error}\n"
        f"again: python -m tests.simulation.sim --seed {life.seed} --life {life.number}\n"
        f"{len(few)} commands show it ({still or 'not repeatable alone'}): {path}"
    )


def run(commands: int, seed: int, folder: Path, first_life: int = 0) -> int:
    """Lives until so many commands are done; gives the exit code."""
    begun, done, number = monotonic(), 0, first_life
    kinds: Counter[tuple[str, int, int]] = Counter()
    while done < commands:
        length = LIVES_COMMANDS[number % len(LIVES_COMMANDS)]
        life = Life(seed, number, min(length, commands - done))
        try:
            pair = life.live()
        except Failed as failed:
            print(explain(failed, folder), file=sys.stderr)
            return 1
        kinds += pair.tally.kinds
        done, number = done + life.commands, number + 1
        passed = monotonic() - begun
        print(
            f"{done:>9,} of {commands:,} commands  {done / passed:,.0f}/s  life {life.name}: {pair.plain.seq:,} events"
        )
    print(summary(kinds))
    return 0


def names(kinds: Counter[tuple[str, int, int]]) -> Counter[str]:
    """What has happened, in the words of the contract: kind of event and reason."""
    total: Counter[str] = Counter()
    exec_types: dict[int, str] = {number: name for name, number in types.ExecType.items()}
    reasons: dict[int, str] = {number: name for name, number in types.Reason.items()}
    for (kind, exec_type, reason), count in kinds.items():
        name = exec_types[exec_type].removeprefix("EXEC_TYPE_") if exec_type else kind
        why = reasons[reason].removeprefix("REASON_") if reason else ""
        total[f"{name} {why}".strip()] += count
    return total


def summary(kinds: Counter[tuple[str, int, int]]) -> str:
    """What has happened, the most frequent first."""
    return "\n".join(f"{count:>9,} {name}" for name, count in names(kinds).most_common())


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description="The core against the plain venue, for long.")
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(".build/sim"), help="where a script is left")
    parser.add_argument("--life", type=int, default=0, help="with which life of the seed to begin")
    given = parser.parse_args()
    return run(given.commands, given.seed, given.folder, given.life)


if __name__ == "__main__":
    sys.exit(main())
