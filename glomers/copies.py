"""Files to begin with: a challenge's script with the node library, or a new node with a test.

A file that differs is only overwritten if the person asks for it: all files are checked before the
first is written.

A single file holds the script's docstring, the chapters of the library that the script needs, and
then the script. They share one set of global names, which must not clash.
"""

from __future__ import annotations

import ast
import keyword
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeGuard

from glomers import challenges
from glomers.challenges import CHALLENGES, find
from glomers.errors import UsageError
from glomers.invocation import shown

LIBRARY = challenges.LIBRARY.stem
RULE = "# " + 93 * "-"
EXECUTABLE = 0o111

NODE = '''\
#!/usr/bin/env python3
"""A node for Maelstrom."""

from maelstrom_node import Node

node = Node()


@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]}


if __name__ == "__main__":
    node.run()
'''

# The fixture comes with the package; pytest has it without an import.
TEST = '''\
"""Simulated clusters of NAME.py, in virtual time. To run the tests: pytest test_NAME.py"""

from pathlib import Path

SCRIPT = Path(__file__).with_name("NAME.py")


def test_every_node_echoes(simulate):
    cluster = simulate(SCRIPT, nodes=3)
    for node in cluster.nodes:
        assert cluster.request(node, "echo", echo="hello")["echo"] == "hello"
'''


def copy(challenge: str, folder: Path, single_file: bool = False, force: bool = False) -> None:
    """Put the script of a challenge ("3c", or "3" for all of 3) and the library into `folder`.

    Raises UsageError if there is no such challenge, or if a file is in the way.
    """
    script = script_of(challenge)
    source, library = script.read_text("utf-8"), _library()
    if single_file:
        write(folder, {script.name: joined(source, library)}, force)
    else:
        write(folder, {script.name: source, f"{LIBRARY}.py": library}, force)


def new(name: str, folder: Path, force: bool = False) -> None:
    """Put a node with one handler, a test of it and the library into `folder`.

    Raises UsageError if the name can't name a script, or if a file is in the way.
    """
    name = name.removesuffix(".py")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"{name!r} can't name a script: expected letters, digits and underscores")
    if name in sys.stdlib_module_names or name in (LIBRARY, "glomers", "ujson", "pytest"):
        raise UsageError(f"{name!r} is the name of a module that nodes need: choose another")
    files = {
        f"{name}.py": NODE,
        f"test_{name}.py": TEST.replace("NAME", name),
        f"{LIBRARY}.py": _library(),
    }
    write(folder, files, force)


def script_of(challenge: str) -> Path:
    """The script of the challenge of that name, or of all challenges with that number."""
    for known in CHALLENGES:
        if known.name.rstrip("abcde") == challenge:
            return known.script
    return find(challenge).script


def _library() -> str:
    return challenges.LIBRARY.read_text("utf-8")


# Writing


def write(folder: Path, files: Mapping[str, str], force: bool) -> None:
    """Write all of these files, or none. Raises UsageError if a file is in the way.

    A file that begins with `#!` is made executable. A file that is already the same is left alone.
    """
    try:
        if not force:
            for name, text in files.items():
                if _is_in_the_way(folder / name, text):
                    raise UsageError(f"{folder / name} is there already; --force overwrites it")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = folder / name
            if path.is_symlink():
                path.unlink()  # replaces the link and leaves its target alone
            path.write_text(text, "utf-8")
            if text.startswith("#!"):
                path.chmod(path.stat().st_mode | EXECUTABLE)
            print(f"wrote {shown(path)}")
    except OSError as error:
        raise UsageError(f"can't write {error.filename}: {error.strerror}") from None


def _is_in_the_way(path: Path, text: str) -> bool:
    if not os.path.lexists(path):
        return False
    return not path.is_file() or path.read_bytes() != text.encode()


# A single file


class Chapter(NamedTuple):
    """A part of the library: it begins with a title between two rules."""

    text: str
    names: frozenset[str]  # the names that it binds
    used: frozenset[str]  # the names that it mentions


