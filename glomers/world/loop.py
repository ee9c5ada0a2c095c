"""The event loop: a heap of timed events, on a virtual clock or on the real one.

Theory of operation. Every part of a test (network, clients, load, faults, services) is a state
machine that knows only `now` and `call_at`. No part has threads, and only the loop sleeps. An event
is a function and the time at which it is due. Events that are due at the same time run in the order
in which they were scheduled, so a run depends on nothing but its events.

`Loop` is virtual: it jumps to the next event. `RealLoop` waits for the next event, and meanwhile
serves the pipes of the nodes. A wake-up costs as much as several events, so the real loop does all
that has come due in one go before it looks at the pipes again. Times are integers, nanoseconds
since the loop was made, so rounding can't make two machines differ.
"""

from __future__ import annotations

import heapq
import selectors
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from glomers.history.times import MILLIS, NANOS

SLICE = MILLIS  # nanoseconds for which events that schedule others may keep the pipes waiting

# When it is due, its number, and what is to be called.
Event = tuple[int, int, Callable[..., object], tuple[Any, ...]]


class Loop:
    """Events on a virtual clock."""

    def __init__(self) -> None:
        self.now = 0
        self.events = 0
        self._heap: list[Event] = []
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
        """Call `function` every `interval` nanoseconds, to show or keep how the loop runs."""

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
        self._before_waiting: list[Callable[[], object]] = []
        # Events that were due when they were scheduled, in order: with the timers of thousands of
        # requests in the heap, it would take longer to put these on top of it, and off again.
        self._ready: deque[Event] = deque()

    def before_waiting(self, function: Callable[[], object]) -> None:
        """Call `function` once, when the loop has nothing more to do and looks at the pipes.

        What many events add to can so be passed on at once, and without delay.
        """
        self._before_waiting.append(function)

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
        event = (when, self._scheduled, function, args)
        if when <= self.now and (not self._ready or when >= self._ready[-1][0]):
            self._ready.append(event)
        else:
            heapq.heappush(self._heap, event)

    @property
    def due(self) -> int | None:
        return min((queue[0][0] for queue in (self._heap, self._ready) if queue), default=None)

    def run(self) -> None:
        self._stopped = False
        while True:
            self._run_due()
            if self._stopped:
                return
            functions, self._before_waiting = self._before_waiting, []
            for function in functions:
                function()
            for key, _ in self._selector.select(self._patience()):
                self._tick()
                key.data()
                if self._stopped:
                    return

    def _run_due(self) -> None:
        """Run the events that are due, and for a SLICE those that come due meanwhile.

        So a flood of events can't starve the pipes, nor a flood in the pipes the events.
        """
        heap, ready, clock, origin = self._heap, self._ready, time.monotonic_ns, self._origin
        self.now = began = now = clock() - origin
        while not self._stopped:
            queue = ready if ready and not (heap and heap[0] < ready[0]) else heap
            if not queue or queue[0][0] > (now if now - began < SLICE else began):
                return
            _, _, function, args = ready.popleft() if queue is ready else heapq.heappop(heap)
            self.events += 1
            function(*args)
            self.now = now = clock() - origin

    def close(self) -> None:
        self._selector.close()

    def _tick(self) -> None:
        self.now = time.monotonic_ns() - self._origin

    def _patience(self) -> float | None:
        """Seconds until the next event is due."""
        due = self.due
        if due is None:
            return None
        self._tick()
        return max(0, due - self.now) / NANOS
