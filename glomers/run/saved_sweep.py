"""The file of a sweep (`--save`): what the sweep is, then a line for each seed that was judged.

The same command with the same file goes on with the seeds that are missing. A line is written as
soon as a seed is judged. If the last one was torn, because the sweep was killed while it wrote, it
is cut off, and its seed is run again.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from io import BufferedRandom
from pathlib import Path
from typing import Any

from glomers import __version__
from glomers.checkers.verdict import UNKNOWN
from glomers.errors import UsageError, quote
from glomers.exits import ROOT
from glomers.invocation import shown
from glomers.options import Options
from glomers.report.figures import Figure, milliseconds, number, percent
from glomers.run.tally import SeedResult

WRITES = {write.__name__: write for write in (number, milliseconds, percent)}
HEAD = b'{"sweep": '  # the beginning of the first line
LIBRARY = "maelstrom_node.py"


class SavedSweep:
    """A file of outcomes, open for more. Only one sweep at a time can have it open.

    Raises UsageError if the file can't be used, or holds the outcomes of another sweep.
    """

    def __init__(self, path: Path, options: Options) -> None:
        self._path = path
        if path.exists() and not path.is_file():  # a device may have no end, a pipe no place
            raise self._unusable("expected a file, to which lines can be added")
        try:
            self._file: BufferedRandom = path.open("a+b")
        except OSError as error:
            raise self._unusable(f"can't be opened: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise self._unusable("another sweep is writing to it") from None
        try:
            self._begin(options)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> SavedSweep:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _begin(self, options: Options) -> None:
        """Check that the file has outcomes of this sweep, or write what the sweep is."""
        mine = what_is_swept(options)
        self._file.seek(0)
        first = self._file.readline()
        if not first.endswith(b"\n") and first[: len(HEAD)] == HEAD[: len(first)]:
            self._file.truncate(0)  # it is empty, or was torn in the midst of its first line
            self._write({"sweep": mine})
            return
        try:
            differing = list(_differing(json.loads(first)["sweep"], mine))
        except (ValueError, LookupError, TypeError, AttributeError):
            problem = f"holds no sweep: it begins '{quote(first.strip(), 80)}'"
            raise self._unusable(problem) from None
        if differing:
            raise self._unusable(
                f"holds another sweep: {'; '.join(differing)}. Name another file for this one"
            )
        self._cut_off_torn_line()

    def _cut_off_torn_line(self) -> None:
        end = self._file.seek(0, os.SEEK_END)
        place = end
        while place:
            start = max(0, place - (1 << 16))
            self._file.seek(start)
            newline = self._file.read(place - start).rfind(b"\n")
            if newline >= 0:
                self._file.truncate(start + newline + 1)
                return
            place = start

    def outcomes(self) -> Iterator[SeedResult]:
        """The outcomes in the file."""
        self._file.seek(0)
        self._file.readline()
        for line_number, line in enumerate(self._file, 2):
            try:
                yield _outcome(json.loads(line))
            except (ValueError, LookupError, TypeError, AttributeError):
                raise self._unusable(
                    f"line {line_number} is no outcome of a seed: '{quote(line.strip(), 80)}'"
                ) from None

    def append(self, outcome: SeedResult) -> None:
        figures = {
            name: figure.value
            if figure.write is number
            else [figure.value, figure.write.__name__]  # as WRITES has it
            for name, figure in outcome.figures.items()
        }
        line = {"seed": outcome.seed, "valid": outcome.valid, "figures": figures}
        if outcome.told:
            line["told"] = list(outcome.told)
        if outcome.lines is not None:
            line["lines"] = outcome.lines
        if outcome.preempted_by:
            line["preempted-by"] = outcome.preempted_by
        self._write(line)

    def _write(self, line: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            self._file.raw.close()  # or else Python tries to write the rest when it closes the file
            raise self._unusable(f"can't be written: {error.strerror}") from None

    def _unusable(self, problem: str) -> UsageError:
        return UsageError(f"--save {shown(self._path)}: {problem}")


def _outcome(line: Mapping[str, Any]) -> SeedResult:
    """The outcome that stands so in a file."""
    figures = {}
    for name, written in line["figures"].items():
        value, write = written if isinstance(written, list) else (written, number.__name__)
        figures[name] = Figure(name, value, write=WRITES[write])
    valid = {True: True, False: False, "unknown": UNKNOWN}[line["valid"]]
    return SeedResult(
        int(line["seed"]),
        valid,
        figures,
        tuple(line.get("told", ())),
        line.get("lines"),
        str(line.get("preempted-by", "")),
    )


# What makes two sweeps the same


def what_is_swept(options: Options) -> dict[str, Any]:
    """All that outcomes depend on but the seed: the command, the files, the versions."""
    script = Path(options.bin)
    files = [*own_files(script), Path(options.check)] if options.check else own_files(script)
    paths = {"bin": str(script.absolute())}
    if options.check:
        paths["check"] = str(Path(options.check).absolute())
    flags = {**asdict(options), **paths}
    del flags["seed"]
    return {
        "flags": json.loads(json.dumps(flags)),
        "files": {file.name: _digest(file) for file in files},
        "versions": {
            "glomers": __version__,
            "Python": ".".join(map(str, sys.version_info[:2])),
            LIBRARY: _digest(ROOT / LIBRARY),
        },
    }


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def own_files(script: Path) -> list[Path]:
    """The script, and what it imports of the modules and packages beside it, by its statements."""
    found = [script]
    for file in found:
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        for statement in ast.walk(tree):
            names: list[str] = []
            if isinstance(statement, ast.Import):
                names = [alias.name for alias in statement.names]
            elif isinstance(statement, ast.ImportFrom):
                within = statement.module or ""
                names = [within, *(f"{within}.{alias.name}" for alias in statement.names)]
            for name in names:
                found += [each for each in _modules(file.parent, name) if each not in found]
    return found


def _modules(folder: Path, name: str) -> Iterator[Path]:
    """The files of a module in a folder: its own, and those of the packages that it is in."""
    parts = [part for part in name.split(".") if part]
    for count in range(1, len(parts) + 1):
        path = folder.joinpath(*parts[:count])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file() and file.name != LIBRARY:
                yield file


def _differing(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> Iterator[str]:
    """What differs between a sweep in a file and this one, in words."""
    for name in sorted({*theirs["flags"], *mine["flags"]}):
        there, here = theirs["flags"].get(name), mine["flags"].get(name)
        if there != here:
            flag = name.replace("_", "-")
            yield f"its {flag} is {_shown(there)}, here it is {_shown(here)}"
    for name in sorted({*theirs["files"], *mine["files"]}):
        if theirs["files"].get(name) != mine["files"].get(name):
            yield f"{name} has changed since"
    for name, here in mine["versions"].items():
        there = theirs["versions"].get(name)
        if there != here and name == LIBRARY:
            yield f"{name} has changed since"
        elif there != here:
            yield f"it is of {name} {there}, this is {name} {here}"


def _shown(value: Any) -> str:
    return quote(json.dumps(value), 80)
