"""`threading` in virtual time: a strand that waits parks, and other strands go on.

The classes have the signatures and the errors of the real ones. Each node has a module of its own,
and subclasses of these classes that know its `World`.

docs/simulation.md lists how each name of the real module is simulated.
"""

from __future__ import annotations

import threading as real
import traceback
import types
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, cast

from glomers.history.times import NANOS
from glomers.simulated.turns import Strand, TurnLoop


@dataclass(eq=False)
class World:
    """What the classes below know of their node.

    `spawn(name, function)` starts a strand. `deadlock(chain)` is called with the names of strands
    that wait for ever, each for a lock of the next. `complain(text)` writes to the node's standard
    error. `nobody` takes locks in finalizers, which Python may run while no node's code runs.
    """

    loop: TurnLoop
    spawn: Callable[[str, Callable[[], object]], None]
    deadlock: Callable[[Sequence[str]], object]
    complain: Callable[[str], object]
    nobody: Strand
    threads: dict[Thread, None] = field(
        default_factory=dict
    )  # that were started and have not ended
    named: int = 0
    main: Thread | None = None  # the thread that runs the script
    module: types.ModuleType = field(default_factory=lambda: types.ModuleType("threading"))

    def strand(self) -> Strand:
        return self.loop.strand or self.nobody


@dataclass(eq=False)
class Wait:
    """One wait of a strand. A strand may wait again before the time-out of an earlier wait."""

    strand: Strand
    expired: bool = False

    def expire(self, waiting: deque[Wait], loop: TurnLoop) -> None:
        """End this wait, unless it has ended."""
        if self in waiting:
            waiting.remove(self)
            self.expired = True
            loop.resume(self.strand)


class Lock:
    """`threading.Lock`. A cycle of strands that wait for each other's locks is a deadlock."""

    world: ClassVar[World]
    reentrant = False

    def __init__(self) -> None:
        self._owner: Strand | None = None
        self._depth = 0
        self._waiting: deque[Wait] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if timeout != -1 and not (blocking and 0 <= timeout <= real.TIMEOUT_MAX):
            real.Lock().acquire(blocking, timeout)  # raises the real error
        me = self.world.strand()
        if self._owner is None or (self.reentrant and self._owner is me):
            self._owner = me
            self._depth += 1
            return True
        if not blocking or timeout == 0:
            return False
        if timeout < 0:
            me.waits_for = self  # for ever, if need be: a wait with a time-out is no deadlock
            self._check_deadlock(me)
        wait, loop = Wait(me), self.world.loop
        if timeout >= 0:
            loop.call_later(loop.span(timeout), wait.expire, self._waiting, loop)
        self._waiting.append(wait)
        try:
            loop.park()
        finally:
            me.waits_for = None
        return not wait.expired

    __enter__ = acquire

    def release(self) -> None:
        loop = self.world.loop
        if self._owner is None or (self.reentrant and self._owner is not self.world.strand()):
            loop.check_stopped()  # at the end of the run, a wait ends without its lock
            raise RuntimeError(
                "cannot release un-acquired lock" if self.reentrant else "release unlocked lock"
            )
        self._depth -= 1
        if self._depth:
            return
        self._owner = self._waiting.popleft().strand if self._waiting else None
        if self._owner is not None:
            self._depth = 1
            self._owner.waits_for = None  # it owns the lock from now on, although it runs later
            loop.call_at(loop.now, loop.resume, self._owner)

    def locked(self) -> bool:
        return self._owner is not None

    def _at_fork_reinit(self) -> None:
        """Do nothing, because nothing forks."""

    def _is_owned(self) -> bool:
        """Whether the lock is locked; an RLock must be locked by this strand."""
        return self._owner is self.world.strand() if self.reentrant else self.locked()

    def _check_deadlock(self, me: Strand) -> None:
        chain = [me.name]
        lock: Lock | None = self
        while lock is not None and lock._owner is not None:
            if lock._owner is me:
                self.world.deadlock(chain)
                return
            chain.append(lock._owner.name)
            lock = lock._owner.waits_for

    def __exit__(self, *_: object) -> None:
        self.release()


class RLock(Lock):
    """`threading.RLock`."""

    reentrant = True


