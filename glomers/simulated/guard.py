"""Refuses that a library writes to the real disk while a simulated node's code runs.

A script and what is run anew for it write to the disk of the run (files.py). But libraries are the
real ones, and so are modules in C: `gzip`, `sqlite3` or `numpy` would open a real file by
themselves. Python tells its audit hooks of all that. A hook can't be taken away again, so there is
only one in a process, from the first simulation on; it does nothing unless a node's code runs.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

from glomers.simulated.turns import running

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = frozenset(
    f"os.{name}"
    for name in (
        "chmod",
        "chown",
        "link",
        "mkdir",
        "remove",
        "rename",
        "rmdir",
        "symlink",
        "truncate",
    )
)
IN_MEMORY = (":memory:", "", b":memory:", b"")
CACHE = "__pycache__"  # Python itself writes there when it imports a module

_installed = False


def install() -> None:
    """Refuse it from now on."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hear)


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = args
        if isinstance(path, int) or not flags & WRITING or path == os.devnull:
            return
    elif event == "sqlite3.connect":
        path = args[0]
        if path in IN_MEMORY:
            return
    elif event in CHANGES:
        path = args[0]
    else:
        return
    if running() is not None and CACHE not in str(path):
        raise OSError(errno.EROFS, REFUSAL, str(path))


REFUSAL = (
    "can't be simulated: a library would change the real disk; only what the script itself opens,"
    " by open, os or pathlib, is on the disk of the run"
)
