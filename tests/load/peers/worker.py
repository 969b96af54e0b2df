"""What each measured process runs: waits for its turn, plays the operations on a fresh book, tells how long it took.

It speaks over stdin and stdout: first a line about itself, then for each line
that comes in one about that turn. Standard library only. All processes collect
garbage as our servers do: rarely.
"""

import gc
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.load.peers.operations import Operation, Report, digest, load

GC_YOUNG_OBJECTS = 100_000

Play = Callable[[Sequence[Operation]], Callable[[], Iterable[Report]]]
"""Carries out all operations on a fresh book; gives what tells its reports. Only the first is timed."""


def serve(version: str, fresh: Callable[[], Play]) -> None:
    """Takes turns until the other side has enough; `fresh` makes a book, untimed."""
    operations = load(Path(sys.argv[-1]))
    gc.freeze()
    gc.set_threshold(GC_YOUNG_OBJECTS, 50, 100)
    _tell({"version": version})
    for _ in sys.stdin:
        _tell(_turn(fresh(), operations))


def _turn(play: Play, operations: Sequence[Operation]) -> dict[str, Any]:
    gc.collect()
    began = perf_counter()
    reports = play(operations)
    seconds = perf_counter() - began
    return {"seconds": seconds, "digest": digest(reports())}


def _tell(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)
