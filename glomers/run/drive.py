"""One test from beginning to end: its phases, and the verdict.

The phases are Maelstrom's:

1. The nodes are started.
2. Every node gets `init` and must answer it within 10 s.
3. The workload's set-up requests are sent.
4. The load runs for `--time-limit`, and the nemesis with it.
5. If the workload has a final phase, the network heals, the test waits 10 s, and every worker does
   its final operations.
6. The checkers judge the history.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from glomers.checkers import availability, stats
from glomers.checkers.verdict import UNKNOWN, merge_valid, warning
from glomers.errors import NodeError, UsageError
from glomers.history.edn import Keyword
from glomers.history.evidence import node_of
from glomers.history.operations import History
from glomers.history.times import nanos
from glomers.options import Options
from glomers.run.checks import Checks
from glomers.run.reasons import evidence_of, with_reasons
from glomers.run.recorder import HistoryFull, Recorder
from glomers.scenario import Scenario
from glomers.workloads import WORKLOADS
from glomers.workloads.base import OperationGenerator, Workload
from glomers.world.decisions import Recording
from glomers.world.incidents import TEXTS
from glomers.world.load import Load
from glomers.world.nemesis import Nemesis
from glomers.world.setup import Setup
from glomers.world.world import World

RECOVERY = 10.0  # seconds between the healing and the final operations
MOST_NOTES = 5
# How much there is to collect before Python looks for garbage (see gc.set_threshold).
RARELY = (20_000, 10, 20)
BROKE_OFF = "broke off"  # what is said of a checker that failed
SOON = 1.0  # seconds after which a node has sent what a client wrote

Log = Callable[[str], object]
Results = dict[str, Any]
Checker = Callable[[History, Options], Results]


class Phase(Enum):
    """The phases of a test, in their order. The values are the words that a person sees."""

    STARTING = "starting"
    INITIALISING = "initialising"
    SETTING_UP = "setting up"
    RUNNING = "running"
    RECOVERING = "waiting for recovery"
    DONE = "done"


class Test:
    """Drives a test through its phases. `glomers.run.build` puts its parts together.

    `log` is called with each line of `run.log`. If a scenario has `told` operations, those come.
    `recording` takes down what is decided.
    """

    def __init__(
        self,
        options: Options,
        world: World[Any],
        workload: Workload,
        setup: Setup,
        load: Load,
        nemesis: Nemesis,
        recorder: Recorder,
        log: Log,
        told: Scenario | None = None,
        recording: Recording | None = None,
        checks: Checks | None = None,
    ) -> None:
        self.options = options
        self.world = world
        self.workload = workload
        self.setup = setup
        self.load = load
        self.nemesis = nemesis
        self.recorder = recorder
        self.log = log
        self.checks = checks
        self.phase = Phase.STARTING
        self._told = told or Scenario()
        self._recording = recording
        self.notes: list[Callable[[], Sequence[str]]] = []  # of what a person should know at last
        self._final: OperationGenerator | None = None
        self._entering: dict[Phase, Callable[[], None]] = {
            Phase.STARTING: self._start,
            Phase.INITIALISING: partial(self._ask_every_node, setup.initialise),
            Phase.SETTING_UP: partial(self._ask_every_node, setup.prepare),
            Phase.RUNNING: self._run_load,
            Phase.RECOVERING: self._recover,
            Phase.DONE: self._finish,
        }
        self._phases = iter(Phase)

    def run(self, judging: Callable[[], AbstractContextManager[None]] = nullcontext) -> Results:
        """Run all phases and return the results. A test can only be run once.

        `judging()` is entered while the history is judged.

        The test ends early if a node breaks the protocol, a person interrupts it or there is too
        much to record. What was recorded until then is kept and judged, `error` in the results
        says what happened, and `valid?` is False or "unknown".
        """
        with _few_collections():
            return self._run(judging)

    def _run(self, judging: Callable[[], AbstractContextManager[None]]) -> Results:
        error: NodeError | KeyboardInterrupt | HistoryFull | None = None
        try:
            self._next_phase()
            self.world.loop.run()
        except (NodeError, KeyboardInterrupt, HistoryFull) as problem:
            error = problem
        finally:
            for warning in self.world.end():
                self.log(f"warning: {warning}")
            self.recorder.end(self.world.cluster.log_times())
        for note in [note for notes in self.notes for note in notes()][:MOST_NOTES]:
            self.log(f"note: {note}")
        with judging():
            results = self.judge()
        if isinstance(error, NodeError):
            results |= {"valid?": False, "error": str(error)}
        elif error is not None:
            results |= {"valid?": UNKNOWN, "error": str(error) or "interrupted"}
        elif results["valid?"] is not True:
            evidence = evidence_of(self.history, self.options, self.recorder.folder)
            results = with_reasons(results, self.workload.name, evidence)
        return results

    @property
    def scenario(self) -> Scenario | None:
        """What has been decided so far; None if it wasn't recorded, or was too much to record."""
        return self._recording.scenario(self._told) if self._recording else None

    @property
    def history(self) -> History:
        """What has been recorded so far."""
        return History(self.recorder.operations)

    def judge(self) -> Results:
        """The results of what has been recorded until now."""
        recorder = self.recorder
        incidents, origin = self.world.incidents, recorder.origin
        warnings = [*incidents.warnings(origin), *self.workload.warnings()]
        found = incidents.remarkable(origin)
        alone = [incident for incident in found if str(incident["kind"]) == "alone"]
        if alone and _must_talk(self.workload, self.history, self.options):
            found = [incident for incident in found if incident not in alone]
            kind = "unreplicated"
            warnings += [{**each, "kind": Keyword(kind), "text": TEXTS[kind]} for each in alone]
        results = check(self.history, self.options, warnings)
        if found:
            results["incidents"] = found
        if self.checks:
            results = self.checks.results(results, self.history)
        net = recorder.journal.totals(recorder.invocations)
        return {**results, "net": net}

    # Phases

    def _next_phase(self) -> None:
        self.phase = next(self._phases)
        self._entering[self.phase]()

    def _start(self) -> None:
        self.world.cluster.start()
        self._next_phase()

    def _ask_every_node(self, ask: Callable[[str, Callable[[str], object]], object]) -> None:
        """Ask all nodes at once; go on when all have answered."""
        waiting = set(self.options.nodes)

        def done(node: str) -> None:
            waiting.remove(node)
            if not waiting:
                self._next_phase()

        for node in self.options.nodes:
            ask(node, done)

    def _begin_load(self) -> None:
        self.recorder.begin()
        if self._recording:
            self._recording.begin()
        self.load.open_clients()

    def _run_load(self) -> None:
        self._begin_load()
        self.nemesis.start()
        if self.checks:
            self.checks.begin()
        self.load.run(
            self.workload.generator(),
            self.options.rate,
            self.options.time_limit,
            then=self._end_faults,
            told=self._told.operations,
        )

    def _end_faults(self) -> None:
        """End the load. The network only has to heal if there are final operations."""
        self._final = self.workload.final_generator()
        end = self.nemesis.when_free if self._final is None else self.nemesis.end
        end(self._next_phase)

    def _recover(self) -> None:
        if self._final is None:
            self._next_phase()
            return
        self.log("Waiting for recovery...")
        self.world.loop.call_later(nanos(RECOVERY), self._run_final, self._final)

    def _run_final(self, generator: OperationGenerator) -> None:
        if self._recording:
            self._recording.begin()
        limit, told = self.workload.final_time_limit, self._told.final
        self.load.run(generator, None, limit, self._next_phase, told)

    def _finish(self) -> None:
        """End the run; but what must come to hold still has time for that, without any fault."""
        end = self.world.loop.stop
        if self.checks is None or not self.checks.must_settle:
            end()
        elif self._final is None:
            self.nemesis.end(partial(self.checks.settle, end))
        else:
            self.checks.settle(end)


