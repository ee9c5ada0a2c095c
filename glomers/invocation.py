"""How the person called the program: its name, the person's folder, and the words after the name.

Messages show paths as the person would write them from their folder, and commands as they would
type them. `./run.sh` changes to the checkout and starts several processes; an environment variable
tells each of them how the person called the first.

This module uses only the standard library, because it runs before anything else is installed.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "GLOMERS_INVOCATION"
FURTHEST = 2  # folders up; a path that needs more is shown from the root


@dataclass(frozen=True, slots=True)
class Invocation:
    """How the person called: `program` is shell text, such as `./run.sh`; `words` come after it."""

    program: str
    folder: Path
    words: tuple[str, ...]

    def environ(self) -> dict[str, str]:
        """The environment variable that tells another process of this invocation."""
        return {VARIABLE: json.dumps({**asdict(self), "folder": str(self.folder)})}


_present: Invocation | None = None


def present() -> Invocation:
    """The invocation that this process carries out."""
    return _present or of_process(sys.argv[1:])


@contextmanager
def carrying_out(invocation: Invocation) -> Iterator[None]:
    """Make `invocation` the present one. Processes only learn of it from its `environ`."""
    global _present
    os.environ.pop(VARIABLE, None)
    before, _present = _present, invocation
    try:
        yield
    finally:
        _present = before


def of_process(words: Sequence[str]) -> Invocation:
    """The invocation in this process's environment; without one, a call with these `words`."""
    if told := os.environ.get(VARIABLE):
        fields = json.loads(told)
        return Invocation(fields["program"], Path(fields["folder"]), tuple(fields["words"]))
    program = "glomers" if Path(sys.argv[0]).name == "glomers" else "python -m glomers"
    return Invocation(program, Path.cwd(), tuple(words))


# Paths, as the person who called writes them


def shown(path: Path) -> str:
    """A path as the person would write it: relative to their folder, or absolute if that is far."""
    whole = os.path.abspath(path)  # noqa: PTH100 (links stay)
    folder = present().folder
    if Path(whole).is_relative_to(folder):
        return os.path.relpath(whole, folder)
    near = os.path.relpath(whole, folder.resolve())  # in a linked folder, .. is not its parent
    ups = Path(near).parts.count(os.pardir)
    return near if ups <= FURTHEST and len(near) < len(whole) else whole


def shown_program(path: Path) -> str:
    """A program as the person would call it, as shell text."""
    name = shown(path)
    return shlex.quote(name if os.sep in name else f".{os.sep}{name}")


def named(text: str) -> Path:
    """The path that the person wrote as `text`, from their folder."""
    folder = present().folder
    return Path(text) if folder == Path.cwd() else folder / text
