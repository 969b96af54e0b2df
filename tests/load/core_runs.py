"""Single measurements of the core and its journal, each in a process of its own: none inherits another's memory.

`bench_core` runs them as `python -m tests.load.core_runs <what> <numbers>`; each
prints its figures as one line of JSON. Inputs are made beforehand; only the
work that is named is timed.
"""

import gc
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import psutil

from matching.convert import decode_command, encode_events
from matching.core.commands import Command
from matching.core.engine import Engine
from matching.core.events import Replay
from matching.encoding import journal_entry
from matching.journal.disk import SYSTEM_DISK, Disk, SystemDisk
from matching.journal.file import FileJournal
from matching.recovery import Rebuilt
from matching.snapshots.file import FileSnapshots
from matching.snapshots.form import Snapshot
from matching.state import dump, state_hash
from matching.storage import open_files
from tests.load.core_flow import Clock, apart, command, decoded, opened, opening, resting, symbols
from tests.load.latency import percentiles
from tests.load.peers.operations import Market
from tests.load.peers.worker import GC_YOUNG_OBJECTS

FEW = 1_000
TURNS = 3
RECORDED_BATCH_COMMANDS = 256
TAIL_COMMANDS = 10_000
"""What a start has to carry out again after the snapshot."""
ASIDE = "aside"
"""Where the snapshot waits, so that a recovery can begin without it."""
SEGMENT_BYTES = 64 * 1024 * 1024


class NoBarrier(SystemDisk):
    """The system's disk, except that nobody waits for it."""

    def fdatasync(self, fd: int) -> None:
        """Leaves it to the kernel when the data get there."""


def execute_all(engine: Engine, commands: list[Command], clock: Clock) -> float:
    """Commands a second. What the core tells is kept until the end, as a batch keeps it."""
    execute, told, times = engine.execute, [], clock.times(len(commands))
    gc.collect()
    began = time.perf_counter()
    for one, now_unix_ns in zip(commands, times, strict=True):
        told.append(execute(one, now_unix_ns))
    seconds = time.perf_counter() - began
    assert not any(isinstance(events, Replay) for events in told)
    return len(commands) / seconds


def execution(commands: int) -> dict[str, Any]:
    """Commands a second, and how long single commands take, by kind."""
    listed, clock = symbols(1), Clock()
    flow = list(islice(Market(1).operations(), commands))
    made = decoded(command(one, listed[0]) for one in flow)
    rates = [execute_all(opened(listed, clock), made, clock) for _ in range(TURNS)]
    engine, taken = opened(listed, clock), list[float]()
    fills = list[bool]()
    gc.collect()
    for one in made:
        now_unix_ns = clock.next()
        began = time.perf_counter_ns()
        told = engine.execute(one, now_unix_ns)
        taken.append((time.perf_counter_ns() - began) / 1e9)
        fills.append(not isinstance(told, Replay) and len(told) > 1)
    kinds = {
        "execute": taken,
        "execute_resting": [s for s, one, fill in zip(taken, flow, fills, strict=True) if one.qty_lots and not fill],
        "execute_trading": [seconds for seconds, fill in zip(taken, fills, strict=True) if fill],
        "execute_cancel": [seconds for seconds, one in zip(taken, flow, strict=True) if not one.qty_lots],
    }
    return {
        "commands_per_s": round(statistics.median(rates)),
        "best_commands_per_s": round(max(rates)),
    } | {name: percentiles(seconds).as_dict() for name, seconds in kinds.items()}


def memory(most: int) -> dict[str, Any]:
    """Bytes that each order which rests takes, with everything that is kept about it."""
    listed, clock, random = symbols(1), Clock(), Random(1)
    engine, process, bytes_at = opened(listed, clock), psutil.Process(), dict[int, int]()
    for number in range(1, most + 1):
        told = engine.execute(decode_command(command(apart(number, random), listed[0])), clock.next())
        assert not isinstance(told, Replay)
        assert len(told) == 1
        if number in (FEW, most):
            gc.collect()
            bytes_at[number] = process.memory_info().rss
    return {"bytes_per_resting_order": round((bytes_at[most] - bytes_at[FEW]) / (most - FEW))}


