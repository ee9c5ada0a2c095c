"""Threads that take turns: blocking code in virtual time.

Theory of operation. Handlers block: in an RPC, in a sleep, on a lock. So each needs a stack of
its own, and a *greenlet* is one that costs little: thousands may wait, and the program, not the
operating system, decides which one runs.

- The running greenlet runs the event loop. An event may run a node's code, inline; one such run is
  called a *strand*. A strand that never blocks costs no switch.
- A strand that blocks *parks*: another greenlet carries on with the loop.
- A parked strand is resumed by an event, which switches to the strand's greenlet. When the strand
  ends, its greenlet carries on with the loop; the one that switched is idle until it is needed.
- At the end every parked strand is resumed once more, and `NodeStopped` is raised where it parked.
  NodeStopped is a BaseException, so that `except Exception` doesn't swallow it, and the library's
  `Stopped`, so that the library doesn't either. Code that still swallows it, again and again, is
  left behind where it is.

All greenlets of a loop live in one thread of the system, which isn't the main one
(`greenlet_thread.py`).

Turns change only where a strand parks. So a run depends only on its events, and can be repeated.

A node's code can block the test in two ways. Both end the test with an error that names the line:

- The running strand doesn't come back to the loop for a while of real time: it is in a loop that
  never yields, in something that really blocks, or in a long call into C. The watchdog of `run`
  detects that, and `seizing.py` makes sure that the watchdog gets its turns.
- The strand comes back, but virtual time stands still: a task without a period, a function that
  spawns itself, a loop of `sleep(0)`, a request that is refused and made again, two nodes that
  answer each other's answers without latency. Or the strand sends or spawns in a loop, which would
  take all memory before the watchdog detected it. So turns, messages and spawned functions are
  counted, and more than `patience` of them within a virtual millisecond are an error. A correct
  run has a few for each message in one instant; if n nodes send to all others without latency,
  that is n squared. 100,000 is far more than a handful of nodes need. Turns are counted, not
  seconds, so that the same run ends at the same turn on every machine.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from math import ulp
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from greenlet import GreenletExit, getcurrent, greenlet

from glomers.errors import NodeError, UsageError
from glomers.history.times import MILLIS, NANOS, nanos
from glomers.simulated import greenlet_thread, seizing
from glomers.simulated.greenlet_thread import GreenletThread
from glomers.world.loop import Loop
from maelstrom_node import Stopped

WATCHDOG = 10.0  # seconds of real time that a strand may run without coming back
GLANCE = 0.2  # seconds of real time between two checks of the running strand
PATIENCE = 100_000  # turns that may pass within a virtual millisecond
KINDS_TOLD = 3  # kinds of messages that an error names if time stood still
GRACE = 1.0  # seconds of real time within which all strands should end at the end
UNWINDING = 0.3  # seconds of real time in which a strand that must stop may end by itself
STUBBORN = 100  # times that a strand may swallow NodeStopped
MOST_WAITING = 30_000  # strands; Linux has about as many threads

_PACKAGE = str(Path(__file__).parents[1]) + os.sep


TraceFunction = Callable[[FrameType, str, Any], Any]


# Called with an event that is over: a function and its arguments.
Observer = Callable[[Callable[..., object], tuple[Any, ...]], object]


class NodeStopped(Stopped):
    """The simulation is over: raised in a node's code where it waits."""


class Owner(Protocol):
    """A node whose code runs in strands."""

    id: str
    clock: int  # nanoseconds by which its clock is ahead of virtual time

    def take_over(self) -> None:
        """Prepare for this node's code to run, after another node's."""

    def owns(self, file: str) -> bool:
        """Whether this file is the node's code, rather than a library's."""


class Strand:
    """One run of a node's code, from the event that began it to its end."""

    __slots__ = (
        *("greenlet", "message", "name", "node"),
        *("number", "stopped", "stops", "thread", "waits_for"),
    )

    def __init__(self, node: Owner, name: str, number: int) -> None:
        self.node = node
        self.name = name
        self.number = number  # from 1 on, in the order in which strands begin
        self.greenlet: greenlet | None = None  # where it is parked
        self.stopped = False
        self.stops = 0  # how often it has been told to end
        self.message: int | None = None  # the id of the one that it was called for
        self.waits_for: Any = None  # the lock on which it is parked, to find deadlocks
        self.thread: Any = None  # what `threading.current_thread()` says in it


