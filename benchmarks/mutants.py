"""Copies of a source that each lack one lock, to measure whether anything notices it.

Where a function holds a lock is found in the syntax tree: in a `with` statement on it, or between
`acquire` and `release`. A lock is whatever the source assigns or annotates as one
(`threading.Lock()`, `dict[str, threading.Lock]`), and a context manager that acquires one.

Lines keep their numbers: `with lock:` becomes `if True:`, and `lock.acquire()` becomes `True`.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

KINDS = ("Lock", "RLock")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """A source without one of its locks, and where that was held: line, function, expression.

    Of the second place in a function, `function` is "ask 2".
    """

    line: int
    function: str
    lock: str
    source: str


@dataclass(frozen=True)
class Edit:
    """`text` in the place of a piece of one line; its columns count bytes, as in Python's trees."""

    line: int
    begin: int
    end: int
    text: str


def without_locks(source: str, within: str | None = None) -> list[Mutant]:
    """A mutant for each place where a lock is held, in the order of lines.

    `within` names a class of the source, for only the places that are in it.
    """
    tree = ast.parse(source)
    locks = _names_of_locks(tree)
    part = next(c for c in _classes(tree) if c.name == within) if within else tree
    functions = [node for node in ast.walk(part) if isinstance(node, Function)]
    functions.sort(key=lambda function: function.lineno)
    mutants = []
    times: Counter[str] = Counter()
    for function in functions:
        for lock, edits in _places(function, locks):
            times[function.name] += 1
            count = times[function.name]
            name = function.name if count == 1 else f"{function.name} {count}"
            mutants.append(Mutant(edits[0].line, name, lock, _edited(source, edits)))
    return sorted(mutants, key=lambda mutant: mutant.line)


def _classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def _names_of_locks(tree: ast.Module) -> set[str]:
    """The names of variables, attributes, parameters and context managers that are locks."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[target], value=value) if _mentions_lock(value):
                names.add(_name(target))
            case ast.AnnAssign(target=target, annotation=kind) if _mentions_lock(kind):
                names.add(_name(target))
            case ast.arg(arg=name, annotation=ast.expr() as kind) if _mentions_lock(kind):
                names.add(name)
    for function in (node for node in ast.walk(tree) if isinstance(node, Function)):
        is_manager = "contextmanager" in map(_name, function.decorator_list)
        if is_manager and _calls(ast.walk(function), "acquire", names):
            names.add(function.name)
    return names - {""}


def _mentions_lock(tree: ast.expr) -> bool:
    return any(
        isinstance(node, ast.Name | ast.Attribute) and _name(node) in KINDS
        for node in ast.walk(tree)
    )


def _name(tree: ast.AST) -> str:
    """The name that an expression ends with, such as "lock" of `self.lock`; "" if there is none."""
    match tree:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=inner) | ast.Call(func=inner):
            return _name(inner)
    return ""


def _calls(nodes: Iterable[ast.AST], method: str, locks: set[str]) -> list[ast.Call]:
    """The calls of that method of a lock."""
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return [call for call in calls if _lock_of(call, method, locks) is not None]


def _lock_of(call: ast.Call, method: str, locks: set[str]) -> ast.expr | None:
    match call.func:
        case ast.Attribute(value=lock, attr=attribute) if attribute == method:
            return lock if _name(lock) in locks else None
    return None


def _places(function: Function, locks: set[str]) -> list[tuple[str, list[Edit]]]:
    """Where a function holds a lock: the lock's expression, and the edits that remove it."""
    places = []
    own = list(_own_nodes(function))
    for node in own:
        if isinstance(node, ast.With) and any(_name(i.context_expr) in locks for i in node.items):
            (item,) = node.items
            held = item.context_expr
            places.append((ast.unparse(held), [_edit(node, held, "if True")]))
    acquires, releases = (_calls(own, method, locks) for method in ("acquire", "release"))
    if acquires and releases:
        lock = _lock_of(acquires[0], "acquire", locks)
        assert lock is not None
        calls = (*acquires, *releases)
        places.append((ast.unparse(lock), [_edit(call, call, "True") for call in calls]))
    return sorted(places, key=lambda place: place[1][0].line)


def _own_nodes(tree: ast.AST) -> Iterator[ast.stmt | ast.expr]:
    """Statements and expressions of a function, without those of functions inside it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt | ast.expr):
            yield node
        if not isinstance(node, Function):
            yield from _own_nodes(node)


def _edit(first: ast.stmt | ast.expr, last: ast.expr, text: str) -> Edit:
    """Replace what begins with `first` and ends with `last`; they have to be on one line."""
    assert last.end_col_offset is not None
    if first.lineno != last.end_lineno:
        raise ValueError(f"line {first.lineno}: expected on one line: {ast.unparse(last)}")
    return Edit(first.lineno, first.col_offset, last.end_col_offset, text)


def _edited(source: str, edits: Sequence[Edit]) -> str:
    lines = source.splitlines(keepends=True)
    for edit in sorted(edits, key=lambda edit: (edit.line, edit.begin), reverse=True):
        line = lines[edit.line - 1].encode()
        line = line[: edit.begin] + edit.text.encode() + line[edit.end :]
        lines[edit.line - 1] = line.decode()
    return "".join(lines)
