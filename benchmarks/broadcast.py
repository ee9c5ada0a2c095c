#!/usr/bin/env python3
"""The figures of broadcast.py over its dial and under faults, and those of the ladder of designs.

    python -m benchmarks.broadcast                    broadcast.py, simulated
    python -m benchmarks.broadcast --ladder           the designs that lead to it, simulated
    python -m benchmarks.broadcast --real --seeds 0   with real processes, in real time: 7 minutes

A simulation gives the same figures every time. The tests are the challenges' own commands. Each
figure is the median of the seeds, but values lost and the time after a heal are the worst of them.
If matplotlib is there, the first command also draws messages per operation over latency, as
docs/images/broadcast.svg.

`limit` is the cost of the simplest designs: n-1 messages for a value that is sent to everybody
alone, or 2n-2 for a round of a hub in which every spoke has something to send, if rounds are as
long as the dial permits.
`after heal` is how long after the end of a partition the last node has every value that was
acknowledged before; nodes are read every 10 ms to find out. If another partition, or the end of
the test, comes before that, it is the time until then.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from glomers import challenges
from glomers.history.store import Store
from glomers.history.times import NANOS, nanos
from glomers.options import Options, parse_test, split_node_arguments
from glomers.run.build import real_test, simulated_test
from glomers.run.drive import Test
from glomers.run.sweep import executor, seeds
from glomers.workloads.base import Conversation
from glomers.workloads.broadcast import BroadcastWorkload
from glomers.world.client import Client, Outcome

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "broadcast.svg"
TICK = nanos(0.01)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be: at most `limit` (`<=`), or less (`<`)."""

    relation: str
    limit: float

    def reached(self, value: float) -> bool:
        return value < self.limit if self.relation == "<" else value <= self.limit


@dataclass(frozen=True, slots=True)
class Figures:
    """What one test measured; per operation or per value, in bytes, milliseconds, or seconds."""

    messages: float
    per_value: float
    bytes: float
    median: float
    max: float
    lost: float
    heal: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a table: the flags of a test, and what is to be reached and was published.

    `goals` are named after the fields of Figures.
    """

    name: str
    flags: str
    goals: Mapping[str, Goal] = field(default_factory=dict)
    published: str = ""

    def options(self) -> Options:
        options = parse_test(self.flags, [BroadcastWorkload.name])
        return replace(options, bin=str(ROOT / options.bin))

    def missed(self, figures: Figures) -> list[str]:
        """The goals that are missed, in words."""
        values = {name: getattr(figures, name) for name in self.goals}
        return [
            f"{name} is {values[name]:.4g}, not {goal.relation} {goal.limit:g}"
            for name, goal in self.goals.items()
            if not goal.reached(values[name])
        ]


def command(challenge: str, *flags: str, node: Sequence[str] = ()) -> str:
    """A challenge's command with further flags, and with these arguments for the node only."""
    own, _ = split_node_arguments(shlex.split(challenges.find(challenge).commands[0]))
    return shlex.join([*own, *flags, "--", *node])


def dialled(challenge: str, dial: str, *flags: str) -> str:
    """A challenge's command with the dial of broadcast.py turned to `dial`."""
    return command(challenge, *flags, node=("--max-latency", dial))


PARTITION, LOSS = ("--nemesis", "partition"), ("--p-loss", "0.1")
HUNDRED = ("--node-count", "100")
NOTHING_LOST = {"lost": Goal("<=", 0)}
HEALED = {**NOTHING_LOST, "heal": Goal("<=", 2)}

DIAL = (
    Case("3c", dialled("3c", "0"),
         {**NOTHING_LOST, "messages": Goal("<=", 2.8), "median": Goal("<=", 0),
          "heal": Goal("<=", 1)},
         "117.2"),
    Case("3d, dial 0", dialled("3d", "0"),
         {**NOTHING_LOST, "messages": Goal("<=", 12.5), "median": Goal("<=", 80),
          "max": Goal("<=", 110)},
         "14.7 at 78/102 (unsafe: 11.8 at 84/105)"),
    Case("3d, dial 600ms", dialled("3d", "600ms"),
         {**NOTHING_LOST, "messages": Goal("<=", 1.4), "median": Goal("<", 400),
          "max": Goal("<", 600)},
         "7.75 at 333/533"),
    Case("3e, dial 2s", dialled("3e", "2s"),
         {**NOTHING_LOST, "messages": Goal("<=", 0.36), "median": Goal("<", 1000),
          "max": Goal("<", 2000)},
         "1.92 at 764/1087"),
    *(
        Case(f"{challenge}, dial {dial}, {fault}", dialled(challenge, dial, *flags), goals)
        for fault, flags, goals in (
            ("partition", PARTITION, HEALED), ("loss 10 %", LOSS, NOTHING_LOST)
        )
        for challenge, dial in (("3d", "0"), ("3d", "600ms"), ("3e", "2s"))
    ),
    Case("100 nodes, dial 0", dialled("3d", "0", *HUNDRED), NOTHING_LOST),
    Case("100 nodes, dial 2s", dialled("3e", "2s", *HUNDRED), NOTHING_LOST),
)  # fmt: skip

