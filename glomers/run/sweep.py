"""A sweep: the same simulated test with many seeds, over all cores or a Dask cluster.

Each seed is an independent, repeatable test, so they run on any `concurrent.futures.Executor`.
"""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.connection
import os
import resource
import shlex
import signal
import threading
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from glomers.errors import UsageError
from glomers.exits import ROOT
from glomers.history.values import quantile
from glomers.interrupts import handled
from glomers.options import Options, program, with_flags
from glomers.report.figures import Figure
from glomers.report.incidents import sentences, serious_sentences, warnings_beside
from glomers.report.reasons import details, headline
from glomers.report.screen import say
from glomers.run.build import simulated_test
from glomers.run.drive import Results
from glomers.run.figures import figures
from glomers.run.reasons import reasons

FAILING_SHOWN = 10
LINES_SHOWN = 5  # lines about one seed
MOST_SEEDS = 10_000_000
AT_A_TIME = 256  # seeds that are handed out
DASK_TIMEOUT = "10s"
MEMORY = 0.8  # of the machine's memory, for all workers together


@dataclass(frozen=True, slots=True)
class SeedResult:
    """The outcome of one seed: the verdict, the figures, and what there is to tell.

    `told` says why the test isn't valid, or, of a valid test, which mistakes its nodes made.
    """

    seed: int
    valid: Any
    figures: dict[str, Figure] = field(default_factory=dict)
    told: tuple[str, ...] = ()


def run_seed(options: Options) -> SeedResult:
    """Simulate one test and return its outcome; nothing else of it is kept."""
    try:
        results = simulated_test(options).run()
    except MemoryError:
        return SeedResult(options.seed, False, told=("the nodes took more memory than there is",))
    found = [figure for figure in figures(results, options.workload) if figure.value is not None]
    values = {figure.name: replace(figure, remark="") for figure in found}
    return SeedResult(options.seed, results["valid?"], values, _told(results, options.workload))


def _told(results: Results, workload: str) -> tuple[str, ...]:
    """Reasons and likeliest causes of an invalid test; mistakes of the nodes of a valid one."""
    told = [warning["text"] for warning in warnings_beside(results)]
    serious = serious_sentences(results)
    if results["valid?"] is True:
        told = [*serious, *told]
    else:
        error, *evidence = str(results.get("error", "")).split("\n")
        why = reasons(results, workload)
        first = [error] if error else [headline(why), *details(why, 1)]
        usual = [sentence for sentence in sentences(results) if sentence not in serious]
        told = [*first, *serious, *map(str.strip, evidence), *usual, *told]
    return tuple(filter(None, told))[:LINES_SHOWN]


def seeds(text: str) -> range:
    """`0..999`, both included, or a single seed. Raises ValueError for anything else."""
    first, separator, last = text.partition("..")
    low, high = int(first), int(last if separator else first)
    if low > high:
        raise ValueError(f"no seeds in {text!r}")
    if high - low >= MOST_SEEDS:
        raise ArgumentTypeError(f"expected at most {MOST_SEEDS:,} seeds, not {text!r}")
    return range(low, high + 1)


@contextmanager
def executor(dask: str | None) -> Iterator[Executor]:
    """Processes on this machine, or the workers of the Dask cluster at address `dask`.

    Raises UsageError if there is no such cluster.
    """
    if dask is None:
        workers = os.cpu_count() or 1
        before = multiprocessing.active_children()
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(
            workers, context, initializer=_begin_worker, initargs=(_share_of_memory(workers),)
        )
        # Ctrl-C must not end the workers: they inherit that SIGINT is ignored.
        with handled(signal.SIG_IGN, (signal.SIGINT,)):
            wait([pool.submit(os.getpid) for _ in range(workers)])
        started = [child for child in multiprocessing.active_children() if child not in before]
        try:
            yield pool
        finally:
            # Either all results are here or nobody waits for them, so the workers may be killed.
            for worker in started:
                worker.kill()
            pool.shutdown(cancel_futures=True)
        return
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--dask needs Dask; try: pip install distributed") from None
    try:
        client = Client(dask, timeout=DASK_TIMEOUT)
    except (OSError, ValueError) as error:
        raise UsageError(f"no Dask scheduler answers at {dask}: {error}") from None
    with client, client.get_executor() as remote:
        _check_imports(client, dask)
        yield remote


def _check_imports(client: Any, dask: str) -> None:
    """Raise UsageError unless scheduler and workers can import what runs a seed.

    A worker that can't would not say so: it only takes the seed again, and again.
    """
    for who, ask in (("scheduler", client.run_on_scheduler), ("workers", client.run)):
        try:
            ask(exec, f"import {__name__}", {})
        except Exception as error:
            raise UsageError(
                f"the {who} of the Dask cluster at {dask} can't import the workbench: {error}; "
                f"start scheduler and workers with what requirements.txt names, "
                f"and with PYTHONPATH={ROOT}"
            ) from None


