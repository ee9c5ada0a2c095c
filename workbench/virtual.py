"""The standard library as a simulated script sees it: nothing in it is silently real.

A script and the modules beside it are run with an `import` of their own. What would bring in real
time, real randomness or real threads is replaced by a virtual version: `time`, `datetime`,
`random`, `uuid`, `threading`, `queue` and some of `os`. What can't be made virtual is refused with
an ImportError that names the remedy. Everything else is the real thing.
"""

from __future__ import annotations

import builtins
import datetime as real_datetime
import importlib
import os as real_os
import queue as real_queue
import random as real_random
import time as real_time
import types
import uuid as real_uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.loop import NANOS, nanos
from workbench.turns import Strand, TurnLoop

# The moment at which virtual time begins, in Unix seconds: 2025-01-01T00:00:00Z.
EPOCH = 1_735_689_600

REFUSED = {
    "asyncio": "handlers are synchronous and may block; use node.spawn for background work",
    "concurrent": "use node.spawn for background work",
    "multiprocessing": "use node.spawn for background work",
    "secrets": "use node.random",
    "select": "a node talks by its messages only",
    "selectors": "a node talks by its messages only",
    "signal": "a simulated node has no process",
    "socket": "a node talks by its messages only",
    "subprocess": "a simulated node has no process",
    "_queue": "use queue",
    "_thread": "use threading, or node.spawn",
}


def _copy(module: types.ModuleType, **replaced: Any) -> types.ModuleType:
    """A module with the content of another, some of it replaced."""
    copy = types.ModuleType(module.__name__, module.__doc__)
    copy.__dict__.update(module.__dict__)
    copy.__dict__.update(replaced)
    return copy


# time and datetime


