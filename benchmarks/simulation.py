"""How fast simulation is: `python -m benchmarks.simulation`, with `--real` beside real-time runs.

Prints, for whole challenges, the seconds of CPU that a simulation takes, its events per second and
how much faster than real time it is; the seeds a second of a sweep on all cores; and the time per
event from 5 to 1,000 nodes as a ratio.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from glomers import challenges
from glomers.history.times import NANOS
from glomers.options import Options, parse_test
from glomers.run import sweep
from glomers.run.build import simulated_test
from glomers.workloads import WORKLOADS

ROOT = Path(__file__).parent.parent
RUNS = 5


def nodes(count: int) -> tuple[str, ...]:
    return tuple(f"n{number}" for number in range(count))


BROADCAST = Options("broadcast", str(ROOT / "broadcast.py"), time_limit=20)
FIVE = replace(BROADCAST, nodes=nodes(5), concurrency=5, rate=10, nemesis=("partition",))
MANY = replace(BROADCAST, nodes=nodes(25), concurrency=25, rate=100, latency=100)
# Name, options, most seconds of CPU.
CHALLENGES = (
    ("3c", FIVE, 0.25),
    ("3d", replace(MANY, args=("--max-latency", "600ms")), 0.6),
    ("3d, pushed", MANY, None),
    ("3e", replace(MANY, args=("--max-latency", "2s")), None),
)
# Challenge, seeds, least seeds a second on two cores.
SWEEPS = (("3c", 500, 120), ("5b", 10, 1), ("6c", 10, 1))
SIZES = (5, 25, 100, 300, 1000)


def measure(options: Options) -> tuple[float, int, float]:
    """CPU seconds (the least of some runs), events and virtual seconds of one simulation."""
    taken = []
    for _ in range(RUNS):
        gc.collect()
        before = time.process_time()
        test = simulated_test(options)
        test.run()
        taken.append(time.process_time() - before)
    return min(taken), test.world.loop.events, test.world.loop.now / NANOS


def seeds_a_second(challenge: str, seeds: int) -> float:
    """How fast a sweep of a challenge is, at its official length and rate."""
    command = challenges.find(challenge).commands[-1]
    options = parse_test(command, sorted(WORKLOADS))
    options = replace(options, bin=str(ROOT / options.bin))
    every = [replace(options, seed=seed) for seed in range(seeds)]
    with sweep.executor(None) as pool:
        list(pool.map(sweep.run_seed, every[: os.cpu_count()]))  # each worker imports what it needs
        began = time.monotonic()
        list(pool.map(sweep.run_seed, every))
        return seeds / (time.monotonic() - began)


def real(options: Options) -> float:
    """Wall seconds of the same test with processes."""
    with tempfile.TemporaryDirectory() as store:
        command = [sys.executable, "-m", "glomers", "test", "-w", options.workload]
        command += ["--bin", options.bin, "--node-count", str(len(options.nodes))]
        command += ["--time-limit", str(options.time_limit), "--rate", str(options.rate)]
        command += ["--latency", str(options.latency), "--store", store]
        command += ["--nemesis", ",".join(options.nemesis)] if options.nemesis else []
        command += ["--", *options.args]
        began = time.monotonic()
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true", help="run them in real time as well")
    with_real = parser.parse_args().real
    console = Console()

    table = Table(title=f"Whole challenges, the fastest of {RUNS} runs")
    for column in ("challenge", "events", "CPU s", "goal", "events/s", "virtual s / s", "real s"):
        table.add_column(column, justify="left" if column == "challenge" else "right")
    for name, options, goal in CHALLENGES:
        seconds, events, virtual = measure(options)
        reached = "" if goal is None else f"{goal} {'reached' if seconds <= goal else 'MISSED'}"
        table.add_row(
            name,
            f"{events:,}",
            f"{seconds:.3f}",
            reached,
            f"{events / seconds:,.0f}",
            f"{virtual / seconds:,.0f}",
            f"{real(options):.1f}" if with_real else "",
        )
    console.print(table)

    table = Table(title=f"Sweeps on {os.cpu_count()} cores")
    for column in ("challenge", "seeds", "seeds/s", "goal on 2 cores"):
        table.add_column(column, justify="left" if column == "challenge" else "right")
    for name, seeds, wanted in SWEEPS:
        table.add_row(name, f"{seeds}", f"{seeds_a_second(name, seeds):.1f}", f"{wanted}")
    console.print(table)

    table = Table(title="Time per event, by the number of nodes, as a ratio to the least")
    for column in ("nodes", "events", "µs per event", "ratio"):
        table.add_column(column, justify="right")
    rows = []
    for size in SIZES:
        flood = Options(
            "broadcast",
            str(ROOT / "ladder" / "broadcast" / "1_flood.py"),
            nodes=nodes(size),
            concurrency=size,
            topology="tree4",
            time_limit=5,
            rate=20,
            latency=10,
        )
        seconds, events, _ = measure(flood)
        rows.append((size, events, seconds / events * 1e6))
    least = min(micros for _, _, micros in rows)
    for size, events, micros in rows:
        table.add_row(f"{size:,}", f"{events:,}", f"{micros:.1f}", f"{micros / least:.2f}")
    console.print(table)
    console.print(f"median µs per event: {median(micros for _, _, micros in rows):.1f}")


if __name__ == "__main__":
    main()
