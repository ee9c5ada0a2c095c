"""Realtime lag: how far behind the logs the polls were.

A key's lag at a poll is the time from when it was known that the log had grown past what the
process has read, to the invocation of the poll. The poll's lag is the longest of its keys' lags.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glomers.checkers.kafka.facts import Completion, Facts
from glomers.history.times import NANOS

NEVER = float("inf")


@dataclass(slots=True)
class Growth:
    """When it became known that a key's log had grown: ever higher offsets, and times (ns)."""

    offsets: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def note(self, offset: int, time: int) -> None:
        if offset > (self.offsets[-1] if self.offsets else -1):
            self.offsets.append(offset)
            self.times.append(time)

    def reached(self, offset: int) -> float:
        """When (ns) it was first known that `offset` or a higher one is taken; NEVER if not."""
        place = bisect_left(self.offsets, offset)
        return self.times[place] if place < len(self.times) else NEVER


@dataclass(slots=True)
class Position:
    """How far one process has read each key, and which key has had more to read for longest."""

    growth: Mapping[str, Growth]
    offsets: dict[str, int] = field(default_factory=dict)  # the last one read; -1 for none
    due: dict[str, float] = field(default_factory=dict)  # since when there is more to read (ns)
    heap: list[tuple[float, str]] = field(default_factory=list)  # `due`, also earlier values

    def move(self, key: str, offset: int) -> None:
        if key in self.offsets and offset <= self.offsets[key]:
            return
        self.offsets[key] = offset
        growth = self.growth.get(key)
        self.due[key] = growth.reached(offset + 1) if growth else NEVER
        heapq.heappush(self.heap, (self.due[key], key))

    def assign(self, keys: Iterable[str]) -> Position:
        assigned = Position(self.growth)
        for key in keys:
            assigned.move(key, self.offsets.get(key, -1))
        return assigned

    def most_overdue(self) -> tuple[float, str] | None:
        """The key that has had more to read for longest, and since when (ns)."""
        while self.heap and self.due[self.heap[0][1]] != self.heap[0][0]:
            heapq.heappop(self.heap)
        return self.heap[0] if self.heap else None


def worst_realtime_lag(facts: Facts) -> dict[str, Any]:
    """The first poll with the greatest lag, by Jepsen's rules and keys; times are in seconds."""
    shown = [_highest(completion) for completion in facts.completions]
    growth = _growth(facts, shown)
    positions: dict[Any, Position] = defaultdict(lambda: Position(growth))
    worst: tuple[float, str, Any, int] | None = None
    for completion, highest in zip(facts.completions, shown, strict=True):
        operation = completion.operation
        if operation.type != "ok":
            continue
        process = operation.process
        if operation.f == "assign":
            positions[process] = positions[process].assign(operation.value)
        elif operation.f in ("poll", "txn"):
            for key, offset in highest.items():
                positions[process].move(key, offset)
            invocation = facts.history.invocation(operation)
            overdue = positions[process].most_overdue()
            if invocation and overdue:
                lag = max(0, invocation.time - overdue[0])
                if worst is None or lag > worst[0]:
                    worst = lag, overdue[1], process, invocation.time
    if worst is None:
        return {"time": 0.0, "lag": 0.0}
    lag, key, process, time = worst
    return {"time": time / NANOS, "process": process, "key": key, "lag": lag / NANOS}


def _growth(facts: Facts, shown: Iterable[Mapping[str, int]]) -> dict[str, Growth]:
    growth: dict[str, Growth] = defaultdict(Growth)
    for completion, highest in zip(facts.completions, shown, strict=True):
        for key, offset in highest.items():
            growth[key].note(offset, completion.operation.time)
    return growth


def _highest(completion: Completion) -> dict[str, int]:
    """The highest offset of each key that an operation shows; -1 if a poll shows none."""
    highest = {key: max(polled.offsets, default=-1) for key, polled in completion.polls.items()}
    for key, sent in completion.sends.items():
        for offset in sent.offsets:
            if offset is not None:
                highest[key] = max(0, offset, highest.get(key, 0))
    return highest