def virtual_time(loop: TurnLoop) -> types.ModuleType:
    """`time` on the virtual clock."""

    def now() -> float:
        return EPOCH + loop.now / NANOS

    def monotonic() -> float:
        return loop.now / NANOS

    def monotonic_ns() -> int:
        return loop.now

    def at(convert: Callable[..., Any]) -> Callable[..., Any]:
        return lambda seconds=None: convert(now() if seconds is None else seconds)

    def strftime(format: str, when: Any = None) -> str:
        return real_time.strftime(format, real_time.localtime(now()) if when is None else when)

    return _copy(
        real_time,
        time=now,
        time_ns=lambda: EPOCH * NANOS + loop.now,
        monotonic=monotonic,
        monotonic_ns=monotonic_ns,
        perf_counter=monotonic,
        perf_counter_ns=monotonic_ns,
        process_time=monotonic,
        process_time_ns=monotonic_ns,
        thread_time=monotonic,
        thread_time_ns=monotonic_ns,
        sleep=loop.sleep,
        localtime=at(real_time.localtime),
        gmtime=at(real_time.gmtime),
        ctime=at(real_time.ctime),
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


def virtual_random(source: real_random.Random) -> types.ModuleType:
    """`random` whose every generator comes from a node's own stream."""

    class Random(real_random.Random):
        def seed(self, a: Any = None, version: int = 2) -> None:
            super().seed(source.getrandbits(64) if a is None else a, version)

    module = Random()
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


def virtual_os(source: real_random.Random, pid: int) -> types.ModuleType:
    """`os` without real randomness, and without the means to leave the simulation."""

    def refuse(name: str) -> Callable[..., Any]:
        def refused(*_: Any, **__: Any) -> Any:
            raise OSError(f"os.{name} can't be simulated: a simulated node has no process")

        return refused

    processes = ("fork", "forkpty", "system", "popen", "kill", "killpg", "_exit", "abort", "write")
    return _copy(
        real_os,
        urandom=source.randbytes,
        getrandom=lambda size, flags=0: source.randbytes(size),
        getpid=lambda: pid,
        **{name: refuse(name) for name in processes if hasattr(real_os, name)},
    )


# threading


class Lock:
    """`threading.Lock` in virtual time: whoever can't have it parks.

    A cycle of strands that wait for each other's locks can never end: `deadlock` hears of it.
    """

    reentrant = False

    def __init__(self, loop: TurnLoop, deadlock: Callable[[str], object]) -> None:
        self._loop = loop
        self._deadlock = deadlock
        self._owner: Strand | None = None
        self._depth = 0
        self._waiting: deque[Strand] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        me = self._me()
        if self._owner is None or (self.reentrant and self._owner is me):
            self._owner = me
            self._depth += 1
            return True
        if not blocking or timeout == 0:
            return False
        me.waits_for = self
        if timeout < 0:
            self._check_deadlock(me)
        else:
            self._loop.call_later(nanos(timeout), self._give_up, me)
        self._waiting.append(me)
        try:
            self._loop.park()
        finally:
            me.waits_for = None
        return self._owner is me

    def release(self) -> None:
        if self._owner is None:
            raise RuntimeError("release unlocked lock")
        if self.reentrant and self._owner is not self._me():
            raise RuntimeError("cannot release un-acquired lock")
        self._depth -= 1
        if self._depth:
            return
        self._owner = self._waiting.popleft() if self._waiting else None
        if self._owner is not None:
            self._depth = 1
            self._owner.waits_for = None  # from now on, although it runs a little later
            self._loop.call_at(self._loop.now, self._loop.resume, self._owner)

    def locked(self) -> bool:
        return self._owner is not None

    def _me(self) -> Strand:
        strand = self._loop.strand
        assert strand is not None
        return strand

    def _give_up(self, strand: Strand) -> None:
        if strand in self._waiting:
            self._waiting.remove(strand)
            self._loop.resume(strand)

    def _check_deadlock(self, me: Strand) -> None:
        chain = [me.name]
        lock: Lock | None = self
        while lock is not None and lock._owner is not None:
            if lock._owner is me:
                self._deadlock(" waits for ".join([*chain, me.name]))
                return
            chain.append(lock._owner.name)
            lock = lock._owner.waits_for

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class RLock(Lock):
    """`threading.RLock` in virtual time."""

    reentrant = True


class Condition:
    """`threading.Condition` in virtual time."""

    def __init__(self, loop: TurnLoop, lock: Lock) -> None:
        self._loop = loop
        self._lock = lock
        self._waiting: deque[Strand] = deque()
        self.acquire = lock.acquire
        self.release = lock.release

    def wait(self, timeout: float | None = None) -> bool:
        if self._lock._owner is not self._loop.strand:
            raise RuntimeError("cannot wait on un-acquired lock")
        me = self._lock._me()
        depth, self._lock._depth = self._lock._depth, 1
        self._lock.release()
        self._waiting.append(me)
        expired = [False]
        if timeout is not None:
            self._loop.call_later(nanos(max(0.0, timeout)), self._expire, me, expired)
        self._loop.park()
        self._lock.acquire()
        self._lock._depth = depth
        return not expired[0]

    def _expire(self, strand: Strand, expired: list[bool]) -> None:
        if strand in self._waiting:
            self._waiting.remove(strand)
            expired[0] = True
            self._loop.resume(strand)

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        deadline = None if timeout is None else self._loop.now + nanos(timeout)
        while not (result := predicate()):
            if deadline is None:
                self.wait()
            elif deadline <= self._loop.now:
                return result
            else:
                self.wait((deadline - self._loop.now) / NANOS)
        return result

    def notify(self, n: int = 1) -> None:
        if self._lock._owner is not self._loop.strand:
            raise RuntimeError("cannot notify on un-acquired lock")
        for _ in range(min(n, len(self._waiting))):
            self._loop.call_at(self._loop.now, self._loop.resume, self._waiting.popleft())

    def notify_all(self) -> None:
        self.notify(len(self._waiting))

    notifyAll = notify_all

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Event:
    """`threading.Event` in virtual time."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition
        self._flag = False

    def is_set(self) -> bool:
        return self._flag

    isSet = is_set

    def set(self) -> None:
        with self._condition:
            self._flag = True
            self._condition.notify_all()

    def clear(self) -> None:
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        with self._condition:
            if not self._flag:
                self._condition.wait_for(lambda: self._flag, timeout)
            return self._flag


class Semaphore:
    """`threading.Semaphore` in virtual time; `bound` makes it a BoundedSemaphore."""

    def __init__(self, condition: Condition, value: int, bound: int | None = None) -> None:
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self._condition = condition
        self._value = value
        self._bound = bound

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        with self._condition:
            if not self._value and blocking:
                self._condition.wait_for(lambda: self._value, timeout)
            if not self._value:
                return False
            self._value -= 1
            return True

    def release(self, n: int = 1) -> None:
        with self._condition:
            if self._bound is not None and self._value + n > self._bound:
                raise ValueError("Semaphore released too many times")
            self._value += n
            self._condition.notify(n)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Thread:
    """`threading.Thread` in virtual time: it runs as a strand of its node."""

    loop: TurnLoop
    spawn: Callable[..., None]
    make_event: Callable[[], Event]
    started_threads = 0

    def __init__(
        self,
        group: None = None,
        target: Callable[..., Any] | None = None,
        name: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        cls = type(self)
        cls.started_threads += 1
        self.name = name or f"Thread-{cls.started_threads}"
        self.daemon = bool(daemon)
        self.ident: int | None = None
        self._target = target
        self._args = args
        self._kwargs = kwargs or {}
        self._done = self.make_event()

    def start(self) -> None:
        if self.ident is not None:
            raise RuntimeError("threads can only be started once")
        self.ident = id(self)
        self.spawn(self.name, self._bootstrap)

    def _bootstrap(self) -> None:
        try:
            self.run()
        finally:
            self._done.set()

    def run(self) -> None:
        if self._target is not None:
            self._target(*self._args, **self._kwargs)

    def join(self, timeout: float | None = None) -> None:
        self._done.wait(timeout)

    def is_alive(self) -> bool:
        return self.ident is not None and not self._done.is_set()


def virtual_threading(
    loop: TurnLoop,
    spawn: Callable[..., None],
    deadlock: Callable[[str], object],
) -> types.ModuleType:
    """`threading` in virtual time; `spawn(name, function)` starts a strand."""

    def make_lock() -> Lock:
        return Lock(loop, deadlock)

    def make_rlock() -> RLock:
        return RLock(loop, deadlock)

    def make_condition(lock: Lock | None = None) -> Condition:
        return Condition(loop, make_rlock() if lock is None else lock)

    def make_event() -> Event:
        return Event(make_condition(make_lock()))

    def make_semaphore(value: int = 1) -> Semaphore:
        return Semaphore(make_condition(make_lock()), value)

    def make_bounded_semaphore(value: int = 1) -> Semaphore:
        return Semaphore(make_condition(make_lock()), value, bound=value)

    thread_class = type(
        "Thread",
        (Thread,),
        {"loop": loop, "spawn": staticmethod(spawn), "make_event": staticmethod(make_event)},
    )

    class Timer(thread_class):  # type: ignore[misc, valid-type]
        def __init__(
            self,
            interval: float,
            function: Callable[..., Any],
            args: Sequence[Any] | None = None,
            kwargs: Mapping[str, Any] | None = None,
        ) -> None:
            super().__init__(target=function, args=args or (), kwargs=kwargs or {})
            self._interval = interval
            self._cancelled = make_event()

        def cancel(self) -> None:
            self._cancelled.set()

        def run(self) -> None:
            if not self._cancelled.wait(self._interval):
                super().run()

    class local:
        """Attributes that each strand has for itself."""

        def _attributes(self) -> dict[str, Any]:
            strand = loop.strand
            assert strand is not None
            if strand.locals is None:
                strand.locals = {}
            return strand.locals.setdefault(id(self), {})

        def __getattr__(self, name: str) -> Any:
            try:
                return self._attributes()[name]
            except KeyError:
                raise AttributeError(name) from None

        def __setattr__(self, name: str, value: Any) -> None:
            self._attributes()[name] = value

        def __delattr__(self, name: str) -> None:
            if self._attributes().pop(name, self) is self:
                raise AttributeError(name)

    def current_thread() -> Any:
        strand = loop.strand
        name = strand.name if strand else "MainThread"
        return types.SimpleNamespace(name=name, ident=get_ident(), daemon=True)

    def get_ident() -> int:
        return id(loop.strand)

    module = types.ModuleType("threading", "threading in virtual time")
    module.__dict__.update(
        Lock=make_lock,
        RLock=make_rlock,
        Condition=make_condition,
        Event=make_event,
        Semaphore=make_semaphore,
        BoundedSemaphore=make_bounded_semaphore,
        Thread=thread_class,
        Timer=Timer,
        local=local,
        current_thread=current_thread,
        currentThread=current_thread,
        get_ident=get_ident,
        get_native_id=get_ident,
        TIMEOUT_MAX=1e9,
    )
    return module


# import


class Importer:
    """The `__import__` of one node's code.

    `virtual` are the replaced modules by name. Modules in `folder`, beside the script, are run
    anew for this node, so that nodes share no state; those in `shared` are imported as they are.
    """

    def __init__(
        self, folder: Path, virtual: Mapping[str, types.ModuleType], shared: Sequence[str]
    ) -> None:
        self._folder = folder
        self._modules = dict(virtual)
        self._shared = shared
        self.builtins = dict(vars(builtins), __import__=self)

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        root = name.partition(".")[0]
        if level == 0:
            if root in REFUSED:
                raise ImportError(f"{root} can't be simulated: {REFUSED[root]}")
            if name == "queue":
                return self._modules.get(name) or self._load(name, Path(real_queue.__file__))
            if root in self._modules:
                if name == root:
                    return self._modules[root]
                submodule = importlib.import_module(name)
                return submodule if fromlist else self._modules[root]
            beside = self._folder / f"{name}.py"
            if name not in self._shared and beside.is_file():
                return self._load(name, beside)
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    def _load(self, name: str, path: Path) -> types.ModuleType:
        """Run a module's source for this node alone."""
        module = types.ModuleType(name)
        module.__file__ = str(path)
        self._modules[name] = module
        try:
            self.run(path, module.__dict__)
        except BaseException:
            del self._modules[name]
            raise
        return module

    def run(self, path: Path, namespace: dict[str, Any]) -> None:
        """Run a file's source in a namespace, with this import."""
        namespace["__builtins__"] = self.builtins
        exec(_compiled(path, path.stat().st_mtime_ns), namespace)


_cache: dict[tuple[Path, int], types.CodeType] = {}


def _compiled(path: Path, changed: int) -> types.CodeType:
    """The file's code, compiled once for all nodes."""
    code = _cache.get((path, changed))
    if code is None:
        code = compile(path.read_bytes(), str(path), "exec")
        _cache[path, changed] = code
    return code
