"""The `import` of a simulated node's code.

A node has modules of its own, so that nodes share no state: the script, the modules and packages
beside it (or in a folder that it puts on its `sys.path`), and the modules of the standard library
that are run anew. They are found and run as Python does it, by name, in a package or relative to
it, with the node's own `__builtins__`, which include this import.

A name is looked up first among virtual modules, then among the node's own. All other modules are
the real ones, which nodes share.

All nodes share the workbench's own `maelstrom_node`, whose runtime is then the simulation's. A node
that has another version of the file beside it uses that, like any module of its own: with its
threads, on the node's standard streams. So does a script that makes a `StdioRuntime` itself.
"""

from __future__ import annotations

import filecmp
import importlib
import importlib.util
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, cast

import maelstrom_node
from glomers.simulated.borrowed import lender
from glomers.simulated.preempting import Preempter
from glomers.simulated.virtual import REFUSED, RUN_ANEW, Node, virtual_builtins

# Called with each file of a node's script, or of a module beside it, before a node runs its code.
observers: list[Callable[[Path, types.CodeType], object]] = []

LIBRARY = "maelstrom_node"
RUNTIME = b"StdioRuntime"  # the runtime that reads and prints by itself

Makers = Mapping[str, Callable[[], types.ModuleType]]


class Importer:
    """Imports for one node. `virtual` maps names to functions that make the virtual modules.

    `inner` does the same for modules of which only the standard library sees the virtual version.
    """

    def __init__(
        self,
        folder: Path,
        node: Node,
        virtual: Makers,
        inner: Makers,
        preempter: Preempter | None = None,
    ) -> None:
        self.files: set[str] = set()  # files of the node's own code that has been run
        self._node = node
        self._preempter = preempter
        self._own = node.belongings.modules
        self._virtual: dict[str, types.ModuleType] = {
            "sys": node.sys,
        }
        self._make: Makers = {
            **virtual,
            "importlib": self._virtual_importlib,
            "importlib.util": self._virtual_util,
        }
        self._names_runtime = False
        self._make_inner = inner
        self._inner: dict[str, types.ModuleType] = {}
        self._given = [entry for entry in sys.path if entry not in ("", str(folder))]
        node.sys.path = [str(folder), *self._given]  # type: ignore[attr-defined]
        node.sys.modules.maps.insert(1, self._virtual)
        self._virtual["builtins"] = virtual_builtins(node, self)
        self.builtins = vars(self._virtual["builtins"])

    def run_script(self, path: Path) -> None:
        """Run the file as `__main__`."""
        self._names_runtime = RUNTIME in path.read_bytes()
        module = types.ModuleType("__main__")
        module.__file__ = str(path)
        lender.add_module(self._node.belongings, "__main__", module)
        self._run(path, module)

    @property
    def shares_library(self) -> bool:
        """Whether the node has imported the workbench's own `maelstrom_node`."""
        return LIBRARY in self._virtual

    # What Python calls

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        """`__import__`."""
        if level:
            package = (globals or {}).get("__package__") or ""
            if not package:
                raise ImportError("attempted relative import with no known parent package")
            name = importlib.util.resolve_name("." * level + name, package)
        importer = (globals or {}).get("__name__", "")
        by_library = _root(importer) in RUN_ANEW
        module = self.load(name, by_library)
        if not fromlist:
            return module if level else self.load(_root(name), by_library)
        if hasattr(module, "__path__"):
            for item in fromlist:
                for part in getattr(module, "__all__", ()) if item == "*" else (item,):
                    self._load_part(module, name, part)
        return module

    def _load_part(self, package: types.ModuleType, name: str, part: str) -> None:
        """Import a submodule for `from package import part`, if it is one."""
        if hasattr(package, part):
            return
        full = f"{name}.{part}"
        try:
            self.load(full)
        except ModuleNotFoundError as error:
            if error.name != full:
                raise

    # Finding

    def load(self, name: str, by_library: bool = False) -> types.ModuleType:
        """The module of that absolute name, imported if it has not been.

        `by_library` means that the standard library imports it, which may use refused modules.
        """
        module = self._virtual.get(name) or self._own.get(name)
        if module is not None:
            return module
        if name in self._make:
            module = self._virtual[name] = self._make[name]()
            return module
        if by_library and name in self._make_inner:
            if name not in self._inner:
                self._inner[name] = self._make_inner[name]()
            return self._inner[name]
        if not by_library or name.startswith("_"):
            _refuse(name)
        parent, _, tail = name.rpartition(".")
        container = self.load(parent, by_library) if parent else None
        module = self._load_own(name, tail, container)
        if module is None:
            with nullcontext() if name in sys.modules else lender.only_real():
                module = importlib.import_module(name)
        if container is not None and getattr(container, tail, None) is not module:
            setattr(container, tail, module)
        return module

    def _load_own(
        self, name: str, tail: str, container: types.ModuleType | None
    ) -> types.ModuleType | None:
        """Find a module of the node's own and run it; None if it isn't the node's own."""
        if name in RUN_ANEW:
            spec = importlib.util.find_spec(name)
            if spec is not None and spec.origin == "frozen":
                spec = PathFinder.find_spec(name)
        elif container is None:
            places = [place for place in self._node.sys.path if place not in self._given]
            spec = _find(name, tail, places)
            if spec is not None and spec.origin is None and importlib.util.find_spec(name):
                return None  # Python takes a folder without __init__.py last, wherever it is
        elif container.__name__ in self._own:
            if not hasattr(container, "__path__"):
                problem = f"No module named {name!r}; {container.__name__!r} is not a package"
                raise ModuleNotFoundError(problem, name=name)
            spec = _find(name, tail, container.__path__)
            if spec is None and _root(name) not in RUN_ANEW:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        else:
            return None
        if tail == LIBRARY and (spec is None or _is_ours(spec)):
            if not self._names_runtime:
                module = self._virtual[LIBRARY] = self._virtual[name] = maelstrom_node
                return module
            spec = importlib.util.spec_from_file_location(name, maelstrom_node.__file__)
        if spec is None:
            return None
        module = importlib.util.module_from_spec(spec)
        lender.add_module(self._node.belongings, name, module)
        if spec.origin is not None:
            try:
                self._run(Path(spec.origin), module)
            except BaseException:
                lender.remove_module(self._node.belongings, name)
                raise
        return self._own.get(name, module)  # the module may have replaced itself

    def _run(self, path: Path, module: types.ModuleType) -> None:
        module.__dict__["__builtins__"] = self.builtins
        self.files.add(str(path))
        code = _compiled(path, path.stat().st_mtime_ns)
        if _root(module.__name__) not in RUN_ANEW:
            if self._preempter is not None:
                self._preempter.watch(code, whole=module.__name__ == "__main__")
            for observer in observers:
                observer(path, code)
        exec(code, module.__dict__)

    def add(self, name: str, module: types.ModuleType) -> None:
        """Give the node a virtual module that others need while it is made."""
        self._virtual[name] = module

    # importlib

    def _virtual_util(self) -> types.ModuleType:
        return cast(types.ModuleType, vars(self.load("importlib"))["util"])

    def _virtual_importlib(self) -> types.ModuleType:
        """`importlib` that finds the node's own modules, and gives its builtins to new modules."""

        def import_module(name: str, package: str | None = None) -> types.ModuleType:
            return self.load(importlib.util.resolve_name(name, package))

        def reload(module: types.ModuleType) -> types.ModuleType:
            if self._own.get(module.__name__) is not module or module.__file__ is None:
                raise ImportError(f"{module.__name__} can't be reloaded in a simulation")
            self._run(Path(module.__file__), module)
            return module

        def module_from_spec(spec: ModuleSpec) -> types.ModuleType:
            module = importlib.util.module_from_spec(spec)
            module.__dict__["__builtins__"] = self.builtins
            return module

        copy, util = types.ModuleType("importlib"), types.ModuleType("importlib.util")
        copy.__dict__.update(vars(importlib))
        util.__dict__.update(vars(importlib.util), module_from_spec=module_from_spec)
        copy.__dict__.update(import_module=import_module, reload=reload, __import__=self, util=util)
        return copy


