"""Signals that interrupt a command: Ctrl-C (SIGINT), SIGTERM and SIGHUP.

A signal that is ignored stays ignored, because nohup relies on it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | signal.Handlers

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handled(handler: Handler, numbers: Sequence[int] = INTERRUPTS) -> Iterator[None]:
    """Handle signals by `handler` for a while; those that are ignored stay ignored.

    Only the main thread can handle signals; in another thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [n for n in numbers if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


@contextmanager
def blocked() -> Iterator[None]:
    """Hold Ctrl-C back in this thread: it takes effect at the end of the context.

    Processes that are started meanwhile never hear it.
    """
    resource_tracker.ensure_running()  # its start, with the first process, would unblock Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt as Ctrl-C does."""
    with handled(signal.default_int_handler, (signal.SIGTERM, signal.SIGHUP)):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold interrupts back; they take effect at the end of the context."""
    received: list[int] = []
    try:
        with handled(lambda number, _: received.append(number)):
            yield
    finally:
        for number in received:
            signal.raise_signal(number)
