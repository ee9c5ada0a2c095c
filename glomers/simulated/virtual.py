"""The standard library as a simulated script sees it: virtual, refused, or harmless.

A script and the modules beside it are run with an `import` of their own (`imports.py`). Modules
with real time, randomness or threads, or with access to the workbench's process, are replaced by
virtual versions, which are made here and in `virtual_threading.py`. Modules in RUN_ANEW are run by
each node for itself, on top of virtual ones. What can't be made virtual is refused, with an error
that says why. All other modules are the real ones.
"""

from __future__ import annotations

import atexit
import builtins
import datetime as real_datetime
import io
import os as real_os
import random as real_random
import stat
import sys
import time as real_time
import traceback
import types
import uuid as real_uuid
from collections import ChainMap, UserDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from glomers.history.times import NANOS
from glomers.simulated.borrowed import Belongings
from glomers.simulated.descriptors import PATHS, STREAMS, Descriptors, Inlet, Outlet, is_own
from glomers.simulated.files import DISK_REFUSED, ONLY_FILES, Files, OpenFile, OpenFolder
from glomers.simulated.turns import TurnLoop

# The moment at which virtual time begins, in Unix seconds: 2025-01-01T00:00:00Z.
EPOCH = 1_735_689_600

BACKGROUND = "use node.spawn for background work"
MESSAGES = "a node talks by its messages only"
NO_PROCESS = "a simulated node has no process"
NO_TERMINAL = "a node has no terminal"
USE_QUEUE = "use queue"

# Modules that can't be imported, and why.
REFUSED = {
    "multiprocessing": BACKGROUND,
    "secrets": "use node.random",
    **dict.fromkeys(("socket", "socketserver", "ssl"), MESSAGES),
    **dict.fromkeys(("http.client", "http.server", "urllib.request", "xmlrpc"), MESSAGES),
    **dict.fromkeys(("ftplib", "imaplib", "poplib", "smtplib"), MESSAGES),
    **dict.fromkeys(("subprocess", "pty", "resource", "faulthandler"), NO_PROCESS),
    **dict.fromkeys(("curses", "getpass", "pdb", "readline", "termios", "tty"), NO_TERMINAL),
    "runpy": "import the module instead",
    "_asyncio": "its event loops belong to threads of the system",
    "_queue": USE_QUEUE,
    "_socket": MESSAGES,
}

# Modules of the standard library that each node runs anew, so that they see virtual ones.
RUN_ANEW = frozenset(
    (
        *("_threading_local", "asyncio", "concurrent", "contextlib", "fileinput", "genericpath"),
        *("glob", "logging", "pathlib", "posixpath", "queue", "sched", "selectors", "shutil"),
        *("tempfile", "timeit", "weakref"),
    )
)

# Functions of `os` that are refused, and why.
PROCESS_FUNCTIONS = """
    abort chroot execl execle execlp execlpe execv execve execvp execvpe fork forkpty
    initgroups kill killpg login_tty nice openpty pidfd_open popen posix_openpt posix_spawn
    posix_spawnp ptsname grantpt unlockpt sched_setaffinity sched_setparam sched_setscheduler
    setegid seteuid setgid setgroups setns setpgid setpgrp setpriority setregid setresgid
    setresuid setreuid setsid setuid spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp
    spawnvpe startfile system tcsetpgrp umask unshare wait wait3 wait4 waitid waitpid
"""
PIPES = ("eventfd", "eventfd_read", "eventfd_write", "pipe2", "splice")
OS_REFUSED = {
    **dict.fromkeys(PROCESS_FUNCTIONS.split(), NO_PROCESS),
    **dict.fromkeys(PIPES, USE_QUEUE),
    **dict.fromkeys(DISK_REFUSED.split(), ONLY_FILES),
    "closerange": "other file descriptors are the workbench's",
}

# Functions of `os` that are made anew from the same code, on virtual ones.
OS_ANEW = ("makedirs", "removedirs", "renames", "walk", "_walk")

# Functions of `os` that a file of the disk has; the method of `OpenFile` that does it.
OF_DISK = {
    "fdatasync": "sync",
    "fsync": "sync",
    "ftruncate": "truncate",
    "lseek": "seek",
    "pread": "read_at",
    "pwrite": "write_at",
}

# Functions of `os` whose first argument is a file descriptor, but none of the node's own.
DESCRIPTOR_FUNCTIONS = """
    fchmod fchown fdatasync fsync ftruncate lockf lseek posix_fadvise posix_fallocate pread preadv
    pwrite pwritev readv sendfile set_inheritable tcgetpgrp ttyname writev
"""
TERMINALS = ("/dev/tty", "/dev/console")

