"""The nemesis: starts and stops faults while the load runs (`faults.py` has the faults).

Theory of operation. As in Jepsen (`jepsen.nemesis.combined`), each *package* of faults has a
schedule of its own: it does something at once, and then again and again after random waits,
uniform from 0 to twice the interval. What it does is to start the fault or, if that is on, to stop
it. Kill and pause are one package: each time one of the two is chosen at random, so that a node
may be killed while another is paused. All others are packages of their own.

The nemesis is a process like a client: it does one thing at a time, and the history has an
invocation and a completion of each. So while killed nodes are being initialised, whatever else is
due waits. When the load is over, every fault is stopped for good, whether it is on or not.
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
from glomers.workloads.base import Invocation
from glomers.world.cluster import Cluster
from glomers.world.faults import FAULTS, Fault
from glomers.world.loop import Loop
from glomers.world.network import Network


class Nemesis:
    """Starts and stops a test's faults. `random` is the nemesis's own stream.

    `initialise` sends `init` to a node that has been started anew, and calls the function that it
    is given with the node once that has answered.
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
    ) -> None:
        self.active: dict[str, str] = {}  # faults that are on, and of what kind
        self._loop = loop
        self._random = random
        self._record_operation = record
        self._interval = options.nemesis_interval
        self._time_limit = options.time_limit
        self._deadline = 0
        self._busy = False
        self._waiting: deque[Callable[[], object]] = deque()  # what is to be done after that
        self._faults = [
            fault(options.nodes, random, network, cluster, initialise)
            for name, fault in FAULTS.items()
            if name in options.nemesis
        ]

    def start(self) -> None:
        """The load starts now; there are faults until its time limit."""
        self._deadline = self._loop.now + nanos(self._time_limit)
        packages: dict[str, list[Fault]] = {}
        for fault in self._faults:
            packages.setdefault(fault.package or fault.name, []).append(fault)
        for package in packages.values():
            self._come(package)

    def end(self, then: Callable[[], object]) -> None:
        """Stop all faults for good, then call `then`."""
        for fault in self._faults:
            self.when_free(partial(self._stop, fault))
        self.when_free(then)

    def when_free(self, action: Callable[[], object]) -> None:
        """Call `action` when the nemesis has done what it is doing."""
        self._waiting.append(action)
        self._go_on()

    # The schedule

    def _come(self, package: Sequence[Fault]) -> None:
        """It is time for a package to do something."""
        self.when_free(partial(self._act, package))

    def _act(self, package: Sequence[Fault]) -> None:
        if self._loop.now >= self._deadline:
            return
        wait = self._random.uniform(0, 2 * self._interval)
        self._loop.call_at(self._loop.now + nanos(wait), self._come, package)
        fault = self._random.choice(package)
        if fault.on:
            self._stop(fault)
        else:
            self._start(fault)

    def _go_on(self) -> None:
        while self._waiting and not self._busy:
            self._waiting.popleft()()

    # What it does

    def _start(self, fault: Fault) -> None:
        kind = fault.plan()
        fault.on = True
        self.active[fault.name] = kind or "some"
        self._do(fault.f[0], kind, partial(fault.start, kind))

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
