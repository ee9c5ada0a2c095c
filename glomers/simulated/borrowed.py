"""What Python has once per process, lent to one simulated node after another.

Each node of a real test is a process with its own arguments, environment, working directory,
standard streams and imported modules. Simulated nodes share one process. A script sees a `sys`, an
`os` and a `print` of its own, but libraries don't: `argparse` reads the real `sys.argv`, `pickle`
the real `sys.modules`, code in C the real working directory. So while a simulation runs, these are
set to what belongs to the node whose code runs, and afterwards they are restored. Which standard
stream is used depends on the strand that writes, so the workbench and other threads still reach
the real ones. In the same way the node library, which nodes share, uses their `os` and `open`.

Only one simulation runs at a time in a process; a simulation in another thread waits for its end.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import maelstrom_node

STREAMS = ("stdin", "stdout", "stderr")
FILES: dict[str, Any] = {"os": os, "open": open}  # what the node library reaches files with


@dataclass(eq=False)
class Belongings:
    """What belongs to one node. As in a process, the node's code can change it at any time."""

    argv: list[str]
    environ: Any
    cwd: str
    modules: dict[str, ModuleType] = field(default_factory=dict)  # the node's own modules


class Routed:
    """During a simulation, a standard stream, or what the node library reaches files with: that of
    the node whose code uses it, or the real one.

    `own()` returns the node's, or None if no node's code runs.
    """

    def __init__(self, real: Any, own: Callable[[], Any]) -> None:
        self._real = real
        self._own = own

    def __getattr__(self, name: str) -> Any:
        own = self._own()
        return getattr(self._real if own is None else own, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.__getattr__("readline"), "")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__getattr__("__call__")(*args, **kwargs)


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
        own_files: Callable[[str], Any],
        make_runtime: Callable[[], maelstrom_node.Runtime],
    ) -> Iterator[None]:
        """Lend everything during the context; restore it at the end.

        `own_stream(name)` returns the standard stream of that name of the node whose code runs, or
        None if no node's code runs; so does `own_files(name)` with `os` or `open`, which the node
        library then uses. `maelstrom_node.Node()` calls `make_runtime`.
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
                for name, real in FILES.items():
                    setattr(maelstrom_node, name, Routed(real, partial(own_files, name)))
                maelstrom_node.default_runtime = make_runtime
                yield
            finally:
                vars(maelstrom_node)["os"] = os
                vars(maelstrom_node).pop("open", None)  # it is a builtin again
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
            with suppress(OSError):  # the folder has been removed, or is only on the nodes' disk
                os.chdir(to.cwd)
            self._cwd = to.cwd
        if to.modules.keys() == self._lent.keys():
            sys.modules.update(to.modules)
        else:
            self._lend_modules(to.modules)

    def move(self, owner: Belongings, folder: str, is_real: bool) -> None:
        """Change the working directory of the node whose code runs."""
        if is_real:
            os.chdir(folder)
        owner.cwd = self._cwd = folder

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

    @contextmanager
    def only_real(self) -> Iterator[None]:
        """Lend no modules during the context, in which a real one is imported, for all nodes."""
        lent = self._lent
        self._lend_modules({})
        try:
            yield
        finally:
            self._lend_modules(lent)

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
