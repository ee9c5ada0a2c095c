"""Pages as a reader uses them: every code block and command is pasted into a folder and run there.

The rules, by which the pages are written:

- A block in `python` is a whole file if the paragraph before it names one, in backquotes. If that
  says "in `mine.py`", the block holds functions, imports and variables that take the place of
  those with the same names in that file, or that are new. If it names none, the block is the next
  part of the last file.
- A block in `sh` is pasted into a shell, whose folder and environment stay from block to block. One
  that begins with a comment of NOT_RUN is not run.
- A block in `text` is what the block before it prints: its lines come in that order. Numbers may
  differ, other lines may stand between them, and `…` stands for anything.

Half a minute of real time is too long for a test: a command that names no seed is simulated, with
a short load, and a sweep of more than ten seeds, or without a time limit, has one seed (see
`shorten`). Such a command is run, but what it prints is not compared.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glomers.invocation import Invocation

ROOT = Path(__file__).parent.parent
NOT_RUN = re.compile(
    r"# (needs the network|needs Maelstrom|takes minutes|runs until Ctrl-C"
    r"|a part of \./run\.sh test)\n"
)
SEEDED = {"--seed", "--scenario"}
PATIENCE = 600  # seconds; only a hang takes them


@dataclass(frozen=True)
class Block:
    """A code block of a page, and the paragraph before it."""

    language: str
    text: str
    before: str
    where: str

    @property
    def file(self) -> str | None:
        """The file that a block in Python is, or belongs to."""
        return next(reversed(re.findall(r"`(\w+\.py)`", self.before)), None)

    @property
    def is_a_change(self) -> bool:
        return bool(re.search(r"\b[Ii]n `\w+\.py`", self.before))

    @property
    def is_run(self) -> bool:
        return not NOT_RUN.match(self.text)


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    result = []
    for match in found:
        before = text[: match.start()].rstrip().rpartition("\n\n")[2]
        line = text.count("\n", 0, match.start()) + 1
        result.append(Block(match[1], match[2], before, f"{page.name}:{line}"))
    return result


# Python

RUN = "if __name__"


def change(source: str, new: str) -> str:
    """A file in which what `new` defines and imports stands instead of its own."""
    for name, text in _parts(new).items():
        old = _parts(source)
        if name in old:
            source = source.replace(old[name], text)
        else:  # it goes before what runs the node
            source = source.replace(old[RUN], f"{text}\n\n\n{old[RUN]}")
    return source


def _parts(source: str) -> dict[str, str]:
    """The statements of a module by what they define; RUN is the one that runs the node."""
    lines = source.splitlines()
    parts = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                decorators = statement.decorator_list
            case (
                ast.ImportFrom(module=str(name))
                | ast.Import(names=[ast.alias(name=str(name))])
                | ast.Assign(targets=[ast.Name(id=name)])
            ):
                decorators = []
            case ast.If():
                name, decorators = RUN, []
            case _:
                continue
        first = min(node.lineno for node in (statement, *decorators))
        parts[name] = "\n".join(lines[first - 1 : statement.end_lineno])
    return parts


# The shell


@dataclass(frozen=True)
class Printed:
    """What a block in `sh` printed, and with which status its last command ended."""

    text: str
    status: int
    is_short: bool


class Desk:
    """A folder in which a page is pasted, block by block. It looks like a clone of the project."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "clone"
        self._state = root / "state"
        self._short = root / "short"
        self._file: Path | None = None  # the last that was pasted
        commands = self.folder / ".venv" / "bin"
        commands.mkdir(parents=True)
        for name in ("benchmarks", "glomers", "ladder", "tests"):
            (self.folder / name).symlink_to(ROOT / name)
        for script in ROOT.glob("*.py"):
            (self.folder / script.name).symlink_to(script)
        (commands / "activate").write_text("")
        for path, program in {
            self.folder / "run.sh": "./run.sh",
            **{commands / name: name for name in ("glomers", "pytest", "python")},
        }.items():
            path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {program} "$@"\n')
            path.chmod(0o755)
        found = (commands, Path(sys.executable).parent, os.environ["PATH"])
        inherited = {n: value for n, value in os.environ.items() if not n.startswith("PYTEST")}
        self._environ = {
            **inherited,
            "PATH": os.pathsep.join(map(str, found)),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(root),
            "COLUMNS": "200",
            "PASTED": str(self._short),
        }
        self._state.write_text("")

    def write(self, block: Block) -> None:
        """Paste a block in Python into its file."""
        path = self.here / block.file if block.file else self._file
        assert path, f"{block.where}: the paragraph before the block names no file"
        before = path.read_text() if path.exists() else ""
        if block.is_a_change:
            text = change(before, block.text)
        else:
            text = block.text if block.file else f"{before}\n\n{block.text}"
        if path.is_symlink():  # it leads to the project's own
            path.unlink()
        path.write_text(text)
        self._file = path

    @property
    def here(self) -> Path:
        """The folder in which the shell is."""
        cd = re.findall(r"^cd (.*)$", self._state.read_text(), re.MULTILINE)
        return Path(*shlex.split(cd[-1])) if cd else self.folder

    def run(self, block: Block) -> Printed:
        """Paste commands into the shell."""
        self._short.unlink(missing_ok=True)
        keep = f'{{ export -p; printf "cd %q\\n" "$PWD"; }} >"{self._state}"'
        script = f". \"{self._state}\"\ntrap '{keep}' EXIT\nset -e\n{block.text}"
        shell = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return Printed(shell.stdout, shell.returncode, self._short.exists())