class Condition:
    """`threading.Condition`."""

    world: ClassVar[World]

    def __init__(self, lock: Lock | None = None) -> None:
        self._lock = lock = self.world.module.RLock() if lock is None else lock
        self._waiting: deque[Wait] = deque()
        self.acquire = lock.acquire
        self.release = lock.release

    def wait(self, timeout: float | None = None) -> bool:
        self._check_owned("wait on")
        me, loop = self.world.strand(), self.world.loop
        depth, self._lock._depth = self._lock._depth, 1
        self._lock.release()
        wait = Wait(me)
        self._waiting.append(wait)
        if timeout is not None:
            loop.call_later(loop.span(timeout), wait.expire, self._waiting, loop)
        loop.park()
        self._lock.acquire()
        self._lock._depth = depth
        return not wait.expired

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        loop = self.world.loop
        deadline = None if timeout is None else loop.now + loop.span(timeout)
        while not (result := predicate()):
            if deadline is None:
                self.wait()
            elif deadline <= loop.now:
                return result
            else:
                self.wait((deadline - loop.now) / NANOS)
        return result

    def notify(self, n: int = 1) -> None:
        self._check_owned("notify on")
        loop = self.world.loop
        for _ in range(min(n, len(self._waiting))):
            loop.call_at(loop.now, loop.resume, self._waiting.popleft().strand)

    def notify_all(self) -> None:
        self.notify(len(self._waiting))

    notifyAll = notify_all

    def _check_owned(self, what: str) -> None:
        if not self._lock._is_owned():
            self.world.loop.check_stopped()
            raise RuntimeError(f"cannot {what} un-acquired lock")

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Event:
    """`threading.Event`."""

    world: ClassVar[World]

    def __init__(self) -> None:
        self._condition = self.world.module.Condition(self.world.module.Lock())
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
    """`threading.Semaphore`."""

    world: ClassVar[World]

    def __init__(self, value: int = 1) -> None:
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self._condition = self.world.module.Condition(self.world.module.Lock())
        self._value = value
        self._bound: int | None = None

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        if not blocking and timeout is not None:
            raise ValueError("can't specify timeout for non-blocking acquire")
        with self._condition:
            if not self._value and blocking:
                self._condition.wait_for(lambda: self._value, timeout)
            if not self._value:
                return False
            self._value -= 1
            return True

    def release(self, n: int = 1) -> None:
        if n < 1:
            raise ValueError("n must be one or more")
        with self._condition:
            if self._bound is not None and self._value + n > self._bound:
                raise ValueError("Semaphore released too many times")
            self._value += n
            self._condition.notify(n)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class BoundedSemaphore(Semaphore):
    """`threading.BoundedSemaphore`."""

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._bound = value


class Barrier:
    """`threading.Barrier`: `parties` strands wait for each other, again and again.

    In each round, the barrier fills, and then all strands leave. A strand that comes before the
    last one has left waits for that. At a broken barrier no strand waits.
    """

    world: ClassVar[World]

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> None:
        if parties < 1:
            raise ValueError("parties must be > 0")
        self.parties = parties
        self._action = action
        self._timeout = timeout
        self._condition = self.world.module.Condition(self.world.module.Lock())
        self._count = 0
        self._leaving = False
        self._resetting = False
        self.broken = False

    @property
    def n_waiting(self) -> int:
        return 0 if self._leaving or self._resetting or self.broken else self._count

    def wait(self, timeout: float | None = None) -> int:
        """The number of this strand in its round, from 0. Raises BrokenBarrierError."""
        timeout = self._timeout if timeout is None else timeout
        with self._condition:
            while self._leaving or self._resetting:
                self._condition.wait()
            self._check()
            number = self._count
            self._count += 1
            try:
                if self._count == self.parties:
                    self._open()
                else:
                    self._await_others(timeout)
                return number
            finally:
                self._count -= 1
                if not self._count:
                    self._leaving = self._resetting = False
                    self._condition.notify_all()

    def _open(self) -> None:
        try:
            if self._action:
                self._action()
        except BaseException:
            self._break()
            raise
        self._leaving = True
        self._condition.notify_all()

    def _await_others(self, timeout: float | None) -> None:
        ready = self._condition.wait_for(
            lambda: self._leaving or self._resetting or self.broken, timeout
        )
        if not ready:
            self._break()
        if self._resetting:
            raise real.BrokenBarrierError
        self._check()

    def _check(self) -> None:
        if self.broken:
            raise real.BrokenBarrierError

    def _break(self) -> None:
        self.broken = True
        self._condition.notify_all()

    def reset(self) -> None:
        """Begin anew; strands that wait get a BrokenBarrierError."""
        with self._condition:
            self._resetting = self._count > 0 and not self._leaving
            self.broken = False
            self._condition.notify_all()

    def abort(self) -> None:
        """Break it."""
        with self._condition:
            self._break()


