"""What a workload is: the operations that clients invoke, their requests, and the verdict.

A workload's `generator` says what a free process does next and hears of every completion.
`invoke` is written as a conversation: it yields request bodies and receives answer bodies.

    def invoke(self, invocation):
        answer = yield {"type": "read"}
        return answer["messages"]

An `error` answer or a time-out is raised at the `yield` and turned into a `fail` or an `info` by
the client (client.py), so that a workload only says what a success looks like.

Most workloads are short, because they are of a kind: `Workload` is what all have in common;
the clients of a `PlainWorkload` have nothing to remember; a `SharedValue` is something that all
nodes have in common, to which clients write and which they read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from glomers.checkers import Checker
from glomers.history.operations import History, Operation
from glomers.options import Options
from glomers.workloads.shapes import OneOf, mismatch

Body = dict[str, Any]
Conversation = Generator[Body, Body, Any]


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a process is to do next; it becomes an `invoke` of the history.

    Its worker does nothing for `wait` seconds before that.
    """

    f: str
    value: Any = None
    final: bool = False
    extra: tuple[tuple[str, Any], ...] = ()
    wait: float = 0.0


class OperationGenerator(ABC):
    """Hands out operations. It is asked only on behalf of a process that is free."""

    @abstractmethod
    def next(self, process: int, worker: int) -> Invocation | None:
        """The next operation of `process` (run by worker number `worker`).

        None means that there is nothing for this worker now; in the final phase, that it is done.
        """

    def update(self, operation: Operation, worker: int) -> None:  # noqa: B027
        """Hear of an invocation or a completion of `worker`."""


class SessionCrash(Exception):
    """Raised by a session to end itself: its operation becomes an `info`, its process crashes."""


class Forever(OperationGenerator):
    """Operations without end, the same for everybody."""

    def __init__(self, operation: Callable[[], Invocation]) -> None:
        self._operation = operation

    def next(self, process: int, worker: int) -> Invocation:
        return self._operation()


class OncePerWorker(OperationGenerator):
    """One operation for each worker, then no more."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._served: set[int] = set()

    def next(self, process: int, worker: int) -> Invocation | None:
        if worker in self._served:
            return None
        self._served.add(worker)
        return self._invocation


class ClientSession(ABC):
    """One client of one node: a session lives until its process crashes (an `info`)."""

    @abstractmethod
    def invoke(self, invocation: Invocation) -> Conversation:
        """Yield request bodies, receive answer bodies, return the value of the `ok` operation."""


@dataclass(frozen=True, slots=True)
class Values:
    """The shapes (see shapes.py) of an operation's `value`: when it is invoked, and when it is ok.

    One that ends as `fail` or `info` keeps the value with which it was invoked, or shows as much
    as it knows of the answer.
    """

    asked: Any = None
    answered: Any = None


class Workload(ABC):
    """One workload. `random` is the load's own stream of randomness."""

    name: ClassVar[str]
    # What its histories consist of: the operations by their `f`.
    operations: ClassVar[Mapping[str, Values]]
    # Request type -> (answer type, {field: shape}); see client.py for shapes.
    answers: ClassVar[dict[str, tuple[str, dict[str, Any]]]]
    # What judges its histories.
    checker: ClassVar[Checker]
    # Operations that are safe to repeat: a time-out is a `fail`, not an `info`.
    idempotent: ClassVar[frozenset[str]] = frozenset()
    # Seconds a client waits for an answer.
    request_timeout: float = 5.0
    # Most seconds that the final phase takes, None for no limit.
    final_time_limit: float | None = None
    # Does a client survive an `info`, or does a new one take its place?
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
        """What its clients saw and no history tells, as warnings of the results."""
        return []

    @classmethod
    def misfit(cls, operation: Operation) -> str:
        """Why a client's operation can't be one of this workload, in a few words; "" if it can."""
        values = cls.operations.get(operation.f)
        if values is None:
            known = ", ".join(f":{f}" for f in cls.operations)
            return f"{cls.name} has no operation :{operation.f}, only {known}"
        shapes = {"invoke": values.asked, "ok": values.answered}
        shape = shapes.get(operation.type, OneOf(values.asked, values.answered))
        problem = mismatch(operation.value, shape, "the :value")
        return f"{problem} (of an :{operation.type} of :{operation.f})" if problem else ""

    @staticmethod
    def has_final_phase(history: History) -> bool:
        """Does a history go on to the workload's final phase? True for a workload without one."""
        return True


class PlainWorkload(Workload, ClientSession):
    """A workload whose clients have nothing to remember, so that one session serves them all."""

    def session(self, node: str) -> ClientSession:
        return self


class SharedValue(PlainWorkload):
    """Something that all nodes have in common: what a client writes to one is to be read on all.

    Half of the operations write, half read. After the network has healed every worker reads once
    more.
    """

    idempotent = frozenset({"read"})
    final_read: ClassVar = Invocation("read", final=True)

    @abstractmethod
    def writes(self) -> Iterator[Invocation | None]:
        """What is written, one after the other, without end. None: toss the coin again."""

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
