"""What a workload is: the operations that clients invoke, their requests, and the verdict.

A workload's `generator` says what a free process does next, and is told of every completion.
`invoke` is written as a conversation: it yields request bodies and receives answer bodies.

    def invoke(self, invocation):
        answer = yield {"type": "read"}
        return answer["messages"]

An `error` answer or a time-out is raised at the `yield` and turned into a `fail` or an `info` by
the client (client.py), so that a workload only says what a success looks like.

Most workloads are short, because three base classes do what they have in common. `Workload` is the
base of all. A `PlainWorkload` has clients without a memory. In a `SharedValue`, clients write to a
value that all nodes share, and read it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, NamedTuple

from glomers.checkers import Checker
from glomers.history.operations import History, Operation
from glomers.history.times import NANOS
from glomers.options import Options
from glomers.scenario import Invoke
from glomers.workloads.shapes import OneOf, mismatch

Body = dict[str, Any]
Conversation = Generator[Body, Body, Any]

FINAL = "final?"  # the key in the history that marks an operation of the final phase


class Invocation(NamedTuple):
    """The next operation of a process; it becomes an `invoke` of the history.

    The worker first does nothing for `wait` seconds.
    """

    f: str
    value: Any = None
    final: bool = False
    extra: tuple[tuple[str, Any], ...] = ()
    wait: float = 0.0


class OperationGenerator(ABC):
    """Hands out operations. It is only asked for a process that is free."""

    @abstractmethod
    def next(self, process: int, worker: int) -> Invocation | None:
        """The next operation of `process` (run by worker number `worker`).

        None means that this worker has nothing to do now; in the final phase, that it has finished.
        """

    def update(self, operation: Operation, worker: int) -> None:  # noqa: B027
        """Take note of an invocation or a completion of `worker`."""


class SessionCrash(Exception):
    """Raised by a session to crash its process; the operation becomes an `info`."""


class Forever(OperationGenerator):
    """Operations without end; all workers get the same kind."""

    def __init__(self, operation: Callable[[], Invocation]) -> None:
        self._operation = operation

    def next(self, process: int, worker: int) -> Invocation:
        return self._operation()


class OncePerWorker(OperationGenerator):
    """The same operation once for each worker."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._served: set[int] = set()

    def next(self, process: int, worker: int) -> Invocation | None:
        if worker in self._served:
            return None
        self._served.add(worker)
        return self._invocation


class ClientSession(ABC):
    """One client of one node. A session lasts until its process crashes (an `info`)."""

    @abstractmethod
    def invoke(self, invocation: Invocation) -> Conversation:
        """Yield request bodies, receive answer bodies, return the value of the `ok` operation."""


@dataclass(frozen=True, slots=True)
class Values:
    """The shapes (see shapes.py) of an operation's `value`: when it is invoked, and when it is ok.

    An operation that ends as `fail` or `info` keeps the value of its invocation, or shows the part
    of the answer that is known.
    """

    asked: Any = None
    answered: Any = None


class Workload(ABC):
    """One workload. `random` is the load's own stream of randomness."""

    name: ClassVar[str]
    # The operations of its histories, by their `f`.
    operations: ClassVar[Mapping[str, Values]]
    # Request type -> (answer type, {field: shape}); see client.py for shapes.
    answers: ClassVar[dict[str, tuple[str, dict[str, Any]]]]
    # The checker of its histories.
    checker: ClassVar[Checker]
    # Operations that are safe to repeat: a time-out is a `fail`, not an `info`.
    idempotent: ClassVar[frozenset[str]] = frozenset()
    # Seconds a client waits for an answer.
    request_timeout: float = 5.0
    # The most seconds that the final phase may take, None for no limit.
    final_time_limit: float | None = None
    # Whether a client survives an `info`; otherwise a new client takes its place.
    reusable_clients: ClassVar[bool] = False

    def __init__(self, options: Options, random: Random) -> None:
        self.options = options
        self.random = random

    def setup(self, node: str) -> Conversation:
        """Requests sent to `node` before the load starts."""
        yield from ()

    @abstractmethod
    def generator(self) -> OperationGenerator:
        """The load."""

    def final_generator(self) -> OperationGenerator | None:
        """The final phase, after the network has healed; None if there is none."""
        return None

    @abstractmethod
    def session(self, node: str) -> ClientSession:
        """A fresh client for `node`."""

    def warnings(self) -> list[dict[str, Any]]:
        """Warnings of what the clients saw that the history doesn't show."""
        return []

    def told(self, invoke: Invoke) -> Invocation:
        """An operation of a scenario, as the generator would hand it out."""
        value = self.keyworded(invoke.f, invoke.value)
        return Invocation(
            invoke.f,
            value,
            final=dict(invoke.marks).get(FINAL) is True,
            extra=tuple(mark for mark in invoke.marks if mark[0] != FINAL),
            wait=invoke.wait / NANOS,
        )

    def keyworded(self, f: str, value: Any) -> Any:
        """The value of an operation `f` that was read from JSON, with its keywords."""
        return value

    @classmethod
    def misfit(cls, operation: Operation) -> str:
        """Why an operation can't be one of this workload, in a few words; "" if it can."""
        values = cls.operations.get(operation.f)
        if values is None:
            known = ", ".join(f":{f}" for f in cls.operations)
            return f"{cls.name} has no operation :{operation.f}, only {known}"
        shapes = {"invoke": values.asked, "ok": values.answered}
        shape = shapes.get(operation.type, OneOf(values.asked, values.answered))
        problem = mismatch(operation.value, shape, "the :value")
        return f"{problem} (of an :{operation.type} of :{operation.f})" if problem else ""

    @classmethod
    def is_shared(cls, operation: Operation) -> bool:
        """Whether an operation writes what other nodes must come to know, though the checker may
        not notice that they don't."""
        return False

    @staticmethod
    def has_final_phase(history: History) -> bool:
        """Whether a history includes the workload's final phase; True if the workload has none."""
        return True


class PlainWorkload(Workload, ClientSession):
    """A workload whose clients have nothing to remember, so one session serves all of them."""

    def session(self, node: str) -> ClientSession:
        return self


class SharedValue(PlainWorkload):
    """A value that all nodes share: what a client writes to one node must become readable on all.

    Half of the operations write, half read. After the network has healed, every worker reads once
    more.
    """

    idempotent = frozenset({"read"})
    final_read: ClassVar = Invocation("read", final=True)

    @abstractmethod
    def writes(self) -> Iterator[Invocation | None]:
        """The writes, without end. None means: draw again whether to write or to read."""

    def generator(self) -> OperationGenerator:
        writes = self.writes()

        def operation() -> Invocation:
            while self.random.random() < 0.5:
                if write := next(writes):
                    return write
            return Invocation("read")

        return Forever(operation)

    def final_generator(self) -> OperationGenerator:
        return OncePerWorker(self.final_read)

    @staticmethod
    def has_final_phase(history: History) -> bool:
        return any(operation.final for operation in history)