_here = threading.local()
_left_behind: list[greenlet] = []  # kept, because one that is forgotten is run once more


def running() -> Strand | None:
    """The strand whose code the present thread runs; None in the workbench's own code."""
    loop: TurnLoop | None = getattr(_here, "loop", None)
    return None if loop is None else loop.strand


class Outside:
    """The context of workbench code that a node's code calls; every message needs one."""

    __slots__ = ("_loop", "_strand")

    def __init__(self, loop: TurnLoop) -> None:
        self._loop = loop

    def __enter__(self) -> None:
        self._strand, self._loop.strand = self._loop.strand, None

    def __exit__(self, *_: object) -> None:
        self._loop.strand = self._strand


class TurnLoop(Loop):
    """A virtual loop whose events may run code that blocks."""

    def __init__(self, watchdog: float = WATCHDOG) -> None:
        super().__init__()
        self.strand: Strand | None = None
        self.watchdog = watchdog
        self.patience = PATIENCE
        self.borrow: Callable[[], AbstractContextManager[None]] = nullcontext  # around all turns
        self.trace: TraceFunction | None = None  # for `sys.settrace`, while a node's code runs
        self.turn_taken: Callable[[Strand], object] | None = None  # called when a strand goes on
        self._last: Owner | None = None  # whose code ran last
        self._strands = 0
        self._turns = 0  # within the present millisecond
        self._next_count = 0  # when that is over
        self._parked: dict[Strand, None] = {}
        self._paused: dict[Owner, list[tuple[Callable[..., object], tuple[Any, ...]]]] = {}
        self._idle: list[greenlet] = []
        self._root: greenlet  # the thread's own, from which the others are started
        self._thread: GreenletThread | None = None  # from the first run to the end
        self._failure: BaseException | None = None
        self._sent: Counter[str] = Counter()  # what was sent since time seemed to stand still
        self._watchers: list[tuple[float, float, Callable[[], object]]] = []
        self._observers: list[Observer] = []
        self._latest: tuple[Callable[..., object], tuple[Any, ...]] | None = None  # not yet seen

    # What the main thread does

    def run(self) -> None:
        """Run events until `stop` is called or none is left. Raises what an event raised."""
        with self._borrowed():
            self._stopped = False
            if self._thread is None:
                self._thread = greenlet_thread.take()
            with seizing.watched(self._thread.id, self.watchdog):
                self._watch(self._thread)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        self._show_latest()

    def _watch(self, thread: GreenletThread) -> None:
        """Let the loop run, and wait for its end; raise NodeError if a strand doesn't come back."""
        events, since = self.events, time.monotonic()
        try:
            thread.begin(self._run_events)
            while not thread.wait(min(GLANCE, self.watchdog)):
                seizing.wind_up()
                now = time.monotonic()
                if self.events != events:
                    events, since = self.events, now
                elif now - since >= self.watchdog or seizing.stands(thread.id):
                    raise self._stuck(thread)
                self._call_watchers(now)
        except KeyboardInterrupt:
            self._stopped = True
            self._end_running(thread)
            raise

    def _call_watchers(self, now: float) -> None:
        for number, (due, interval, function) in enumerate(self._watchers):
            if now >= due:
                self._watchers[number] = (now + interval, interval, function)
                function()

    def repeat(self, interval: int, function: Callable[[], object]) -> None:
        """Call `function` every `interval` nanoseconds of real time, while the loop runs."""
        seconds = interval / NANOS
        self._watchers.append((time.monotonic() + seconds, seconds, function))

    def observe(self, observer: Observer) -> None:
        """Call `observer(function, args)` when an event, which is that call, is over; so are then
        the strands that it resumed. What the observer raises ends the run, and `run` raises it."""
        self._observers.append(observer)
        self.step = self._observed_step  # type: ignore[method-assign] # no event pays for it before

    def unobserve(self, observer: Observer) -> None:
        """Call an observer no more."""
        self._observers.remove(observer)
        if not self._observers:
            del self.step
            self._latest = None

    def _observed_step(self) -> None:
        # Only the next step knows that an event is over: a strand may have gone on with the loop.
        self._show_latest()
        if self._heap and not self._stopped:
            _, _, function, args = self._heap[0]
            self._latest = function, args
            Loop.step(self)

    def _show_latest(self) -> None:
        event, self._latest = self._latest, None
        if event is not None:
            for observer in list(self._observers):
                observer(*event)

    def _stuck(self, thread: GreenletThread) -> NodeError | UsageError:
        """Stop the running strand; return the error that says where it was."""
        self._stopped = True
        frame = seizing.frame_of(thread.id)
        node = self._whose(frame)
        lines = _where(frame, node)
        running = f"has been running for {self.watchdog:g} s of real time without coming back"
        error: NodeError | UsageError
        if node is None:
            error = UsageError(
                f"code that is no node's {running}, in {lines[-1] if lines else 'C'}; "
                "expected a check that ends, each time that it is asked"
            )
        else:
            error = NodeError(
                node.id,
                f"{running}.",
                evidence=lines,
                expected="code that waits only by the node's own calls (rpc, sleep, …) or Python's "
                "threading, time and queue",
            )
        self._end_running(thread)
        return error

    def _whose(self, frame: FrameType | None) -> Owner | None:
        """The node whose code runs there, or has called the workbench's; None if no node's does."""
        node = self.strand.node if self.strand else None
        while node is None and frame is not None:
            if self._last is not None and self._last.owns(frame.f_code.co_filename):
                node = self._last
            frame = frame.f_back
        return node

    def _end_running(self, thread: GreenletThread) -> None:
        """Stop the running strand: by an exception, or where it is if that has no effect."""
        if self.strand:
            self.strand.stopped = True
        if not seizing.stands(thread.id):
            if thread.wait(UNWINDING / 3):  # the present event is over
                return
            _raise_in(thread.id, NodeStopped)
            if thread.wait(UNWINDING):
                return
            seizing.seize(thread.id)
            _withdraw()
        self._thread = None  # nobody will use it again
        self.strand = None

    def shut_down(self) -> None:
        """End every strand, or give up on them after GRACE seconds.

        The loop can't be used afterwards.
        """
        self._stopped = True
        thread, self._thread = self._thread, None
        if thread is None:
            return
        deadline = time.monotonic() + GRACE
        with self._borrowed():
            thread.begin(self._end_all)
            if thread.wait(deadline - time.monotonic()):
                greenlet_thread.give_back(thread)

    def _borrowed(self) -> AbstractContextManager[None]:
        if running() is not None:
            raise RuntimeError("a simulated node can't run a simulation")
        self._last = None
        return self.borrow()

    # What the thread does, in its own greenlet

    def _run_events(self) -> None:
        _here.loop = self
        self._root = getcurrent()
        try:
            while not self._stopped:
                (self._idle.pop() if self._idle else greenlet(self._work)).switch()
        except NodeStopped:  # raised by `_end_running` when no strand runs any more
            self._stopped = True

    def _end_all(self) -> None:
        _here.loop = self
        while self._parked:
            strand, _ = self._parked.popitem()
            strand.stopped = True
            assert strand.greenlet is not None
            strand.greenlet.switch()  # it unwinds, and finds that the loop is over
        while self._idle:
            self._idle.pop().throw()
        _here.loop = None

    # What the running greenlet does

    def _work(self) -> None:
        """Run events until the end, again and again."""
        while True:
            try:
                while self._heap and not self._stopped:
                    self.step()
            except NodeStopped:
                pass
            except GreenletExit:
                return
            except BaseException as error:
                self._failure = error
            self._stopped = True
            self._idle.append(getcurrent())
            self._root.switch()

    def _pass_on(self) -> None:
        """Let another greenlet carry on with the loop."""
        (self._idle.pop() if self._idle else self._root).switch()

    def enter(self, node: Owner, name: str, function: Callable[..., object], *args: Any) -> None:
        """Run `function` as a strand of `node`'s code."""
        before = self.strand
        self._strands += 1
        self._take_turn(Strand(node, name, self._strands))
        try:
            if self._turns > self.patience:
                self._observe(function, *args)
            else:
                Context().run(function, *args)  # as a thread, which begins with no context variable
        except NodeStopped:
            pass
        finally:
            self._leave(before)

    def _leave(self, strand: Strand | None = None) -> None:
        """End the running strand's turn, and make this one, if any, the running strand."""
        self.strand = strand
        if self.trace is not None:
            sys.settrace(None)

    def _take_turn(self, strand: Strand) -> None:
        """Make this strand the running one."""
        self.strand = strand
        if strand.node is not self._last:
            self._last = strand.node
            strand.node.take_over()
        if self.now >= self._next_count:
            self._next_count = self.now + MILLIS
            self._turns = 0
            self._sent.clear()
        self._turns += 1
        if self.turn_taken is not None:
            self.turn_taken(strand)
        if self.trace is not None:
            sys.settrace(self.trace)

    def count(self) -> None:
        """Count a turn, because the running strand makes work for later."""
        self._turns += 1
        if self._turns > self.patience + self.patience // 2 and self.strand is not None:
            # The strand makes work in a loop, without coming back between two turns.
            self._stands_still(_where(sys._getframe(), self.strand.node))

    @property
    def seems_still(self) -> bool:
        """Whether so many turns have passed that `note` should be called for what is sent."""
        return 2 * self._turns > self.patience

    def note(self, sent: str) -> None:
        """Note that a message of this kind has been sent."""
        self._sent[sent] += 1

    def park(self) -> None:
        """Block the running strand until `resume`. Raises NodeStopped at the end of the run."""
        strand = self.strand
        assert strand is not None, "only a node's code can block"
        self.check_stopped()
        if self._turns > self.patience:
            self._stands_still(_where(sys._getframe(), strand.node))
        if len(self._parked) >= MOST_WAITING:
            self._too_many_wait()
        strand.greenlet = getcurrent()
        self._parked[strand] = None
        self._leave()
        self._pass_on()
        self._take_turn(strand)
        if strand.stopped:
            raise NodeStopped

    def resume(self, strand: Strand) -> None:
        """Hand over to a parked strand, unless it has ended. Must be called by an event."""
        if strand not in self._parked or self.postpone(strand.node, self.resume, strand):
            return
        del self._parked[strand]
        self._idle.append(getcurrent())
        assert strand.greenlet is not None
        strand.greenlet.switch()

    def fail(self, error: BaseException) -> None:
        """End the run: `run` raises `error`."""
        if self._failure is None:
            self._failure = error
        self._stopped = True

    def _too_many_wait(self) -> None:
        """End the run: so many strands can't wait."""
        assert self.strand is not None
        node = self.strand.node
        self.fail(
            NodeError(
                node.id,
                f"can't wait at {self.now / NANOS:g} s: {len(self._parked):,} threads are waiting.",
                evidence=[*_where(sys._getframe(), node), *self._most_sent()],
                expected="handlers and functions that come to an end, rather than wait for more "
                "and more of their kind; no machine has threads for all of them",
            )
        )
        raise NodeStopped

    def _stands_still(self, lines: list[str]) -> None:
        """End the run, because the running strand lets time stand still, in these lines."""
        assert self.strand is not None
        self.fail(
            NodeError(
                self.strand.node.id,
                f"lets time stand still: it goes on and on at {self.now / NANOS:g} s.",
                evidence=[*lines, *self._most_sent()],
                expected="code in which time passes: a period above 0, a sleep before the next "
                f"look, or --latency; these were {self._turns:,} turns within a millisecond",
            )
        )
        raise NodeStopped

    def _most_sent(self) -> list[str]:
        """The messages sent most often while time stood still, which may go round in a circle."""
        return [f"{sent}: {n:,} times" for sent, n in self._sent.most_common(KINDS_TOLD) if n > 1]

    def _observe(self, function: Callable[..., object], *args: Any) -> None:
        """Run one of too many strands, and record in which lines of the node's code it is."""
        assert self.strand is not None
        node = self.strand.node
        lines: deque[str] = deque(maxlen=3)

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            if event == "line" and node.owns(frame.f_code.co_filename):
                lines.extend(_where(frame, node)[-1:])
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            function(*args)
        finally:
            sys.settrace(before)
            self._stands_still(list(lines))

    def outside(self) -> Outside:
        """Mark workbench code that a node's code calls, so that its output isn't the node's."""
        return Outside(self)

    def pause(self, node: Owner) -> None:
        """Make a node's code stand still until `unpause`."""
        self._paused.setdefault(node, [])

    def unpause(self, node: Owner) -> None:
        """Let a node's code continue, first with the calls that were postponed."""
        for function, args in self._paused.pop(node, []):
            self.call_at(self.now, function, *args)

    def postpone(self, node: Owner, function: Callable[..., object], *args: Any) -> bool:
        """If `node` is paused, keep a call for later and return True."""
        if node not in self._paused:
            return False
        self._paused[node].append((function, args))
        return True

    def end_strands(self, node: Owner) -> None:
        """Raise NodeStopped in every parked strand of a node that has died."""
        self._paused.pop(node, None)
        for strand in list(self._parked):
            if strand.node is node:
                strand.stopped = True
                self.call_at(self.now, self.resume, strand)

    def check_stopped(self) -> None:
        """Raise NodeStopped if the run is over, so that no node code can go on for ever."""
        strand = self.strand
        if strand is not None and (self._stopped or strand.stopped):
            strand.stops += 1
            if strand.stops > STUBBORN:
                self._leave_behind()
            raise NodeStopped

    def _leave_behind(self) -> None:
        """Leave the running strand where it is for good, while others carry on."""
        self._leave()
        _left_behind.append(getcurrent())
        self._pass_on()

    # Blocking, for a node's code

    def span(self, seconds: float) -> int:
        """How many nanoseconds a wait of `seconds` takes.

        A real wait never ends before its time, but a node's clock shows floats, which are rounded.
        So the wait lasts until the clock shows that `seconds` have passed, whether the node adds or
        subtracts. It is more than zero if `seconds` are.
        """
        if seconds <= 0:
            return 0
        now = self.now if self.strand is None else self.now + self.strand.node.clock
        began = now / NANOS
        taken = max(1, nanos(seconds))
        least = began + seconds
        while (ends := (now + taken) / NANOS) < least or ends - began < seconds:
            # One nanosecond, or from 52 days on what the clock can tell apart.
            taken += max(1, nanos(ulp(ends) / 2))
        return taken

    def sleep(self, seconds: float) -> None:
        """Block the running strand for `seconds` of virtual time."""
        strand = self.strand
        assert strand is not None
        self.call_later(self.span(seconds), self.resume, strand)
        self.park()


def _raise_in(thread: int, exception: type[BaseException]) -> None:
    """Raise an exception in a thread, as soon as it runs Python code again."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(exception))


class _Withdrawn(BaseException):
    """Raised in the present thread, and caught at once."""


def _withdraw() -> None:
    """Let CPython forget that an exception waits for a thread, which will never take it.

    Until some thread takes one, all look for theirs again and again; in 3.11 one that is traced
    does nothing else any more.
    """
    try:
        _raise_in(threading.get_ident(), _Withdrawn)
        for _ in range(10_000):
            pass
    except _Withdrawn:
        pass


def _where(frame: FrameType | None, node: Owner | None) -> list[str]:
    """The innermost lines of a stack, the innermost last; only the node's own, if there are any, or
    else those that aren't the workbench's."""
    if frame is None:
        return []
    stack = traceback.extract_stack(frame)
    own = [entry for entry in stack if node is not None and node.owns(entry.filename)]
    others = [entry for entry in stack if not entry.filename.startswith(_PACKAGE)]
    lines = [
        f"{entry.filename}:{entry.lineno} in {entry.name}: {entry.line}"
        for entry in own or others or stack
    ]
    return lines[-3:]