# Functions of `sys` that are refused, and why.
SYS_REFUSED = {
    "addaudithook": "it could not be taken away from the workbench again",
    "breakpointhook": NO_TERMINAL,
    "setdlopenflags": NO_PROCESS,
    **dict.fromkeys(("setprofile", "settrace"), "it would follow the workbench, too"),
}

# Functions of `time` that are refused, and why.
TIME_REFUSED = {
    **dict.fromkeys(("clock_settime", "clock_settime_ns"), "a node can't set the clock"),
    "pthread_getcpuclockid": "threads are virtual",
}


class Environ(UserDict[str, str]):
    """A node's own `os.environ`, which no other process or node sees. It begins with `content`."""

    def __init__(self, content: Mapping[str, str]) -> None:
        self.data = dict(content)

    def __setitem__(self, key: str, value: str) -> None:
        for text in (key, value):
            if not isinstance(text, str):
                raise TypeError(f"str expected, not {type(text).__name__}")
        super().__setitem__(key, value)


def _copy(module: types.ModuleType, **replaced: Any) -> types.ModuleType:
    """A module with the content of another, some of it replaced."""
    copy = types.ModuleType(module.__name__, module.__doc__)
    copy.__dict__.update(module.__dict__)
    copy.__dict__.update(replaced)
    return copy


