"""What `./run.sh` does: sets up, finds an engine and runs a challenge's exact command on it.

`run.sh` itself only finds a Python and comes here, before anything is installed: therefore nothing
but the standard library is imported. Tests run in `.venv`, in processes of their own.

Both engines run in the checkout, so that either keeps its tests in the same `store/`.

The installed command `glomers 3c` comes here as well. Then there is nothing to set up, the
workbench runs in this process, and tests are kept where the person is (Here).
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glomers import challenges
from glomers.challenges import CHALLENGES, SCRIPTS, Challenge
from glomers.errors import UsageError
from glomers.exits import BROKEN, SIGNALLED, VALID, VERDICT_STATUSES
from glomers.launch import foreground, suite
from glomers.launch.environment import DEVELOPMENT, REQUIREMENTS, Environment
from glomers.launch.program import check_program
from glomers.options import check_flags, parser_of_test, program, split_node_arguments

ROOT = Path(__file__).resolve().parents[2]

HELP = """\
usage: {program} CHALLENGE [--engine maelstrom|workbench] [FLAG ...] [-- ARGUMENT ...]
{also}
{challenges}

It runs on Maelstrom if $MAELSTROM names its executable or its folder, or if there is a
./maelstrom/maelstrom or a maelstrom on the PATH; otherwise on the built-in workbench.
--engine picks one; --simulate and --seed are the workbench's own and pick that.

FLAGs are those of `maelstrom test`. They come after the challenge's own, and the later
one wins: {program} 3c --time-limit 5
ARGUMENTs after -- are for the node. They come after the challenge's own as well; but a
node of yours (--bin FILE) gets only yours.

Exit status: 0 valid, 1 invalid, 2 unknown; 254 a mistake in the command; any other: something
failed, and the last line says what.
"""
TESTS_TOO = """\
       ./run.sh test [PYTEST ARGUMENT ...]

