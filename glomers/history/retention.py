"""Removes old runs from a store after a run, so that only the last ones are kept.

A folder is only removed if it is certain that a run of ours made it, and that nobody needs it:

- its path is that of a run, `store/<workload>/<time>/`, and no part of it is a link;
- its `command.json` names exactly this path. So a copy is left alone, a folder that somebody
  renamed to keep it, and a run of Maelstrom's that we didn't start;
- no link in the store (`latest`, `current`, one of the person's own) leads to it;
- the process that runs it has ended: until then it holds a lock on `command.json`.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from glomers.history.command import FILE, parse_command
from glomers.history.kept_runs import folders, name_of
from glomers.invocation import shown

# The time in the name of a run's folder: ours, or Jepsen's, which includes the time zone.
TIME = re.compile(r"\d{8}T\d{6}\.\d{3}(Z|[+-]\d{4})?(-\d+)?", re.ASCII)


def prune(root: Path, keep: int) -> None:
    """Remove all except the last `keep` runs from the store `root`; print how many were removed.

    A run that can't be removed stays, and a warning is printed.
    """
    removed = 0
    try:
        root = root.resolve()
        old = sorted(_runs(root), key=lambda run: run.name, reverse=True)[keep:]
        needed = set(_link_targets(root))
    except OSError as error:
        _warn(f"can't look for older runs in {shown(root)}: {error.strerror}")
        return
    for run in old:
        if run not in needed:
            try:
                removed += _remove(run)
            except OSError as error:
                _warn(f"can't remove the older run {shown(run)}: {error.strerror}")
    if removed:
        runs = "run" if removed == 1 else "runs"
        print(f"Removed {removed:,} older {runs}; --keep NUM keeps more", flush=True)


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _runs(root: Path) -> Iterator[Path]:
    for workload in folders(root):
        for run in folders(workload):
            if TIME.fullmatch(run.name) and _is_ours(run):
                yield run


def _is_ours(run: Path) -> bool:
    file = run / FILE
    if file.is_symlink() or not file.is_file():
        return False
    try:
        kept = parse_command(file.read_text("utf-8", "surrogatepass"))
    except (OSError, ValueError):
        return False
    return kept is not None and kept.run == name_of(run)


def _link_targets(root: Path) -> Iterator[Path]:
    """The targets of the links in the store, and the folders that hold these targets."""
    for folder in (root, *folders(root)):
        for path in folder.iterdir():
            if path.is_symlink():
                target = Path(os.path.realpath(path))
                yield from (target, *target.parents)


def _remove(run: Path) -> bool:
    """Remove a run's folder; False if the run isn't over or another process removes it."""
    try:
        file = (run / FILE).open("r+b")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        with suppress(FileNotFoundError):
            shutil.rmtree(run)
    return True