def joined(script: str, library: str) -> str:
    """The text of one file that does what the script does with the library beside it.

    Raises UsageError if a name means one thing in the script and another in the library.
    """
    tree = ast.parse(script)
    imports = [statement for statement in tree.body if _is_of_library(statement)]
    end_of_docstring = _end_of_docstring(tree)
    lines = script.splitlines(keepends=True)
    head = "".join(lines[:end_of_docstring])
    left_out = {n for node in imports for n in range(node.lineno, (node.end_lineno or 0) + 1)}
    body = "".join(
        line
        for number, line in enumerate(lines, 1)
        if number > end_of_docstring and number not in left_out
    )
    preface, *chapters = _chapters(library)
    wanted = {alias.name for node in imports for alias in node.names}
    needed = [preface, *_needed(chapters, wanted)]
    _check_names(tree, needed)
    parts = [
        head.rstrip(),
        "\nfrom __future__ import annotations\n",
        _title(f"The node library: {LIBRARY}.py\n# {_notice(library)}"),
        *(chapter.text.strip() + "\n\n" for chapter in needed),
        _title("The script"),
        body.strip(),
    ]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(parts)) + "\n"


def _end_of_docstring(tree: ast.Module) -> int:
    """The last line of the module's docstring."""
    return tree.body[0].end_lineno or 0 if ast.get_docstring(tree) is not None else 0


def _title(text: str) -> str:
    return f"{RULE}\n# {text}\n{RULE}\n"


def _notice(library: str) -> str:
    """The version and the licence, from the last line of the library's docstring."""
    return (ast.get_docstring(ast.parse(library)) or "").splitlines()[-1]


def _chapters(library: str) -> Iterator[Chapter]:
    """The library's chapters, imports first; without its docstring, `__future__` and `__all__`."""
    tree = ast.parse(library)
    lines = library.splitlines(keepends=True)
    for statement in tree.body:
        if statement.end_lineno == _end_of_docstring(tree) or _is_for_importers(statement):
            for number in range(statement.lineno - 1, statement.end_lineno or 0):
                lines[number] = ""
    rule = re.escape(RULE)
    for text in re.split(rf"(?=^{rule}\n# .*\n{rule}\n)", "".join(lines), flags=re.MULTILINE):
        body = ast.parse(text)
        used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
        yield Chapter(text, frozenset(_bindings(body)), frozenset(used))


def _is_for_importers(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "__future__"
    return isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"


def _needed(chapters: Iterable[Chapter], wanted: Iterable[str]) -> list[Chapter]:
    """The chapters that bind the wanted names, and the chapters that these need, in order."""
    chapters, names = list(chapters), set(wanted)
    needed: set[Chapter] = set()
    while more := {c for c in chapters if c.names & names} - needed:
        needed |= more
        names |= {name for chapter in more for name in chapter.used}
    return [chapter for chapter in chapters if chapter in needed]


def _bindings(tree: ast.AST) -> dict[str, str]:
    """The global names that a module binds, each with the import or other code that binds it."""
    found: dict[str, str] = {}
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = f"line {node.lineno}: {node.name}"
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                found[alias.asname or alias.name] = f"import {module}{alias.name}"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = f"line {node.lineno}: {node.id}"
        else:
            found.update(_bindings(node))
    return found


def _is_of_library(statement: ast.stmt) -> TypeGuard[ast.ImportFrom]:
    return isinstance(statement, ast.ImportFrom) and statement.module == LIBRARY


def _check_names(script: ast.Module, chapters: Iterable[Chapter]) -> None:
    ours = {name: what for c in chapters for name, what in _bindings(ast.parse(c.text)).items()}
    others = [node for node in script.body if not _is_of_library(node)]
    theirs = _bindings(ast.Module(others, []))
    for name in ours.keys() & theirs.keys():
        if not (ours[name] == theirs[name] and ours[name].startswith("import")):
            raise UsageError(f"script and library can't share a file: both have a global {name!r}")
