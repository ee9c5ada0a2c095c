"""`command.json` in a test's folder: the command that ran the test, with which it can be repeated.

The file also marks the folder as one that a run of ours made (retention.py).
This module uses only the standard library, because `./run.sh` reads the file before anything is
installed.
"""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glomers import __version__
from glomers.errors import UsageError
from glomers.invocation import Invocation, shown
from glomers.options import with_flags, without_flags

FILE = "command.json"
OWN_SEED = ("--seed", "--test-count")  # flags that are replaced by the run's own seed


@dataclass(frozen=True, slots=True)
class Command:
    """The command of one run. `seed` is None if the engine has no seeds.

    `run` is the run's folder as it was in the store, such as "echo/20261124T182818.121".
    """

    program: str
    words: tuple[str, ...]
    folder: Path
    seed: int | None
    engine: str
    run: str

    @classmethod
    def of(cls, invocation: Invocation, seed: int | None, engine: str, run: Path) -> Command:
        """The command of the run in the folder `run`, from the person's call and the run's seed."""
        words = invocation.words if seed is None else with_seed(invocation.words, seed)
        name = f"{run.parent.name}/{run.name}"
        return cls(invocation.program, tuple(words), invocation.folder, seed, engine, name)

    def as_json(self) -> str:
        fields = {
            "command": f"{self.program} {shlex.join(self.words)}",
            "folder": str(self.folder),
            "program": self.program,
            "words": self.words,
            "seed": self.seed,
            "engine": self.engine,
            "run": self.run,
            "versions": {"glomers": __version__, "python": platform.python_version()},
        }
        return json.dumps(fields, indent=2) + "\n"


def read_command(folder: Path) -> Command:
    """The command that is kept in a run's folder. Raises UsageError if there is none."""
    file = folder / FILE
    try:
        text = file.read_text("utf-8", "surrogatepass")
    except OSError as error:
        raise UsageError(
            f"can't read {shown(file)}: {error.strerror}; a run that can be repeated has this file"
        ) from None
    command = parse_command(text)
    if command is None:
        raise UsageError(f"{shown(file)} holds no command of a run")
    return command


def parse_command(text: str) -> Command | None:
    """The command in the text of a `command.json`; None if the text holds anything else."""
    try:
        fields = json.loads(text)
        command = Command(
            fields["program"],
            tuple(fields["words"]),
            Path(fields["folder"]),
            fields["seed"],
            fields["engine"],
            fields["run"],
        )
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    texts = (command.program, command.engine, command.run, *command.words)
    good = all(isinstance(text, str) for text in texts) and command.words
    return command if good and isinstance(command.seed, (int, type(None))) else None


def with_seed(words: Sequence[str], seed: int) -> list[str]:
    """The command line that runs the one test with this seed."""
    return with_flags(without_flags(words, *OWN_SEED), "--seed", str(seed))
