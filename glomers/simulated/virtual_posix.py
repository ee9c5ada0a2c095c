"""`select` and `signal` as a simulated node sees them: on its own descriptors, in virtual time."""

from __future__ import annotations

import os
import select as real_select
import signal as real_signal
import types
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from glomers.simulated.descriptors import Descriptors, failure
from glomers.simulated.turns import TurnLoop

NO_TIMER = "use a threading.Timer"
NO_PROCESS = "a simulated node has no process"

# Functions of `signal` that are refused, and why.
SIGNAL_REFUSED = {
    **dict.fromkeys(("alarm", "setitimer"), NO_TIMER),
    **dict.fromkeys(("pidfd_send_signal", "pthread_kill", "raise_signal"), NO_PROCESS),
}


def virtual_select(descriptors: Descriptors) -> types.ModuleType:
    """`select` with the functions `select` and `poll`, for a node's own descriptors."""

    def number(file: Any) -> int:
        fd = file if isinstance(file, int) else file.fileno()
        if fd not in descriptors:
            raise OSError(f"select of {file!r} can't be simulated: it is not one of a node's pipes")
        descriptors.end(fd)
        return int(fd)

    def is_readable(fd: int) -> bool:
        return descriptors.end(fd).has_something()

    def is_writable(fd: int) -> bool:
        return descriptors.end(fd).writable

    def select(
        rlist: Iterable[Any],
        wlist: Iterable[Any],
        xlist: Iterable[Any],
        timeout: float | None = None,
        /,
    ) -> tuple[list[Any], list[Any], list[Any]]:
        if timeout is not None and timeout < 0:
            raise ValueError("timeout must be non-negative")
        reads = [(file, number(file)) for file in rlist]
        writes = [(file, number(file)) for file in wlist]

        def ready() -> tuple[list[Any], list[Any]]:
            return (
                [file for file, fd in reads if is_readable(fd)],
                [file for file, fd in writes if is_writable(fd)],
            )

        descriptors.wait(lambda: any(ready()), timeout)
        return *ready(), []

    class poll:
        def __init__(self) -> None:
            self._masks: dict[int, int] = {}

        def register(self, file: Any, eventmask: int = POLL_ALL, /) -> None:
            self._masks[number(file)] = eventmask

        def modify(self, file: Any, eventmask: int, /) -> None:
            if number(file) not in self._masks:
                raise FileNotFoundError(2, os.strerror(2))
            self.register(file, eventmask)

        def unregister(self, file: Any, /) -> None:
            del self._masks[file if isinstance(file, int) else file.fileno()]

        def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
            """Wait for `timeout` milliseconds, or as long as it takes if it is None or negative."""
            seconds = None if timeout is None or timeout < 0 else timeout / 1000
            descriptors.wait(self._events, seconds)
            return self._events()

        def _events(self) -> list[tuple[int, int]]:
            found = []
            for fd, mask in self._masks.items():
                events = real_select.POLLIN if is_readable(fd) else 0
                events |= real_select.POLLOUT if is_writable(fd) else 0
                if events & mask:
                    found.append((fd, events & mask))
            return found

    def __getattr__(name: str) -> Any:
        raise AttributeError(
            f"module 'select' has no attribute {name!r} in a simulation;"
            " use select.select, select.poll or selectors"
        )

    module = types.ModuleType("select", "select in virtual time")
    known = vars(real_select).items()
    constants = {name: value for name, value in known if name.startswith(("POLL", "PIPE"))}
    module.__dict__.update(
        constants, select=select, poll=poll, error=OSError, __getattr__=__getattr__
    )
    return module


POLL_ALL = real_select.POLLIN | real_select.POLLPRI | real_select.POLLOUT


def virtual_signal(
    loop: TurnLoop, threading: types.ModuleType, refuse: Callable[..., dict[str, Any]]
) -> types.ModuleType:
    """`signal` for one node. Handlers are kept and never called, because no signal ever comes.

    A simulated node is killed as if by SIGKILL, and at the end of a test its code just ends.
    """
    default = real_signal.default_int_handler
    handlers: dict[int, Any] = {real_signal.SIGINT: default}

    def signal(number: int, handler: Any, /) -> Any:
        number = real_signal.Signals(number)
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("signal only works in main thread of the main interpreter")
        if number in (real_signal.SIGKILL, real_signal.SIGSTOP):
            raise failure(22)
        if not callable(handler) and handler not in (real_signal.SIG_DFL, real_signal.SIG_IGN):
            raise TypeError(
                "signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object"
            )
        before = getsignal(number)
        handlers[number] = handler
        return before

    def getsignal(number: int, /) -> Any:
        return handlers.get(number, real_signal.SIG_DFL)

    def wait_for_ever(*_: Any) -> None:
        while True:
            loop.park()

    def wait_in_vain(_: Any, timeout: float, /) -> None:
        if timeout < 0:
            raise ValueError("timeout must be non-negative")
        loop.sleep(timeout)

    def nothing(answer: Any, *_: Any, **__: Any) -> Any:
        return answer

    module = types.ModuleType("signal", real_signal.__doc__)
    module.__dict__.update(vars(real_signal))
    module.__dict__.update(
        refuse(real_signal, SIGNAL_REFUSED),
        signal=signal,
        getsignal=getsignal,
        pause=wait_for_ever,
        sigwait=wait_for_ever,
        sigwaitinfo=wait_for_ever,
        sigtimedwait=wait_in_vain,
        getitimer=partial(nothing, (0.0, 0.0)),
        pthread_sigmask=partial(nothing, set()),
        sigpending=partial(nothing, set()),
        set_wakeup_fd=partial(nothing, -1),
        siginterrupt=partial(nothing, None),
    )
    return module
