"""Runs one test for a person: progress while it runs, then the verdict and where it is kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TextIO

from rich.console import Console

from glomers.history.store import Store
from glomers.launch.program import check_program, check_script
from glomers.options import Options
from glomers.real.nodes import ProcessCluster
from glomers.report.screen import Screen
from glomers.report.summary import render
from glomers.run.drive import Results, Test
from glomers.run.progress import Progress
from glomers.world.loop import RealLoop
from glomers.world.network import Network


class RunLog:
    """`run.log`: what happened around the test. Calling it also shows the line."""

    def __init__(self, out: TextIO, console: Console) -> None:
        self._out = out
        self.console = console

    def keep(self, line: str) -> None:
        self._out.write(line + "\n")

    def __call__(self, line: str) -> None:
        self.keep(line)
        self.console.print(line, markup=False, highlight=False)


def run(options: Options, root: Path, challenge: str | None, simulated: bool) -> Results:
    """Run the test, show the verdict, and return the results.

    Raises UsageError if the program can't be run or the test can't be kept, and OSError if the
    disk is full; what verdict there is has been shown by then.
    """
    (check_script if simulated else check_program)(Path(options.bin))
    with closing(Store.create(root, options.workload)) as store:
        log = RunLog(store.open("run.log"), Screen(soft_wrap=True))
        results = simulate(options, store, log) if simulated else execute(options, store, log)
        try:
            if "error" in results:
                log.keep(f"error: {results['error']}")
            log.keep(f"valid: {results['valid?']}")
            store.write_results(results)
        finally:
            render(results, store.path, challenge)
    return results


def execute(options: Options, store: Store, log: RunLog) -> Results:
    """Run the test in real time, with a process for each node."""
    loop = RealLoop()

    def processes(network: Network) -> ProcessCluster:
        return ProcessCluster(
            options.nodes,
            [str(Path(options.bin).absolute()), *options.args],
            loop,
            network,
            store.path / "node-logs",
            log if options.log_stderr else None,
        )

    test = Test(options, loop, store, processes, log)
    with Progress(test, log.console):
        results = test.run()
    loop.close()
    return results


def simulate(
    options: Options, store: Store | None, log: Callable[[str], object] = lambda line: None
) -> Results:
    """Run the test in virtual time, nodes in this process; without a store, keep nothing."""
    return simulation(options, store, log).run()


def simulation(
    options: Options, store: Store | None, log: Callable[[str], object] = lambda line: None
) -> Test:
    """The test that `simulate` runs."""
    from glomers.simulated.nodes import SimulatedCluster
    from glomers.simulated.turns import TurnLoop

    loop = TurnLoop()

    def scripts(network: Network) -> SimulatedCluster:
        return SimulatedCluster(
            options.nodes,
            Path(options.bin).absolute(),
            options.args,
            loop,
            network,
            options.seed,
            (lambda id: store.open(f"node-logs/{id}.log")) if store else None,
            log if options.log_stderr else None,
        )

    return Test(options, loop, store, scripts, log)