def growth(resting_orders: int, instruments: int, commands: int) -> dict[str, Any]:
    """Commands a second while so many orders rest, over so many instruments; median of some turns."""
    listed, clock = symbols(instruments), Clock()
    engine = opened(listed, clock)
    markets = resting(engine, listed, resting_orders, clock)
    flows = [market.steady(resting_orders // instruments) for market in markets]
    rates = []
    for _ in range(TURNS):
        made = decoded(command(next(flows[n % instruments]), listed[n % instruments]) for n in range(commands))
        rates.append(execute_all(engine, made, clock))
    return {"commands_per_s": round(statistics.median(rates))}


def inputs(commands: int) -> Iterator[bytes]:
    """What a venue is sent: its opening, and then so many commands."""
    (symbol,) = symbols(1)
    yield from opening([symbol])
    yield from (command(one, symbol) for one in islice(Market(1).operations(), commands))


def batches(engine: Engine, data: Iterator[bytes], size: int) -> Iterator[tuple[int, int, bytes]]:
    """What the sequencer makes of its inputs and gives to the journal: first and last seq, and payload."""
    clock = Clock()
    while batch := list(islice(data, size)):
        first_seq, entries = engine.seq + 1, []
        for one in batch:
            now_unix_ns = clock.next()
            told = engine.execute(decode_command(one), now_unix_ns)
            assert not isinstance(told, Replay)
            entries.append(journal_entry(one, now_unix_ns, encode_events(told)))
        yield first_seq, engine.seq, b"".join(entries)


def journal(folder: str, commands: int, size: int, barrier: int) -> dict[str, Any]:
    """Batches and commands a second: written alone, and with all that the sequencer does for them before."""
    disk: Disk = SYSTEM_DISK if barrier else NoBarrier()
    data = list(inputs(commands))
    began = time.perf_counter()
    made = list(batches(Engine(), iter(data), size))
    before_s = time.perf_counter() - began
    with FileJournal(Path(folder), SEGMENT_BYTES, disk=disk) as log:
        log.append(*made.pop(0))  # Makes the first segment, which a server does once.
        taken = []
        for batch in made:
            began = time.perf_counter()
            log.append(*batch)
            taken.append(time.perf_counter() - began)
    return {
        "batches_per_s": round(len(made) / sum(taken)),
        "commands_per_s": round(len(made) * size / sum(taken)),
        "with_execution_commands_per_s": round(len(made) * size / (sum(taken) + before_s)),
        "append": percentiles(taken).as_dict(),
    }


def record(folder: str, commands: int) -> dict[str, Any]:
    """Writes a journal of so many commands to recover from, and aside a snapshot of shortly before its end."""
    engine = Engine()
    with FileJournal(Path(folder), SEGMENT_BYTES, disk=NoBarrier()) as log:
        made = batches(engine, inputs(commands), RECORDED_BATCH_COMMANDS)
        for batch in islice(made, max(1, commands - TAIL_COMMANDS) // RECORDED_BATCH_COMMANDS):
            log.append(*batch)
        began = time.perf_counter()
        content = dump(engine)
        dumped_s = time.perf_counter() - began
        snapshot = Snapshot(engine.seq, log.epoch, hashlib.sha256(content).hexdigest(), content)
        FileSnapshots(Path(folder, ASIDE)).publish(snapshot)
        for batch in made:
            log.append(*batch)
    return {"snapshot_mb": round(len(content) / 1e6, 1), "snapshot_dump_s": round(dumped_s, 2)}


def recover(folder: str) -> dict[str, Any]:
    """Recovers as a start of the server does, which leaves garbage alone meanwhile."""
    gc.disable()
    rebuilt, began, began_cpu = Rebuilt(), time.perf_counter(), time.process_time()
    storage = open_files(Path(folder), SEGMENT_BYTES, rebuilt)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    storage.journal.close()
    return {
        "commands": rebuilt.commands,
        "events": rebuilt.engine.seq - storage.snapshot_seq,
        "seconds": round(seconds, 2),
        "cpu_s": round(cpu_s, 2),
        "rss_mb": round(psutil.Process().memory_info().rss / 1e6),
        "state_hash": state_hash(rebuilt.engine),
    }


RUNS: dict[str, Callable[..., dict[str, Any]]] = {
    run.__name__: run for run in (execution, memory, growth, journal, record, recover)
}


def main() -> None:
    """Measures one thing, with garbage collected as our servers do it: rarely."""
    name, *arguments = sys.argv[1:]
    gc.freeze()
    gc.set_threshold(GC_YOUNG_OBJECTS, 50, 100)
    figures = RUNS[name](*(int(one) if one.isdigit() else one for one in arguments))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
