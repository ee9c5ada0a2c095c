"""The load: workers that invoke a workload's operations, one at a time each.

As in Jepsen, operations come at `rate` per second for the whole cluster, with gaps that are uniform
from 0 to twice the mean. If no worker is free, the next operation waits for one. Worker i talks to
node i mod n. When an operation ends as `info`, its process has crashed: the worker continues as a
new process (the old number plus the number of workers), with a new client.

A scenario may say instead which operations come, when, and which worker does each.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from operator import attrgetter
from random import Random
from typing import Any, Protocol

from glomers.history.operations import Operation
from glomers.history.times import NANOS, nanos
from glomers.scenario import Invoke
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
        self._load = load
        self._open()
        self._is_free()

    def _open(self) -> None:
        self.client = self._load.new_client()
        self.session = self._load.workload.session(self.node)

    def _is_free(self) -> None:
        self.busy = False
        insort(self._load.free, self, key=attrgetter("number"))

    def invoke(self, invocation: Invocation) -> None:
        """Begin an operation after its `wait`, unless the phase ends before that."""
        self.busy = True
        self._load.free.remove(self)
        if invocation.wait:
            self._load.call_later(invocation.wait, self._begin_in_time, invocation)
        else:
            self._begin(invocation)

    def _begin_in_time(self, invocation: Invocation) -> None:
        if self._load.over:
            self._is_free()
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
        done = invocation._replace(value=value)
        ended = load.record(outcome.type, self.process, done, outcome.error)
        self._is_free()
        if outcome.type == "info":
            self.process += load.concurrency
            if not load.workload.reusable_clients:
                self.client.close()
                self._open()
        load.generator.update(ended, self.number)
        load.worker_free()


class Schedule(Protocol):
    """Decides which operations come, when, and which worker does each."""

    due: int  # when the next operation is to come

    def next(self, now: int, free: Sequence[Worker]) -> tuple[int, Worker, Invocation] | None:
        """An operation that can begin now, with its worker, and when it was due.

        `free` has the workers that do nothing, in the order of their numbers.
        """

    @property
    def exhausted(self) -> bool:
        """Whether no more operations come, if nothing can begin now and all workers are free."""


class Drawn:
    """Operations of a generator at random times, for random workers.

    `rate` is that of `Load.run`; `now` is when the phase begins.
    """

    def __init__(
        self, generator: OperationGenerator, rate: float | None, random: Random, now: int
    ) -> None:
        self.due = now if rate != 0 else NEVER
        self.exhausted = True
        self._asked = self.due  # when a worker was last asked to do something
        self._generator = generator
        self._rate = rate
        self._random = random

    def next(self, now: int, free: Sequence[Worker]) -> tuple[int, Worker, Invocation] | None:
        if self.due > now:
            return None
        chosen = self._choose(list(free))
        if chosen is None:
            self._asked = now  # the next operation is late, which delays those after it
            return None
        # A gap counts from when the operation was due, so that small delays don't lower the rate;
        # but not from before the last attempt, so that large delays cause no burst.
        due, start, self._asked = self.due, max(self.due, self._asked), now
        self.due = start + self._gap()
        return due, *chosen

    def _choose(self, free: list[Worker]) -> tuple[Worker, Invocation] | None:
        """A worker that has something to do, and what that is."""
        while free:
            worker = free.pop(self._random.randrange(len(free)))
            invocation = self._generator.next(worker.process, worker.number)
            if invocation is not None:
                return worker, invocation
        return None

    def _gap(self) -> int:
        """Nanoseconds from one operation to the next."""
        return round(self._random.uniform(0, 2 * NANOS / self._rate)) if self._rate else 0


class Told:
    """The operations of a scenario. One whose worker is still busy waits for it.

    `proceed` is called when an operation may be due behind one that waits.
    """

    def __init__(
        self, told: Sequence[Invoke], workload: Workload, loop: Loop, proceed: Callable[[], object]
    ) -> None:
        began = loop.now
        ordered = sorted(told, key=lambda invoke: invoke.time)
        self._coming = deque((began + invoke.time, invoke) for invoke in ordered)
        self._waiting: list[tuple[int, Invoke]] = []  # whose time has come
        self._guarded = began  # until when `proceed` is called although an operation waits
        self._workload = workload
        self._loop = loop
        self._proceed = proceed
        self.due = self._coming[0][0] if self._coming else NEVER

    @property
    def exhausted(self) -> bool:
        return not self._coming and not self._waiting

    def next(self, now: int, free: Sequence[Worker]) -> tuple[int, Worker, Invocation] | None:
        while self._coming and self._coming[0][0] <= now:
            self._waiting.append(self._coming.popleft())
        workers = {worker.number: worker for worker in free}
        for place, (due, invoke) in enumerate(self._waiting):
            if invoke.worker not in workers:
                continue
            del self._waiting[place]
            behind = self._waiting[place:] or self._coming
            self.due = behind[0][0] if behind else NEVER
            return due, workers[invoke.worker], self._workload.told(invoke)
        self._guard()
        return None

    def _guard(self) -> None:
        """Let those be asked for in time that come behind an operation which waits."""
        if self._waiting and self._coming and self._coming[0][0] > self._guarded:
            self._guarded = self._coming[0][0]
            self._loop.call_at(self._guarded, self._look_again)

    def _look_again(self) -> None:
        if self._waiting:
            self._proceed()


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
        self.free: list[Worker] = []  # that do nothing, in the order of their numbers
        self._loop = loop
        self._network = network
        self._random = random
        self._client_names = client_names or (f"c{number}" for number in count())
        self._incidents = incidents or Incidents()
        self._workers: Sequence[Worker] = ()
        # Called with each operation: nanoseconds of the phase when it was due, worker, invocation.
        self.chosen: Callable[[int, int, Invocation], object] = lambda due, worker, what: None
        self._schedule: Schedule
        self._began = 0  # when the phase began
        self._lasts = False  # whether the phase lasts until its time limit
        self._deadline: int | None = None
        self._then: Callable[[], object] | None = None

    @property
    def workers(self) -> Sequence[Worker]:
        """The workers, once their clients are open."""
        return self._workers

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
        told: Sequence[Invoke] | None = None,
    ) -> None:
        """Invoke the operations of `generator`; call `then` when the last one has ended.

        With a `rate` (operations per second; 0 for no operations) the phase lasts for `time_limit`
        seconds. Without a rate, workers go as fast as they can, and the phase also ends when the
        generator has no more operations for any worker.

        If a scenario has `told` the phase's operations, those come instead of the generator's.
        """
        self.generator = generator
        self._began = now = self._loop.now
        if told is None:
            self._schedule = Drawn(generator, rate, self._random, now)
        else:
            self._schedule = Told(told, self.workload, self._loop, self._proceed)
        self._lasts = rate is not None
        self._deadline = None
        if time_limit is not None:
            self._deadline = now + round(time_limit * NANOS)
            self._loop.call_at(self._deadline, self._proceed)
        self._then = then
        if self._schedule.due > now:
            self._wake()
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
        schedule = self._schedule
        while not over and (found := schedule.next(now, self.free)):
            due, worker, invocation = found
            self.chosen(due - self._began, worker.number, invocation)
            worker.invoke(invocation)
            self._wake()
        is_ending = over or (schedule.exhausted and not self._lasts)
        if is_ending and len(self.free) == len(self._workers):
            then, self._then = self._then, None
            then()

    def _wake(self) -> None:
        """Go on when the next operation is due."""
        if self._schedule.due < NEVER:
            self._loop.call_at(self._schedule.due, self._proceed)
