"""What a simulated node sees of the system: `select` on its own descriptors, `signal` without any.

`asyncio` needs more: a pair of sockets, with which a thread wakes the loop, the names of what it
could do with sockets and processes, and silence about what is left open when a node is stopped.
Only modules of the standard library see these.
"""

from __future__ import annotations

import os
import select as real_select
import signal as real_signal
import socket as real_socket
import subprocess as real_subprocess
import types
import warnings as real_warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from glomers.simulated.descriptors import Descriptors, failure, is_own
from glomers.simulated.turns import TurnLoop

NO_TIMER = "use a threading.Timer"
NO_PROCESS = "a simulated node has no process"
MESSAGES = "a node talks by its messages only"

Refuse = Callable[[str, str], Callable[..., Any]]  # makes a function that raises: what, and why

# Functions of `signal` that are refused, and why.
SIGNAL_REFUSED = {
    **dict.fromkeys(("alarm", "setitimer"), NO_TIMER),
    **dict.fromkeys(("pidfd_send_signal", "pthread_kill", "raise_signal"), NO_PROCESS),
}


def virtual_select(descriptors: Descriptors) -> types.ModuleType:
    """`select` with the functions `select` and `poll`, for a node's own descriptors."""

    def number(file: Any) -> int:
        fd = file if isinstance(file, int) else file.fileno()
        if not is_own(fd) or descriptors.end(fd).seekable:
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


class Socket:
    """What `asyncio` needs of a socket: one end of a pipe."""

    def __init__(self, descriptors: Descriptors, fd: int) -> None:
        self._descriptors = descriptors
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def setblocking(self, blocking: bool) -> None:
        self._descriptors.end(self._fd).blocking = blocking

    def recv(self, size: int) -> bytes:
        return self._descriptors.read(self._fd, size)

    def send(self, data: bytes) -> int:
        return self._descriptors.write(self._fd, data)

    def close(self) -> None:
        self._descriptors.close(self._fd)


def virtual_socket(descriptors: Descriptors, refuse: Refuse) -> types.ModuleType:
    """`socket` for the standard library: constants, and pairs of sockets in one direction."""

    def socketpair() -> tuple[Socket, Socket]:
        to, back = descriptors.pipe()
        return Socket(descriptors, to), Socket(descriptors, back)

    module = types.ModuleType("socket")
    known = vars(real_socket).items()
    functions = [name for name in real_socket.__all__ if name.islower()]
    module.__dict__.update({name: value for name, value in known if isinstance(value, int)})
    module.__dict__.update({name: refuse(f"socket.{name}", MESSAGES) for name in functions})
    module.__dict__.update(
        socket=type("socket", (), {"__init__": refuse("socket.socket", MESSAGES)}),
        socketpair=socketpair,
        error=OSError,
        gaierror=real_socket.gaierror,
    )
    return module


def virtual_subprocess(refuse: Refuse) -> types.ModuleType:
    """`subprocess` for the standard library: constants, and no processes."""
    module = types.ModuleType("subprocess")
    known = vars(real_subprocess).items()
    module.__dict__.update(
        {name: value for name, value in known if isinstance(value, int)},
        SubprocessError=real_subprocess.SubprocessError,
        Popen=type("Popen", (), {"__init__": refuse("subprocess.Popen", NO_PROCESS)}),
    )
    return module


def virtual_warnings() -> types.ModuleType:
    """`warnings` for the standard library: without ResourceWarning, as by Python's default."""

    def warn(
        message: Any, category: Any = None, stacklevel: int = 1, *rest: Any, **named: Any
    ) -> None:
        if category is not ResourceWarning:
            real_warnings.warn(message, category, stacklevel + 1, *rest, **named)

    module = types.ModuleType("warnings")
    module.__dict__.update(vars(real_warnings))
    module.warn = warn  # type: ignore[attr-defined]
    return module