class Thread:
    """`threading.Thread`: it runs as a strand of its node."""

    world: ClassVar[World]

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
        if name is None:
            self.world.named += 1
            name = f"Thread-{self.world.named}"
            if target is not None and hasattr(target, "__name__"):
                name += f" ({target.__name__})"
        self._name = str(name)
        self._daemon = self.world.module.current_thread().daemon if daemon is None else daemon
        self.ident: int | None = None
        self._target = target
        self._args = args
        self._kwargs = kwargs or {}
        self._started = False
        self._done = self.world.module.Event()

    def start(self) -> None:
        if self._started:
            raise RuntimeError("threads can only be started once")
        self._started = True
        self.world.threads[self] = None
        self.world.spawn(self._name, self._bootstrap)

    def _bootstrap(self) -> None:
        strand = self.world.strand()
        strand.thread = self
        self.ident = strand.number
        try:
            self.run()
        except SystemExit:
            pass
        except Exception as error:
            self._complain(error)
        except BaseException as error:
            self.world.loop.check_stopped()  # NodeStopped isn't an exception of the script's
            self._complain(error)
        finally:
            del self.world.threads[self]
            self._done.set()

    def _complain(self, error: BaseException) -> None:
        module = self.world.module
        arguments = (type(error), error, error.__traceback__, self)
        try:
            module.excepthook(module.ExceptHookArgs(arguments))
        except Exception:
            self.world.complain(traceback.format_exc())

    def run(self) -> None:
        if self._target is not None:
            self._target(*self._args, **self._kwargs)

    def join(self, timeout: float | None = None) -> None:
        if not self._started:
            raise RuntimeError("cannot join thread before it is started")
        if self is self.world.strand().thread:
            raise RuntimeError("cannot join current thread")
        self._done.wait(None if timeout is None else max(0.0, timeout))

    def is_alive(self) -> bool:
        return self in self.world.threads

    @property
    def native_id(self) -> int | None:
        return self.ident

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = str(name)

    @property
    def daemon(self) -> bool:
        return self._daemon

    @daemon.setter
    def daemon(self, daemon: bool) -> None:
        if self._started:
            raise RuntimeError("cannot set daemon status of active thread")
        self._daemon = daemon

    def getName(self) -> str:
        return self.name

    def setName(self, name: str) -> None:
        self.name = name

    def isDaemon(self) -> bool:
        return self.daemon

    def setDaemon(self, daemon: bool) -> None:
        self.daemon = daemon

    def __repr__(self) -> str:
        state = "started" if self.is_alive() else "stopped" if self._started else "initial"
        return f"<{type(self).__name__}({self.name}, {state} {self.ident or ''})>"


