"""Counters: adds to one node come to count on all. `g-counter` only grows."""

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
        """Maelstrom draws a delta from -5 to 4.

        For g-counter it draws again instead of a negative one, so that two thirds of its operations
        are reads.
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
