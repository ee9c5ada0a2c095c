"""Broadcast: a value sent to one node must become readable on all. Values are integers from 0."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import count
from typing import Any

from glomers.checkers import set_full
from glomers.workloads.base import Conversation, Invocation, SharedValue, Values
from glomers.workloads.shapes import OneOf
from glomers.workloads.topology import TOPOLOGIES, Topology


class BroadcastWorkload(SharedValue):
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

    def setup(self, node: str) -> Conversation:
        yield {"type": "topology", "topology": self._topology}

    @cached_property
    def _topology(self) -> Topology:
        return TOPOLOGIES[self.options.topology](self.options.nodes)

    def writes(self) -> Iterator[Invocation]:
        return (Invocation("broadcast", value) for value in count())

    def invoke(self, invocation: Invocation) -> Conversation:
        if invocation.f == "broadcast":
            yield {"type": "broadcast", "message": invocation.value}
            return invocation.value
        answer = yield {"type": "read"}
        return answer["messages"]
