"""The loop on the real clock: in which order events run, and when it looks at the pipes."""

from __future__ import annotations

import os
import selectors
from collections.abc import Iterator
from contextlib import closing, contextmanager

from hypothesis import given
from hypothesis import strategies as st

from glomers.world.loop import SLICE, RealLoop


@contextmanager
def readable_pipe() -> Iterator[int]:
    """A pipe in which there is always something to read."""
    reader, writer = os.pipe()
    os.write(writer, b"x")
    yield reader
    os.close(reader)
    os.close(writer)


@given(st.lists(st.integers(-3, 0), max_size=20))
def test_events_run_by_their_times_then_as_they_were_scheduled(times):
    with closing(RealLoop()) as loop:
        ran = []

        def schedule() -> None:
            now = loop.now
            for number, time in enumerate(times):
                loop.call_at(now + time, ran.append, number)
            loop.call_at(now + 1, loop.stop)

        loop.call_at(0, schedule)
        loop.run()
        assert ran == sorted(range(len(times)), key=lambda number: times[number])


def test_an_event_of_the_future_comes_after_those_that_are_due_before():
    with closing(RealLoop()) as loop:
        ran = []
        loop.call_later(2 * SLICE, lambda: (ran.append("later"), loop.stop()))
        loop.call_later(SLICE, ran.append, "sooner")
        loop.call_at(0, ran.append, "now")
        assert loop.due == 0
        loop.run()
        assert ran == ["now", "sooner", "later"]


def test_a_flood_of_events_does_not_starve_the_pipes():
    with closing(RealLoop()) as loop, readable_pipe() as pipe:

        def again() -> None:
            loop.call_at(loop.now, again)

        loop.watch(pipe, selectors.EVENT_READ, loop.stop)
        again()
        loop.run()  # comes to an end


def test_what_came_from_the_pipes_is_done_before_they_are_looked_at_again():
    with closing(RealLoop()) as loop, readable_pipe() as pipe:
        waiting = []

        def last_a_slice() -> None:
            until = loop.now + SLICE
            while loop.now < until:
                loop._tick()
            waiting.pop()

        def read() -> None:
            assert waiting == []
            if loop.events:
                loop.stop()
            for _ in range(3):
                waiting.append(1)
                loop.call_at(loop.now, last_a_slice)

        loop.watch(pipe, selectors.EVENT_READ, read)
        loop.run()
        assert loop.events == 3
