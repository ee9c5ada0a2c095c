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
import sys
import threading
from argparse import ArgumentTypeError
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from glomers.errors import UsageError
from glomers.exits import ROOT
from glomers.interrupts import blocked, handled
from glomers.invocation import shown
from glomers.options import Options, program, with_flags
from glomers.report.incidents import sentences, serious_sentences, warnings_beside
from glomers.report.reasons import details, headline, listed
from glomers.report.screen import say
from glomers.run.build import simulated_test
from glomers.run.drive import Results
from glomers.run.figures import figures
from glomers.run.reasons import reasons
from glomers.run.saved_sweep import SavedSweep
from glomers.run.tally import SeedResult, Tally
from glomers.simulated import preempting
from glomers.simulated.coverage import Coverage, missing

LINES_SHOWN = 5  # lines about one seed
MOST_SEEDS = 10_000_000
AT_A_TIME = 256  # seeds that are handed out
DASK_TIMEOUT = "10s"
MEMORY = 0.8  # of the machine's memory, for all workers together


def run_seed(options: Options) -> SeedResult:
    """Simulate one test and return its outcome; nothing else of it is kept."""
    by = preempting.drawn(options)[0].by if options.preempt else ""
    with Coverage() as coverage:
        try:
            results = simulated_test(options).run()
        except MemoryError:
            why = "the nodes took more memory than there is"
            return SeedResult(options.seed, False, told=(why,), preempted_by=by)
    found = [figure for figure in figures(results, options.workload) if figure.value is not None]
    values = {figure.name: replace(figure, remark="") for figure in found}
    what = told(results, options.workload)
    return SeedResult(options.seed, results["valid?"], values, what, coverage.found(), by)


def told(results: Results, workload: str) -> tuple[str, ...]:
    """Reasons and likeliest causes of an invalid test; mistakes of the nodes of a valid one."""
    beside = [warning["text"] for warning in warnings_beside(results)]
    serious = serious_sentences(results)
    if results["valid?"] is True:
        told = [*serious, *beside]
    else:
        error, *evidence = str(results.get("error", "")).split("\n")
        why = reasons(results, workload)
        first = [error] if error else [headline(why), *details(why, 1)]
        usual = [sentence for sentence in sentences(results) if sentence not in serious]
        told = [*first, *serious, *map(str.strip, evidence), *usual, *beside]
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
        started = []
        try:
            with blocked():  # Ctrl-C must not end the workers, nor be lost
                wait([pool.submit(os.getpid) for _ in range(workers)])
                children = multiprocessing.active_children()
                started = [child for child in children if child not in before]
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


def _broken() -> tuple[type[BaseException], ...]:
    """What the result of a seed raises if the process that ran it has ended, or the cluster."""
    distributed = sys.modules.get("distributed")
    lost = () if distributed is None else (distributed.KilledWorker, CancelledError)
    return (BrokenExecutor, *lost)


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
    options: Options,
    numbers: Sequence[int],
    pool: Executor,
    console: Console,
    saved: SavedSweep | None = None,
) -> tuple[Tally, bool]:
    """Run all seeds. Returns their outcomes, and whether Ctrl-C did not end it early.

    Seeds that have been `saved` aren't run again, and all others are saved as soon as they end.
    """
    tally = Tally()
    done: set[int] = set()
    for outcome in saved.outcomes() if saved else ():
        if outcome.seed not in done:
            tally.add(outcome)
            done.add(outcome.seed)
    # A KeyboardInterrupt in the middle of the executor's work could leave it in a broken state.
    interrupted: list[int] = []
    with handled(lambda number, _: interrupted.append(number)):
        left = _run(options, numbers, pool, console, interrupted, tally, done, saved)
    return tally, not left


