"""Measures scripts and shows the figures: what the benchmarks of the three scripts share.

A benchmark is a table. Each of its rows is a `Case`, the command of a test; each of its columns is
a figure that is measured in the test with every seed. A row may have goals, and what others have
published. `main` runs the tests, prints the table, and draws the curves of a picture.
"""

from __future__ import annotations

import argparse
import math
import shlex
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.picture import Curve, Picture, Point, draw
from benchmarks.watch import Watch
from glomers import challenges
from glomers.history.operations import History
from glomers.history.store import Store
from glomers.history.times import MILLIS
from glomers.history.values import quantile
from glomers.options import Options, parse_test, split_node_arguments
from glomers.run.build import real_test, simulated_test
from glomers.run.drive import Results, Test
from glomers.run.sweep import executor, seeds
from glomers.workloads import WORKLOADS
from maelstrom_node import _seconds

ROOT = Path(__file__).parents[1]
READ_EVERY, READ_EVERY_REAL = 0.005, 0.02  # seconds from one look of a watch to the next
CRASH = "crash"  # the operation of the kafka workload that never succeeds

# The figures of one test, or of several, by their names. A figure that was not measured is missing.
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be: at most `limit` (`<=`), or less (`<`)."""

    relation: str
    limit: float

    def reached(self, value: float) -> bool:
        return value < self.limit if self.relation == "<" else value <= self.limit


@dataclass(frozen=True, slots=True)
class Column:
    """A figure: its name, its heading, how it is written, and which of the seeds' is shown."""

    name: str
    heading: str
    form: str
    over_seeds: Callable[[Sequence[float]], float] = statistics.median

    def cell(self, figures: Figures) -> str:
        value = figures.get(self.name)
        if value is None:
            return ""
        return "never" if value == math.inf else self.form.format(value)


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a table: the flags of a test, and what is to be reached and was published.

    `goals` are by the names of figures. If nodes `ask` others to answer a read, reading them to
    find out what they show would cost messages, so that is done in a test of its own.
    """

    name: str
    flags: str
    goals: Mapping[str, Goal] = field(default_factory=dict)
    published: str = ""
    ask: bool = False

    def options(self, seed: int = 0) -> Options:
        options = parse_test(self.flags, list(WORKLOADS))
        return replace(options, bin=str(ROOT / options.bin), seed=seed)

    def missed(self, figures: Figures) -> list[str]:
        """The goals that are missed, in words; one whose figure was never measured is."""
        return [
            f"{name} is {figures[name]:.4g}, not {goal.relation} {goal.limit:g}"
            if name in figures
            else f"{name} was not measured"
            for name, goal in self.goals.items()
            if name not in figures or not goal.reached(figures[name])
        ]


def command(challenge: str, *flags: str, node: Sequence[str] = ()) -> str:
    """A challenge's first command with further flags, and with these arguments for the node."""
    own, _ = split_node_arguments(shlex.split(challenges.find(challenge).commands[0]))
    return shlex.join([*own, *flags, "--", *node])


def dialled(challenge: str, dial: str, *flags: str) -> str:
    """A challenge's first command with the dial of its script turned to `dial`.

    At "0", what is new is pushed at once; that is what a script does without the argument.
    """
    return command(challenge, *flags, node=("--max-latency", dial) if dial != "0" else ())


# What the dial of kafka.py and that of txn.py are held against.
DIALS = ("0", "100ms", "500ms", "1s")
PARTITIONS = ("--nemesis", "partition", "--nemesis-interval", "4")
SOUND = {"failed": Goal("<=", 0), "invalid": Goal("<=", 0)}
HEALED = {**SOUND, "heal": Goal("<=", 2)}

Goals = Mapping[str, Goal]


def over_dial(
    name: str,
    challenge: str,
    *flags: str,
    goals: Mapping[str, Goals] | None = None,
    published: Mapping[str, str] | None = None,
) -> tuple[Case, ...]:
    """A row for each place of the dial; `goals` and `published` are by the dial.

    Everywhere, no operation may fail, and no lag may be longer than the dial permits.
    """
    in_time = {dial: {"max_lag": Goal("<=", _seconds(dial) * 1000)} for dial in DIALS[1:]}
    return tuple(
        Case(
            f"{name}, dial {dial}",
            dialled(challenge, dial, *flags),
            {**SOUND, **in_time.get(dial, {}), **(goals or {}).get(dial, {})},
            (published or {}).get(dial, ""),
        )
        for dial in DIALS
    )