Runs a challenge of Gossip Glomers, or this project's own checks and tests.
"""
CHALLENGES_ONLY = "\nRuns a challenge of Gossip Glomers.\n"

# Flags of the workbench that Maelstrom doesn't have.
WORKBENCH_FLAGS = ("--simulate", "--seed", "--p-loss", "--p-duplicate", "--strict", "--store")

# Flags whose values are paths, which are the user's, who may be in another folder.
PATHS = ("--bin", "--store", "--nodes-file")


@dataclass(frozen=True, slots=True)
class Here:
    """The present Python in place of a checkout's: it has the workbench, and tests are kept here.

    `root` is the folder where the person is; `workbench` carries out a command of the workbench.
    """

    root: Path
    workbench: Callable[[Sequence[str]], int]

    @property
    def bin(self) -> Path:
        return Path(sys.executable).parent

    def provide(self, requirements: Sequence[str]) -> None:
        """Whoever installed the package has done it."""


def launch(
    arguments: Sequence[str], start: Path, elsewhere: Mapping[str, str], here: Here | None = None
) -> int:
    """Do what `./run.sh` with these arguments does for somebody in the folder `start`.

    `elsewhere` says what to do about names that are no challenges but commands of other programs.
    Replaces this process by the workbench if that is all that is left to do, unless it runs `here`.
    """
    help = HELP.format(
        program="./run.sh" if here is None else program(),
        also=TESTS_TOO if here is None else CHALLENGES_ONLY,
        challenges=table(),
    )
    if not arguments:
        print(help)
        raise UsageError(f"expected a challenge, such as 3c{', or test' if here is None else ''}")
    name, *rest = arguments
    flags, node_arguments = split_node_arguments(rest)
    if name == "test" and here is None:
        checkout = Environment(ROOT)
        checkout.provide(DEVELOPMENT)
        return suite.run(checkout, rest)
    if name == "help" or not {"-h", "--help"}.isdisjoint([name, *flags]):
        print(help, end="")
        return VALID
    check_flags([name, *flags])
    if name in elsewhere:
        raise UsageError(elsewhere[name])
    challenge = challenges.find(name)
    wanted, flags = take_engine(flags)
    environment = here or Environment(ROOT)
    engine = choose_engine(wanted, flags, os.environ, start, environment.root)
    if engine.maelstrom is None:
        check_flags(flags, [*parser_of_test().flags, "--engine"])
    launcher = Launcher(challenge, engine, environment, os.environ)
    runs = [command_line(run, flags, node_arguments, start) for run in challenge.commands]
    return launcher.run(runs)


def table() -> str:
    """The challenges, one a line."""
    width = max(len(challenge.title) for challenge in CHALLENGES)
    return "\n".join(f"  {c.name:<3} {c.title:<{width}}  {c.asks}" for c in CHALLENGES)


# The command line


def command_line(
    command: str, flags: Sequence[str], node_arguments: Sequence[str], start: Path
) -> list[str]:
    """What comes after `maelstrom test`: the challenge's own arguments, then the user's.

    Paths are made absolute: a challenge's node is in SCRIPTS, what the user names in `start`.
    Raises UsageError if there is no such program.
    """
    own_flags, own_node_arguments = split_node_arguments(shlex.split(command))
    programs, own_flags = absolute_paths(own_flags, SCRIPTS)
    own_programs, flags = absolute_paths(flags, start)
    check_program((programs + own_programs)[-1])
    if own_programs:
        own_node_arguments = ()
    node = [*own_node_arguments, *node_arguments]
    return [*own_flags, *flags, *(["--", *node] if node else [])]


def absolute_paths(words: Sequence[str], folder: Path) -> tuple[list[Path], list[str]]:
    """The programs that `--bin` names, in order, and the command line with absolute paths."""
    programs = []
    result = []
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        path = value if equals else next(rest, None) if flag in PATHS else None
        if flag not in PATHS or path is None:
            result.append(word)
            continue
        result += [f"{flag}={folder / path}"] if equals else [flag, str(folder / path)]
        if flag == "--bin":
            programs.append(folder / path)
    return programs, result


# The engine


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs a test: Maelstrom's executable, or the workbench (None); and why it does."""

    maelstrom: Path | None
    reason: str

    def __str__(self) -> str:
        name = "the workbench" if self.maelstrom is None else f"Maelstrom at {self.maelstrom}"
        return f"{name} ({self.reason})"


def take_engine(flags: Sequence[str]) -> tuple[str | None, list[str]]:
    """What `--engine` says, the last one if there are several, and the other flags."""
    wanted = None
    others = []
    rest = iter(flags)
    for flag in rest:
        if flag == "--engine":
            wanted = next(rest, "")
        elif flag.startswith("--engine="):
            wanted = flag.partition("=")[2]
        else:
            others.append(flag)
    if wanted not in (None, "maelstrom", "workbench"):
        raise UsageError(f"--engine is maelstrom or workbench, not {wanted!r}")
    return wanted, others


def choose_engine(
    wanted: str | None, flags: Iterable[str], environ: Mapping[str, str], start: Path, root: Path
) -> Engine:
    """The engine that `--engine` wants, that the flags need, or that is there: in `root`, maybe."""
    special = next((f for f in flags if f.partition("=")[0] in WORKBENCH_FLAGS), None)
    if wanted == "maelstrom" and special:
        raise UsageError(f"Maelstrom has no {special}: leave it out, or use --engine workbench")
    if wanted == "workbench":
        return Engine(None, "--engine")
    if special:
        return Engine(None, f"{special} is its own")
    if found := find_maelstrom(environ, start, root):
        return found
    if wanted == "maelstrom":
        raise UsageError(
            "there is no Maelstrom in ./maelstrom or on the PATH: unpack its release there, "
            "or name its folder: MAELSTROM=/path/to/maelstrom"
        )
    return Engine(None, "no Maelstrom found; MAELSTROM=/path/to/maelstrom names one")


