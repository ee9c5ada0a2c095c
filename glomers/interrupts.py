"""Ctrl-C and the like: signals that interrupt, and when they do.

What is ignored stays ignored: nohup relies on it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | signal.Handlers

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handled(handler: Handler, numbers: Sequence[int] = INTERRUPTS) -> Iterator[None]:
    """Handle those of the signals that are not ignored in another way for a while."""
    if threading.current_thread() is not threading.main_thread():
        yield  # which no signal reaches
        return
    heard = [n for n in numbers if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt as Ctrl-C does."""
    with handled(signal.default_int_handler, (signal.SIGTERM, signal.SIGHUP)):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold interrupts back until the end, when they take effect."""
    received: list[int] = []
    try:
        with handled(lambda number, _: received.append(number)):
            yield
    finally:
        for number in received:
            signal.raise_signal(number)
