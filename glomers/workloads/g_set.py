"""A grow-only set: an element added to one node must become readable on all nodes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from glomers.checkers import set_full
from glomers.history.operations import History
from glomers.workloads.base import Conversation, Invocation, SharedValue, Values
from glomers.workloads.shapes import OneOf


class GSetWorkload(SharedValue):
    name = "g-set"
    operations = {
        "add": Values(asked=Any, answered=Any),
        "read": Values(answered=OneOf([Any], None)),
    }
    answers = {"add": ("add_ok", {}), "read": ("read_ok", {"value": [Any]})}
    checker = set_full.CHECKER
    final_read = Invocation("read")  # as in Maelstrom, final reads aren't marked as final

    def writes(self) -> Iterator[Invocation]:
        return (Invocation("add", element) for element in count())

    def invoke(self, invocation: Invocation) -> Conversation:
        if invocation.f == "add":
            yield {"type": "add", "element": invocation.value}
            return invocation.value
        answer = yield {"type": "read"}
        return answer["value"]

    @staticmethod
    def has_final_phase(history: History) -> bool:
        """Whether there is a read after the last add, since final reads aren't marked."""
        return [invocation.f for invocation, _ in history.pairs()][-1:] != ["add"]
