"""Broadcast: values given to one node come to be read on all.

Half of the operations broadcast the next integer, half read. After the network has healed every
worker reads once more.
"""

from __future__ import annotations

from functools import cached_property
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
from glomers.workloads.topology import TOPOLOGIES, Topology


class Session(ClientSession):
    def invoke(self, invocation: Invocation) -> Conversation:
        if invocation.f == "broadcast":
            yield {"type": "broadcast", "message": invocation.value}
            return invocation.value
        answer = yield {"type": "read"}
        return answer["messages"]


class BroadcastWorkload(Workload):
    name = "broadcast"
    operations = {
        "broadcast": Values(asked=Any, answered=Any),
        "read": Values(answered=OneOf([Any], None)),
    }
    answers = {
        "topology": ("topology_ok", {}),
        "broadcast": ("broadcast_ok", {}),
        "read": ("read_ok", {"messages": [Any]}),
    }
    checker = set_full.CHECKER
    idempotent = frozenset({"read"})

    def setup(self, node: str) -> Conversation:
        yield {"type": "topology", "topology": self._topology}

    @cached_property
    def _topology(self) -> Topology:
        return TOPOLOGIES[self.options.topology](self.options.nodes)

    def generator(self) -> OperationGenerator:
        values = count()

        def operation() -> Invocation:
            if self.random.random() < 0.5:
                return Invocation("broadcast", next(values))
            return Invocation("read")

        return Forever(operation)

    def final_generator(self) -> OperationGenerator:
        return OncePerWorker(Invocation("read", final=True))

    def session(self, node: str) -> ClientSession:
        return Session()

    @staticmethod
    def has_final_phase(history: History) -> bool:
        return any(operation.final for operation in history)
