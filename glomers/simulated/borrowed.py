"""What Python has once per process, lent to one simulated node after another.

Each node of a real test is a process with its own arguments, environment, working directory,
standard streams and imported modules. Simulated nodes share one process. A script sees a `sys`, an
`os` and a `print` of its own, but libraries don't: `argparse` reads the real `sys.argv`, `pickle`
the real `sys.modules`, `pathlib` the real working directory. So while a simulation runs, these are
set to what belongs to the node whose code runs, and afterwards they are restored. Which standard
stream is used depends on the strand that writes, so the workbench and other threads still reach
the real ones.

Only one simulation runs at a time in a process; a simulation in another thread waits for its end.
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
    """What belongs to one node. As in a process, the node's code can change it at any time."""

    argv: list[str]
    environ: Any
    cwd: str
    modules: dict[str, ModuleType] = field(default_factory=dict)  # the node's own modules


class Routed:
    """A standard stream during a simulation: that of the node whose code uses it, or the real one.

    `own()` returns the node's stream, or None if no node's code runs.
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
    """Lends process-wide things to nodes. There is only one Lender, `lender`."""

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
        """Lend everything during the context; restore it at the end.

        `own_stream(name)` returns the standard stream of that name of the node whose code runs, or
        None if no node's code runs. `maelstrom_node.Node()` calls `make_runtime`.
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
                    with suppress(OSError):  # the folder has been removed
                        os.chdir(cwd)

    def hand_over(self, to: Belongings) -> None:
        """Lend these belongings from now on."""
        sys.argv = to.argv
        os.environ = to.environ  # noqa: B003 - the C library's environment stays the workbench's
        if to.cwd != self._cwd:
            with suppress(OSError):  # as for a process whose folder has been removed
                os.chdir(to.cwd)
            self._cwd = to.cwd
        if to.modules.keys() == self._lent.keys():
            sys.modules.update(to.modules)
        else:
            self._lend_modules(to.modules)

    def moved(self, owner: Belongings) -> None:
        """Note that the node whose code runs has changed its working directory."""
        owner.cwd = self._cwd = str(Path.cwd())

    def add_module(self, owner: Belongings, name: str, module: ModuleType) -> None:
        """Add a module of its own to the node whose code runs."""
        self._lend_modules({})
        owner.modules[name] = module
        self._lend_modules(owner.modules)

    def remove_module(self, owner: Belongings, name: str) -> None:
        """Remove a module that failed to load from the node whose code runs."""
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
