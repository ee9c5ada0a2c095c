"""The nemesis: starts and stops faults while the load runs (`faults.py` has the faults).

Theory of operation. As in Jepsen (`jepsen.nemesis.combined`), each *package* of faults has a
schedule of its own. The package acts when the load starts, and then again after random waits,
uniform from 0 to twice the interval. To act means to start the fault or, if it is on, to stop it.
Kill and pause are one package: one of the two is chosen at random each time, so a node may be
killed while another is paused. Every other fault is a package of its own.

The nemesis is a process like a client: it does one thing at a time, and the history has an
invocation and a completion of each. So actions that are due wait while killed nodes are being
initialised. A scenario may say instead what the nemesis does, and when. When the load is over, the
nemesis stops every fault, whether it is on or not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from glomers.history.operations import NEMESIS, Operation
from glomers.history.times import nanos
from glomers.options import Options
from glomers.scenario import Action, Scenario
from glomers.workloads.base import Invocation
from glomers.world.cluster import Cluster
from glomers.world.faults import FAULTS, Fault, Plan
from glomers.world.loop import Loop
from glomers.world.network import Network

# A fault, and how it starts; None if it stops.
Decision = tuple[Fault, Plan | None]
Decide = Callable[[], Decision]


class Nemesis:
    """Starts and stops a test's faults. `random` is the nemesis's own stream.

    `initialise(node, then)` sends `init` to a node that has been started anew, and calls
    `then(node)` when the node has answered. If a scenario has `told` what the nemesis does, nothing
    is drawn. Raises UsageError if the scenario's faults don't fit the test.
    """

    def __init__(
        self,
        options: Options,
        loop: Loop,
        network: Network,
        cluster: Cluster,
        random: Random,
        record: Callable[..., Operation],
        initialise: Callable[[str, Callable[[str], object]], object],
        told: Scenario | None = None,
    ) -> None:
        self.active: dict[str, str] = {}  # the faults that are on, with their kinds
        self._loop = loop
        self._random = random
        self._record_operation = record
        # Called with each action, before it is done.
        self.decided: Callable[[Action], object] = lambda action: None
        self._interval = options.nemesis_interval
        self._time_limit = options.time_limit
        self._began = self._deadline = 0
        self._busy = False
        self._waiting: deque[Callable[[], object]] = deque()  # actions that wait for their turn
        named = {action.f for action in told.faults} if told else set()
        self._faults = [
            fault(options.nodes, random, network, cluster, initialise)
            for name, fault in FAULTS.items()
            if name in options.nemesis or not named.isdisjoint(fault.f)
        ]
        self._told = None if told is None else [self._as_told(a, told) for a in told.faults]

    def start(self) -> None:
        """Begin the faults, at the start of the load. They go on until its time limit."""
        self._began = self._loop.now
        self._deadline = self._began + nanos(self._time_limit)
        if self._told is not None:
            for time, decide in sorted(self._told, key=lambda told: told[0]):
                if time == 0:
                    self._come(decide)
                else:
                    self._loop.call_at(self._began + time, self._come, decide)
            return
        packages: dict[str, list[Fault]] = {}
        for fault in self._faults:
            packages.setdefault(fault.package or fault.name, []).append(fault)
        for package in packages.values():
            self._come(partial(self._draw, package))

    def end(self, then: Callable[[], object]) -> None:
        """Stop all faults for good, then call `then`."""
        for fault in self._faults:
            self.when_free(partial(self._stop, fault))
        self.when_free(then)

    def when_free(self, action: Callable[[], object]) -> None:
        """Call `action` when the nemesis has finished its present action and those waiting."""
        self._waiting.append(action)
        self._go_on()

    # The schedule

    def _come(self, decide: Decide) -> None:
        """Do what `decide` says, now that its time has come."""
        self.when_free(partial(self._act, decide, self._loop.now - self._began))

    def _act(self, decide: Decide, due: int) -> None:
        if self._loop.now >= self._deadline:
            return
        fault, plan = decide()
        if plan is None:
            self.decided(Action(fault.f[1], due))
            self._stop(fault)
        else:
            self.decided(fault.action(due, plan))
            self._start(fault, plan)

    def _draw(self, package: Sequence[Fault]) -> Decision:
        """What a package does now; when it acts again is drawn as well."""
        wait = self._random.uniform(0, 2 * self._interval)
        again = self._loop.now + nanos(wait)
        self._loop.call_at(again, self._come, partial(self._draw, package))
        fault = self._random.choice(package)
        return fault, None if fault.on else fault.plan()

    def _as_told(self, action: Action, scenario: Scenario) -> tuple[int, Decide]:
        """When an action of a scenario is due, and what it is."""
        for fault in self._faults:
            if action.f in fault.f:
                break
        else:
            known = ", ".join(f for fault in FAULTS.values() for f in fault.f)
            raise scenario.refusal(action, f"expected as `f` one of {known}")
        try:
            plan = fault.told(action)
        except ValueError as problem:
            raise scenario.refusal(action, str(problem)) from None
        return action.time, lambda: (fault, plan)

    def _go_on(self) -> None:
        while self._waiting and not self._busy:
            self._waiting.popleft()()

    # The actions

    def _start(self, fault: Fault, plan: Plan) -> None:
        fault.on = True
        self.active[fault.name] = plan.kind or "some"
        self._do(fault.f[0], plan.kind, partial(fault.start, plan.target))

    def _stop(self, fault: Fault) -> None:
        fault.on = False
        self.active.pop(fault.name, None)
        self._do(fault.f[1], fault.stop_value, fault.stop)

    def _do(
        self, f: str, value: Any, function: Callable[[Callable[[Any], object]], object]
    ) -> None:
        def done(result: Any) -> None:
            self._record(f, result)
            self._busy = False
            self._go_on()

        self._busy = True
        self._record(f, value)
        function(done)

    def _record(self, f: str, value: Any) -> None:
        self._record_operation("info", NEMESIS, Invocation(f, value))
