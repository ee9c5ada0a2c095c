"""Counters: adds to one node come to count on all. `g-counter` only grows."""

from __future__ import annotations

from glomers.checkers import counter
from glomers.history.operations import History
from glomers.workloads.base import (
    ClientSession,
    Conversation,
    Forever,
    Invocation,
    OncePerWorker,
    OperationGenerator,
    Values,
    Workload,
)


class Session(ClientSession):
    def invoke(self, invocation: Invocation) -> Conversation:
        if invocation.f == "add":
            yield {"type": "add", "delta": invocation.value}
            return invocation.value
        answer = yield {"type": "read"}
        return answer["value"]


class PNCounterWorkload(Workload):
    name = "pn-counter"
    operations = {"add": Values(asked=int, answered=int), "read": Values(answered=int)}
    answers = {"add": ("add_ok", {}), "read": ("read_ok", {"value": int})}
    checker = counter.CHECKER
    idempotent = frozenset({"read"})
    least = -5

    def generator(self) -> OperationGenerator:
        def operation() -> Invocation:
            # Maelstrom draws a delta from -5 to 4. For g-counter it draws again instead of a
            # negative one, so that two thirds of its operations are reads.
            while self.random.random() < 0.5:
                if (delta := self.random.randrange(-5, 5)) >= self.least:
                    return Invocation("add", delta)
            return Invocation("read")

        return Forever(operation)

    def final_generator(self) -> OperationGenerator:
        return OncePerWorker(Invocation("read", final=True))

    def session(self, node: str) -> ClientSession:
        return Session()

    @staticmethod
    def has_final_phase(history: History) -> bool:
        return any(operation.final for operation in history)


class GCounterWorkload(PNCounterWorkload):
    name = "g-counter"
    least = 0
