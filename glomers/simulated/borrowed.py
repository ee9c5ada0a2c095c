"""What Python has once per process, lent to one simulated node after another.

Each node of a real test is a process, and some things are a process's own: its arguments, its
environment, its working directory, its standard streams, the modules that it has imported.
Simulated nodes share one process. A script sees a `sys`, an `os` and a `print` of its own, but
libraries don't: `argparse` reads the real `sys.argv`, `pickle` the real `sys.modules`, `pathlib`
the real working directory. So while a simulation runs, these are set to what belongs to the node
whose code runs, and when the run is over they are what they were. Standard streams belong to the
strand that writes, so that the workbench, and other threads, can still reach the real ones.

One simulation runs at a time in a process; another thread's waits for it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import maelstrom_node

STREAMS = ("stdin", "stdout", "stderr")


@dataclass(eq=False)
class Belongings:
    """What belongs to one node: as in a process of its own, it can be changed at any time."""

    argv: list[str]
    environ: Any
    cwd: str
    modules: dict[str, ModuleType] = field(default_factory=dict)  # that it has for itself


class Routed:
    """A standard stream during a simulation: that of the node whose code uses it, or the real one.

    `own` finds the node's stream, None where no node's code runs.
    """

    def __init__(self, real: Any, own: Callable[[], Any]) -> None:
        self._real = real
        self._own = own

    def __getattr__(self, name: str) -> Any:
        own = self._own()
        return getattr(self._real if own is None else own, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.__getattr__("readline"), "")


class Lender:
    """Lends what is process-wide; there is one, `lender`."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._hidden: dict[str, ModuleType] = {}  # real modules for which nodes have their own
        self._lent: dict[str, ModuleType] = {}
        self._cwd = ""

    @contextmanager
    def lend(
        self,
        own_stream: Callable[[str], Any],
        make_runtime: Callable[[], maelstrom_node.Runtime],
    ) -> Iterator[None]:
        """Lend everything until the end, when it is given back.

        `own_stream(name)` is the standard stream of that name of the node whose code runs, or
        None; `make_runtime` is what `maelstrom_node.Node()` calls.
        """
        with self._one_at_a_time:
            before = sys.argv, os.environ, maelstrom_node.default_runtime, sys.getrecursionlimit()
            streams = {name: getattr(sys, name) for name in STREAMS}
            cwd = self._cwd = ""
            with suppress(FileNotFoundError):
                cwd = self._cwd = str(Path.cwd())
            try:
                for name, real in streams.items():
                    setattr(sys, name, Routed(real, lambda name=name: own_stream(name)))  # type: ignore[misc]
                maelstrom_node.default_runtime = make_runtime
                yield
            finally:
                for name, real in streams.items():
                    setattr(sys, name, real)
                sys.argv, os.environ, maelstrom_node.default_runtime, limit = before
                sys.setrecursionlimit(limit)
                self._lend_modules({})
                if cwd and cwd != self._cwd:
                    with suppress(OSError):  # it is gone, too
                        os.chdir(cwd)

    def hand_over(self, to: Belongings) -> None:
        """From now on these belongings are the process's."""
        sys.argv = to.argv
        os.environ = to.environ  # noqa: B003 - the C library's is the workbench's
        if to.cwd != self._cwd:
            with suppress(OSError):  # as if it had been deleted under a process
                os.chdir(to.cwd)
            self._cwd = to.cwd
        if to.modules.keys() == self._lent.keys():
            sys.modules.update(to.modules)
        else:
            self._lend_modules(to.modules)

    def moved(self, owner: Belongings) -> None:
        """The node whose code runs has changed its working directory."""
        owner.cwd = self._cwd = str(Path.cwd())

    def add_module(self, owner: Belongings, name: str, module: ModuleType) -> None:
        """The node whose code runs has a further module of its own."""
        self._lend_modules({})
        owner.modules[name] = module
        self._lend_modules(owner.modules)

    def remove_module(self, owner: Belongings, name: str) -> None:
        """The node whose code runs hasn't got that module after all."""
        self._lend_modules({})
        owner.modules.pop(name, None)
        self._lend_modules(owner.modules)

    def _lend_modules(self, modules: dict[str, ModuleType]) -> None:
        for name in self._lent:
            real = self._hidden.pop(name, None)
            if real is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = real
        for name, module in modules.items():
            if name in sys.modules:
                self._hidden[name] = sys.modules[name]
            sys.modules[name] = module
        self._lent = dict(modules)


lender = Lender()