def _share_of_memory(workers: int) -> int | None:
    """How many bytes of memory each worker may take; None if the machine's memory isn't known."""
    try:
        return int(MEMORY * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / workers)
    except (OSError, ValueError):
        return None


def _begin_worker(memory: int | None) -> None:
    """Bound a worker's memory, and make it end with the sweep, even if the sweep is killed.

    Also spare Python's collector of cycles what was imported: that stays.
    """
    gc.freeze()
    if memory is not None:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        if hard == resource.RLIM_INFINITY or memory < hard:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_DATA, (memory, hard))
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def sweep(
    options: Options, numbers: Sequence[int], pool: Executor, console: Console
) -> tuple[list[SeedResult], bool]:
    """Run all seeds. Returns the outcomes by seed, and whether Ctrl-C did not end it early."""
    # A KeyboardInterrupt in the middle of the executor's work could leave it in a broken state.
    interrupted: list[int] = []
    with handled(lambda number, _: interrupted.append(number)):
        outcomes = _run(options, numbers, pool, console, interrupted)
    outcomes.sort(key=lambda outcome: outcome.seed)
    return outcomes, len(outcomes) == len(numbers)


def _run(
    options: Options,
    numbers: Sequence[int],
    pool: Executor,
    console: Console,
    interrupted: Sequence[int],
) -> list[SeedResult]:
    """Run seeds until all have come or `interrupted` holds something."""
    outcomes: list[SeedResult] = []
    rest = iter(numbers)
    running: set[Future[SeedResult]] = set()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task("seeds", total=len(numbers))
        while len(outcomes) < len(numbers) and not interrupted:
            for seed in islice(rest, AT_A_TIME - len(running)):
                running.add(pool.submit(run_seed, replace(options, seed=seed)))
            done, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            try:
                outcomes += [future.result() for future in done]
            except BrokenExecutor as error:
                raise ChildProcessError(
                    "a process of the sweep ended while it ran a seed, perhaps because there was "
                    f"not enough memory: {error}"
                ) from None
            failed = sum(outcome.valid is not True for outcome in outcomes)
            what = f"seeds, {failed} not valid" if failed else "seeds"
            progress.update(bar, completed=len(outcomes), description=what)
        for future in running:
            future.cancel()
    return outcomes


def show(outcomes: Sequence[SeedResult], command: Sequence[str], console: Console) -> None:
    """Print the verdicts, the spread of each figure, and how to reproduce failures.

    `command` is the command of the test without its seed: `test`, or a challenge, and the rest.
    """
    if not outcomes:
        console.print("\nNo seed has been judged.")
        return
    words = {True: "valid", False: "invalid", "unknown": "unknown"}
    counts = Counter(words[outcome.valid] for outcome in outcomes)
    console.print()
    console.print(f"{len(outcomes):,} seeds: " + ", ".join(f"{n:,} {w}" for w, n in counts.items()))
    table = Table("figure", box=None)
    for heading in ("min", "median", "p99", "max"):
        table.add_column(heading, justify="right")
    spread: dict[str, list[Figure]] = {}
    for outcome in outcomes:
        for name, figure in outcome.figures.items():
            spread.setdefault(name, []).append(figure)
    for name, same in spread.items():
        values = sorted(figure.value for figure in same if figure.value is not None)
        write = same[0].write
        table.add_row(name, *(write(quantile(values, q)) for q in (0, 0.5, 0.99, 1)))
    console.print(table)
    failing = [outcome for outcome in outcomes if outcome.valid is not True]
    if failing:
        console.print(f"\nNot valid: {len(failing):,}. To reproduce one:")
    for outcome in failing[:FAILING_SHOWN]:
        _show(outcome, command, console)
    if len(failing) > FAILING_SHOWN:
        rest = " ".join(str(outcome.seed) for outcome in failing[FAILING_SHOWN:])
        console.print(f"  and with these seeds: {rest}", soft_wrap=True)
    doubtful = [outcome for outcome in outcomes if outcome.valid is True and outcome.told]
    if doubtful:
        console.print(f"\nValid, but worth a look: {len(doubtful):,}. To reproduce one:")
        _show(doubtful[0], command, console)


def _show(outcome: SeedResult, command: Sequence[str], console: Console) -> None:
    """Print the command of one seed, and what there is to tell."""
    line = shlex.join(with_flags(command, "--simulate", "--seed", str(outcome.seed)))
    console.print(f"  {program()} {line}", soft_wrap=True, markup=False)
    for text in outcome.told or ("nothing is known",):
        say(console, text, indent=4)
