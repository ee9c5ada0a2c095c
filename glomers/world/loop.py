"""The event loop: a heap of timed events, on a virtual clock or on the real one.

Theory of operation. Every part of a test (network, clients, load, faults, services) is a state
machine that knows only `now` and `call_at`. No part has threads, and only the loop sleeps. An event
is a function and the time at which it is due. Events that are due at the same time run in the order
in which they were scheduled, so a run depends on nothing but its events.

`Loop` is virtual: it jumps to the next event. `RealLoop` waits for the next event, and meanwhile
serves the pipes of the nodes. Times are integers, nanoseconds since the loop was made, so rounding
can't make two machines differ.
"""

from __future__ import annotations

import heapq
import selectors
import time
from collections.abc import Callable
from typing import Any

from glomers.history.times import NANOS


class Loop:
    """Events on a virtual clock."""

    def __init__(self) -> None:
        self.now = 0
        self.events = 0
        self._heap: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._scheduled = 0
        self._stopped = False

    def call_at(self, when: int, function: Callable[..., object], *args: Any) -> None:
        """Run `function(*args)` at time `when`, or at once if that has passed."""
        self._scheduled += 1
        now = self.now
        due = when if when > now else now  # faster than max
        heapq.heappush(self._heap, (due, self._scheduled, function, args))

    def call_later(self, delay: int, function: Callable[..., object], *args: Any) -> None:
        """Run `function(*args)` after `delay` nanoseconds."""
        self.call_at(self.now + delay, function, *args)

    def repeat(self, interval: int, function: Callable[[], object]) -> None:
        """Call `function` every `interval` nanoseconds, to show a person how the loop runs."""

        def call() -> None:
            function()
            self.call_later(interval, call)

        self.call_later(interval, call)

    @property
    def due(self) -> int | None:
        """When the next event is due; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def stop(self) -> None:
        """Make `run` return after the event that is running."""
        self._stopped = True

    def run(self) -> None:
        """Run events until `stop` is called or none is left."""
        self._stopped = False
        while self._heap and not self._stopped:
            self.step()

    def step(self) -> None:
        """Jump to the next event and run it."""
        self.now, _, function, args = heapq.heappop(self._heap)
        self.events += 1
        function(*args)

    def close(self) -> None:
        """Free the system's resources. The loop can't be run afterwards."""


class RealLoop(Loop):
    """Events on the real clock. Between events, the loop waits for file descriptors."""

    def __init__(self) -> None:
        super().__init__()
        self._origin = time.monotonic_ns()
        self._selector = selectors.DefaultSelector()

    def watch(self, fd: int, events: int, function: Callable[[], object]) -> None:
        """Call `function` whenever `fd` is ready for `events` (of `selectors`)."""
        try:
            self._selector.modify(fd, events, function)
        except KeyError:
            self._selector.register(fd, events, function)

    def unwatch(self, fd: int) -> None:
        """Forget `fd`; to be called before it is closed."""
        try:
            self._selector.unregister(fd)
        except KeyError:
            return

    def call_at(self, when: int, function: Callable[..., object], *args: Any) -> None:
        # The clock may have moved since the running event began.
        self._scheduled += 1
        heapq.heappush(self._heap, (when, self._scheduled, function, args))

    def run(self) -> None:
        self._stopped = False
        while not self._stopped:
            self._tick()
            # Only events that are due by now, so that a flood of events can't starve the pipes.
            due = self.now
            while self._heap and self._heap[0][0] <= due and not self._stopped:
                _, _, function, args = heapq.heappop(self._heap)
                self._tick()
                self.events += 1
                function(*args)
            if self._stopped:
                return
            for key, _ in self._selector.select(self._patience()):
                self._tick()
                key.data()
                if self._stopped:
                    return

    def close(self) -> None:
        self._selector.close()

    def _tick(self) -> None:
        self.now = time.monotonic_ns() - self._origin

    def _patience(self) -> float | None:
        """Seconds until the next event is due."""
        if not self._heap:
            return None
        self._tick()
        return max(0, self._heap[0][0] - self.now) / NANOS
