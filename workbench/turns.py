"""Threads that take turns: blocking code in virtual time.

Theory of operation. Handlers block: in an RPC, in a sleep, on a lock. So each needs a stack of
its own, and Python's stacks are threads. But exactly one thread runs at any time, and it is the
program, not the operating system, that says which:

- Whoever runs, runs the event loop. An event may run a node's code, inline; we call one such run
  a *strand*. A strand that never blocks costs no thread switch.
- A strand that blocks *parks*: its thread wakes an idle thread (or starts one) to carry on with
  the loop, and waits.
- A parked strand is resumed by an event. The thread that runs this event hands over, and is idle
  until somebody needs it. When the resumed strand ends, its thread carries on with the loop.
- At the end every parked strand is woken once more, and `NodeStopped` is raised where it parked.
  That is a BaseException, so that `except Exception` doesn't swallow it, and the library's
  `Stopped`, so that the library doesn't either.

Turns change only where a strand parks. So a run depends on its events alone, and can be repeated.

If the running thread doesn't come back to the loop for a while of real time, it is stuck: in a
loop that never yields, or in something that really blocks. The watchdog says where.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from maelstrom_node import Stopped
from workbench.errors import NodeError
from workbench.loop import Loop, nanos

WATCHDOG = 10.0  # seconds of real time that a strand may run without coming back
STACK_SIZE = 512 * 1024  # bytes; a thousand nodes have a thousand stacks


class NodeStopped(Stopped):
    """The simulation is over: raised in a node's code where it waits."""


class Strand:
    """One run of a node's code, from the event that began it to its end."""

    __slots__ = ("baton", "locals", "name", "node", "stopped", "waits_for")

    def __init__(self, node: str, name: str) -> None:
        self.node = node
        self.name = name
        self.baton: threading.Lock | None = None
        self.stopped = False
        self.waits_for: Any = None  # the lock on which it is parked, to find deadlocks
        self.locals: dict[int, dict[str, Any]] | None = None


