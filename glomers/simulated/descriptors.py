"""A simulated node's file descriptors: its standard streams, pipes of its own, and its files.

A descriptor stands for one end of a pipe, or for a file on the disk (files.py). A node that reads
an empty pipe parks until there is something in it, as a process blocks. Files over a descriptor are
Python's own (a TextIOWrapper over a BufferedReader or BufferedWriter), on a raw file that reads and
writes here. So a node sees the same as a process does: what it prints waits in a buffer until it is
flushed, and who reads a line may take in more, which `select` knows nothing of.
"""

from __future__ import annotations

import errno
import io
import os
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from glomers.simulated.turns import TurnLoop
from glomers.simulated.virtual_threading import Wait

FIRST_OWN = 1 << 20  # the lowest number of a descriptor that a node opens: no real file has it
BLOCK = 4096  # bytes that Python buffers when it writes to a pipe
STREAMS = (0, 1, 2)
PATHS = {
    **dict(zip(("/dev/stdin", "/dev/stdout", "/dev/stderr"), STREAMS)),
    **{f"/dev/fd/{number}": number for number in STREAMS},
    **{f"/proc/self/fd/{number}": number for number in STREAMS},
}

Lock = Callable[[], AbstractContextManager[Any]]


def is_own(fd: object) -> bool:
    """Whether a number is that of a node's own descriptor, open or closed, rather than a file's."""
    return isinstance(fd, int) and (fd in STREAMS or fd >= FIRST_OWN)


def failure(number: int) -> OSError:
    """The error of the system with that number."""
    return OSError(number, os.strerror(number))


class End:
    """What a descriptor stands for: one end of a pipe, unless it says otherwise."""

    readable = False
    writable = False
    seekable = False
    blocking = True

    def raw(
        self, descriptors: Descriptors, fd: int, mode: str, closefd: bool, name: object
    ) -> io.RawIOBase:
        """A file over a descriptor of this end, without a buffer. Raises what `open` does."""
        if "+" in mode:
            raise io.UnsupportedOperation("File or stream is not seekable.")
        reading = "r" in mode
        if not (self.readable if reading else self.writable):
            raise failure(errno.EBADF)
        return RawFile(descriptors, fd, reading, closefd, name)

    def read(self, size: int) -> bytes:
        """Take what is there, at most `size` bytes; b"" at the end of the input."""
        raise failure(errno.EBADF)

    def write(self, data: bytes) -> None:
        raise failure(errno.EBADF)

    def has_something(self) -> bool:
        """Whether a read needn't wait."""
        return False

    def close(self) -> None:
        """Called when the last descriptor of this end is closed."""


class Inlet(End):
    """The end from which a node reads. `wake` is called when there is something to read."""

    readable = True

    def __init__(self, wake: Callable[[], object]) -> None:
        self.content = bytearray()
        self._wake = wake
        self._refusal = ""
        self._ended = self._closed = False

    def put(self, data: bytes) -> None:
        """Let data arrive."""
        if not self._closed:
            self.content += data
            self._wake()

    def end(self) -> None:
        """Nothing more will arrive."""
        self._ended = True
        self._wake()

    def refuse(self, why: str) -> None:
        """From now on, all reads fail."""
        self._refusal = why
        self._wake()

    def has_something(self) -> bool:
        return bool(self.content or self._ended or self._refusal)

    def read(self, size: int) -> bytes:
        if self._refusal:
            raise OSError(f"standard input can't be simulated: {self._refusal}")
        data = bytes(self.content[:size])
        del self.content[:size]
        return data

    def close(self) -> None:
        self._closed = True
        self.content.clear()


class Outlet(End):
    """The end to which a node writes: `write` is called with the data."""

    writable = True

    def __init__(
        self,
        write: Callable[[bytes], object],
        closed: Callable[[], object] = lambda: None,
    ) -> None:
        self.write = write  # type: ignore[method-assign,assignment]
        self.close = closed  # type: ignore[method-assign,assignment]


