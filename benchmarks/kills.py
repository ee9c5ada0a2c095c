#!/usr/bin/env python3
"""What broadcast.py loses if nodes are killed: `python -m benchmarks.kills`.

The test is challenge 3c with `--nemesis kill --nemesis-interval 5`, simulated; a value is lost if
it was acknowledged and is missing at the end. The first row is broadcast.py as it is, the second
one has `--durable`.

A node that comes back learns from the others. So what is lost depends on who had it:

- `sent to nobody`: no other node had it when the node that had acknowledged it was killed;
- `all killed`: every node that had it was killed before another had come back to learn it;
- `kept`: a node has it, which then ought to pass it on. This must not happen.

The nemesis may kill all nodes at once. Then all is lost that is only in memory. So the runs in
which that happened are left out of the second table.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Case, command
from glomers.options import Options
from glomers.run.build import simulated_test
from glomers.run.drive import Test
from glomers.run.sweep import executor, seeds
from glomers.simulated.nodes import Host

FLAGS = ("--nemesis", "kill", "--nemesis-interval", "5")
CASES = {"in memory": (), "durable": ("--durable", "disk")}
FATES = ("sent to nobody", "all killed", "kept")


@dataclass(frozen=True)
class Losses:
    """What one test, or several, lost of how many acknowledged values, by their fates."""

    runs: int
    acknowledged: int
    lost: Counter[str]
    all_dead: bool = False  # at some time


class Watch:
    """Notes the lives of all nodes, and whether all nodes were dead at once."""

    def __init__(self, test: Test) -> None:
        self.all_dead = False
        self._cluster: Any = test.world.cluster
        self._nodes = test.options.nodes
        self._lives: dict[Host, None] = {}
        test.world.loop.observe(self._look)

    def _look(self, *event: object) -> None:
        hosts = [self._cluster.host(node) for node in self._nodes]
        self.all_dead |= not any(host.alive for host in hosts)
        self._lives.update(dict.fromkeys(hosts))

    def fate(self, value: object) -> str:
        """How a value was lost."""
        having = [host for host in self._lives if value in getattr(host.script, "seen", ())]
        if any(host.alive for host in having):
            return "kept"
        return "all killed" if len({host.id for host in having}) > 1 else "sent to nobody"


def options(args: Sequence[str], seed: int = 0) -> Options:
    """The test, in which nodes get these arguments."""
    return Case("3c", command("3c", *FLAGS, node=args)).options(seed)


def measure(options: Options) -> Losses:
    """Run one test. Raises RuntimeError if a node breaks the protocol."""
    test = simulated_test(options)
    watch = Watch(test)
    results = test.run()
    if "error" in results:
        raise RuntimeError(f"seed {options.seed}: {results['error']}")
    acknowledged = sum((o.f, o.type) == ("broadcast", "ok") for o in test.history)
    lost = Counter(watch.fate(value) for value in results["workload"]["lost"])
    return Losses(1, acknowledged, lost, watch.all_dead)


def added(losses: Iterable[Losses]) -> Losses:
    losses = list(losses)
    return Losses(
        len(losses),
        sum(each.acknowledged for each in losses),
        sum((each.lost for each in losses), Counter()),
    )


def measure_all(numbers: Sequence[int], pool: Executor) -> dict[str, list[Losses]]:
    futures = {
        name: [pool.submit(measure, options(args, seed)) for seed in numbers]
        for name, args in CASES.items()
    }
    return {name: [each.result() for each in row] for name, row in futures.items()}


def show(title: str, rows: dict[str, list[Losses]], console: Console) -> None:
    console.print(f"\n{title}")
    table = Table("", box=box.MARKDOWN)
    for heading in ("runs", "acknowledged", "lost", "per thousand", *FATES):
        table.add_column(heading, justify="right")
    for name, row in rows.items():
        total = added(row)
        lost = total.lost.total()
        figures = (
            f"{total.runs}", f"{total.acknowledged:,}", f"{lost}",
            f"{1000 * lost / max(1, total.acknowledged):.1f}",
            *(f"{total.lost[fate]}" for fate in FATES),
        )  # fmt: skip
        table.add_row(name, *figures)
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kills", description="Measure what kills of nodes lose."
    )
    parser.add_argument("--seeds", type=seeds, default=range(20), metavar="FIRST..LAST",
                        help="the seeds, both included (default: 0..19)")  # fmt: skip
    parsed = parser.parse_args()
    with executor(None) as pool:
        rows = measure_all(parsed.seeds, pool)
    console = Console(width=220, soft_wrap=True)
    some_alive = {name: [x for x in row if not x.all_dead] for name, row in rows.items()}
    show("all runs", rows, console)
    show("runs in which never all nodes were dead at once", some_alive, console)
    return int(any(added(row).lost["kept"] for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
