"""The virtual environment `.venv`: made by whoever comes first, afterwards only looked at.

`.venv/installed` says what is in it: which Python, in which checkout, and the requirements word for
word. While that agrees with the checkout there is nothing to do. It is taken away before anything
is changed and written again at the end, so that what was interrupted is made anew from scratch.

Only the standard library is used here, since this runs before anything else is installed.
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

# What pip says, among other things, when it doesn't reach its index.
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
        """See to it that these requirements files of the checkout are installed.

        Safe when several do it at once, and whenever it is interrupted. Raises UsageError if it
        can't be done, and SystemExit if a signal says that it shan't.
        """
        try:
            if not self._has(requirements):
                with self._alone() as lock:
                    if not self._has(requirements):  # nobody did it while we waited
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

    # What there is, and what there should be

    def _has(self, requirements: Sequence[str]) -> bool:
        return self._installed().startswith(self.wanted(requirements))

    @property
    def _note(self) -> Path:
        return self.root / ".venv" / "installed"

    def _installed(self) -> str:
        """What was noted when the last set-up was complete; empty if there is none that works."""
        if not access(self.python, X_OK):
            return ""
        try:
            return self._note.read_text("utf-8", "surrogateescape")
        except FileNotFoundError:
            return ""

    def wanted(self, requirements: Sequence[str]) -> str:
        """What `.venv/installed` has to begin with when these requirements are installed."""
        return self._base() + "".join(map(self._requirements, requirements))

    def _base(self) -> str:
        """What can't be changed in a virtual environment without making another one."""
        return f"{sys.version}\n{self.root}\n"

    def _requirements(self, name: str) -> str:
        return f"# {name}\n{(self.root / name).read_text('utf-8')}\n# end of {name}\n"

    # How it gets there

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Wait until nobody else sets this checkout up, and keep others waiting until we are done.

        The lock ends with the last process that has its descriptor, however that process ends. A
        pip that outlives us has it too: nobody starts before it is gone.
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
                    "pip can't reach the package index: look to the network "
                    "(what pip said is in .venv/pip.log) and call again"
                )
            raise UsageError(
                f"pip can't install {' and '.join(requirements)}: {_last_line(output)} "
                "(all that it said is in .venv/pip.log)"
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
    return next((line.strip() for line in reversed(lines) if line.strip()), "it doesn't say why")