def _anew(function: Any, module: types.ModuleType) -> Any:
    """A function with the same code, whose globals are another module's."""
    copy = types.FunctionType(
        function.__code__, vars(module), function.__name__, function.__defaults__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def refuse(what: str, reason: str) -> Callable[..., Any]:
    def refused(*_: Any, **__: Any) -> Any:
        raise OSError(f"{what} can't be simulated: {reason}")

    return refused


def refuse_all(module: types.ModuleType, reasons: dict[str, str]) -> dict[str, Any]:
    """Replacements, which raise, for those refused functions that the module has."""
    name = module.__name__
    return {f: refuse(f"{name}.{f}", why) for f, why in reasons.items() if hasattr(module, f)}


def _spare_pipes(name: str) -> Callable[..., Any]:
    """A function of `os` that takes file descriptors, but refuses the node's own pipes."""
    real = getattr(real_os, name)
    refused = refuse(f"os.{name} of a pipe", "use os.read or os.write")

    def spared(fd: int, *args: Any, **kwargs: Any) -> Any:
        if is_own(fd) or (name == "sendfile" and is_own(args[0])):
            return refused()
        return real(fd, *args, **kwargs)

    return spared


TIME_STANDINS = refuse_all(real_time, TIME_REFUSED)
SYS_STANDINS = refuse_all(sys, SYS_REFUSED)
OS_STANDINS = {
    **refuse_all(real_os, OS_REFUSED),
    **{f: _spare_pipes(f) for f in DESCRIPTOR_FUNCTIONS.split() if hasattr(real_os, f)},
}


# time and datetime


def virtual_time(loop: TurnLoop, clock: int) -> types.ModuleType:
    """`time` on the virtual clock; the node's monotonic clock is `clock` nanoseconds ahead."""

    def now() -> float:
        return EPOCH + loop.now / NANOS

    def monotonic() -> float:
        return (loop.now + clock) / NANOS

    def monotonic_ns() -> int:
        return loop.now + clock

    def process_time() -> float:
        return loop.now / NANOS

    def process_time_ns() -> int:
        return loop.now

    def at(convert: Callable[..., Any]) -> Callable[..., Any]:
        return lambda seconds=None: convert(now() if seconds is None else seconds)

    def strftime(format: str, when: Any = None) -> str:
        return real_time.strftime(format, real_time.localtime(now()) if when is None else when)

    def asctime(when: Any = None) -> str:
        return real_time.asctime(real_time.localtime(now()) if when is None else when)

    def clock_gettime_ns(id: int) -> int:
        return loop.now + (EPOCH * NANOS if id == real_time.CLOCK_REALTIME else clock)

    def sleep(seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        loop.sleep(seconds)

    return _copy(
        real_time,
        **TIME_STANDINS,
        clock_gettime=lambda id: clock_gettime_ns(id) / NANOS,
        clock_gettime_ns=clock_gettime_ns,
        tzset=lambda: None,  # the time zone is the machine's
        time=now,
        time_ns=lambda: EPOCH * NANOS + loop.now,
        monotonic=monotonic,
        monotonic_ns=monotonic_ns,
        perf_counter=monotonic,
        perf_counter_ns=monotonic_ns,
        process_time=process_time,
        process_time_ns=process_time_ns,
        thread_time=process_time,
        thread_time_ns=process_time_ns,
        sleep=sleep,
        localtime=at(real_time.localtime),
        gmtime=at(real_time.gmtime),
        ctime=at(real_time.ctime),
        asctime=asctime,
        strftime=strftime,
    )


def virtual_datetime(loop: TurnLoop) -> types.ModuleType:
    """`datetime` on the virtual clock."""

    class datetime(real_datetime.datetime):
        @classmethod
        def now(cls, tz: real_datetime.tzinfo | None = None) -> datetime:
            return cls.fromtimestamp(EPOCH + loop.now / NANOS, tz)

        @classmethod
        def utcnow(cls) -> datetime:
            utc = cls.fromtimestamp(EPOCH + loop.now / NANOS, real_datetime.timezone.utc)
            return utc.replace(tzinfo=None)

        @classmethod
        def today(cls) -> datetime:
            return cls.now()

    class date(real_datetime.date):
        @classmethod
        def today(cls) -> date:
            return cls.fromtimestamp(EPOCH + loop.now / NANOS)

    return _copy(real_datetime, datetime=datetime, date=date)


# random, uuid and os


def virtual_random(source: real_random.Random, seed: int) -> types.ModuleType:
    """`random`, all of whose generators are seeded from a node's own stream.

    The module's own functions have the seed `seed`, so their numbers don't depend on when the
    module was imported.
    """

    class Random(real_random.Random):
        def seed(self, a: Any = None, version: int = 2) -> None:
            super().seed(source.getrandbits(64) if a is None else a, version)

    module = Random(seed)
    names = [name for name in real_random.__all__ if not name.endswith("Random")]
    functions = {name: getattr(module, name) for name in names}
    return _copy(real_random, Random=Random, SystemRandom=Random, **functions)


def virtual_uuid(source: real_random.Random, loop: TurnLoop) -> types.ModuleType:
    """`uuid` from a node's own stream."""

    def uuid1(node: int | None = None, clock_seq: int | None = None) -> real_uuid.UUID:
        node = source.getrandbits(48) if node is None else node
        clock_seq = source.getrandbits(14) if clock_seq is None else clock_seq
        # RFC 4122: hundreds of nanoseconds since 1582-10-15.
        stamp = (EPOCH * NANOS + loop.now) // 100 + 0x01B21DD213814000
        fields = (
            stamp & 0xFFFFFFFF,
            stamp >> 32 & 0xFFFF,
            stamp >> 48 & 0x0FFF,
            clock_seq >> 8 & 0x3F,
            clock_seq & 0xFF,
            node,
        )
        return real_uuid.UUID(fields=fields, version=1)

    def uuid4() -> real_uuid.UUID:
        return real_uuid.UUID(int=source.getrandbits(128), version=4)

    return _copy(real_uuid, uuid1=uuid1, uuid4=uuid4, getnode=lambda: source.getrandbits(48))


def virtual_os(
    source: real_random.Random, loop: TurnLoop, pid: int, node: Node
) -> types.ModuleType:
    """`os` with the node's own environment and folder. It can't reach the workbench's process."""

    own = node.descriptors

    def either(name: str, ours: Callable[..., Any]) -> Callable[..., Any]:
        """A function of `os` that takes a descriptor: `ours`, if it is the node's own."""
        real = getattr(real_os, name)
        return lambda fd, *args, **kwargs: (ours if is_own(fd) else real)(fd, *args, **kwargs)

    def dup2(fd: int, other: int, inheritable: bool = True) -> int:
        if is_own(fd) != is_own(other):
            raise OSError(f"os.dup2 of {fd} and {other} can't be simulated: one of them is a pipe")
        ours = own.dup2 if is_own(fd) else real_os.dup2
        return ours(fd, other, inheritable)

    def set_blocking(fd: int, blocking: bool) -> None:
        own.end(fd).blocking = blocking

    def fstat(fd: int) -> real_os.stat_result:
        end = own.end(fd)
        if isinstance(end, (OpenFile, OpenFolder)):
            return end.stat()
        return real_os.stat_result((stat.S_IFIFO | 0o600, fd, 0, 1, 0, 0, 0, 0, 0, 0))

    def open(path: Any, *args: Any, **kwargs: Any) -> int:
        number = stream_of(path)
        return node.files.open(path, *args, **kwargs) if number is None else own.dup(number)

    def of_disk(name: str, method: str) -> Callable[..., Any]:
        """A function of `os` that takes a descriptor, and which files of the disk have."""
        otherwise = OS_STANDINS[name]

        def call(fd: Any, *args: Any) -> Any:
            if method == "sync" and not isinstance(fd, int):
                fd = fd.fileno()
            does = getattr(own.end(fd), method, None) if is_own(fd) else None
            return otherwise(fd, *args) if does is None else does(*args)

        return call

    environ = node.belongings.environ

    def getenvb(key: bytes, default: Any = None) -> Any:
        value = environ.get(real_os.fsdecode(key))
        return default if value is None else real_os.fsencode(value)

    def putenv(key: Any, value: Any) -> None:
        environ[real_os.fsdecode(key)] = real_os.fsdecode(value)

    def unsetenv(key: Any) -> None:
        environ.pop(real_os.fsdecode(key), None)

    replaced = {
        "urandom": source.randbytes,
        "getrandom": lambda size, flags=0: source.randbytes(size),
        "getpid": lambda: pid,
        "getppid": lambda: 1,
        "getloadavg": lambda: (0.0, 0.0, 0.0),
        "times": lambda: real_os.times_result((loop.now / NANOS, 0.0, 0.0, 0.0, loop.now / NANOS)),
        "environ": environ,
        "getenv": environ.get,
        "getenvb": getenvb,
        "putenv": putenv,
        "unsetenv": unsetenv,
        **node.files.functions(),
        **{name: of_disk(name, method) for name, method in OF_DISK.items()},
        # Otherwise `shutil` would use descriptors of folders, which are the system's.
        "supports_dir_fd": set(),
        "supports_fd": set(),
        "supports_follow_symlinks": set(),
        "open": open,
        "fdopen": node.open,
        "isatty": either("isatty", lambda fd: False),
        "register_at_fork": lambda **_: None,  # nothing forks
        "_exit": node.exit,
        "read": either("read", own.read),
        "write": either("write", own.write),
        "close": either("close", own.close),
        "dup": either("dup", own.dup),
        "dup2": dup2,
        "pipe": own.pipe,
        "get_blocking": either("get_blocking", lambda fd: own.end(fd).blocking),
        "set_blocking": either("set_blocking", set_blocking),
        "get_inheritable": either("get_inheritable", lambda fd: fd in STREAMS),
        "fstat": either("fstat", fstat),
    }
    module = _copy(real_os, **{**OS_STANDINS, **replaced})
    del module.environb  # a view that would have to be kept in step with environ
    for name in OS_ANEW:
        real = getattr(real_os, name, None)
        if real is not None:
            setattr(module, name, _anew(real, module))

    def __getattr__(name: str) -> Any:
        why = "; use os.environ" if name == "environb" else ""
        raise AttributeError(f"module 'os' has no attribute {name!r} in a simulation{why}")

    module.__getattr__ = __getattr__  # type: ignore[method-assign]
    return module


# sys, builtins and io


class Output(io.TextIOBase):
    """A node's standard error: `write` is called with the text that is printed."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name: str, number: int, write: Callable[[str], object]) -> None:
        self.name = name
        self.mode = "w"
        self._number = number
        self._write = write
        self.buffer = OutputBytes(self)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._write(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        """Do nothing, because more output may follow."""

    def reconfigure(self, **_: Any) -> None:
        """Do nothing, because a line is kept as soon as it is printed."""


class OutputBytes(io.RawIOBase):
    """`sys.stdout.buffer`, for scripts that print bytes."""

    def __init__(self, text: Output) -> None:
        self._text = text

    def write(self, data: Any) -> int:
        self._text.write(bytes(data).decode("utf-8", "backslashreplace"))
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._text.fileno()

    def close(self) -> None:
        """Do nothing, because more output may follow."""


def stream_of(path: Any) -> int | None:
    """The number of the standard stream that a path names. Raises OSError for the terminal."""
    name = real_os.fspath(path)
    if name in TERMINALS:
        raise OSError(f"{name} can't be simulated: {NO_TERMINAL}")
    return PATHS.get(name)


class Node:
    """What the virtual modules need of one node: its belongings, its streams, its `hash`.

    `print_out` is called with what is written to standard output, `print_error` with the text that
    is written to standard error, `close_out` when standard output is closed; `exit(status)` ends
    the process. `lock` makes a virtual RLock. With `unbuffered`, Python runs as with -u.
    """

    def __init__(
        self,
        belongings: Belongings,
        descriptors: Descriptors,
        files: Files,
        print_out: Callable[[bytes], object],
        close_out: Callable[[], object],
        print_error: Callable[[str], object],
        exit: Callable[[int], object],
        hash: Callable[[Any], int],
        unbuffered: bool,
    ) -> None:
        self.belongings = belongings
        self.descriptors = descriptors
        self.files = files
        self.exit = exit
        self.hash = hash
        self.input = Inlet(descriptors.wake)
        self.stderr = Output("<stderr>", 2, print_error)
        descriptors.add(self.input, 0)
        descriptors.add(Outlet(print_out, close_out), 1)
        descriptors.add(Outlet(self.stderr.buffer.write), 2)
        open = partial(descriptors.open, newline="\n", closefd=False)
        self.stdin = open(0, "r", name="<stdin>")
        self.stdout = open(1, "w", name="<stdout>", write_through=unbuffered)
        self.sys = virtual_sys(self)

    def open(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        """`open`, which also finds the node's own descriptors, and files on the disk."""
        if isinstance(file, int):
            own = self.descriptors.open if is_own(file) else builtins.open
            return own(file, mode, *args, **kwargs)
        number = stream_of(file)
        if number is not None:
            return self.descriptors.open(self.descriptors.dup(number), mode, *args, **kwargs)
        return self.files.open_file(file, mode, *args, **kwargs)


def virtual_sys(node: Node) -> types.ModuleType:
    """`sys` with the node's own streams, arguments and modules."""

    def excepthook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        node.sys.stderr.write("".join(traceback.format_exception(kind, error, trace)))

    streams = {"stdin": node.stdin, "stdout": node.stdout, "stderr": node.stderr}
    return _copy(
        sys,
        **streams,
        **{f"__{name}__": stream for name, stream in streams.items()},
        argv=node.belongings.argv,
        path=list(sys.path),
        modules=ChainMap(node.belongings.modules, sys.modules),
        excepthook=excepthook,
        __excepthook__=excepthook,
        set_asyncgen_hooks=lambda *_, **__: None,
        set_coroutine_origin_tracking_depth=lambda depth: None,
        setswitchinterval=lambda seconds: None,  # there is nothing to switch
        **SYS_STANDINS,
    )


def virtual_builtins(node: Node, import_: Callable[..., Any]) -> types.ModuleType:
    """`builtins` that use the node's streams, and hash with its key."""

    def print(*values: Any, file: Any = None, **kwargs: Any) -> None:
        builtins.print(*values, file=node.sys.stdout if file is None else file, **kwargs)

    def input(prompt: object = "", /) -> str:
        out = node.sys.stdout
        out.write(str(prompt))
        out.flush()
        line: str = node.sys.stdin.readline()
        if not line:
            raise EOFError("EOF when reading a line")
        return line[:-1] if line.endswith("\n") else line

    return _copy(
        builtins,
        __import__=import_,
        print=print,
        open=node.open,
        hash=node.hash,
        input=input,
        breakpoint=refuse("breakpoint()", NO_TERMINAL),
        help=refuse("help()", NO_TERMINAL),
    )


def virtual_io(node: Node) -> types.ModuleType:
    """`io` whose `open` is the node's."""

    class FileIO(io.FileIO):
        def __new__(cls, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if cls is not FileIO or (isinstance(file, int) and not is_own(file)):
                return super().__new__(cls)
            return node.open(file, mode.replace("b", "") + "b", 0, *args, **kwargs)

    return _copy(io, open=node.open, FileIO=FileIO)


def virtual_processes() -> types.ModuleType:
    """`concurrent.futures.process`, whose executor can't be made."""

    class BrokenProcessPool(Exception):
        """Raised by nobody."""

    class ProcessPoolExecutor:
        __init__ = refuse("ProcessPoolExecutor", f"{NO_PROCESS}; use ThreadPoolExecutor")

    module = types.ModuleType("concurrent.futures.process")
    module.__dict__.update(
        ProcessPoolExecutor=ProcessPoolExecutor, BrokenProcessPool=BrokenProcessPool
    )
    return module


def virtual_atexit() -> types.ModuleType:
    """`atexit` whose functions run when the script ends, not the workbench."""
    functions: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    def register(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        functions.append((function, args, kwargs))
        return function

    def unregister(function: Callable[..., Any]) -> None:
        functions[:] = [entry for entry in functions if entry[0] != function]

    def run() -> None:
        while functions:
            function, args, kwargs = functions.pop()
            function(*args, **kwargs)

    return _copy(
        atexit,
        register=register,
        unregister=unregister,
        _run_exitfuncs=run,
        _clear=functions.clear,
        _ncallbacks=lambda: len(functions),
    )
