"""Takes the interpreter back from a thread that doesn't give it up.

Python lets threads take turns between bytecodes. One call into C, such as `sum(range(10**12))`,
may have none for hours: meanwhile no other thread runs, no signal has an effect, and no exception
can be raised in it. What still reaches the thread is the operating system's signal, in the midst
of C code. So:

- While strands run, the main thread winds up a timer of the process's CPU time again and again.
  Nothing happens as long as it gets its turns.
- Once it hasn't had one for seconds (ARM, or the watchdog's if that is less), which no call takes
  that ends by itself in a test, the timer's signal interrupts the thread that has the
  interpreter, and its handler, which is Python, lets the main thread run for a moment. That looks
  at the clock, and Ctrl-C takes effect. Then the C code goes on as if nothing had happened.
- If the main thread has decided meanwhile that this thread is to stop, its handler doesn't return:
  the thread waits in it for ever. It may hold a lock of the C library, which is why a process in
  which this has happened ends by `os._exit`.
- Only the timer may stop a thread, since its signal comes to the thread that computes, and so has
  the interpreter. A signal that the main thread sent would find it waiting for the interpreter,
  and if a thread never comes back from the midst of that wait, nobody gets the interpreter again.

Python's own handlers can't do this, since they wait for the next bytecode; this one is installed
by ctypes. A handler that comes between any two instructions is a last resort: it runs only where
otherwise the process would be lost.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from glomers import exits

ARM = 3.0  # seconds of CPU time that the main thread may have to wait for a turn, at most
AGAIN = 0.01  # seconds of CPU time until the next signal, if one has found an idle thread
BREATH = 0.01  # seconds of real time for which the main thread gets the interpreter
SEIZING = 1.0  # seconds of real time in which the signal finds a thread that computes

_SIGNAL = signal.SIGVTALRM
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int)
_c_library = ctypes.CDLL(None)
_set_handler = _c_library.signal
_set_handler.argtypes = [ctypes.c_int, ctypes.c_void_p]
_set_handler.restype = ctypes.c_void_p

_running: Callable[[], int] | None = None  # which thread has its turn
_arm = ARM
# Threads that are to stop where they are, or have: each with a lock that is released when it has.
_seized: dict[int, threading.Lock] = {}


def wind_up() -> None:
    """The main thread has its turn: the timer begins anew."""
    if _running is not None:
        signal.setitimer(signal.ITIMER_VIRTUAL, _arm, AGAIN)


def welcome() -> None:
    """The present thread begins: it may be found by the signal, and has not been seized.

    One that ended just before it was seized may have had the same number.
    """
    _seized.pop(threading.get_ident(), None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [_SIGNAL])


def seize(thread: int) -> None:
    """Let a thread, which is running a node's code, stand still for good. Only in `watched`.

    Waits until it does, but no longer than SEIZING: one that doesn't compute is in no way.
    """
    if _running is not None:
        stands = _seized[thread] = threading.Lock()
        stands.acquire()
        exits.must_leave_at_once = True
        signal.setitimer(signal.ITIMER_VIRTUAL, AGAIN, AGAIN)
        stands.acquire(timeout=SEIZING)


@contextmanager
def watched(running: Callable[[], int], patience: float) -> Iterator[None]:
    """Let the main thread keep its turns. `running()` is the thread that runs nodes' code.

    `patience` is for how many seconds such code may run without coming back. In another thread,
    which no signal reaches, this does nothing.
    """
    global _running, _arm
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _running, _arm = running, min(ARM, patience)
    # The main thread waits for the interpreter, in the midst of which no signal should find it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [_SIGNAL])
    before = _set_handler(_SIGNAL, ctypes.cast(_handler, ctypes.c_void_p))
    wind_up()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _running = None
        if not _seized:  # a signal that is under way must find its handler
            _set_handler(_SIGNAL, before)


def _take(number: int) -> None:
    """What the signal does, in the thread that it has found."""
    me = threading.get_ident()
    if _running is not None and me == _running():
        time.sleep(BREATH)
    if me in _seized:
        _seized[me].release()
        never = threading.Lock()
        never.acquire()
        never.acquire()


_handler = _Handler(_take)


def is_in_c(thread: int) -> bool:
    """Whether a thread is in the middle of C code, where it lets the main thread have a turn."""
    frame = sys._current_frames().get(thread)
    return frame is not None and frame.f_code is _take.__code__


def frame_of(thread: int) -> FrameType | None:
    """The frame of a thread's Python code, without the frames of the handler above."""
    frame = sys._current_frames().get(thread)
    return frame.f_back if frame is not None and is_in_c(thread) else frame
