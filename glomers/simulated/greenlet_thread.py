"""A thread of the system in which a loop's greenlets live.

Greenlets can't leave the thread in which they were made. It isn't the main thread, so that the main
thread can watch them, and Ctrl-C has an effect, whatever a node's code does.

A thread never ends: when a loop is over, the next one takes it. That isn't only cheaper. When a
thread ends that had greenlets, greenlet searches all objects for references to them, and if
Python's collector is at work meanwhile, may drop one reference too many.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from greenlet import getcurrent, greenlet

from glomers.simulated import seizing

STACK_SIZE = 8 << 20  # bytes, as a thread usually has on Linux

_free: list[GreenletThread] = []


class GreenletThread:
    """Carries out one task at a time. Use `take` to get one."""

    def __init__(self) -> None:
        self.root: greenlet  # the thread's own, from which others are started
        self._task: Callable[[], object]
        self._asked = _held()  # until there is something to do
        self._over = _held()  # until that is done
        before = threading.stack_size(STACK_SIZE)
        try:
            self._thread = threading.Thread(target=self._attend, name="turns", daemon=True)
            self._thread.start()
        finally:
            threading.stack_size(before)

    @property
    def id(self) -> int:
        assert self._thread.ident is not None
        return self._thread.ident

    def begin(self, task: Callable[[], object]) -> None:
        """Let the thread call `task`, in its own greenlet."""
        self._task = task
        self._asked.release()

    def wait(self, timeout: float) -> bool:
        """Wait for the end of the task for so many seconds; return whether it has come."""
        return self._over.acquire(timeout=max(0.0, timeout))

    def _attend(self) -> None:
        self.root = getcurrent()
        seizing.welcome()
        while True:
            self._asked.acquire()
            trace = sys.gettrace()  # of a debugger, for example, which follows all threads
            self._task()
            sys.settrace(trace)
            del self._task
            self._over.release()


def take() -> GreenletThread:
    """A thread that nobody else uses."""
    return _free.pop() if _free else GreenletThread()


def give_back(thread: GreenletThread) -> None:
    """Let others use a thread whose task has ended, and in which no greenlet is left."""
    _free.append(thread)


def _held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