@contextmanager
def _few_collections() -> Iterator[None]:
    """Let Python look for garbage more rarely.

    As often as it usually does, it takes a fifth of the time of a long simulation, because it looks
    through the history that has grown until then, where there is none.
    """
    usual = gc.get_threshold()
    gc.set_threshold(*RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _must_talk(workload: Workload, history: History, options: Options) -> bool:
    """Whether two nodes have acknowledged what others must come to know, so that one node at least
    should have sent something until the end of the history."""
    operations = list(history.client_operations())
    until = operations[-1].time - nanos(SOON) if operations else 0
    acknowledged = {
        node_of(int(operation.process), options.nodes, options.concurrency)
        for operation in operations
        if operation.type == "ok" and operation.time <= until and workload.is_shared(operation)
    }
    return len(acknowledged) > 1


def check(history: History, options: Options, warnings: Sequence[Results] = ()) -> Results:
    """Judge a history by the workload's checker, availability and statistics.

    The results hold a part for each of these, and `valid?` for all of them. Mistakes that Maelstrom
    lets pass become `warnings`, which are added to those given. Warnings only make a test invalid
    if the options are strict. A part whose verdict is "unknown" says why in its `error`.
    """
    workload = WORKLOADS[options.workload]
    results: Results = {
        "stats": _checked("stats", stats.check, history, options),
        "availability": _checked("availability", availability.check, history, options),
        "workload": _checked(workload.name, workload.checker.check, history, options),
    }
    results["valid?"] = merge_valid(part["valid?"] for part in results.values())
    failures = stats.failures(history, results["stats"])
    if found := [*failures, *warnings, *_warnings(workload, history, options)]:
        results["warnings"] = found
        if options.strict:
            results["valid?"] = False
    return results


def _checked(name: str, checker: Checker, history: History, options: Options) -> Results:
    """A checker's result; if the checker fails, the verdict "unknown" and the reason."""
    try:
        return checker(history, options)
    except UsageError:
        raise
    except Exception as error:
        return {"valid?": UNKNOWN, "error": _mistake(f"the checker of {name} {BROKE_OFF}", error)}


def _warnings(workload: type[Workload], history: History, options: Options) -> list[Results]:
    """Warnings of mistakes that Maelstrom lets pass, or one that the search for them failed."""
    try:
        return workload.checker.warnings(history, options)
    except Exception as error:
        text = _mistake("the search for what Maelstrom lets pass broke off", error)
        return [warning("unsearched", text, [{}])]


def _mistake(what: str, error: Exception) -> str:
    """An error message: what failed, that it isn't the node's fault, and where it happened."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    place = f"{Path(frame.f_code.co_filename).name}, line {line}"
    return (
        f"{what}, which is a mistake of the workbench, not of the node"
        f" ({type(error).__name__} in {place}: {error})"
    )
