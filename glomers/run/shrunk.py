"""`glomers shrink`: looks for the smallest run that fails as another does, and shows it."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from glomers import exits
from glomers.errors import UsageError
from glomers.history import kept_runs
from glomers.history.store import Store
from glomers.interrupts import handled
from glomers.invocation import named, shown
from glomers.launch.launcher import take_flag
from glomers.launch.program import check_script
from glomers.options import (
    Options,
    Parser,
    checked,
    from_namespace,
    parser_of_test,
    program,
    split_node_arguments,
)
from glomers.report.difference import difference
from glomers.report.screen import Screen, say
from glomers.run import regression, replay, single, sweep
from glomers.run.drive import Results
from glomers.run.nearest import Nearest, nearest_passing
from glomers.run.shrink import Runner, Search, Stopped
from glomers.run.smaller import Candidate, sizes
from glomers.run.story import kept_story
from glomers.scenario import FILE, Scenario
from glomers.workloads import WORKLOADS
from glomers.world.faults import HELP_OF_FAULTS

WITHIN = 60.0  # seconds
USAGE = """{program} shrink [RUN] [FLAG ...]
       {program} shrink CHALLENGE --seed NUM [FLAG ...]
       {program} shrink --scenario FILE [FLAG ...]
       {program} shrink -w WORKLOAD --bin FILE --seed NUM [FLAG ...]"""


def main(arguments: Sequence[str]) -> int:
    """Carry out `shrink`; return the exit status, which is that of the smallest run.

    Raises UsageError if there is no run that fails, and KeyboardInterrupt after the smallest run
    that was found until a person interrupted the search.
    """
    options, parsed, scenario = _read(arguments)
    check_script(Path(options.bin))
    Store.check(Path(parsed.store))
    if parsed.test:
        regression.check(parsed.test)
    console = Screen()
    with sweep.executor(None) as pool, _watched(console, parsed.within) as watch:
        runner = Runner(pool, 2 * (os.cpu_count() or 1), watch.stops, watch.report)
        watch.runner = runner
        search = watch.search = Search(Candidate(options, scenario), runner)
        complete = search.run()
        nearest = nearest_passing(search.found, runner) if complete else None
    say(console, f"From {sizes(search.first)}")
    say(console, f"to   {sizes(search.found)}")
    say(
        console,
        f"by {runner.runs:,} runs in {watch.seconds:.0f} s, which fail for: {search.wanted}",
    )
    results, folder = single.run(
        search.found.options,
        Path(parsed.store),
        None,
        simulated=True,
        keep=parsed.keep,
        scenario=search.found.told,
        words=lambda folder: ("test", "--scenario", shown(folder / FILE)),
    )
    test = regression.write(
        parsed.test or folder / regression.FILE,
        search.found.told,
        Path(search.found.options.bin),
        str(search.wanted),
        kept_story(folder),
    )
    show(search.found, nearest, results, folder, console, test)
    if not complete:
        after = "interrupted" if watch.interrupted else f"stopped after {parsed.within:g} s"
        say(console, f"\nThe search was {after}, so there may be a smaller run", "yellow")
    if watch.interrupted:
        raise KeyboardInterrupt
    return exits.of_verdict(results["valid?"])


def show(
    smallest: Candidate,
    nearest: Nearest | None,
    results: Results,
    folder: Path,
    console: Console,
    test: Path,
) -> None:
    """Tell a person what to do with the smallest run, which is kept in `folder`, and of a `test`
    for it."""
    command = shlex.join(["test", "--scenario", shown(folder / FILE)])
    console.print("\nTo see it again:")
    console.print(f"  {program()} {command}", soft_wrap=True, markup=False, highlight=False)
    console.print("\nA test that fails with this bug, and passes without it:")
    run_it = shlex.join(["pytest", shown(test)])
    console.print(f"  {run_it}", soft_wrap=True, markup=False, highlight=False)
    if nearest is not None:
        say(console, f"\n{difference(nearest.decision, nearest.instead)}")


# The command line


def _read(arguments: Sequence[str]) -> tuple[Options, argparse.Namespace, Scenario | None]:
    """The run that a command line names: its options, all flags, and its scenario if it has one.

    Raises UsageError if it names none, or one that can't be repeated.
    """
    parser = parser_of_test(sorted(WORKLOADS), HELP_OF_FAULTS)
    parser.prog = f"{program()} shrink"
    parser.usage = USAGE.format(program=program())
    parser.description = "Find the smallest run that still fails for the same reason."
    parser.add_argument(
        "--within",
        type=checked(_seconds, lambda seconds: seconds > 0, "a time such as 60s"),
        default=WITHIN,
        metavar="SECONDS",
        help=f"how long to search (default: {WITHIN:g}s)",
    )
    parser.add_argument(
        "--test",
        type=named,
        metavar="FILE",
        help="where to write a test for pytest; in a folder, it gets a name "
        f"(default: {regression.FILE} in the run's folder)",
    )
    run = _run_of(parser, arguments)
    words = _of_kept(run, arguments)
    scenario, words = replay.scenario_of(words)
    with replay.naming(scenario, words):
        parsed, node_arguments = parser.parse(words)
        if scenario is None and not _has(words, "--seed"):
            raise UsageError(
                "expected a run that fails: the folder of a run that is kept, --scenario FILE, "
                "or --seed NUM with the flags of a test"
            )
        # The parser takes a run for an argument of the node.
        options = from_namespace(parsed, node_arguments[run is not None :])
    return options, parsed, scenario


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def _has(words: Sequence[str], flag: str) -> bool:
    return any(word.partition("=")[0] == flag for word in split_node_arguments(words)[0])


def _run_of(parser: Parser, arguments: Sequence[str]) -> Path | None:
    """The folder of a run that a command line names, anywhere among its flags.

    Raises UsageError if that is no folder, or not the only run.
    """
    flags, _ = split_node_arguments(arguments)
    _, words = parser.parse_known_args(["--bin", "-", *flags])
    if not words:
        return None
    run = named(words[0])
    if not run.is_dir():
        raise UsageError(f"there is no run in {shown(run)}: expected the folder of a run")
    others = [repr(word) for word in words[1:]]
    others += [flag for flag in ("--scenario", "--seed") if _has(flags, flag)]
    if others:
        raise UsageError(f"expected one run, not {words[0]!r} and {others[0]}")
    return run


def _of_kept(run: Path | None, arguments: Sequence[str]) -> list[str]:
    """A command line that names a scenario: that of a run, or, if nothing else is named, that of
    the last run that failed."""
    if run is None:
        flags, _ = split_node_arguments(arguments)
        names = ("--scenario", "--seed", "--bin", "-w", "--workload")
        if any(_has(flags, flag) for flag in names):
            return list(arguments)
        store, _ = take_flag(flags, "--store")
        run = _last_failing(Path(store or "store"))
    file = run / FILE
    if not file.is_file():
        raise UsageError(
            f"{shown(run)} keeps no {FILE}, as simulated runs do that aren't too large: "
            "shrink the run by its --seed, with --simulate"
        )
    return ["--scenario", str(file), *arguments]


def _last_failing(root: Path) -> Path:
    """The last run in the store `root` that is invalid and has a scenario."""
    with suppress(OSError):
        for run in sorted(kept_runs.runs(root), key=lambda run: run.name, reverse=True):
            if (run / FILE).is_file() and _is_invalid(run):
                return run
    raise UsageError(
        f"there is no simulated run in {shown(root)} that is invalid: name a run's folder, or give "
        "--seed NUM with the flags of a test"
    )


def _is_invalid(run: Path) -> bool:
    try:
        return json.loads((run / "results.json").read_text()).get("valid?") is False
    except (OSError, ValueError, AttributeError):
        return False


# While it runs


class _Watch:
    """What a person sees of a search, and when it stops: by Ctrl-C, or when time is up."""

    def __init__(self, progress: Progress, within: float) -> None:
        self.interrupted: list[int] = []
        self.search: Search | None = None
        self.runner: Runner | None = None
        self._progress = progress
        self._task = progress.add_task("shrinking", total=None)
        self._within = within
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self._began

    def stops(self) -> bool:
        # Without a first run there is nothing that could be shown.
        return bool(self.interrupted) or (self.search is not None and self.seconds > self._within)

    def report(self) -> None:
        if self.search is not None and self.runner is not None:
            what = f"{self.runner.runs:,} runs: {sizes(self.search.found)}"
            self._progress.update(self._task, description=what)


@contextmanager
def _watched(console: Console, within: float) -> Iterator[_Watch]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        watch = _Watch(progress, within)
        # A KeyboardInterrupt in the midst of the executor's work could leave it in a broken state.
        with handled(lambda number, _: watch.interrupted.append(number)):
            try:
                yield watch
            except Stopped:
                raise KeyboardInterrupt from None
