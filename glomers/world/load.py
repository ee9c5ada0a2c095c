"""The load: workers that invoke a workload's operations, one at a time each.

As in Jepsen, operations come at `rate` per second for the whole cluster, with gaps that are uniform
from 0 to twice the mean. If no worker is free, the next operation waits for one. Worker i talks to
node i mod n. When an operation ends as `info`, its process has crashed: the worker continues as a
new process (the old number plus the number of workers), with a new client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from random import Random
from typing import Any

from glomers.history.operations import Operation
from glomers.history.times import NANOS, nanos
from glomers.workloads.base import Invocation, OperationGenerator, Workload
from glomers.world.client import Client, Outcome
from glomers.world.incidents import Incidents
from glomers.world.loop import Loop
from glomers.world.network import Network

NEVER = 1 << 63  # nanoseconds, longer than any test

Record = Callable[..., Operation]


class Worker:
    """Does one operation at a time against one node."""

    def __init__(self, load: Load, number: int, node: str) -> None:
        self.number = number
        self.node = node
        self.process = number
        self.busy = False
        self._load = load
        self._open()

    def _open(self) -> None:
        self.client = self._load.new_client()
        self.session = self._load.workload.session(self.node)

    def invoke(self, invocation: Invocation) -> None:
        """Begin an operation after its `wait`, unless the phase ends before that."""
        self.busy = True
        if invocation.wait:
            self._load.call_later(invocation.wait, self._begin_in_time, invocation)
        else:
            self._begin(invocation)

    def _begin_in_time(self, invocation: Invocation) -> None:
        if self._load.over:
            self.busy = False
            self._load.worker_free()
        else:
            self._begin(invocation)

    def _begin(self, invocation: Invocation) -> None:
        load, workload = self._load, self._load.workload
        began = load.record("invoke", self.process, invocation)
        load.generator.update(began, self.number)
        self.client.converse(
            self.node,
            self.session.invoke(invocation),
            workload.request_timeout,
            lambda outcome: self._complete(invocation, outcome),
            idempotent=invocation.f in workload.idempotent,
        )

    def _complete(self, invocation: Invocation, outcome: Outcome) -> None:
        load = self._load
        value = outcome.value if outcome.type == "ok" else invocation.value
        done = replace(invocation, value=value)
        ended = load.record(outcome.type, self.process, done, outcome.error)
        self.busy = False
        if outcome.type == "info":
            self.process += load.concurrency
            if not load.workload.reusable_clients:
                self.client.close()
                self._open()
        load.generator.update(ended, self.number)
        load.worker_free()


class Load:
    """Runs one generator after another through the workers."""

    def __init__(
        self,
        loop: Loop,
        network: Network,
        workload: Workload,
        random: Random,
        record: Record,
        client_names: Iterator[str] | None = None,
        incidents: Incidents | None = None,
    ) -> None:
        self.workload = workload
        self.record = record
        self.concurrency = workload.options.concurrency
        self.generator: OperationGenerator
        self._loop = loop
        self._network = network
        self._random = random
        self._client_names = client_names or (f"c{number}" for number in count())
        self._incidents = incidents or Incidents()
        self._workers: Sequence[Worker] = ()
        self._rate: float | None = 0.0
        self._due = 0  # when the next operation is to come
        self._asked = 0  # when a worker was last asked to do something
        self._deadline: int | None = None
        self._then: Callable[[], object] | None = None

    def new_client(self) -> Client:
        name, answers = next(self._client_names), self.workload.answers
        return Client(self._loop, self._network, name, answers, self._incidents)

    def open_clients(self) -> None:
        """Open a client for every worker."""
        nodes = self.workload.options.nodes
        self._workers = [
            Worker(self, number, nodes[number % len(nodes)]) for number in range(self.concurrency)
        ]

    def run(
        self,
        generator: OperationGenerator,
        rate: float | None,
        time_limit: float | None,
        then: Callable[[], object],
    ) -> None:
        """Invoke the operations of `generator`; call `then` when the last one has ended.

        With a `rate` (operations per second; 0 for no operations) the phase lasts for `time_limit`
        seconds. Without a rate, workers go as fast as they can, and the phase also ends when the
        generator has no more operations for any worker.
        """
        self.generator = generator
        self._rate = rate
        self._due = self._asked = self._loop.now if rate != 0 else NEVER
        self._deadline = None
        if time_limit is not None:
            self._deadline = self._loop.now + round(time_limit * NANOS)
            self._loop.call_at(self._deadline, self._proceed)
        self._then = then
        self._proceed()

    @property
    def over(self) -> bool:
        """Whether the phase has reached its time limit."""
        return self._deadline is not None and self._loop.now >= self._deadline

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> None:
        self._loop.call_later(nanos(seconds), function, *args)

    def worker_free(self) -> None:
        self._loop.call_at(self._loop.now, self._proceed)

    def _proceed(self) -> None:
        """Invoke the operations that are due; end the phase when nothing is left to do."""
        now = self._loop.now
        over = self.over
        if self._then is None:
            return
        while not over and self._due <= now:
            if not self._invoke_one():
                self._asked = now  # the next operation is late, which delays those after it
                break
            # A gap counts from when the operation was due, so that small delays don't lower the
            # rate; but not from before the last attempt, so that large delays cause no burst.
            start, self._asked = max(self._due, self._asked), now
            self._due = start + self._gap()
            self._loop.call_at(self._due, self._proceed)
        idle = not any(worker.busy for worker in self._workers)
        if idle and (over or self._rate is None):
            then, self._then = self._then, None
            then()

    def _gap(self) -> int:
        """Nanoseconds from one operation to the next."""
        return round(self._random.uniform(0, 2 * NANOS / self._rate)) if self._rate else 0

    def _invoke_one(self) -> bool:
        """Let a free worker begin an operation; False if none is free or has one to do."""
        free = [worker for worker in self._workers if not worker.busy]
        while free:
            worker = free.pop(self._random.randrange(len(free)))
            invocation = self.generator.next(worker.process, worker.number)
            if invocation is not None:
                worker.invoke(invocation)
                return True
        return False
