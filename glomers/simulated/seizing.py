"""Takes the interpreter back from a thread that doesn't give it up.

Python lets threads take turns between bytecodes. One call into C, such as `sum(range(10**12))`,
may have none for hours: meanwhile no other thread runs, no signal has an effect, and no exception
can be raised in it. What still reaches the thread is the operating system's signal, in the midst
of C code. So:

- While strands run, the main thread winds up a timer of the process's CPU time again and again.
  Nothing happens as long as it gets its turns.
- If it has had none for as long as a strand may run without coming back, the timer's signal
  interrupts the thread that computes, and the handler doesn't return: the thread stands still for
  good, and the main thread runs again. Ctrl-C takes effect then, too.
- The thread may stand in the midst of an allocation, or hold a lock of the C library. So it must
  never go on, and a process in which this has happened ends by `os._exit`.
- Only the timer may stop a thread, since its signal comes to the thread that computes, and so has
  the interpreter. A signal that the main thread sent would find it waiting for the interpreter,
  and if a thread never comes back from the midst of that wait, nobody gets the interpreter again.

Python's own handlers can't do this, since they wait for the next bytecode; this one is installed
by ctypes. It runs only where otherwise the process would be lost.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from glomers import exits

AGAIN = 0.01  # seconds of CPU time until the next signal, if one has found another thread
SEIZING = 1.0  # seconds of real time in which the signal finds a thread that computes

_SIGNAL = signal.SIGVTALRM
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int)
_c_library = ctypes.CDLL(None)
_set_handler = _c_library.signal
_set_handler.argtypes = [ctypes.c_int, ctypes.c_void_p]
_set_handler.restype = ctypes.c_void_p

_running: int | None = None  # the thread that runs nodes' code
_patience = 0.0
_standing: set[int] = set()  # threads that stand still for good


def wind_up() -> None:
    """The main thread has its turn: the timer begins anew."""
    if _running is not None:
        signal.setitimer(signal.ITIMER_VIRTUAL, _patience, AGAIN)


def welcome() -> None:
    """The present thread begins: the signal may find it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [_SIGNAL])


def seize(thread: int) -> None:
    """Let the thread that runs nodes' code stand still for good. Only in `watched`.

    Waits until it does, but no longer than SEIZING: one that doesn't compute is in no way.
    """
    if _running is None:
        return
    signal.setitimer(signal.ITIMER_VIRTUAL, AGAIN, AGAIN)
    deadline = time.monotonic() + SEIZING
    while thread not in _standing and time.monotonic() < deadline:
        time.sleep(AGAIN)


@contextmanager
def watched(running: int, patience: float) -> Iterator[None]:
    """Let the main thread keep its turns, while the thread `running` runs nodes' code.

    `patience` is for how many seconds such code may run without coming back. In another thread,
    which no signal reaches, this does nothing.
    """
    global _running, _patience
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _running, _patience = running, patience
    # The main thread waits for the interpreter, in the midst of which no signal should find it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [_SIGNAL])
    before = _set_handler(_SIGNAL, ctypes.cast(_handler, ctypes.c_void_p))
    _take_back()
    wind_up()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        _take_back()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _running = None
        if not _standing:  # a signal that is under way must find its handler
            _set_handler(_SIGNAL, before)


def _take_back() -> None:
    """Take back a signal that came when nobody took it, or else the next thread would find it.

    That happens if the timer goes on after a thread has been stopped: the thread is in the handler,
    in which the signal is blocked.
    """
    if _SIGNAL in signal.sigpending():
        signal.sigwait([_SIGNAL])


def _take(number: int) -> None:
    """What the signal does, in the thread that it has found."""
    me = threading.get_ident()
    if _running is None or me != _running:
        return
    exits.must_leave_at_once = True
    _standing.add(me)
    never = threading.Lock()
    never.acquire()
    never.acquire()


_handler = _Handler(_take)


def stands(thread: int) -> bool:
    """Has the signal stopped a thread for good?"""
    return thread in _standing


def frame_of(thread: int) -> FrameType | None:
    """Where a thread's Python code is; of the handler above nothing is told."""
    frame = sys._current_frames().get(thread)
    return frame.f_back if frame is not None and frame.f_code is _take.__code__ else frame
