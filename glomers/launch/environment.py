"""The virtual environment `.venv`: the first `./run.sh` makes it, later ones only check it.

`.venv/installed` records which Python is in it, for which checkout, and the requirements word for
word. If the record agrees with the checkout, there is nothing to do. The record is removed before
anything is changed, and written at the end, so a set-up that was interrupted starts from scratch.

This module uses only the standard library, because it runs before anything else is installed.
"""

from __future__ import annotations

import fcntl
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import X_OK, access
from pathlib import Path
from typing import IO

from glomers.errors import UsageError
from glomers.exits import SIGNALLED
from glomers.launch import foreground

REQUIREMENTS = ("requirements.txt",)
DEVELOPMENT = ("requirements.txt", "requirements-dev.txt")

# Parts of pip's messages that tell that it can't reach the package index.
UNREACHABLE = re.compile(rb"connection broken by|Read timed out|Could not fetch URL")


@dataclass(frozen=True, slots=True)
class Environment:
    """The virtual environment of the checkout `root`."""

    root: Path

    @property
    def bin(self) -> Path:
        return self.root / ".venv" / "bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"

    def provide(self, requirements: Sequence[str]) -> None:
        """Install what these requirements files of the checkout name, unless it is installed.

        Several processes may do this at once, and it may be interrupted at any point. Raises
        UsageError if it fails, and SystemExit if a signal interrupts it.
        """
        try:
            if not self._has(requirements):
                with self._alone() as lock:
                    if not self._has(requirements):  # no other process did it while we waited
                        self._set_up(requirements, lock)
        except OSError as error:
            raise UsageError(f"can't set up {self.root}: {error.strerror}") from None

    def _set_up(self, requirements: Sequence[str], lock: int) -> None:
        installed = self._installed()
        self._note.unlink(missing_ok=True)
        version = sys.version.split()[0]
        print(f"Setting up .venv with Python {version}; only the first time ...", flush=True)
        if not installed.startswith(self._base()):
            self._create(lock)
        self._install(requirements, lock)
        self._note.write_text(self.wanted(requirements), "utf-8", "surrogateescape")

    # What is installed, and what should be

    def _has(self, requirements: Sequence[str]) -> bool:
        return self._installed().startswith(self.wanted(requirements))

    @property
    def _note(self) -> Path:
        return self.root / ".venv" / "installed"

    def _installed(self) -> str:
        """The record of the last complete set-up; empty if there is none or `.venv` is broken."""
        if not access(self.python, X_OK):
            return ""
        try:
            return self._note.read_text("utf-8", "surrogateescape")
        except FileNotFoundError:
            return ""

    def wanted(self, requirements: Sequence[str]) -> str:
        """What `.venv/installed` begins with if these requirements are installed."""
        return self._base() + "".join(map(self._requirements, requirements))

    def _base(self) -> str:
        """The part of the record that needs a new virtual environment if it changes."""
        return f"{sys.version}\n{self.root}\n"

    def _requirements(self, name: str) -> str:
        return f"# {name}\n{(self.root / name).read_text('utf-8')}\n# end of {name}\n"

    # The set-up

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Lock the set-up of this checkout, so that only one process does it at a time.

        The system frees the lock when the last process that has its descriptor ends, however it
        ends. A pip that outlives us has the descriptor, too, so nobody starts before it has ended.
        """
        with (self.root / "requirements.txt").open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("Waiting for another ./run.sh to set up .venv ...", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield file.fileno()

    def _create(self, lock: int) -> None:
        with tempfile.TemporaryFile() as output:
            command = [sys.executable, "-Im", "venv", "--clear", ".venv"]
            if self._run(command, output, lock) != 0:
                raise UsageError(f"{sys.executable} can't make .venv: {_last_line(output)}")

    def _install(self, requirements: Sequence[str], lock: int) -> None:
        command = [str(self.python), "-Im", "pip", "install", "--no-input"]
        command.append("--disable-pip-version-check")
        for name in requirements:
            command += ["-r", name]
        with (self.root / ".venv" / "pip.log").open("w+b") as output:
            if self._run(command, output, lock) == 0:
                return
            output.seek(0)
            if UNREACHABLE.search(output.read()):
                raise UsageError(
                    "pip can't reach the package index: check the network and call again "
                    "(pip's output is in .venv/pip.log)"
                )
            raise UsageError(
                f"pip can't install {' and '.join(requirements)}: {_last_line(output)} "
                "(its whole output is in .venv/pip.log)"
            )

    def _run(self, command: Sequence[str], output: IO[bytes], lock: int) -> int:
        status = foreground.run(command, cwd=self.root, output=output, pass_fds=[lock])
        if status < 0:
            print("The set-up was interrupted; the next call starts it again.", file=sys.stderr)
            raise SystemExit(SIGNALLED - status)
        return status


def _last_line(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it gave no reason")
