"""What an order costs each process in time of a processor, the clients' own included."""

from __future__ import annotations

import psutil

from runtime.stack.system import Stack

CLIENTS = "clients"
US_PER_S = 1e6


class Cpu:
    """The processor time of every process of a system, and of this one, since the last look."""

    def __init__(self, system: Stack) -> None:
        self._processes = {name: psutil.Process(pid) for name in system.names if (pid := system.pid(name)) is not None}
        self._processes[CLIENTS] = psutil.Process()
        self._before_s = self._now_s()

    def per_order_us(self, orders: int) -> dict[str, float]:
        """Microseconds of processor time for each of so many orders since the last look, by process."""
        now_s = self._now_s()
        spent_s = {name: now_s[name] - before_s for name, before_s in self._before_s.items()}
        self._before_s = now_s
        return {name: round(seconds / orders * US_PER_S, 1) for name, seconds in spent_s.items()}

    def _now_s(self) -> dict[str, float]:
        """By process: user and system time, of PostgreSQL with its children's."""
        found: dict[str, float] = {}
        for name, process in self._processes.items():
            family = [process, *process.children(recursive=True)] if name == "postgres" else [process]
            found[name] = sum(one.cpu_times().user + one.cpu_times().system for one in family)
        return found