class Descriptors:
    """The descriptors of one node. `lock` makes a virtual RLock, for files that are read."""

    def __init__(self, loop: TurnLoop, lock: Lock) -> None:
        self._lock = lock
        self._loop = loop
        self._ends: dict[int, End] = {}
        self._next = FIRST_OWN
        self._waiting: deque[Wait] = deque()

    def end(self, fd: int) -> End:
        """What a descriptor stands for. Raises OSError if it is closed."""
        end = self._ends.get(fd)
        if end is None:
            raise failure(errno.EBADF)
        return end

    def add(self, end: End, fd: int | None = None) -> int:
        """Make a descriptor for `end`, with that number or a new one."""
        if fd is None:
            fd = self._next
            self._next += 1
        self._ends[fd] = end
        return fd

    # Waiting

    def wake(self) -> None:
        """Let all strands that wait for something to read have another look."""
        loop = self._loop
        while self._waiting:
            loop.call_at(loop.now, loop.resume, self._waiting.popleft().strand)

    def wait(self, ready: Callable[[], Any], timeout: float | None = None) -> None:
        """Park until `ready()` or, if there is a timeout (seconds), until that is over.

        With a timeout of 0, others that are due now have their turn.
        """
        loop = self._loop
        loop.check_stopped()
        loop.count()
        expires = None if timeout is None else loop.now + loop.span(timeout)
        while not ready():
            assert loop.strand is not None
            wait = Wait(loop.strand)
            if expires is not None:
                loop.call_at(expires, wait.expire, self._waiting, loop)
            self._waiting.append(wait)
            loop.park()
            if wait.expired:
                break

    # What `os` does

    def read(self, fd: int, size: int) -> bytes:
        end = self.end(fd)
        if end.readable and not end.has_something():
            if not end.blocking:
                self._loop.check_stopped()
                self._loop.count()
                raise failure(errno.EAGAIN)
            self.wait(end.has_something)
        return end.read(size)

    def write(self, fd: int, data: Any) -> int:
        content = bytes(memoryview(data))
        self.end(fd).write(content)
        return len(content)

    def close(self, fd: int) -> None:
        end = self.end(fd)
        del self._ends[fd]
        if end not in self._ends.values():
            end.close()

    def dup(self, fd: int) -> int:
        return self.add(self.end(fd))

    def dup2(self, fd: int, other: int, inheritable: bool = True) -> int:
        end = self.end(fd)
        if other != fd:
            if other in self._ends:
                self.close(other)
            self.add(end, other)
        return other

    def pipe(self) -> tuple[int, int]:
        inlet = Inlet(self.wake)
        return self.add(inlet), self.add(Outlet(inlet.put, inlet.end))

    # Files

    def open(
        self,
        fd: int,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
        *,
        name: object = None,
        write_through: bool = False,
    ) -> Any:
        """`open` of a descriptor. Raises what the real one does."""
        end, reading = self.end(fd), "r" in mode
        raw = end.raw(self, fd, mode, closefd, fd if name is None else name)
        if buffering == 0:
            if "b" not in mode:
                raise ValueError("can't have unbuffered text I/O")
            return raw
        buffer: Any
        if write_through:
            buffer = raw
        elif end.seekable:
            kind = io.BufferedReader if reading else io.BufferedWriter
            size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
            buffer = (io.BufferedRandom if "+" in mode else kind)(raw, size)
        elif reading:
            buffer = LockedReader(raw, _once(self._lock))
        else:
            buffer = io.BufferedWriter(raw, BLOCK)
        if "b" in mode:
            return buffer
        line_buffering = buffering == 1
        text = io.TextIOWrapper(
            buffer, encoding or "utf-8", errors, newline, line_buffering, write_through
        )
        text.mode = mode  # type: ignore[misc]
        return text


def _once(make: Lock) -> Lock:
    """A function that returns the same lock each time. It is made when it is needed."""
    made: list[AbstractContextManager[Any]] = []

    def lock() -> AbstractContextManager[Any]:
        if not made:
            made.append(make())
        return made[0]

    return lock


class RawFile(io.RawIOBase):
    """A file over a descriptor, without a buffer."""

    def __init__(
        self, descriptors: Descriptors, fd: int, reading: bool, closefd: bool, name: object
    ) -> None:
        self.name = name
        self.mode = "rb" if reading else "wb"
        self.closefd = closefd
        self._descriptors = descriptors
        self._fd = fd
        self._reading = reading

    def readable(self) -> bool:
        return self._reading

    def writable(self) -> bool:
        return not self._reading

    def fileno(self) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._fd

    def readinto(self, buffer: Any) -> int | None:
        try:
            data = self._descriptors.read(self.fileno(), len(buffer))
        except BlockingIOError:
            return None
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        return self._descriptors.write(self.fileno(), data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            if self.closefd:
                self._descriptors.close(self._fd)


class LockedReader(io.BufferedReader):
    """A file of bytes that several strands may read.

    Python's own code holds a lock of the system while it reads, but what reads here may park, and
    other strands then run. So `lock()`, which is the node's, is taken first. Text isn't locked: in
    Python, too, threads that read lines of the same file may lose some.
    """

    def __init__(self, raw: io.RawIOBase, lock: Lock) -> None:
        super().__init__(raw)
        self._lock = lock

    def peek(self, size: int = 0, /) -> bytes:
        with self._lock():
            return super().peek(size)

    def read(self, size: int | None = -1, /) -> bytes:
        with self._lock():
            return super().read(size)

    def read1(self, size: int = -1, /) -> bytes:
        with self._lock():
            return super().read1(size)

    def readinto(self, buffer: Any, /) -> int:
        with self._lock():
            return super().readinto(buffer)

    def readinto1(self, buffer: Any, /) -> int:
        with self._lock():
            return super().readinto1(buffer)

    def readline(self, size: int | None = -1, /) -> bytes:
        with self._lock():
            return super().readline(size)