def _run(
    options: Options,
    numbers: Sequence[int],
    pool: Executor,
    console: Console,
    interrupted: Sequence[int],
    tally: Tally,
    done: Collection[int],
    saved: SavedSweep | None,
) -> int:
    """Run the seeds that aren't `done` until all have come or `interrupted` holds something.

    Returns how many have not come.
    """
    rest = (seed for seed in numbers if seed not in done)
    left = sum(seed not in done for seed in numbers) if done else len(numbers)
    running: set[Future[SeedResult]] = set()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task("seeds", total=len(numbers), completed=len(numbers) - left)
        while left and not interrupted:
            for seed in islice(rest, AT_A_TIME - len(running)):
                running.add(pool.submit(run_seed, replace(options, seed=seed)))
            ended, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            try:
                outcomes = sorted((f.result() for f in ended), key=lambda outcome: outcome.seed)
            except _broken() as error:
                raise ChildProcessError(
                    "a process of the sweep ended while it ran a seed, perhaps because there was "
                    f"not enough memory: {error}"
                ) from None
            for outcome in outcomes:
                if saved:
                    saved.append(replace(outcome, lines=tally.news(outcome.lines)))
                tally.add(outcome)
            left -= len(outcomes)
            failed = tally.judged - tally.verdicts[True]
            what = f"seeds, {failed} not valid" if failed else "seeds"
            progress.update(bar, completed=len(numbers) - left, description=what)
        for future in running:
            future.cancel()
    return left


def show(tally: Tally, command: Sequence[str], console: Console) -> None:
    """Print the verdicts, the spread of each figure, and how to reproduce failures.

    `command` is the command of the test without its seed: `test`, or a challenge, and the rest.
    """
    if not tally.judged:
        console.print("\nNo seed has been judged.")
        return
    words = {True: "valid", False: "invalid", "unknown": "unknown"}
    counts = [f"{tally.verdicts[v]:,} {word}" for v, word in words.items() if tally.verdicts[v]]
    console.print()
    console.print(f"{tally.judged:,} seeds: {', '.join(counts)}")
    table = Table("figure", box=None)
    for heading in ("min", "median", "p99", "max"):
        table.add_column(heading, justify="right")
    for name, spread in tally.spreads:
        table.add_row(name, *spread.quantiles(0, 0.5, 0.99, 1))
    console.print(table)
    if tally.preempted:
        console.print(f"\nNot valid, by --preempt-by: {_by_strategy(tally)}", soft_wrap=True)
    if tally.failing:
        failing = tally.judged - tally.verdicts[True]
        console.print(f"\nNot valid: {failing:,}. To reproduce one:")
    for outcome in tally.failing:
        _show(outcome, command, console)
    if tally.further:
        rest = " ".join(map(str, sorted(tally.further)))
        console.print(f"  and with these seeds: {rest}", soft_wrap=True)
    if tally.doubtful:
        console.print(f"\nValid, but worth a look: {tally.doubts:,}. To reproduce one:")
        _show(tally.doubtful, command, console)
    _show_coverage(tally, console)


def _by_strategy(tally: Tally) -> str:
    """How many of the seeds of each strategy were not valid."""
    found = sorted(tally.preempted.items())
    return ", ".join(f"{by} {n[False]:,} of {n.total():,}" for by, n in found)


def _show_coverage(tally: Tally, console: Console) -> None:
    """Print which lines of the nodes' own code no seed has run, unless some were not watched."""
    if tally.unwatched or not tally.reached:
        return
    console.print()
    if found := [f"{shown(Path(file))}:{lines}" for file, lines in missing(tally.reached)]:
        say(console, f"Never run by any seed: {'; '.join(found)}")
    else:
        files = listed(shown(Path(file)) for file in tally.reached)
        say(console, f"Every line of {files} was run by some seed.")


def _show(outcome: SeedResult, command: Sequence[str], console: Console) -> None:
    """Print the command of one seed, and what there is to tell."""
    line = shlex.join(with_flags(command, "--simulate", "--seed", str(outcome.seed)))
    console.print(f"  {program()} {line}", soft_wrap=True, markup=False)
    for text in outcome.told or ("nothing is known",):
        say(console, text, indent=4)
