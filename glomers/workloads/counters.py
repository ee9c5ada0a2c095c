"""Counters: an add to one node must count in the reads of all nodes. `g-counter` only grows."""

from __future__ import annotations

from collections.abc import Iterator

from glomers.checkers import counter
from glomers.workloads.base import Conversation, Invocation, SharedValue, Values


class PNCounterWorkload(SharedValue):
    name = "pn-counter"
    operations = {"add": Values(asked=int, answered=int), "read": Values(answered=int)}
    answers = {"add": ("add_ok", {}), "read": ("read_ok", {"value": int})}
    checker = counter.CHECKER
    least = -5

    def writes(self) -> Iterator[Invocation | None]:
        """The adds. As in Maelstrom, their deltas are drawn from -5 to 4.

        In g-counter, the operation is drawn again if the delta is negative, so two thirds of its
        operations are reads.
        """
        while True:
            delta = self.random.randrange(-5, 5)
            yield Invocation("add", delta) if delta >= self.least else None

    def invoke(self, invocation: Invocation) -> Conversation:
        if invocation.f == "add":
            yield {"type": "add", "delta": invocation.value}
            return invocation.value
        answer = yield {"type": "read"}
        return answer["value"]


class GCounterWorkload(PNCounterWorkload):
    name = "g-counter"
    least = 0
