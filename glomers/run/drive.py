"""One test from beginning to end: options in, results out.

The phases are Maelstrom's: start the nodes; `init`, to be answered within 10 s; the workload's
set-up requests; the load, with the nemesis, for `--time-limit`; then, for workloads with a final
phase: heal the network, wait 10 s, and let every worker do its final operations. Then the checkers
judge the history.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from glomers.checkers import availability, stats
from glomers.checkers.verdict import UNKNOWN, merge_valid, warning
from glomers.errors import NodeError, UsageError
from glomers.history.operations import History
from glomers.history.store import Store
from glomers.history.times import nanos
from glomers.options import Options
from glomers.run.recorder import Recorder
from glomers.workloads import WORKLOADS
from glomers.workloads.base import Conversation, Workload
from glomers.world import services
from glomers.world.client import Answers, Client, Outcome
from glomers.world.cluster import Cluster, stream
from glomers.world.load import Load
from glomers.world.loop import Loop
from glomers.world.nemesis import Nemesis
from glomers.world.network import Latency, Network
from glomers.world.oddities import Oddities

INIT_TIMEOUT = 10.0  # seconds
RECOVERY = 10.0  # seconds between the healing and the final operations

Results = dict[str, Any]
Checker = Callable[[History, Options], Results]


class Test:
    """Builds the pieces of one test and drives them through its phases."""

    def __init__(
        self,
        options: Options,
        loop: Loop,
        store: Store | None,
        make_cluster: Callable[[Network], Cluster],
        log: Callable[[str], object] = lambda line: None,
    ) -> None:
        self.options = options
        self.loop = loop
        self.log = log
        self.recorder = Recorder(loop, store)
        journal = self.recorder.journal
        journal.log_send = log if options.log_net_send else None
        journal.log_recv = log if options.log_net_recv else None
        seed = options.seed
        self.network = Network(
            loop,
            stream(seed, "network"),
            journal,
            Latency(options.latency, options.latency_dist),
            options.p_loss,
            options.p_duplicate,
        )
        self.workload = WORKLOADS[options.workload](options, stream(seed, "load"))
        self.oddities = Oddities()
        self._client_names = (f"c{number}" for number in count())
        self.load = Load(
            loop,
            self.network,
            self.workload,
            stream(seed, "workers"),
            self.recorder.record,
            self._client_names,
            self.oddities,
        )
        services.start_all(self.network, stream(seed, "services"), self.oddities)
        self.cluster = make_cluster(self.network)
        self.nemesis = Nemesis(
            options,
            loop,
            self.network,
            self.cluster,
            stream(seed, "nemesis"),
            self.recorder.record,
            self._initialise_again,
        )
        self.phase = "starting"
        self._phases: Iterator[Callable[[], None]] = iter(
            (self._initialise, self._set_up, self._load, self._recover, self._finish)
        )

    def run(self) -> Results:
        """Run all phases and return the results.

        If a node breaks the protocol, or a person interrupts, the test ends there: what was
        recorded until then is kept and judged, `error` says what happened, and `valid?` is False
        or "unknown".
        """
        error: NodeError | KeyboardInterrupt | None = None
        try:
            self.cluster.start()
            self._next_phase()
            self.loop.run()
        except (NodeError, KeyboardInterrupt) as problem:
            error = problem
        finally:
            for line in self.cluster.unfinished_lines():
                self.oddities.note("no-newline", line)
            for warning in self.cluster.stop():
                self.log(f"warning: {warning}")
            self.recorder.end()
        results = self.judge()
        if isinstance(error, NodeError):
            results |= {"valid?": False, "error": str(error)}
        elif error is not None:
            results |= {"valid?": "unknown", "error": "interrupted"}
        return results

    def judge(self) -> Results:
        """The results of what has been recorded."""
        recorder = self.recorder
        # What came before the first operation is told by the error that ended the test.
        warnings = self.oddities.warnings() if recorder.invocations else []
        results = check(History(recorder.operations), self.options, warnings)
        net = recorder.journal.totals(recorder.invocations)
        return {**results, "net": net}

    # Phases

    def _next_phase(self) -> None:
        phase = next(self._phases)
        phase()

    def _initialise(self) -> None:
        self.phase = "initialising"
        self._ask_every_node(self._init, INIT_TIMEOUT)

    def _init(self, node: str) -> Conversation:
        yield {"type": "init", "node_id": node, "node_ids": list(self.options.nodes)}

    def _set_up(self) -> None:
        self.phase = "setting up"
        self._ask_every_node(self.workload.setup, self.workload.request_timeout)

    def _ask_every_node(self, conversation: Callable[[str], Conversation], timeout: float) -> None:
        """Hold a conversation with every node at once; go on when all have answered."""
        waiting = set(self.options.nodes)

        def done(node: str) -> None:
            waiting.remove(node)
            if not waiting:
                self._next_phase()

        for node in self.options.nodes:
            self._ask(node, conversation, timeout, done)

    def _ask(
        self,
        node: str,
        conversation: Callable[[str], Conversation],
        timeout: float,
        then: Callable[[str], object],
    ) -> None:
        """Hold a conversation with a node, by a client of its own, then call `then`."""
        # As in Maelstrom, of the answer to init only the type counts.
        answers: Answers = {"init": ("init_ok", {str: Any}), **self.workload.answers}
        name = next(self._client_names)
        client = Client(self.loop, self.network, name, answers, self.oddities)

        def done(outcome: Outcome) -> None:
            client.close()
            if outcome.type != "ok":
                raise self._no_answer(node, outcome, timeout, client.stray)
            then(node)

        client.converse(node, conversation(node), timeout, done)

    def _initialise_again(self, node: str, then: Callable[[str], object]) -> None:
        """Initialise a node that the nemesis has started anew."""
        self._ask(node, self._init, INIT_TIMEOUT, then)

    def _no_answer(self, node: str, outcome: Outcome, timeout: float, stray: str) -> NodeError:
        request = "the set-up request" if self.phase == "setting up" else "init"
        if outcome.error == "net-timeout":
            problem = f"did not answer {request} within {timeout:g} s."
        else:
            problem = f"answered {request} with an error: {json.dumps(outcome.error)}."
        expected = (
            '{"type": "init_ok", "in_reply_to": …}' if request == "init" else "an `…_ok` answer"
        )
        evidence = [f"What came instead: {stray}"] if stray else []
        evidence += self.cluster.evidence(node)
        return NodeError(node, problem, evidence=evidence, expected=expected)

    def _load(self) -> None:
        self.phase = "running"
        self.recorder.begin()
        self.load.open_clients()
        self.nemesis.start()
        self.load.run(
            self.workload.generator(),
            self.options.rate,
            self.options.time_limit,
            then=self._next_phase,
        )

    def _recover(self) -> None:
        final = self.workload.final_generator()
        if final is None:
            self.nemesis.when_free(self._finish)
            return

        def wait() -> None:
            self.phase = "waiting for recovery"
            self.log("Waiting for recovery...")
            limit = self.workload.final_time_limit
            run = self.load.run
            self.loop.call_later(nanos(RECOVERY), run, final, None, limit, self._next_phase)

        self.nemesis.end(wait)

    def _finish(self) -> None:
        self.phase = "done"
        self.loop.stop()


def check(history: History, options: Options, warnings: Sequence[Results] = ()) -> Results:
    """Judge a history: the workload's checker, availability and statistics, and all together.

    What Maelstrom lets pass comes as `warnings`, after those given; they only count if the options
    are strict. A part that is "unknown" says why, as its `error`.
    """
    workload = WORKLOADS[options.workload]
    results: Results = {
        "stats": _checked("stats", stats.check, history, options),
        "availability": _checked("availability", availability.check, history, options),
        "workload": _checked(workload.name, workload.check, history, options),
    }
    results["valid?"] = merge_valid(part["valid?"] for part in results.values())
    failures = stats.failures(history, results["stats"])
    if found := [*failures, *warnings, *_warnings(workload, history, options)]:
        results["warnings"] = found
        if options.strict:
            results["valid?"] = False
    return results


def _checked(name: str, checker: Checker, history: History, options: Options) -> Results:
    """A checker's verdict; "unknown", and why, for a history that it can't judge."""
    try:
        return checker(history, options)
    except UsageError:
        raise
    except Exception as error:
        return {"valid?": UNKNOWN, "error": _mistake(f"the checker of {name} broke off", error)}


def _warnings(workload: type[Workload], history: History, options: Options) -> list[Results]:
    """What Maelstrom lets pass; for a history with which the search for it fails, that it did."""
    try:
        return workload.warnings(history, options)
    except Exception as error:
        text = _mistake("the search for what Maelstrom lets pass broke off", error)
        return [warning("unsearched", text, [{}])]


def _mistake(what: str, error: Exception) -> str:
    """What broke off, whose mistake it was, and what helps to mend it."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    place = f"{Path(frame.f_code.co_filename).name}, line {line}"
    return (
        f"{what}, which is a mistake of the workbench, not of the node"
        f" ({type(error).__name__} in {place}: {error})"
    )
