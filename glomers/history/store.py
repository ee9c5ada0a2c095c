"""The folder of a test, `store/<workload>/<time>/`, and `store/latest`, a link to the last one."""

from __future__ import annotations

import fcntl
import io
import json
import os
from contextlib import ExitStack, suppress
from datetime import datetime
from errno import EACCES, ENOTDIR
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from glomers.errors import UsageError
from glomers.history import edn
from glomers.history.command import FILE, Command


class Store:
    """One test's folder, and the files that are being written in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: list[TextIO] = []
        self._raw: list[_File] = []
        self._closing = ExitStack()  # closes all files, even if one can't be written any more

    @classmethod
    def create(cls, root: Path, workload: str) -> Store:
        """Make a new folder for a test, and let `latest` point to it.

        Raises UsageError if the folder cannot be made.
        """
        stamp = datetime.now().astimezone().strftime("%Y%m%dT%H%M%S.%f")[:-3]
        folder = root / workload
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for attempt in count():
                path = folder / (f"{stamp}-{attempt}" if attempt else stamp)
                with suppress(FileExistsError):
                    path.mkdir()
                    break
            _link(root / "latest", path)
            _link(folder / "latest", path)
        except OSError as error:
            raise UsageError(f"cannot keep the test in {root}: {_explain(error)}") from None
        return cls(path)

    @staticmethod
    def check(root: Path) -> None:
        """Raise UsageError if no test can be kept there, before much is done in vain."""
        there = next(path for path in (root, *root.parents) if path.exists() or path.is_symlink())
        try:
            if not there.is_dir():
                raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(there))
            if not os.access(there, os.W_OK | os.X_OK):
                raise PermissionError(EACCES, os.strerror(EACCES), str(there))
        except OSError as error:
            raise UsageError(f"cannot keep the test in {root}: {_explain(error)}") from None

    def open(self, name: str, most: int | None = None) -> TextIO:
        """Open a new file in this folder for writing; `close` closes it.

        Only the first `most` bytes are kept, in whole lines; `warnings` names files that had more.
        """
        raw = _File(str(self.path / name), most)
        self._raw.append(raw)
        file = self._closing.enter_context(_create(self.path / name, raw))
        self._files.append(file)
        return file

    def write_command(self, command: Command) -> None:
        """Write `command.json`, and lock it until `close`, to show that the test is running."""
        file = self.open(FILE)
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(command.as_json())
        file.flush()

    def write_results(self, results: dict[str, Any]) -> None:
        """Write the results as Maelstrom does (results.edn) and for programs (results.json)."""
        with _create(self.path / "results.edn") as file:
            file.write(edn.pretty(edn.keywordized(results)) + "\n")
        with _create(self.path / "results.json") as file:
            file.write(json.dumps(edn.to_json(results), indent=2) + "\n")

    def flush(self) -> None:
        for file in self._files:
            file.flush()

    def close(self) -> None:
        self._closing.close()

    def warnings(self) -> list[str]:
        """Warnings of files that are not complete."""
        self.flush()
        return [
            f"{Path(str(file.name)).name} has only the beginning: it would have had more than"
            f" {file.most:,} bytes"
            for file in self._raw
            if file.is_full
        ]


class _File(io.FileIO):
    """A file whose name is in the error if it can't be written, because the disk is full.

    The file takes at most `most` bytes, since a node may make a test write for ever.
    """

    def __init__(self, path: str, most: int | None = None) -> None:
        Path(path).parent.mkdir(exist_ok=True)
        super().__init__(path, "w")
        self.most = most
        self.is_full = False
        self._lines_end = 0  # the number of bytes of the complete lines

    def write(self, data: Any) -> int:
        if self.most is None:
            return self._write(data)
        if self.is_full:
            return len(data)
        kept = bytes(data)
        if self.tell() + len(kept) > self.most:
            self.is_full = True
            kept = kept[: self.most - self.tell()]
        if newline := kept.rfind(b"\n") + 1:
            self._lines_end = self.tell() + newline
        if not self.is_full:
            return self._write(data)
        while kept:
            kept = kept[self._write(kept) :]
        self.seek(self._lines_end)
        self.truncate()
        return len(data)

    def _write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.name) from None


def _create(path: Path, raw: _File | None = None) -> TextIO:
    file = io.BufferedWriter(raw or _File(str(path)))
    return io.TextIOWrapper(file, encoding="utf-8", errors="surrogatepass", newline="\n")


def _explain(error: OSError) -> str:
    """Why a folder can't be made; often its path has a link to a disk that isn't there."""
    path = Path(error.filename2 or error.filename)
    for folder in (path, *path.parents):
        if folder.is_symlink() and not folder.exists():
            return f"{folder} is a link to {folder.readlink()}, which does not exist"
        if folder.is_file():
            return f"{folder} is a file, not a folder"
    return f"{path}: {error.strerror}"


def _link(link: Path, target: Path) -> None:
    """Point `link` to `target` in one step, so that two tests at once don't disturb each other."""
    temporary = link.with_name(f".{link.name}-{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(os.path.relpath(target, link.parent))
    temporary.replace(link)