def find_maelstrom(environ: Mapping[str, str], start: Path, root: Path) -> Engine | None:
    """Maelstrom as $MAELSTROM names it, in ./maelstrom, or on the PATH."""
    if named := environ.get("MAELSTROM"):
        path = start / named
        if path.is_dir():
            path /= "maelstrom"
        return Engine(_executable(path, "$MAELSTROM"), "$MAELSTROM")
    path = root / "maelstrom" / "maelstrom"
    if path.is_file():
        return Engine(_executable(path, "./maelstrom/maelstrom"), "./maelstrom")
    if on_path := shutil.which("maelstrom", path=environ.get("PATH")):
        return Engine(start / on_path, "on the PATH")
    return None


def _executable(path: Path, named: str) -> Path:
    if not path.is_file():
        raise UsageError(
            f"{named} should be Maelstrom's executable or its folder, but there is no {path}"
        )
    if not os.access(path, os.X_OK):
        raise UsageError(f"{named} can't be started: make it executable (chmod +x {path})")
    return path


# The runs


@dataclass(frozen=True, slots=True)
class Launcher:
    """Runs one challenge's tests on one engine."""

    challenge: Challenge
    engine: Engine
    environment: Environment | Here
    environ: Mapping[str, str]

    def run(self, runs: Sequence[Sequence[str]]) -> int:
        """Run all tests, unless one ends without a verdict; return the worst exit status."""
        self.environment.provide(REQUIREMENTS)
        statuses = []
        for number, arguments in enumerate(runs, 1):
            part = f", run {number} of {len(runs)}" if len(runs) > 1 else ""
            print(f"Challenge {self.challenge.name}: {self.challenge.title}{part}")
            print(f"on {self.engine}", flush=True)
            if self.engine.maelstrom is not None:
                statuses.append(self._run_maelstrom(self.engine.maelstrom, arguments))
            else:
                statuses.append(self._run_workbench(arguments, alone=len(runs) == 1))
            if statuses[-1] not in VERDICT_STATUSES:
                return statuses[-1]
        return max(statuses, key=VERDICT_STATUSES.index)

    def _run_workbench(self, arguments: Sequence[str], alone: bool) -> int:
        command = ["test", "--challenge", self.challenge.name, *arguments]
        return self._workbench(command, last=alone)

    def _run_maelstrom(self, maelstrom: Path, arguments: Sequence[str]) -> int:
        latest = self.environment.root / "store" / "latest"
        before = latest.resolve()
        try:
            status = self._follow([str(maelstrom), "test", *arguments])
        except OSError as error:
            raise UsageError(
                f"{maelstrom} can't be started: {error.strerror}. "
                "--engine workbench runs the same test without it"
            ) from None
        kept = latest.resolve()
        if kept != before and (kept / "results.edn").is_file():
            shown = self._workbench(["summary", str(kept), "--challenge", self.challenge.name])
            return status or shown
        print(
            f"error: Maelstrom ended with exit status {status} and without results: "
            "what it printed above may say why. --engine workbench runs the same test without it",
            file=sys.stderr,
        )
        return status or BROKEN

    def _workbench(self, arguments: Sequence[str], last: bool = False) -> int:
        """Carry out a command of the workbench; if there is nothing to do after it, become it."""
        if isinstance(self.environment, Here):
            os.environ.update(self._node_environ())
            return self.environment.workbench(arguments)
        command = [str(self.environment.python), "-m", "glomers", *arguments]
        if last:
            os.chdir(self.environment.root)
            os.execve(command[0], command, self._node_environ())
        return self._follow(command)

    def _follow(self, command: Sequence[str]) -> int:
        """Run a command to its end. A signal that ends it ends us too, with a shell's status."""
        status = foreground.run(command, cwd=self.environment.root, env=self._node_environ())
        if status < 0:
            raise SystemExit(SIGNALLED - status)
        return status

    def _node_environ(self) -> dict[str, str]:
        """Our Python comes first on the PATH: nodes start with `/usr/bin/env python3`."""
        path = self.environ.get("PATH", os.defpath)
        return {**self.environ, "PATH": f"{self.environment.bin}{os.pathsep}{path}"}