CURVE = tuple(
    Case(f"dial {dial}", dialled("3d", dial))
    for dial in ("0", "300ms", "400ms", "500ms", "600ms", "800ms", "1s", "1300ms", "1600ms", "2s")
)

FLOOD, RETRY, PUSH, REPAIR = (
    f"ladder/broadcast/{name}.py"
    for name in ("1_flood", "2_flood_with_retry", "3_push", "4_push_with_repair")
)
HUB = "broadcast.py"
LADDER = tuple(
    Case(f"{challenge}: {name}", command(challenge, "--bin", script, node=node))
    for challenge, name, script, node in (
        ("3c", "1 flood", FLOOD, ()),
        ("3c", "2 flood with retry after 1 s", RETRY, ()),
        ("3c", "2 flood with retry after 25 ms", RETRY, ("0.025",)),
        ("3c", "3 push", PUSH, ()),
        ("3c", "4 push with repair", REPAIR, ()),
        ("3c", "5 broadcast.py", HUB, ()),
        ("3d", "1 flood", FLOOD, ()),
        ("3d", "2 flood with retry after 1 s", RETRY, ()),
        ("3d", "3 push", PUSH, ()),
        ("3d", "4 push with repair", REPAIR, ()),
        ("3d", "5 broadcast.py", HUB, ()),
        ("3d", "5 broadcast.py, dial 600ms", HUB, ("--max-latency", "600ms")),
    )
)


# Measuring


class HealWatch:
    """Measures how long after each heal all nodes have what was acknowledged before it.

    What another partition, or the end, finds unfinished counts with the time that it had.
    """

    def __init__(self, test: Test) -> None:
        self.seconds: list[float] = []
        self._test = test
        self._partitioned = False
        self._healed_at = 0
        self._known: frozenset[object] = frozenset()
        self._waiting: set[str] = set()
        world = test.world
        self._clients = {
            node: Client(world.loop, world.network, f"c-watch-{node}", BroadcastWorkload.answers)
            for node in test.options.nodes
        }
        test.world.loop.call_later(TICK, self._look)

    def _look(self) -> None:
        partitioned = bool(self._test.nemesis.active)
        if partitioned and not self._partitioned:
            self.finish()
        elif self._partitioned and not partitioned:
            self._begin()
        self._partitioned = partitioned
        self._test.world.loop.call_later(TICK, self._look)

    def _begin(self) -> None:
        """Note that the network has just been healed."""
        operations = self._test.recorder.operations
        self._known = frozenset(o.value for o in operations if (o.f, o.type) == ("broadcast", "ok"))
        self._healed_at = next(o.time for o in reversed(operations) if o.f == "stop-partition")
        idle = set(self._test.options.nodes) - self._waiting
        self._waiting |= idle
        for node in sorted(idle):
            self._ask(node)

    def _ask(self, node: str) -> None:
        def read() -> Conversation:
            answer = yield {"type": "read"}
            return answer["messages"]

        if node in self._waiting:
            self._clients[node].converse(node, read(), 5.0, partial(self._answered, node))

    def _answered(self, node: str, outcome: Outcome) -> None:
        if node not in self._waiting:
            return
        if outcome.type == "ok" and self._known.issubset(outcome.value):
            self._waiting.remove(node)
            if not self._waiting:
                self._note()
        else:
            self._test.world.loop.call_later(TICK, self._ask, node)

    def _note(self) -> None:
        self.seconds.append((self._test.recorder.elapsed - self._healed_at) / NANOS)

    def finish(self) -> None:
        if self._waiting:
            self._note()
            self._waiting.clear()


def measure(options: Options, real: bool) -> Figures:
    """Run one test, simulated or `real`. Raises RuntimeError if a node breaks the protocol."""
    with kept_for_a_while() if real else nullcontext() as store:
        test = real_test(by_this_python(options), store) if store else simulated_test(options)
        watch = HealWatch(test) if "partition" in options.nemesis else None
        results = test.run()
    if watch:
        watch.finish()
    if "error" in results:
        raise RuntimeError(f"{options.bin} with seed {options.seed}: {results['error']}")
    values, net = results["workload"], results["net"]["servers"]
    latencies = values["stable-latencies"]
    return Figures(
        messages=net["msgs-per-op"],
        per_value=net["msg-count"] / values["attempt-count"],
        bytes=net["bytes-per-op"],
        median=latencies[0.5],
        max=latencies[1],
        lost=values["lost-count"],
        heal=max(watch.seconds, default=0.0) if watch else None,
    )