# Measuring


@dataclass(frozen=True, slots=True)
class Ran:
    """A test that has been run. `operations` are those that clients invoked, the watch's included.

    `watch` is None if there was nothing to watch.
    """

    results: Results
    history: History
    operations: int
    watch: Watch | None


def run(case: Case, seed: int, real: bool, watching: Callable[[Test], Watch] | None) -> Ran:
    """Run the test of a case, simulated or `real`, and watch it.

    Raises RuntimeError if a node breaks the protocol.
    """
    options = case.options(seed)
    if watching and case.ask:
        watched = _run(options, real, watching)
        return replace(_run(options, real, None), watch=watched.watch)
    return _run(options, real, watching)


def _run(options: Options, real: bool, watching: Callable[[Test], Watch] | None) -> Ran:
    with kept_for_a_while() if real else nullcontext() as store:
        test = real_test(by_this_python(options), store) if store else simulated_test(options)
        watch = watching(test) if watching else None
        results = test.run()
    if watch:
        watch.finish()
    if "error" in results:
        raise RuntimeError(f"{options.bin} with seed {options.seed}: {results['error']}")
    operations = test.recorder.invocations + (watch.operations if watch else 0)
    return Ran(results, test.history, operations, watch)


@contextmanager
def kept_for_a_while() -> Iterator[Store]:
    """A store that vanishes at the end."""
    with TemporaryDirectory() as folder, closing(Store(Path(folder))) as store:
        yield store


def by_this_python(options: Options) -> Options:
    """The same test, with nodes run by the Python that runs us."""
    return replace(options, bin=sys.executable, args=(options.bin, *options.args))


def costs(ran: Ran) -> dict[str, float]:
    """What every test can tell: traffic between servers per operation, and how operations ended.

    `failed` counts the operations that had no success although they could, `invalid` is 0 or 1;
    `wait` and `wait99`, the median and the 99th percentile, are how long those that had success
    took, in milliseconds.
    """
    net, stats = ran.results["net"]["servers"], ran.results["stats"]
    failed = {f: part["count"] - part["ok-count"] for f, part in stats["by-f"].items()}
    waits = sorted(
        (completion.time - invocation.time) / MILLIS
        for invocation, completion in ran.history.pairs()
        if completion is not None and completion.type == "ok"
    )
    return {
        "messages": net["msg-count"] / ran.operations,
        "bytes": net["byte-count"] / ran.operations,
        "ok": stats["ok-count"] / stats["count"],
        "failed": sum(failed.values()) - failed.get(CRASH, 0),
        "invalid": ran.results["valid?"] is not True,
        "wait": quantile(waits, 0.5),
        "wait99": quantile(waits, 0.99),
    }


def lags(watch: Watch) -> dict[str, float]:
    """How long until what was acknowledged shows on every node, in milliseconds.

    `heal` is the longest time after a heal, in seconds; it is missing if there was no partition.
    """
    found = sorted(watch.lags)
    figures = {"lag": quantile(found, 0.5) * 1000, "max_lag": found[-1] * 1000} if found else {}
    return {**figures, **({"heal": max(watch.heals)} if watch.heals else {})}


def costs_and_lags(
    kind: Callable[[Test, float], Watch], case: Case, seed: int, real: bool
) -> Figures:
    """The figures of one test, with a watch of this kind."""
    period = READ_EVERY_REAL if real else READ_EVERY
    ran = run(case, seed, real, lambda test: kind(test, period))
    return {**costs(ran), **(lags(ran.watch) if ran.watch else {})}


def at_longest_lag(figures: Figures) -> Point:
    """Where a curve of a picture over lags goes through; its axis of time begins at 1 ms."""
    return max(figures["max_lag"], 1), figures["messages"]


def summarise(columns: Sequence[Column], runs: Sequence[Figures]) -> Figures:
    """Each figure over the seeds, of those that measured it."""
    found = {column: [run[column.name] for run in runs if column.name in run] for column in columns}
    return {column.name: column.over_seeds(values) for column, values in found.items() if values}


# The table


HEAL = Column("heal", "after heal", "{:.2f} s", max)
COSTS_AND_LAGS = (
    Column("messages", "messages/op", "{:.3f}"),
    Column("bytes", "bytes/op", "{:,.0f}"),
    Column("lag", "lag", "{:,.0f} ms"),
    Column("max_lag", "max lag", "{:,.0f} ms", max),
    HEAL,
    Column("wait", "latency", "{:.1f} ms"),
    Column("wait99", "p99", "{:.1f} ms"),
    Column("ok", "ok", "{:.4f}"),
    Column("failed", "failed", "{:g}", max),
    Column("invalid", "invalid", "{:g}", sum),
)


