#!/usr/bin/env python3
"""What a node keeps while it lives: its logs don't grow, only the data do.

    python -m benchmarks.memory                            ten hours of every script
    python -m benchmarks.memory kafka.py --hours 1         one script
    python -m benchmarks.memory --hours 1 --kept inf       the same if no entry were dropped

Each script runs in a process of its own: all nodes of a simulated cluster, in virtual time, with
the dial at 100 ms and 100 operations a second, half of them writes. (txn.py writes in each. Reads
of broadcast.py are left out, since each is answered with everything.) A second of virtual time
takes about 10 ms. Ten times, evenly spread, it prints

- `entries`: the entries that a node keeps in its logs, on the node that keeps most;
- `other`: whatever else `Replication` keeps, counted in items of its dictionaries and lists;
- `data`: the messages, values or keys that a node has. That is what clients asked it to keep;
- `MB`: the resident memory of the process, and its growth since the beginning, for each node.

The last line extends the growth of the second half to a day, in a straight line.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from glomers.testing import Simulation
from maelstrom_node import Log, Replication

ROOT = Path(__file__).parents[1]
NODES = {"broadcast.py": 5, "kafka.py": 2, "txn.py": 2}
DIAL, LATENCY = "100ms", 10  # milliseconds from node to node, too
RATE = 100  # operations a second
TURN = 0.1  # seconds from one handful of operations to the next
KEYS = 4  # that are in use at the same time
WRITES_PER_KEY = 1000
ROWS = 10
CLIENT = "c1"

Operation = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """What a cluster keeps at some time: on the node that keeps most, and in the whole process."""

    hours: float
    entries: int
    other: int
    data: int
    bytes: int
    growth: float  # bytes for each node, since the beginning

    def __str__(self) -> str:
        return (
            f"{self.hours:>6.4g} h  {self.entries:>11,} entries  {self.other:>7,} other  "
            f"{self.data:>10,} data  {self.bytes / 1e6:>8,.1f} MB  {self.growth / 1e6:>+8,.1f} MB"
        )


class Load:
    """The operations of one script's clients. It learns from the answers where logs end."""

    def __init__(self, script: str) -> None:
        self._number = count()
        self._offsets: dict[str, int] = {}  # key -> the last that was assigned
        self.next: Any = getattr(self, f"_{script.removesuffix('.py')}")

    def note(self, body: Mapping[str, Any], key: str) -> None:
        if "offset" in body:
            self._offsets[key] = body["offset"]

    def _broadcast(self) -> Operation | None:
        number = next(self._number)
        return None if number % 2 else ("broadcast", {"message": number // 2})

    def _txn(self) -> Operation:
        number = next(self._number)
        key = self._key(number)
        return "txn", {"txn": [["r", key, None], ["w", key, number]]}

    def _kafka(self) -> Operation:
        number = next(self._number)
        key = str(self._key(number // 2))
        if number % 2 == 0:
            return "send", {"key": key, "msg": number}
        offsets = {key: self._offsets.get(key, 0)}
        return "commit_offsets" if number % 4 == 1 else "poll", {"offsets": offsets}

    def _key(self, write: int) -> int:
        return write // (KEYS * WRITES_PER_KEY) * KEYS + write % KEYS


def measure(script: str, hours: float, kept: float = Replication.KEPT) -> Iterator[Row]:
    """Run a cluster, and tell what it keeps, ten times on the way."""
    cluster = Simulation(
        ROOT / script, NODES[script], latency=LATENCY, args=["--max-latency", DIAL]
    )
    load = Load(script)
    logs = {node: replication(cluster, node) for node in cluster.nodes}
    for each in logs.values():
        each.KEPT = kept  # type: ignore[assignment]  # for this run only
    turns = round(hours * 3600 / TURN)
    begin = resident()
    for turn in range(1, turns + 1):
        run_turn(cluster, load)
        if turn * ROWS // turns > (turn - 1) * ROWS // turns:
            now = resident()
            yield Row(
                turn * TURN / 3600,
                max(entries(each) for each in logs.values()),
                max(items(vars(each)) for each in logs.values()),
                max(data(cluster[node]) for node in cluster.nodes),
                now,
                (now - begin) / len(cluster.nodes),
            )
    cluster.close()


def run_turn(cluster: Simulation, load: Load) -> None:
    """Send a handful of operations, one to each node in turn; forget all about them."""
    keys = []
    for number in range(round(RATE * TURN)):
        operation = load.next()
        keys.append("")
        if operation is not None:
            type, fields = operation
            keys[number] = fields.get("key", "")
            node = cluster.nodes[number // 2 % len(cluster.nodes)]
            cluster.deliver(CLIENT, node, type, msg_id=number, **fields)
    cluster.advance(TURN)
    for message in cluster.messages:
        if message.dest == CLIENT:
            if message.body["type"] == "error":
                raise RuntimeError(f"{message.src} answered {message.body}")
            load.note(message.body, keys[message.body["in_reply_to"]])
    cluster.forget()
    cluster.ignore_the_rest()


# What is kept


def replication(cluster: Simulation, node: str) -> Replication:
    """The one `Replication` of a node's script."""
    [found] = {id(x): x for x in vars(cluster[node]).values() if hasattr(x, "acked")}.values()
    return found  # type: ignore[no-any-return]


def entries(logs: Replication) -> int:
    return sum(len(log.entries) for log in logs.logs.values())


def items(kept: object) -> int:
    """The items of dictionaries, lists and sets, and of those in them; not the entries of logs."""
    if isinstance(kept, Mapping):
        return sum(1 + items(value) for value in kept.values())
    if isinstance(kept, Log):
        return len(kept.early)
    if isinstance(kept, Collection) and not isinstance(kept, str):
        return sum(1 + items(value) for value in kept)
    return 0


def data(script: Any) -> int:
    """The messages, values or keys of a node."""
    if hasattr(script, "messages"):
        return sum(map(len, script.messages.values()))
    return len(script.seen if hasattr(script, "seen") else script.values)


def resident() -> int:
    """The resident memory of this process, in bytes."""
    size = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())], check=True, capture_output=True, text=True
    )
    return int(size.stdout) * 1024


# Showing


def per_day(rows: list[Row]) -> float:
    """The bytes by which a node would grow in a day, as it grew in the second half."""
    half, last = rows[len(rows) // 2 - 1], rows[-1]
    return (last.growth - half.growth) / (last.hours - half.hours) * 24


def show(script: str, hours: float, kept: float) -> None:
    rows = []
    for row in measure(script, hours, kept):
        rows.append(row)
        print(f"{script:<13}{row}", flush=True)
    print(
        f"{script:<13}a day would take {per_day(rows) / 1e6:,.0f} MB per node, "
        f"{rows[-1].hours:g} h took {rows[-1].growth / 1e6:,.0f} MB",
        flush=True,
    )


def positive(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise ValueError(text)
    return number


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description="Measure what nodes keep as time goes by."
    )
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT",
                        help=f"of {', '.join(NODES)} (default: all)")  # fmt: skip
    parser.add_argument("--hours", type=positive, default=10.0, help="virtual hours (default: 10)")
    parser.add_argument("--kept", type=positive, default=Replication.KEPT, metavar="ENTRIES",
                        help="how many entries of a log are never dropped; inf: all")  # fmt: skip
    parsed = parser.parse_args()
    for script in parsed.scripts:
        if script not in NODES:
            parser.error(f"there is no {script!r} to measure: expected {', '.join(NODES)}")
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=show, args=(script, parsed.hours, parsed.kept))
        for script in parsed.scripts or NODES
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return int(any(process.exitcode for process in processes))


if __name__ == "__main__":
    sys.exit(main())
