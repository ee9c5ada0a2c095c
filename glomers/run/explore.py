"""`explore`: every order in which the things of a small test can happen, not some drawn at random.

`explored.py` has what is chosen in a run, `choices.py` how all choices are gone through. Here, runs
are made one after the other and, if that takes long, by processes on all cores; and a person is
told what was found.

First with one operation, then with two, and so on, with the fewest faults first: the first run that
fails is a smallest one. Then operations are left out, one after the other, as long as some run
still fails without them.
"""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, wait
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from glomers.checkers.verdict import UNKNOWN
from glomers.history import retention
from glomers.history.command import Command
from glomers.history.store import Store
from glomers.history.times import NANOS
from glomers.interrupts import handled
from glomers.invocation import present, shown
from glomers.options import KEPT, Options, program
from glomers.report.screen import say
from glomers.report.summary import PAGE
from glomers.run import replay
from glomers.run.choices import Choice, Job, Known, Report, Search
from glomers.run.explored import Told, explore_run, tell_run
from glomers.run.kept import write_page
from glomers.run.small import FAULTS, Bounds, small
from glomers.run.sweep import executor, told
from glomers.run.words import FAULT_WORDS
from glomers.scenario import FILE
from glomers.world.cluster import MOST_LOG

ALONE = 3.0  # seconds after which other processes help
AT_A_TIME = 64  # jobs that are handed out
TOGETHER = 8  # of them to one process


@dataclass(frozen=True, slots=True)
class Limits:
    """When to give up: after so many runs, or seconds."""

    runs: int
    seconds: float


@dataclass
class Found:
    """What has been found so far.

    `complete` tells that every order was tried. `failure` has the bounds and choices of a run that
    fails.
    """

    runs: int = 0
    states: int = 0
    complete: bool = False
    interrupted: bool = False
    failure: tuple[Bounds, tuple[Choice, ...]] | None = None
    begun: set[str] = field(default_factory=set)
    succeeded: set[str] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)

    def take(self, bounds: Bounds, job: Job, report: Report) -> None:
        """Take note of a run."""
        self.runs += 1
        if report.end is None:
            return
        self.begun |= report.end.begun
        self.succeeded |= report.end.succeeded
        if report.end.error:
            self.errors[report.end.error] += 1
        if report.end.valid is False:
            self.failure = bounds, _choices(job, report)

    @property
    def valid(self) -> Any:
        """The verdict: True only if every order was tried and could have failed."""
        if self.failure:
            return False
        proved = self.complete and not self.errors and not self.begun - self.succeeded
        return True if proved and self.succeeded else UNKNOWN


# The runs

_known: tuple[Any, Known] = (None, {})  # of the exploration of which this process made runs last


def make_runs(options: Options, bounds: Bounds, jobs: Sequence[Job]) -> list[Report]:
    """Make the runs of some jobs, in this process."""
    global _known
    if _known[0] != (options, bounds):
        _known = (options, bounds), {}
    return [explore_run(options, bounds, job, _known[1]) for job in jobs]


def explore(options: Options, bounds: Bounds, limits: Limits, console: Console) -> Found:
    """Try all orders, until a run fails, a limit is reached, or Ctrl-C ends it."""
    found = Found()
    began = time.monotonic()
    signals: list[int] = []

    def over() -> bool:
        late = time.monotonic() - began > limits.seconds
        return bool(signals or found.runs >= limits.runs or late)

    columns = SpinnerColumn(), TextColumn("{task.description}")
    with (
        ExitStack() as stack,
        Progress(*columns, console=console, transient=True) as progress,
        handled(lambda number, _: signals.append(number)),
    ):
        bar = progress.add_task("runs", total=None)
        pool: Executor | None = None

        def fails(part: Bounds) -> bool | None:
            """Whether a run fails within these bounds; None if not all of them were made."""
            nonlocal pool
            search, before, failed = Search(), found.states, found.failure
            while jobs := search.next_jobs(AT_A_TIME):
                if pool is None and time.monotonic() - began > ALONE:
                    pool = stack.enter_context(executor(None))
                for job, report in _reports(pool, small(options, part), part, jobs, over):
                    search.merge(job, report)
                    found.take(part, job, report)
                    found.states = before + len(search.states)
                    progress.update(bar, description=_so_far(found, part))
                    if found.failure is not failed:
                        return True
                if over():
                    return None
            return False

        for number in range(1, bounds.operations + 1):
            failing = fails(replace(bounds, operations=number))
            if failing is not False:
                break
        else:
            found.complete = True
        for place in reversed(range(number)):
            if found.failure and len(found.failure[0].left_out) < number - 1:
                part = found.failure[0]
                fails(replace(part, left_out=part.left_out | {place}))
    found.interrupted = bool(signals)
    return found


