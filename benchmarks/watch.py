"""Finds out from outside how long it takes until all nodes show what one has acknowledged.

A watch has a client of its own for each node. Every few milliseconds it reads each node that does
not show everything yet. Its reads are no part of the history.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from glomers.history.operations import Operation
from glomers.history.times import NANOS, nanos
from glomers.run.drive import Test
from glomers.workloads.base import Conversation
from glomers.world.client import Client, Outcome

TIMEOUT = 1.0  # seconds that a node may take to answer the watch

Item = Any  # what a client was acknowledged, and others should be shown; it has a hash


class Watch(ABC):
    """Measures the `lags` of items, and how long it took after `heals`, all in seconds.

    A lag is the time from the acknowledgement of an item until every node has been seen to show
    it. It is up to `period` (seconds) too long. The time after a heal is that until the last node
    shows every item that was acknowledged before the heal. If another partition comes before that,
    it is the time until then.

    What is unfinished when the test ends counts with the time that it had.
    """

    always = True  # False: nodes are only read after heals, and lags mean nothing
    operations = 0  # how many writes were the watch's own

    def __init__(self, test: Test, period: float) -> None:
        self.lags: list[float] = []
        self.heals: list[float] = []
        self.test = test
        self._period = nanos(period)
        self._seen = 0  # operations of the history
        self._acknowledged: dict[Item, int] = {}  # when (ns); only what a node doesn't show yet
        self._missing: dict[str, dict[Item, None]] = {node: {} for node in test.options.nodes}
        self._partitioned = False
        self._healed_at = 0
        self._healing: set[Item] = set()
        self._clients = {node: self.client(f"c-watch-{node}") for node in test.options.nodes}
        self._asked: set[str] = set()
        test.world.loop.call_later(self._period, self._look)

    @abstractmethod
    def acknowledged(self, operation: Operation) -> Iterable[Item]:
        """The items that a successful operation says are written."""

    @abstractmethod
    def read(self, missing: Collection[Item]) -> Conversation:
        """Ask a node that lacks these items; return what it shows, perhaps with others."""

    def client(self, name: str) -> Client:
        world = self.test.world
        return Client(world.loop, world.network, name, self.test.workload.answers)

    def look(self) -> None:  # noqa: B027
        """Called once each period."""

    def note(self, item: Item, time: int) -> None:
        """Note that an item was acknowledged at this time (ns since the load started)."""
        self._acknowledged[item] = time
        for missing in self._missing.values():
            missing[item] = None

    def _look(self) -> None:
        self.look()
        operations = self.test.recorder.operations
        for operation in operations[self._seen :]:
            if operation.is_client and operation.type == "ok":
                for item in self.acknowledged(operation):
                    self.note(item, operation.time)
        self._seen = len(operations)
        self._look_for_heals()
        if self.always or self._healing:
            for node, missing in self._missing.items():
                if missing and node not in self._asked:
                    self._ask(node, missing)
        self.test.world.loop.call_later(self._period, self._look)

    def _look_for_heals(self) -> None:
        partitioned = "partition" in self.test.nemesis.active
        if partitioned and not self._partitioned:
            self._end_healing()
        elif self._partitioned and not partitioned:
            operations = reversed(self.test.recorder.operations)
            self._healed_at = next(o.time for o in operations if o.f == "stop-partition")
            self._healing = set(self._acknowledged)
            if not self._healing:
                self.heals.append(0.0)
        self._partitioned = partitioned

    def _ask(self, node: str, missing: dict[Item, None]) -> None:
        self._asked.add(node)
        conversation = self.read(missing)
        self._clients[node].converse(node, conversation, TIMEOUT, partial(self._answered, node))

    def _answered(self, node: str, outcome: Outcome) -> None:
        self._asked.remove(node)
        if outcome.type != "ok":
            return
        missing = self._missing[node]
        for item in outcome.value:
            if item in missing:
                del missing[item]
                if not any(item in others for others in self._missing.values()):
                    self._shown(item)

    def _shown(self, item: Item) -> None:
        """Every node has shown the item."""
        self.lags.append(self._since(self._acknowledged.pop(item)))
        if item in self._healing:
            self._healing.remove(item)
            if not self._healing:
                self.heals.append(self._since(self._healed_at))

    def _end_healing(self) -> None:
        if self._healing:
            self.heals.append(self._since(self._healed_at))
            self._healing.clear()

    def _since(self, time: int) -> float:
        return (self.test.recorder.elapsed - time) / NANOS

    def finish(self) -> None:
        """The test is over."""
        self._end_healing()
        self.lags += [self._since(time) for time in self._acknowledged.values()]
        self._acknowledged.clear()
