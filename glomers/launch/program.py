"""Checks of the program that runs a node, before it is started."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path

from glomers.errors import UsageError, quote

HEAD = 4096  # bytes in which a binary program can be recognised


def problem(path: Path) -> str:
    """Why `path` can't be executed, such as "does not exist"; "" if it can."""
    if lacking := _is_no_file(path):
        return lacking
    if not os.access(path, os.X_OK):
        return "is not executable (chmod +x)"
    return _names_no_interpreter(path)


def check_program(path: Path) -> None:
    """Raise UsageError unless `path` is a file that can be executed."""
    if wrong := problem(path):
        raise UsageError(f"the node's program {path} {wrong}")


def check_script(path: Path) -> None:
    """Raise UsageError unless `path` is a file that may be Python.

    A syntax error is the node's mistake: it is reported when the node is started.
    """
    if lacking := _is_no_file(path):
        raise UsageError(f"cannot simulate {path}: it {lacking}")
    state = path, path.stat().st_mtime_ns
    if state in _may_be_python:
        return
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            source = head if b"\0" in head else head + file.read()
    except OSError as error:
        raise UsageError(f"cannot simulate {path}: {error.strerror}") from None
    if evidence := _is_no_python(path, source):
        raise UsageError(
            f"cannot simulate {path}: only Python can be simulated, and {evidence}; "
            "without --simulate a node may be any program"
        )
    _may_be_python.add(state)


_may_be_python: set[tuple[Path, int]] = set()  # scripts and when they were changed: a sweep has one


def _is_no_file(path: Path) -> str:
    """Why `path` is no file that could be read; "" if it is one."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            return f"is a link to {path.readlink()}, which does not exist"
        return "does not exist"
    except OSError as error:
        return f"can't be looked at: {error.strerror}"
    if stat.S_ISREG(mode):
        return ""
    kinds = {stat.S_IFDIR: "directory", stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}
    return f"is a {kinds.get(stat.S_IFMT(mode), 'device')}, not a file"


def _names_no_interpreter(path: Path) -> str:
    """Why the first line doesn't name an interpreter; "" if it does, or can't be read.

    With Windows line ends, the system takes the carriage return for a part of the name.
    """
    try:
        with path.open("rb") as file:
            first = file.readline(HEAD)
    except OSError:  # a program may be executable without being readable
        return ""
    if first.startswith(b"#!") and first.endswith(b"\r\n"):
        return (
            "has Windows line ends, so the system looks for the interpreter "
            f"'{quote(first[2:-1].strip(b' '))}'; save it with Unix line ends (dos2unix)"
        )
    return ""


def _is_no_python(path: Path, source: bytes) -> str:
    """The evidence that a file isn't Python; "" if it may be."""
    if b"\0" in source:
        return "this is a binary program"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        first = source.split(b"\n", 1)[0]
        meant = path.suffix == ".py" or (first.startswith(b"#!") and b"python" in first)
        return "" if meant else f"the first line of this is '{quote(first.strip(), 80)}'"
    return ""