def show(
    columns: Sequence[Column], cases: Sequence[Case], rows: Sequence[Figures], published: str
) -> Table:
    """A table in Markdown. `published` is the heading over what others have published."""
    table = Table("", box=box.MARKDOWN)
    for column in columns:
        table.add_column(column.heading, justify="right")
    table.add_column("goals")
    others = any(case.published for case in cases)
    if others:
        table.add_column(f"published: {published}")
    for case, figures in zip(cases, rows):
        goals = "MISSED" if case.missed(figures) else "reached" if case.goals else ""
        cells = [column.cell(figures) for column in columns]
        table.add_row(case.name, *cells, goals, *([case.published] if others else []))
    return table


# The whole


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A table of figures, that of the ladder of designs, and a picture.

    `measure(case, seed, real)` runs in a process of its own. `curves` has by its label the cases
    of each curve of the picture, and `point` finds their place in it.
    """

    script: str
    columns: Sequence[Column]
    cases: Sequence[Case]
    ladder: Sequence[Case]
    measure: Callable[[Case, int, bool], Figures]
    published: str
    picture: Picture
    curves: Mapping[str, Sequence[Case]]
    point: Callable[[Figures], Point]
    seeds: range

    @property
    def name(self) -> str:
        return self.script.removesuffix(".py")


def measure_all(
    benchmark: Benchmark, cases: Sequence[Case], numbers: Sequence[int], real: bool, pool: Executor
) -> list[Figures]:
    """The figures of each case over all seeds. Cases with the same test share it."""
    futures = {
        (case.flags, seed): pool.submit(benchmark.measure, case, seed, real)
        for case in {case.flags: case for case in cases}.values()
        for seed in numbers
    }
    for _ in track(as_completed(futures.values()), "measuring", total=len(futures)):
        pass
    return [
        summarise(benchmark.columns, [futures[case.flags, seed].result() for seed in numbers])
        for case in cases
    ]


def main(benchmark: Benchmark, arguments: Sequence[str] | None = None) -> int:
    """Measure and print, and draw if it is the script that is simulated. 1 if a goal is missed."""
    default = f"{benchmark.seeds[0]}..{benchmark.seeds[-1]}"
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{benchmark.name}",
        description=f"Measure {benchmark.script}, or the ladder of designs that leads to it.",
    )
    parser.add_argument("--ladder", action="store_true", help="measure the ladder of designs")
    parser.add_argument("--real", action="store_true", help="run real processes in real time")
    parser.add_argument("--seeds", type=seeds, default=benchmark.seeds, metavar="FIRST..LAST",
                        help=f"the seeds, both included (default: {default})")  # fmt: skip
    parsed = parser.parse_args(arguments)
    cases = benchmark.ladder if parsed.ladder else benchmark.cases
    curves = {} if parsed.ladder or parsed.real else benchmark.curves
    drawn = [case for curve in curves.values() for case in curve]
    console = Console(width=240, soft_wrap=True)
    # Real tests one by one: they are to have the machine for themselves.
    with ProcessPoolExecutor(1) if parsed.real else executor(None) as pool:
        rows = measure_all(benchmark, [*cases, *drawn], parsed.seeds, parsed.real, pool)
    console.print(show(benchmark.columns, cases, rows, benchmark.published))
    if curves:
        points = map(benchmark.point, rows[len(cases) :])
        draw_if_possible(
            benchmark.picture,
            [Curve(label, [next(points) for _ in curve]) for label, curve in curves.items()],
            ROOT / "docs" / "images" / f"{benchmark.name}.svg",
            console,
        )
    missed = [f"{case.name}: {goal}" for case, row in zip(cases, rows) for goal in case.missed(row)]
    for goal in missed:
        console.print(f"MISSED {goal}")
    return 1 if missed else 0


def draw_if_possible(
    picture: Picture, curves: Sequence[Curve], path: Path, console: Console
) -> None:
    try:
        draw(picture, curves, path)
    except ModuleNotFoundError as error:
        console.print(f"\nno picture: there is no {error.name}")
    else:
        console.print(f"\ndrawn: {path.relative_to(ROOT)}")