def _root(name: str) -> str:
    return name.partition(".")[0]


def _refuse(name: str) -> None:
    """Raise ImportError if a module, or a package that it is in, can't be simulated."""
    part = name
    while part:
        if part in REFUSED:
            raise ImportError(f"{part} can't be simulated: {REFUSED[part]}")
        part = part.rpartition(".")[0]


def _find(name: str, tail: str, places: Sequence[str]) -> ModuleSpec | None:
    """A package, a module or a namespace package in one of these folders, in Python's order."""
    portions = []
    for place in map(Path, places):
        package, file = place / tail, place / f"{tail}.py"
        init = package / "__init__.py"
        if init.is_file():
            inside = [str(package)]
            return importlib.util.spec_from_file_location(
                name, init, submodule_search_locations=inside
            )
        if file.is_file():
            return importlib.util.spec_from_file_location(name, file)
        if package.is_dir():
            portions.append(str(package))
    if not portions:
        return None
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = portions
    return spec


def _is_ours(spec: ModuleSpec) -> bool:
    """Whether a module has the same text as the workbench's own library."""
    ours = maelstrom_node.__file__
    return spec.origin is not None and filecmp.cmp(spec.origin, ours, shallow=False)


_cache: dict[tuple[Path, int], types.CodeType] = {}


def _compiled(path: Path, changed: int) -> types.CodeType:
    """The file's code, compiled once for all nodes."""
    code = _cache.get((path, changed))
    if code is None:
        code = compile(path.read_bytes(), str(path), "exec")
        _cache[path, changed] = code
    return code
