"""A grow-only set: elements added to one node come to be read on all."""

from __future__ import annotations

from itertools import count
from typing import Any

from glomers.checkers import set_full
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
from glomers.workloads.shapes import OneOf


class Session(ClientSession):
    def invoke(self, invocation: Invocation) -> Conversation:
        if invocation.f == "add":
            yield {"type": "add", "element": invocation.value}
            return invocation.value
        answer = yield {"type": "read"}
        return answer["value"]


class GSetWorkload(Workload):
    name = "g-set"
    operations = {
        "add": Values(asked=Any, answered=Any),
        "read": Values(answered=OneOf([Any], None)),
    }
    answers = {"add": ("add_ok", {}), "read": ("read_ok", {"value": [Any]})}
    checker = set_full.CHECKER
    idempotent = frozenset({"read"})

    def generator(self) -> OperationGenerator:
        elements = count()

        def operation() -> Invocation:
            if self.random.random() < 0.5:
                return Invocation("add", next(elements))
            return Invocation("read")

        return Forever(operation)

    def final_generator(self) -> OperationGenerator:
        # As in Maelstrom, these are not marked as final.
        return OncePerWorker(Invocation("read"))

    def session(self, node: str) -> ClientSession:
        return Session()

    @staticmethod
    def has_final_phase(history: History) -> bool:
        """Final reads aren't marked, so a read after the last add has to do."""
        return [invocation.f for invocation, _ in history.pairs()][-1:] != ["add"]
