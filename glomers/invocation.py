"""How the person called: by which program, from which folder, in which words.

What is shown is meant for that person: a path as it is written from their folder, a command as
they would type it. `./run.sh` works in the checkout, in several processes; each is told in its
environment who called the first.

Only the standard library is used here, since it is needed before anything else is installed.
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
FURTHEST = 2  # folders up, beyond which a path is easier to read from the root


@dataclass(frozen=True, slots=True)
class Invocation:
    """`program` is shell text, such as `./run.sh`; `words` are what came after it."""

    program: str
    folder: Path
    words: tuple[str, ...]

    def environ(self) -> dict[str, str]:
        """What tells another process of it."""
        return {VARIABLE: json.dumps({**asdict(self), "folder": str(self.folder)})}


_present: Invocation | None = None


def present() -> Invocation:
    """The invocation that is being carried out."""
    return _present or of_process(sys.argv[1:])


@contextmanager
def carrying_out(invocation: Invocation) -> Iterator[None]:
    """Make it the present one. What is started meanwhile is told nothing of it by itself."""
    global _present
    os.environ.pop(VARIABLE, None)
    before, _present = _present, invocation
    try:
        yield
    finally:
        _present = before


def of_process(words: Sequence[str]) -> Invocation:
    """The one that this process was told of; otherwise it was itself called in these words."""
    if told := os.environ.get(VARIABLE):
        fields = json.loads(told)
        return Invocation(fields["program"], Path(fields["folder"]), tuple(fields["words"]))
    program = "glomers" if Path(sys.argv[0]).name == "glomers" else "python -m glomers"
    return Invocation(program, Path.cwd(), tuple(words))


# Paths, for the person who called


def shown(path: Path) -> str:
    """A path as the person would write it: from their folder, unless that is far away."""
    whole = os.path.abspath(path)  # noqa: PTH100 (links stay)
    folder = present().folder
    if Path(whole).is_relative_to(folder):
        return os.path.relpath(whole, folder)
    near = os.path.relpath(whole, folder.resolve())  # from a link, .. leads elsewhere
    ups = Path(near).parts.count(os.pardir)
    return near if ups <= FURTHEST and len(near) < len(whole) else whole


def shown_program(path: Path) -> str:
    """A program as the person would call it, as shell text."""
    name = shown(path)
    return shlex.quote(name if os.sep in name else f".{os.sep}{name}")


def named(text: str) -> Path:
    """The path that the person means by what they wrote."""
    folder = present().folder
    return Path(text) if folder == Path.cwd() else folder / text
