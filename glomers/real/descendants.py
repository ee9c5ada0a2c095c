"""Finds and ends the processes that nodes have started, even outside their process group.

A signal to a group doesn't reach a child that has begun a session of its own, nor a daemon, whose
parents have ended as well. There are two ways to find them: the chain of parents, as long as the
node lives, and a mark in the environment, which children inherit. A daemon can't be found if it has
also cleared its environment or, on macOS, if it is a program of the system, whose environment can't
be read.

    python descendants.py MARK

ends every process with such a mark. The guardian runs this when the workbench has been killed.
This file uses only the standard library.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "MAELSTROM_NODE_MARK"
PATIENCE = 1.0  # seconds to wait until killed processes have ended
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that lives. Its start tells it from a later process with the same number."""

    pid: int
    parent: int
    started: str
    mark: str  # "" if it has none


def find(marks: tuple[str, ...], roots: Collection[int | None] = ()) -> list[Process]:
    """Processes whose mark begins with one of `marks`, those in `roots`, and all descendants."""
    children: dict[int, list[Process]] = {}
    found: dict[int, Process] = {}
    for process in processes():
        children.setdefault(process.parent, []).append(process)
        if process.pid in roots or process.mark.startswith(marks):
            found[process.pid] = process
    waiting = list(found)
    while waiting:
        for process in children.get(waiting.pop(), ()):
            if process.pid not in found:
                found[process.pid] = process
                waiting.append(process.pid)
    return list(found.values())


def end(marks: tuple[str, ...], others: Iterable[Process] = ()) -> None:
    """Kill the processes whose mark begins with one of `marks`, and those of `others` that live."""
    known = {(process.pid, process.started) for process in others}
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        left = [
            process
            for process in processes()
            if process.mark.startswith(marks) or (process.pid, process.started) in known
        ]
        if not left:
            return
        for process in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.01)


def processes() -> Iterator[Process]:
    """All processes that live and can be examined."""
    if (PROC / "self" / "stat").exists():
        yield from _from_proc()
    else:
        # On macOS -E adds the environment to the command.
        columns = [f"-o{name}=" for name in ("pid", "ppid", "stat", "lstart", "command")]
        listing = subprocess.run(["ps", "-AEww", *columns], capture_output=True, check=False)
        yield from from_ps(listing.stdout.decode("utf-8", "replace"))


def _from_proc() -> Iterator[Process]:
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The command's name is in parentheses, and may contain some.
            _, _, rest = (folder / "stat").read_text("utf-8", "replace").rpartition(")")
            environment = b""
            with suppress(PermissionError):
                environment = (folder / "environ").read_bytes()
        except OSError:
            continue  # The process has ended meanwhile.
        fields = rest.split()
        state, parent, started = fields[0], int(fields[1]), fields[19]
        if state != "Z":
            mark = _mark(environment.decode("utf-8", "replace").replace("\0", " "))
            yield Process(int(folder.name), parent, started, mark)


def from_ps(listing: str) -> Iterator[Process]:
    """The processes of a listing of ps: number, parent, state, start (five words), command."""
    for line in listing.splitlines():
        pid, parent, state, *started = line.split(None, 8)[:8]
        if not state.startswith("Z"):
            yield Process(int(pid), int(parent), " ".join(started), _mark(line))


def _mark(environment: str) -> str:
    found = re.search(rf"(?:^|\s){VARIABLE}=(\S+)", environment)
    return found[1] if found else ""


if __name__ == "__main__":
    end((sys.argv[1],))