def lines_like(text: str) -> Iterator[str]:
    """Patterns of the lines of a block in `text`."""
    for line in text.splitlines():
        if words := line.split():
            pattern = r"\s+".join(re.escape(word) for word in words)
            yield re.sub(r"[\d][\d.,:]*", r"[\\d.,:T]+", pattern).replace("…", ".*")


def missing_line(shown: str, printed: str) -> str | None:
    """The first line that a page shows and a command didn't print, in the page's order."""
    at = 0
    for line, pattern in zip(filter(str.strip, shown.splitlines()), lines_like(shown)):
        match = re.compile(rf"^\s*{pattern}\s*$", re.MULTILINE).search(printed, at)
        if match is None:
            return line
        at = match.end()
    return None


# What stands for the commands


def is_short(words: list[str]) -> bool:
    """Whether a sweep has few seeds and a time limit of its own."""
    seeds = re.search(r"--seeds (\d+)\.\.(\d+)( |$)", " ".join(words))
    return bool(seeds and int(seeds[2]) - int(seeds[1]) < 10 and "--time-limit" in words)


def shorten(words: list[str]) -> list[str]:
    """A command of the workbench as a test runs it: later flags win, so some are added."""
    command = words[0]
    if command == "sweep" and is_short(words):
        return words
    if command == "sweep":
        more = ["--seeds", "0", "--time-limit", "1"]
    elif (command[:1].isdigit() or command == "test") and not SEEDED.intersection(words):
        more = ["--simulate", "--time-limit", "1"]
    else:
        return words
    Path(os.environ["PASTED"]).touch()
    cut = words.index("--") if "--" in words else len(words)
    return [*words[:cut], *more, *words[cut:]]


def main(program: str, *words: str) -> None:
    """Run the command of a page that is called `program`."""
    if program in ("./run.sh", "glomers"):
        os.environ.update(Invocation(program, Path.cwd(), words).environ())
        command = ["-m", "glomers", *shorten(list(words))]
    elif program == "pytest":
        command = ["-m", "pytest", "-p", "glomers.plugin", "-p", "no:cacheprovider", *words]
    else:
        command = list(words)
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    main(*sys.argv[1:])