class TurnLoop(Loop):
    """A virtual loop whose events may run code that blocks."""

    def __init__(self, watchdog: float = WATCHDOG) -> None:
        super().__init__()
        self.strand: Strand | None = None
        self.watchdog = watchdog
        self._parked: dict[Strand, None] = {}
        self._paused: dict[str, list[tuple[Callable[..., object], tuple[Any, ...]]]] = {}
        self._idle: list[threading.Lock] = []
        self._threads: list[threading.Thread] = []
        self._over = threading.Lock()
        self._failure: BaseException | None = None
        self._running_thread = 0

    # What the main thread does

    def run(self) -> None:
        """Run events until `stop` is called or none is left. Raises what an event raised."""
        self._stopped = False
        self._over = threading.Lock()
        self._over.acquire()
        self._pass_on()
        self._watch()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _watch(self) -> None:
        """Wait for the end of the run; raise NodeError if a strand doesn't come back."""
        events = -1
        while not self._over.acquire(timeout=self.watchdog):
            if self.events == events:
                raise self._stuck()
            events = self.events

    def _stuck(self) -> NodeError:
        """Say where the running strand is, and try to stop it."""
        self._stopped = True
        strand = self.strand
        frame = sys._current_frames().get(self._running_thread)
        error = NodeError(
            strand.node if strand else "?",
            f"has been running for {self.watchdog:g} s of real time without coming back.",
            evidence=_where(frame),
            expected="code that waits only by the node's own calls (rpc, sleep, …) or Python's "
            "threading, time and queue",
        )
        if strand:
            strand.stopped = True
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self._running_thread), ctypes.py_object(NodeStopped)
        )
        return error

    def shut_down(self) -> None:
        """End every strand and every thread. The loop can't be used afterwards."""
        self._stopped = True
        deadline = time.monotonic() + 1.0
        while self._parked:
            strand, _ = self._parked.popitem()
            strand.stopped = True
            assert strand.baton is not None
            self.strand = strand
            self._over = threading.Lock()
            self._over.acquire()
            strand.baton.release()
            # Its thread unwinds and comes back to the loop, which is over.
            self._over.acquire(timeout=max(0.0, deadline - time.monotonic()))
        for baton in self._idle:
            baton.release()
        self._idle.clear()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._threads.clear()

    # What the running thread does

    def _work(self) -> None:
        """Run events until the end."""
        self._running_thread = threading.get_ident()
        try:
            while self._heap and not self._stopped:
                self.step()
        except NodeStopped:
            pass
        except BaseException as error:
            self._failure = error
        self._stopped = True
        if self._over.locked():
            self._over.release()

    def _pass_on(self) -> None:
        """Let another thread carry on with the loop."""
        if self._idle:
            self._idle.pop().release()
            return
        before = threading.stack_size(STACK_SIZE)
        try:
            thread = threading.Thread(target=self._work, name="turn", daemon=True)
            self._threads.append(thread)
            thread.start()
        finally:
            threading.stack_size(before)

    def enter(self, node: str, name: str, function: Callable[..., object], *args: Any) -> None:
        """Run `function` as a strand of `node`'s code."""
        before = self.strand
        self.strand = Strand(node, name)
        try:
            function(*args)
        except NodeStopped:
            pass
        finally:
            self.strand = before

    def park(self) -> None:
        """Block the running strand until `resume`. Raises NodeStopped at the end of the run."""
        strand = self.strand
        assert strand is not None, "only a node's code can block"
        if strand.stopped or self._stopped:
            raise NodeStopped
        if strand.baton is None:
            strand.baton = threading.Lock()
            strand.baton.acquire()
        self._parked[strand] = None
        self.strand = None
        self._pass_on()
        strand.baton.acquire()
        self.strand = strand
        self._running_thread = threading.get_ident()
        if strand.stopped:
            raise NodeStopped

    def resume(self, strand: Strand) -> None:
        """Hand over to a parked strand; to be called by an event. No harm if it has been ended."""
        if strand not in self._parked or self.postpone(strand.node, self.resume, strand):
            return
        del self._parked[strand]
        me = threading.Lock()
        me.acquire()
        self._idle.append(me)
        assert strand.baton is not None
        strand.baton.release()
        me.acquire()
        self._running_thread = threading.get_ident()

    def fail(self, error: BaseException) -> None:
        """End the run: `run` raises `error`."""
        if self._failure is None:
            self._failure = error
        self._stopped = True

    def pause(self, node: str) -> None:
        """Let a node's code stand still until `unpause`."""
        self._paused.setdefault(node, [])

    def unpause(self, node: str) -> None:
        """Let a node's code go on with what it has missed."""
        for function, args in self._paused.pop(node, []):
            self.call_at(self.now, function, *args)

    def postpone(self, node: str, function: Callable[..., object], *args: Any) -> bool:
        """If `node` is paused, keep a call for later and return True."""
        if node not in self._paused:
            return False
        self._paused[node].append((function, args))
        return True

    def end_strands(self, node: str) -> None:
        """Raise NodeStopped in every parked strand of a node, which has died."""
        self._paused.pop(node, None)
        for strand in list(self._parked):
            if strand.node == node:
                strand.stopped = True
                self.call_at(self.now, self.resume, strand)

    def check_stopped(self) -> None:
        """Raise NodeStopped if the run is over, so that no node code can go on for ever."""
        if self.strand is not None and (self._stopped or self.strand.stopped):
            raise NodeStopped

    # Blocking, for a node's code

    def sleep(self, seconds: float) -> None:
        """Block the running strand for `seconds` of virtual time."""
        strand = self.strand
        assert strand is not None
        self.call_later(nanos(max(0.0, seconds)), self.resume, strand)
        self.park()


def _where(frame: FrameType | None) -> list[str]:
    """The innermost lines of a stack, most recent last."""
    if frame is None:
        return []
    stack = traceback.extract_stack(frame)
    lines = [f"{entry.filename}:{entry.lineno} in {entry.name}: {entry.line}" for entry in stack]
    return lines[-3:]