def _reports(
    pool: Executor | None,
    options: Options,
    bounds: Bounds,
    jobs: Sequence[Job],
    over: Callable[[], bool],
) -> Iterator[tuple[Job, Report]]:
    """What becomes of jobs, in their order; it ends when the exploration is over."""
    if pool is None:
        for job in jobs:
            if over():
                return
            (report,) = make_runs(options, bounds, [job])
            yield job, report
        return
    shares = [jobs[first : first + TOGETHER] for first in range(0, len(jobs), TOGETHER)]
    futures = [pool.submit(make_runs, options, bounds, share) for share in shares]
    for share, future in zip(shares, futures):
        while not wait([future], timeout=0.2).done:
            if over():
                return
        try:
            reports = future.result()
        except BrokenExecutor as error:
            if over():
                return  # the signal has ended the processes, too
            raise ChildProcessError(
                "a process of the exploration ended, perhaps because there was not enough memory: "
                f"{error}"
            ) from None
        for job, report in zip(share, reports):
            if over():
                return
            yield job, report


def _choices(job: Job, report: Report) -> tuple[Choice, ...]:
    """All choices of a run."""
    taken = (point.options[point.taken] for point in report.points if point.taken is not None)
    return (*job.prefix, *(option.choice for option in taken))


# What a person sees


def show(
    found: Found,
    options: Options,
    bounds: Bounds,
    store: Path,
    challenge: str | None,
    console: Console,
) -> None:
    """Tell what was found; the smallest run that fails is kept in the store as well."""
    console.print()
    if found.failure:
        part, choices = found.failure
        say(console, f"{_counts(found)}: invalid. The smallest run that fails:")
        run, folder = _keep(small(options, part), part, choices, store, challenge)
        for time, text in run.steps:
            say(console, f"{time / NANOS:6.2f} s  {text}", indent=2)
        console.print("Because:")
        for text in told(run.results, options.workload):
            say(console, text, indent=2)
        say(console, f"The whole run: {shown(folder / PAGE)}")
        if run.scenario:
            again = shlex.join(["test", "--scenario", shown(folder / FILE)])
            say(console, f"Again: {program()} {again}")
        return
    verdict = "valid" if found.valid is True else "unknown"
    tried = "in every order"
    if not found.complete:
        why = "it was interrupted" if found.interrupted else "a limit was reached"
        tried = f"not every order was tried, since {why}; so far none failed"
    within = _bounds(bounds, len(options.nodes))
    say(console, f"{_counts(found)}: {verdict}, {tried}, with {within}.")
    for error, times in found.errors.items():
        say(console, f"{times:,} runs have no verdict: {error}", "red")
    if never := sorted(found.begun - found.succeeded):
        say(console, f"This proves nothing: no {' and no '.join(never)} ever succeeded.", "red")
    elif not found.succeeded and found.complete:
        say(console, "This proves nothing: there was no operation.", "red")


def _keep(
    options: Options, bounds: Bounds, choices: Sequence[Choice], root: Path, challenge: str | None
) -> tuple[Told, Path]:
    """Make a run once more, and keep it as any test is kept; return it and its folder."""
    with closing(Store.create(root, options.workload)) as store:
        engine = "workbench, simulated"
        store.write_command(Command.of(present(), options.seed, engine, store.path))
        log = store.open("run.log", MOST_LOG)
        run = tell_run(options, bounds, choices, store, lambda line: print(line, file=log))
        for time, text in run.steps:
            print(f"{time / NANOS:6.2f} s  {text}", file=log)
        if run.scenario:
            replay.keep(run.scenario, store)
        store.write_results({**run.results, "valid?": False, "seed": options.seed})
    write_page(store.path, challenge)
    retention.prune(root, KEPT)
    return run, store.path


def _so_far(found: Found, bounds: Bounds) -> str:
    operations = _many(bounds.operations - len(bounds.left_out), "operation")
    failing = ", and now leaves out what a failure doesn't need" if found.failure else ""
    return f"{operations}: {_counts(found)}{failing}"


def _counts(found: Found) -> str:
    return f"{_many(found.runs, 'run')}, {_many(found.states, 'different state')}"


def _bounds(bounds: Bounds, nodes: int) -> str:
    most = [
        f"at most {_many(number, *FAULT_WORDS[name])}"
        for name in FAULTS.values()
        if (number := getattr(bounds, name))
    ]
    faults = " and ".join(most) or "no fault"
    return f"{_many(bounds.operations, 'operation')} on {_many(nodes, 'node')} and {faults}"


def _many(number: int, one: str, several: str = "") -> str:
    return f"{number:,} {one if number == 1 else several or one + 's'}"