class Timer(Thread):
    """`threading.Timer`."""

    def __init__(
        self,
        interval: float,
        function: Callable[..., Any],
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(target=function, args=args or (), kwargs=kwargs or {})
        self.interval = interval
        self.finished = self.world.module.Event()

    def cancel(self) -> None:
        self.finished.set()

    def run(self) -> None:
        if not self.finished.wait(self.interval):
            super().run()
        self.finished.set()


class OtherThread(Thread):
    """The `current_thread()` of a strand that no `Thread` started: the script, a handler."""

    def __init__(self, name: str, ident: int, daemon: bool) -> None:
        super().__init__(name=name, daemon=daemon)
        self.ident = ident
        self._started = True

    def is_alive(self) -> bool:
        return True


CLASSES: dict[str, type] = {
    base.__name__: base
    for base in (
        *(Lock, RLock, Condition, Event, Semaphore, BoundedSemaphore, Barrier),
        *(Thread, Timer, OtherThread),
    )
}
TRACES = ["settrace", "setprofile", "settrace_all_threads", "setprofile_all_threads"]


def virtual_threading(world: World, load: Callable[[str], types.ModuleType]) -> types.ModuleType:
    """`threading` for one node; `load` imports a module of the standard library for it anew."""
    module = world.module

    def make(name: str) -> type:
        """Make one of the CLASSES for this node, when it is needed: most nodes only need a lock."""
        if name not in vars(module):
            base = CLASSES[name]
            parents = [make(parent.__name__) for parent in base.__bases__ if parent is not object]
            content = {"world": world, "__module__": "threading"}
            vars(module)[name] = type(name, (base, *parents), content)
        return cast(type, vars(module)[name])

    def __getattr__(name: str) -> Any:
        if name in CLASSES:
            return make(name)
        if name == "local":
            module.local = load("_threading_local").local  # type: ignore[attr-defined]
            return module.local
        raise AttributeError(f"module 'threading' has no attribute {name!r}")

    def main_thread() -> Any:
        if world.main is None:
            world.main = make("OtherThread")("MainThread", 1, False)
        return world.main

    def current_thread() -> Any:
        strand = world.strand()
        if strand.thread is None:
            if strand.name == "main":
                strand.thread = main_thread()
            else:
                strand.thread = make("OtherThread")(strand.name, strand.number, True)
        return strand.thread

    def enumerate() -> list[Any]:
        return [main_thread(), *world.threads]

    def excepthook(args: Any) -> None:
        if args.exc_type is SystemExit:
            return
        name = args.thread.name if args.thread else get_ident()
        lines = traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)
        world.complain(f"Exception in thread {name}:\n{''.join(lines)}")

    def get_ident() -> int:
        return world.strand().number

    at_exit: list[Callable[[], object]] = []

    def register_atexit(function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        at_exit.append(partial(function, *args, **kwargs))

    def shut_down() -> None:
        """Wait for all threads except daemons, as Python does before it ends."""
        while at_exit:
            at_exit.pop()()
        for thread in [*world.threads]:
            if not thread.daemon:
                thread.join()

    def refuse(*_: Any) -> None:
        raise RuntimeError("threads can't be traced in a simulation: it would trace the workbench")

    def stack_size(size: int = 0) -> int:
        return 0  # which means the system's default, as in the real function

    module.__doc__ = "threading in virtual time"
    module.__dict__.update(
        __getattr__=__getattr__,
        ThreadError=real.ThreadError,
        BrokenBarrierError=real.BrokenBarrierError,
        ExceptHookArgs=real.ExceptHookArgs,
        TIMEOUT_MAX=real.TIMEOUT_MAX,
        current_thread=current_thread,
        currentThread=current_thread,
        main_thread=main_thread,
        enumerate=enumerate,
        active_count=lambda: len(enumerate()),
        activeCount=lambda: len(enumerate()),
        get_ident=get_ident,
        get_native_id=get_ident,
        excepthook=excepthook,
        __excepthook__=excepthook,
        stack_size=stack_size,
        gettrace=lambda: None,
        getprofile=lambda: None,
        _register_atexit=register_atexit,
        _shutdown=shut_down,
        __all__=list(real.__all__),
        **{name: refuse for name in TRACES if hasattr(real, name)},
    )
    return module


def virtual_thread(threading: types.ModuleType, world: World) -> types.ModuleType:
    """`_thread`, which some modules of the standard library use."""

    def start_new_thread(
        function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
    ) -> int:
        thread = threading.Thread(target=function, args=args, kwargs=kwargs, daemon=True)
        thread.start()
        return id(thread)

    def end() -> None:
        raise SystemExit

    module = types.ModuleType("_thread", "_thread in virtual time")
    module.__dict__.update(
        LockType=threading.Lock,
        RLock=threading.RLock,
        TIMEOUT_MAX=real.TIMEOUT_MAX,
        allocate_lock=threading.Lock,
        error=RuntimeError,
        exit=end,
        get_ident=threading.get_ident,
        get_native_id=threading.get_ident,
        stack_size=threading.stack_size,
        start_new_thread=start_new_thread,
    )
    return module
