"""Runs one test for a person: makes its folder, shows its progress, and shows the verdict."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from glomers.history import retention
from glomers.history.command import Command
from glomers.history.store import Store
from glomers.history.times import nanos
from glomers.invocation import present
from glomers.launch.program import check_program, check_script
from glomers.options import Options
from glomers.report.screen import Screen, say
from glomers.report.summary import PAGE, render
from glomers.run import checks, replay
from glomers.run.build import real_test, simulated_test
from glomers.run.drive import Results
from glomers.run.figures import figures
from glomers.run.kept import write_page
from glomers.run.progress import Progress, RunLog
from glomers.run.reasons import reasons
from glomers.run.story import tell
from glomers.scenario import FILE, Scenario
from glomers.world.cluster import MOST_LOG

LAG = 0.5  # seconds by which what is written may lag behind: `serve` shows it while the test runs


def run(
    options: Options,
    root: Path,
    challenge: str | None,
    simulated: bool,
    keep: int | None = None,
    scenario: Scenario | None = None,
    words: Callable[[Path], tuple[str, ...]] | None = None,
) -> tuple[Results, Path]:
    """Run the test, show the verdict, and return the results and the run's folder.

    A test with a scenario is simulated. A simulated test keeps its own scenario, too.
    The store keeps the last `keep` runs, or all if `keep` is None. The command that is kept with
    the run is the person's, or the `words` that repeat the run in a folder.
    Raises UsageError if the program can't be run or the test can't be kept, and OSError if the
    disk is full; if there is a verdict, it has been shown by then.
    """
    simulated = simulated or scenario is not None
    (check_script if simulated else check_program)(Path(options.bin))
    if options.check:
        checks.load(Path(options.check), simulated)
    with closing(Store.create(root, options.workload)) as store:
        engine = "workbench, simulated" if simulated else "workbench"
        command = present() if words is None else replace(present(), words=words(store.path))
        store.write_command(Command.of(command, options.seed, engine, store.path))
        log = RunLog(store.open("run.log", MOST_LOG), Screen(soft_wrap=True))
        if simulated:
            test = simulated_test(options, store, log, scenario)
        else:
            test = real_test(options, store, log)
            # which fills the buffers soon enough, and writes in another thread
            test.world.loop.repeat(nanos(LAG), store.flush)
        with Progress(test, log.console) as progress:
            results = {**test.run(progress.judging), "seed": options.seed}
        if test.scenario:
            replay.keep(test.scenario, store)
        elif simulated:
            log(f"note: a run of so many decisions keeps no {FILE}")
        try:
            for warning in store.warnings():
                log(f"warning: {warning}")
            if "error" in results:
                log.keep(f"error: {results['error']}")
            log.keep(f"valid: {results['valid?']}")
            store.write_results(results)
        finally:
            told = figures(results, options.workload), reasons(results, options.workload)
            render(results, *told, store.path, challenge, page=store.path / PAGE)
        if keep is not None:
            retention.prune(root, keep)
    if scenario is not None and results["valid?"] is False:
        for line in tell(store.path, test.history, results):
            say(log.console, line)
    write_page(store.path, challenge)
    return results, store.path
