#!/usr/bin/env python3
"""How fast the workbench is in real time, on Linux: `python -m benchmarks.real_time`.

Messages a second, those of nodes and clients together, nodes and workbench on the same processors;
and the processor time for a message, in workbench and nodes together, and in the workbench alone.
Where others use the machine as well, the latter tell more: the workbench is one thread, so it can't
carry more than one processor can, and all of them together not more than all processors can.

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
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from glomers.history.messages import Messages
from glomers.history.operations import read_history
from glomers.history.times import NANOS

ROOT = Path(__file__).resolve().parents[1]
GOAL = 30_000  # messages a second, on two cores
SECONDS = 5
MEASURED = 0.9 * SECONDS  # from the first operation on
PATIENCE = 60.0  # seconds for the nodes to start
ROUNDS = 3
TICKS = os.sysconf("SC_CLK_TCK")  # a second, in /proc
FAST = ("--rate", "1000000")


Times = tuple[float, float]  # seconds of processor time: a test with its nodes, and without them


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


def run(
    root: Path,
    words: Sequence[str],
    store: Path,
    meanwhile: Callable[[int, Path], Times] = lambda pid, folder: (0.0, 0.0),
) -> tuple[Path, Times]:
    """Run a test with the workbench in `root`, in a new store.

    Returns the test's folder, and what `meanwhile` returned for the process and that folder.
    """
    command = [sys.executable, "-m", "glomers", "test", *words, "--time-limit", str(SECONDS)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    test = subprocess.Popen(
        [*command, "--store", str(store)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen = meanwhile(test.pid, store / "latest")
    output, _ = test.communicate()
    if test.returncode != 0:
        raise SystemExit(f"a test in {root} wasn't valid:\n{output}")
    return (store / "latest").resolve(), seen


def load(root: Path, words: Sequence[str]) -> tuple[float, float, float]:
    """Messages a second, and seconds of processor time for a message: in all, in the workbench."""
    with tempfile.TemporaryDirectory() as store:
        folder, (in_all, workbench) = run(root, words, Path(store), used_under_load)
        messages = Messages.read(folder / "messages.jsonl")
    sent = sum(0 <= message.time < MEASURED * NANOS for message in messages)
    return sent / MEASURED, in_all / sent, workbench / sent


def used_under_load(pid: int, folder: Path) -> Times:
    """What a test takes after the first operation."""
    history, deadline = folder / "history.jsonl", time.monotonic() + PATIENCE
    while not (history.exists() and history.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.005)
    before = processor_times(pid)
    time.sleep(MEASURED)
    after = processor_times(pid)
    return after[0] - before[0], after[1] - before[1]


def processor_times(pid: int) -> Times:
    """What a process with its children, and without them, has taken until now."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    stats = [Path(f"/proc/{process}/stat").read_text() for process in (pid, *children)]
    fields = [stat.rpartition(")")[2].split() for stat in stats]  # utime and stime are 14 and 15
    own, *others = [(int(field[11]) + int(field[12])) / TICKS for field in fields]
    return own + sum(others), own


def idle(root: Path) -> float:
    """Seconds from a request to its answer: the median of an idle run."""
    with tempfile.TemporaryDirectory() as store:
        pairs = [*read_history(run(root, IDLE, Path(store))[0]).pairs()]
    return statistics.median(end.time - began.time for began, end in pairs if end) / NANOS


def main() -> int:
    parser = argparse.ArgumentParser(description="How fast the workbench is in real time.")
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="a workbench to compare with")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="NUM")
    options = parser.parse_args()
    roots = [*([options.beside.resolve()] if options.beside else []), ROOT]
    rounds = range(options.rounds)
    reached = True
    print(f"{'':<28}{'before':>12}{'here':>12}{'ratio':>8}")
    for case in CASES:
        runs = [[load(root, case.words) for root in roots] for _ in rounds]
        most = [max(rate for rate, _, _ in of_root) for of_root in zip(*runs)]
        costs = [[min(cost) for cost in list(zip(*of_root))[1:]] for of_root in zip(*runs)]
        goal = ""
        if case.goal:
            reached &= most[-1] >= case.goal
            goal = f"goal {case.goal:,}: {'reached' if most[-1] >= case.goal else 'MISSED'}"
        show(f"{case.name}, a second", [f"{rate:,.0f}" for rate in most], most, goal)
        for name, least in zip(("in all", "workbench"), zip(*costs)):
            cells = [f"{cost * 1e6:.0f} µs" for cost in least]
            show(f"  processor time, {name}", cells, least)
    times = [[idle(root) for root in roots] for _ in rounds]
    quickest = [min(of_root) for of_root in zip(*times)]
    show("idle, an operation", [f"{time * 1e6:.0f} µs" for time in quickest], quickest)
    return 0 if reached else 1


def show(name: str, cells: Sequence[str], values: Sequence[float], goal: str = "") -> None:
    before, here = cells if len(cells) > 1 else ("", *cells)
    ratio = f"{values[-1] / values[0]:.2f}" if len(values) > 1 else ""
    print(f"{name:<28}{before:>12}{here:>12}{ratio:>8}  {goal}".rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
