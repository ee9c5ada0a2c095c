#!/usr/bin/env python3
"""How fast the workbench is in real time: `python -m benchmarks.real_time`.

Messages a second, those of nodes and clients together, nodes and workbench on the same processors:

- echo: a hundred clients ask one node, or five, as fast as they are answered;
- broadcast: twenty-five nodes, and clients that broadcast and read as fast as they are answered.

And how long an operation takes while nothing else goes on: echo, a hundred operations a second.

With `--beside FOLDER`, the workbench and the scripts in that folder are measured as well, and the
ratio is to those. `git worktree add ../before COMMIT` makes such a folder. Runs alternate, so that
other work of the machine hits both; what is shown is the best run of each, and the ratio of those.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from glomers.history.messages import Messages
from glomers.history.operations import read_history
from glomers.history.times import NANOS

ROOT = Path(__file__).resolve().parents[1]
GOAL = 30_000  # messages a second, on two cores
SECONDS = 5
ROUNDS = 3
FAST = ("--rate", "1000000")


class Case(NamedTuple):
    name: str
    words: Sequence[str]
    goal: int | None = None


ECHO = ("-w", "echo", "--bin", "echo.py")
BROADCAST = ("-w", "broadcast", "--bin", "broadcast.py")
CASES = (
    Case("echo, 1 node", (*ECHO, *FAST, "--node-count", "1", "--concurrency", "100"), GOAL),
    Case("echo, 5 nodes", (*ECHO, *FAST, "--node-count", "5", "--concurrency", "100")),
    Case("broadcast, 25 nodes", (*BROADCAST, *FAST, "--node-count", "25", "--concurrency", "25")),
)
IDLE = (*ECHO, "--rate", "100", "--node-count", "1")


def run(root: Path, words: Sequence[str], store: Path) -> Path:
    """Run a test with the workbench in `root`; return its folder in a new store."""
    command = [sys.executable, "-m", "glomers", "test", *words, "--time-limit", str(SECONDS)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*command, "--store", str(store)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "PATH": path},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"a test in {root} wasn't valid:\n{done.stdout}{done.stderr}")
    return (store / "latest").resolve()


def carried(root: Path, words: Sequence[str]) -> float:
    """Messages a second that were sent during the load."""
    with tempfile.TemporaryDirectory() as store:
        messages = Messages.read(run(root, words, Path(store)) / "messages.jsonl")
    return sum(0 <= sent.time < SECONDS * NANOS for sent in messages) / SECONDS


def idle(root: Path) -> float:
    """Seconds from a request to its answer: the median of an idle run."""
    with tempfile.TemporaryDirectory() as store:
        pairs = [*read_history(run(root, IDLE, Path(store))).pairs()]
    return statistics.median(end.time - began.time for began, end in pairs if end) / NANOS


def main() -> int:
    parser = argparse.ArgumentParser(description="How fast the workbench is in real time.")
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="a workbench to compare with")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="NUM")
    options = parser.parse_args()
    roots = [*([options.beside.resolve()] if options.beside else []), ROOT]
    reached = True
    print(f"{'':<28}{'before':>12}{'here':>12}{'ratio':>8}")
    for case in CASES:
        rates = [[carried(root, case.words) for root in roots] for _ in range(options.rounds)]
        best = [max(rate) for rate in zip(*rates)]
        goal = ""
        if case.goal:
            reached &= best[-1] >= case.goal
            goal = f"goal {case.goal:,}: {'reached' if best[-1] >= case.goal else 'MISSED'}"
        show(f"{case.name}, messages/s", [f"{rate:,.0f}" for rate in best], best, goal)
    times = [[idle(root) for root in roots] for _ in range(options.rounds)]
    least = [min(time) for time in zip(*times)]
    show("idle, an operation", [f"{time * 1e6:.0f} µs" for time in least], least)
    return 0 if reached else 1


def show(name: str, cells: list[str], values: list[float], goal: str = "") -> None:
    before, here = cells if len(cells) > 1 else ("", *cells)
    ratio = f"{values[-1] / values[0]:.2f}" if len(values) > 1 else ""
    print(f"{name:<28}{before:>12}{here:>12}{ratio:>8}  {goal}".rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