@contextmanager
def kept_for_a_while() -> Iterator[Store]:
    """A store that vanishes at the end."""
    with TemporaryDirectory() as folder, closing(Store(Path(folder))) as store:
        yield store


def by_this_python(options: Options) -> Options:
    """The same test, with nodes run by the Python that runs us."""
    return replace(options, bin=sys.executable, args=(options.bin, *options.args))


def summarise(runs: Sequence[Figures]) -> Figures:
    """The median of every figure over the seeds, but the worst of what must never happen."""
    heals = [run.heal for run in runs if run.heal is not None]
    return Figures(
        messages=statistics.median(run.messages for run in runs),
        per_value=statistics.median(run.per_value for run in runs),
        bytes=statistics.median(run.bytes for run in runs),
        median=statistics.median(run.median for run in runs),
        max=statistics.median(run.max for run in runs),
        lost=max(run.lost for run in runs),
        heal=max(heals) if heals else None,
    )


def measure_all(
    cases: Sequence[Case], numbers: Sequence[int], real: bool, pool: Executor
) -> list[Figures]:
    """The figures of each case over all seeds."""
    futures = {
        (case.flags, seed): pool.submit(measure, replace(case.options(), seed=seed), real)
        for case in {case.flags: case for case in cases}.values()
        for seed in numbers
    }
    for _ in track(as_completed(futures.values()), "measuring", total=len(futures)):
        pass
    return [summarise([futures[case.flags, seed].result() for seed in numbers]) for case in cases]


# Showing


def limit(options: Options) -> float:
    """The messages per operation of the simplest design, if it wasted none (see above)."""
    n = len(options.nodes)
    dial = dict(zip(options.args, options.args[1:])).get("--max-latency", "0")
    if dial == "0":
        return (n - 1) / 2
    budget = float(dial[:-2]) / 1000 if dial.endswith("ms") else float(dial[:-1])
    return (2 * n - 2) / (budget - 2 * options.latency / 1000) / options.rate


def show(cases: Sequence[Case], rows: Sequence[Figures], console: Console) -> None:
    table = Table("", box=box.MARKDOWN)
    for heading in ("messages/op", "limit", "per value", "bytes/op", "median", "max", "lost",
                    "after heal"):  # fmt: skip
        table.add_column(heading, justify="right")
    table.add_column("goals")
    if any(case.published for case in cases):
        table.add_column("published: messages/op at median/max")
    for case, figures in zip(cases, rows):
        goals = "MISSED" if case.missed(figures) else "reached" if case.goals else ""
        messages, *others = cells(figures)
        most = f"{limit(case.options()):.2f}"
        published = (case.published,) * (len(table.columns) - 10)
        table.add_row(case.name, messages, most, *others, goals, *published)
    console.print(table)


def cells(figures: Figures) -> tuple[str, ...]:
    heal = "" if figures.heal is None else "never" if figures.lost else f"{figures.heal:.2f} s"
    return (
        f"{figures.messages:.2f}",
        f"{figures.per_value:.2f}",
        f"{figures.bytes:,.0f}",
        f"{figures.median:,.0f} ms",
        f"{figures.max:,.0f} ms",
        f"{figures.lost:g}",
        heal,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.broadcast",
        description="Measure broadcast.py, or the ladder of designs that leads to it.",
    )
    parser.add_argument("--ladder", action="store_true", help="measure the ladder of designs")
    parser.add_argument("--real", action="store_true", help="run real processes in real time")
    parser.add_argument("--seeds", type=seeds, default=range(5), metavar="FIRST..LAST",
                        help="the seeds, both included (default: 0..4)")  # fmt: skip
    parsed = parser.parse_args()
    cases = LADDER if parsed.ladder else DIAL
    drawing = not parsed.ladder and not parsed.real
    console = Console(width=220, soft_wrap=True)
    # Real tests one by one: they are to have the machine for themselves.
    with ProcessPoolExecutor(1) if parsed.real else executor(None) as pool:
        rows = measure_all((*cases, *(CURVE if drawing else ())), parsed.seeds, parsed.real, pool)
    show(cases, rows, console)
    if drawing:
        draw_if_possible(rows[len(cases) :], console)
    missed = [f"{case.name}: {goal}" for case, row in zip(cases, rows) for goal in case.missed(row)]
    for goal in missed:
        console.print(f"MISSED {goal}")
    return 1 if missed else 0


def draw_if_possible(points: Sequence[Figures], console: Console) -> None:
    try:
        from benchmarks.broadcast_picture import draw
    except ModuleNotFoundError as error:
        console.print(f"\nno picture: there is no {error.name}")
        return
    draw([(figures.median, figures.messages) for figures in points], PICTURE)
    console.print(f"\ndrawn: {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
