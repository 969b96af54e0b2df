"""How benchmarks show and keep what they have measured: text for people, JSON beside it, conditions with both."""

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from tests.load.latency import Latencies

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench" / "results"


def machine(cores: str) -> dict[str, Any]:
    """What stands beside every figure: the machine, what its cores were used for, and how busy it was before."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores {cores}",
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def show_conditions(conditions: dict[str, Any]) -> None:
    """Prints what the figures depend on."""
    for name, value in conditions.items():
        print(f"{name:12} {value}")


def show(figures: dict[str, Any]) -> None:
    """Prints the figures for people."""
    for name, value in figures.items():
        if isinstance(value, Latencies):
            print(
                f"{name:32} p50 {value.p50_us:8.1f}  p90 {value.p90_us:8.1f}  p99 {value.p99_us:8.1f}  "
                f"p99.9 {value.p999_us:8.1f}  max {value.max_us:8.1f} us  ({value.count})"
            )
        else:
            print(f"{name:32} {value:12,}")


def store(benchmark: str, conditions: dict[str, Any], figures: dict[str, Any]) -> None:
    """Writes the figures and what they depend on, and says where."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    plain = {name: value.as_dict() if isinstance(value, Latencies) else value for name, value in figures.items()}
    path = RESULTS / f"{benchmark}-{time.strftime('%Y%m%dT%H%M%S')}.json"
    path.write_text(json.dumps({"conditions": conditions, "figures": plain}, indent=2) + "\n")
    print(f"written to {path.relative_to(ROOT)}")
