"""The runs that a store keeps, and how their files are opened: never by a way out of the store.

A run is a folder `store/<workload>/<run>/` of ours or of Maelstrom's. What has a link in it is
none: `latest` is one, and a link could lead anywhere.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from glomers.history.command import FILE

RESULTS = "results.edn"
KEPT_FILES = (FILE, RESULTS, "history.jsonl", "history.edn")  # one of them makes a folder a run


def folders(root: Path) -> Iterator[Path]:
    """The folders in a folder, but no links to folders."""
    for path in root.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield path


def runs(root: Path) -> Iterator[Path]:
    """The runs in the store `root`. Raises OSError if that can't be read."""
    for workload in folders(root):
        with suppress(OSError):  # somebody removes it at this moment, or it is closed to us
            yield from filter(is_run, folders(workload))


def find(root: Path, name: str) -> Path | None:
    """The run of that name, such as "echo/20261124T182818.121"; None if there is none.

    Whatever the name is: it is compared with those of the runs.
    """
    return next((run for run in runs(root) if name_of(run) == name), None)


def name_of(run: Path) -> str:
    return f"{run.parent.name}/{run.name}"


def is_run(folder: Path) -> bool:
    """Is it the folder of a run, without any link in it?"""
    try:
        known = any((folder / name).is_file() for name in KEPT_FILES)
        return known and not _has_links(folder)
    except OSError:
        return False


def _has_links(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(
            entry.is_symlink() or (entry.is_dir() and _has_links(Path(entry.path)))
            for entry in entries
        )


def is_running(run: Path) -> bool:
    """Is the process that runs it still there? It holds a lock on `command.json` until its end."""
    try:
        with (run / FILE).open("rb") as file:
            # While the file is empty its lock may be about to be taken, which ours would prevent.
            if not file.read(1):
                return False
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def files(run: Path) -> list[str]:
    """The names of a run's files that have something in them, such as "node-logs/n0.log"."""
    found = [
        path.relative_to(run).as_posix()
        for path in run.rglob("*")
        if not path.name.startswith(".") and path.is_file() and path.stat().st_size
    ]
    return sorted(found, key=lambda name: (name.count("/"), len(name), name))


def open_within(root: Path, *names: str) -> BinaryIO:
    """Open the file to which the names lead from `root`, each in the folder before it.

    Raises FileNotFoundError if one is no plain name, or a link, or the last is no regular file.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number, name in enumerate(names, 1):
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise FileNotFoundError(name)
            is_last = number == len(names)
            # A pipe would keep us waiting for a writer.
            kind = os.O_NONBLOCK if is_last else os.O_DIRECTORY
            inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | kind, dir_fd=folder)
            os.close(folder)
            folder = inner
        if not names or not stat.S_ISREG(os.fstat(folder).st_mode):
            raise FileNotFoundError("/".join(names))
        return os.fdopen(os.dup(folder), "rb")
    except (OSError, ValueError) as error:
        raise FileNotFoundError(f"{'/'.join(names)}: {error}") from None
    finally:
        os.close(folder)
