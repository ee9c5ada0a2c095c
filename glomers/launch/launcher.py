"""What `./run.sh` does: sets up `.venv`, finds an engine and runs a challenge's command on it.

`run.sh` itself only finds a Python and starts this module, before anything is installed, so this
module imports only the standard library. Tests run in `.venv`, in processes of their own.

Both engines run in the checkout, so both keep their tests in the same `store/`.

The installed command `glomers 3c` uses this module, too. Then there is nothing to set up, the
workbench runs in this process, and tests are kept in the person's folder (see Here).

A sweep of a challenge uses the challenge's flags with the workbench's command `sweep`, and
likewise `explore`. `again` carries out the words of an earlier command. All other commands are
passed on to the workbench.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glomers import challenges
from glomers.challenges import CHALLENGES, SCRIPTS, Challenge
from glomers.errors import UsageError
from glomers.exits import BROKEN, SIGNALLED, VALID, VERDICT_STATUSES
from glomers.history import retention
from glomers.history.command import FILE, Command, read_command
from glomers.invocation import carrying_out, present, shown
from glomers.launch import foreground, suite
from glomers.launch.environment import DEVELOPMENT, REQUIREMENTS, Environment
from glomers.launch.program import check_program
from glomers.options import (
    EXPLORED_NODES,
    KEPT,
    OF_A_CHALLENGE,
    check_flags,
    join_node_arguments,
    keep,
    parser_of_test,
    program,
    split_node_arguments,
    with_flags,
    without_flags,
)

ROOT = Path(__file__).resolve().parents[2]

HELP = """\
usage: {program} CHALLENGE [--engine maelstrom|workbench] [FLAG ...] [-- ARGUMENT ...]
       {program} sweep CHALLENGE [--seeds FIRST..LAST] [FLAG ...] [-- ARGUMENT ...]
       {program} explore CHALLENGE [--losses NUM] [FLAG ...] [-- ARGUMENT ...]
       {program} shrink CHALLENGE --seed NUM [FLAG ...] [-- ARGUMENT ...]
       {program} again [FOLDER] [FLAG ...] [-- ARGUMENT ...]
{also}
{challenges}

A challenge runs on Maelstrom if $MAELSTROM names its executable or its folder, or if there is a
./maelstrom/maelstrom or a maelstrom on the PATH; otherwise on the built-in workbench.
--engine picks one. --simulate and --seed pick the workbench, since Maelstrom lacks them.

FLAGs are those of `maelstrom test`. They are added to the challenge's own flags, and
override them: {program} 3c --time-limit 5
ARGUMENTs after -- are for the node. They are added to the challenge's own arguments; but
a node of yours (--bin FILE) gets only yours.

sweep simulates a challenge with many seeds, explore a small one in every order in which things
can happen. shrink finds the smallest run that fails as a given one does: {program} shrink, or
{program} shrink FOLDER, if that run is kept.
again repeats the last run, or the run that is kept in FOLDER, with its seed:
{program} again --simulate

Exit status: 0 valid, 1 invalid, 2 unknown; 254 a mistake in the command; any other: something
failed, and the last line says what.
"""
TESTS_TOO = """\
       ./run.sh test [PYTEST ARGUMENT ...]
       ./run.sh check|summary|report|serve|copy|new|test --bin FILE [--help]

Runs a challenge of Gossip Glomers, this project's own checks and tests, or the workbench.
"""
CHALLENGES_ONLY = "\nRuns a challenge of Gossip Glomers.\n"

# Flags of the workbench that Maelstrom doesn't have.
WORKBENCH_FLAGS = (
    *(
        "--simulate",
        "--seed",
        "--hard",
        "--check",
        "--preempt",
        "--preempt-by",
        "--p-loss",
        "--p-duplicate",
        "--strict",
        "--store",
        "--scenario",
    ),
)

AGAIN = "again"

# Flags whose values are paths. They are relative to the user's folder, not to the checkout.
SAVE = "--save"
PATHS = ("--bin", "--store", "--nodes-file", "--scenario", "--check", SAVE)


@dataclass(frozen=True, slots=True)
class Here:
    """Stands in for a checkout's Environment where the package is installed.

    The workbench runs on the present Python, and tests are kept in `root`, the person's folder.
    `workbench` carries out a command of the workbench and returns its exit status.
    """

    root: Path
    workbench: Callable[[Sequence[str]], int]

    @property
    def bin(self) -> Path:
        return Path(sys.executable).parent

    def provide(self, requirements: Sequence[str]) -> None:
        """Do nothing: the requirements were installed with the package."""


def launch(
    arguments: Sequence[str],
    elsewhere: Mapping[str, str],
    workbench: Collection[str],
    here: Here | None = None,
) -> int:
    """Do what `./run.sh` does with these arguments; return the exit status.

    `elsewhere` maps the commands of other programs to what the person should do instead, and
    `workbench` holds the commands of the workbench.
    If the workbench has the last thing to do, it replaces this process, unless it runs `here`.
    Raises UsageError if the command can't be carried out.
    """
    environment = here or Environment(ROOT)
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
    wants_help = not {"-h", "--help"}.isdisjoint([name, *flags])
    # `test` with one of these flags is the workbench's, which requires it; pytest has neither.
    ours = take_flag(flags, "--bin")[0] or take_flag(flags, "--scenario")[0]
    if name == "test" and isinstance(environment, Environment) and not ours:
        environment.provide(DEVELOPMENT)
        return suite.run(environment, rest)
    if name == AGAIN and not wants_help:
        check_flags(flags)
        words = again(flags, node_arguments, environment.root)
        print(f"Again: {program()} {shlex.join(words)}", flush=True)
        with carrying_out(replace(present(), words=tuple(words))):
            return launch(words, elsewhere, workbench, here)
    if name in OF_A_CHALLENGE and flags and challenges.is_number(flags[0]):
        return run_challenge(flags[0], flags[1:], node_arguments, environment, name)
    if name in workbench and name != AGAIN:
        if name in ("test", *OF_A_CHALLENGE):
            _, flags = absolute_paths(flags, present().folder)
            rest = join_node_arguments(flags, node_arguments)
        environment.provide(REQUIREMENTS)
        return run_workbench(environment, os.environ, [name, *rest], last=True)
    if name == "help" or wants_help:
        print(help, end="")
        return VALID
    check_flags([name, *flags])
    if name in elsewhere:
        raise UsageError(elsewhere[name])
    if name.startswith("-"):
        raise UsageError(f"expected a challenge, such as 3c, beside {name!r}")
    return run_challenge(name, flags, node_arguments, environment)


def run_challenge(
    name: str,
    flags: Sequence[str],
    node_arguments: Sequence[str],
    environment: Environment | Here,
    command: str = "test",
) -> int:
    """Run the tests of a challenge, or carry out another command with them; return the exit
    status."""
    challenge = challenges.find(name)
    start = present().folder
    wanted, flags = take_engine(flags)
    words, keeping = ["test", "--challenge", challenge.name], None
    commands = challenge.commands
    if command in OF_A_CHALLENGE:
        if wanted == "maelstrom":
            raise UsageError(f"Maelstrom has no {command}: leave --engine out")
        words, engine = [command], Engine(None, f"only it can {command}")
        if command == "explore":  # the challenge's runs differ only by faults, which are chosen
            words, commands = [command, "--challenge", challenge.name], commands[-1:]
            flags = ["--node-count", few_nodes(commands[0]), *flags]
    else:
        engine = choose_engine(wanted, flags, os.environ, start, environment.root)
        if engine.maelstrom is None:
            check_flags(flags, [*parser_of_test().flags, "--engine"])
        else:
            keeping, flags = take_keep(flags)
    launcher = Launcher(challenge, engine, environment, os.environ, words, keeping)
    runs = [command_line(run, flags, node_arguments, start) for run in commands]
    if save := take_flag(flags, SAVE)[0]:  # a sweep's file has one sweep
        further = range(2, len(runs) + 1)
        runs[1:] = [with_flags(runs[n - 1], SAVE, f"{start / save}.{n}") for n in further]
    return launcher.run(runs)


def few_nodes(command: str) -> str:
    """How many nodes `explore` takes for a challenge's command: that many, or very few."""
    given, _ = take_flag(shlex.split(command), "--node-count")
    return str(min(int(given or EXPLORED_NODES), EXPLORED_NODES))


def table() -> str:
    """The challenges, one a line."""
    width = max(len(challenge.title) for challenge in CHALLENGES)
    return "\n".join(f"  {c.name:<3} {c.title:<{width}}  {c.asks}" for c in CHALLENGES)


# The command line


def command_line(
    command: str, flags: Sequence[str], node_arguments: Sequence[str], start: Path
) -> list[str]:
    """The words after `maelstrom test`: the challenge's own arguments, then the user's.

    Paths are made absolute. Those of the challenge are relative to SCRIPTS, the user's to `start`.
    Raises UsageError if the node's program can't be run.
    """
    own_flags, own_node_arguments = split_node_arguments(shlex.split(command))
    programs, own_flags = absolute_paths(own_flags, SCRIPTS)
    own_programs, flags = absolute_paths(flags, start)
    check_program((programs + own_programs)[-1])
    if own_programs:
        own_node_arguments = ()
    return join_node_arguments([*own_flags, *flags], [*own_node_arguments, *node_arguments])


def absolute_paths(
    words: Sequence[str], folder: Path, write: Callable[[Path], str] = str
) -> tuple[list[Path], list[str]]:
    """The programs that `--bin` names, in order, and the command line with absolute paths.

    Paths are relative to `folder`. `write` may turn the absolute path into another text.
    """
    programs = []
    result = []
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        path = value if equals else next(rest, None) if flag in PATHS else None
        if flag not in PATHS or path is None:
            result.append(word)
            continue
        written = write(folder / path)
        result += [f"{flag}={written}"] if equals else [flag, written]
        if flag == "--bin":
            programs.append(folder / path)
    return programs, result


def again(flags: Sequence[str], node_arguments: Sequence[str], root: Path) -> list[str]:
    """The words of the command that repeats a run, with paths from the folder of the caller.

    The first of the `flags` may name the run's folder; otherwise it is the last run in the store of
    `root`. The other flags, and the arguments for the node, override those of the run.
    Raises UsageError if there is no such run.
    """
    start = present().folder
    if flags and not flags[0].startswith("-"):
        folder, *flags = flags
        kept = read_command(start / folder)
    elif (latest := root / "store" / "latest").exists():
        kept = read_command(latest)
    else:
        raise UsageError(f"there is no run to repeat: {shown(latest)} does not exist")
    words = list(kept.words)
    if kept.folder != start:
        words = rebased_paths(words, kept.folder)
    given = {word.partition("=")[0] for word in flags}
    if "--seed" in given or take_flag(flags, "--engine")[0] == "maelstrom":
        words = without_flags(words, "--seed")
    if not given.isdisjoint(WORKBENCH_FLAGS):
        words = without_flags(words, "--engine")
    words = with_flags(words, *flags)
    if node_arguments:
        words += node_arguments if "--" in words else ["--", *node_arguments]
    return words


def rebased_paths(
    words: Sequence[str], folder: Path, write: Callable[[Path], str] = shown
) -> list[str]:
    """A command line that was written in `folder`, with its paths from the folder of the caller, or
    as `write` writes them."""
    flags, node_arguments = split_node_arguments(words)
    _, flags = absolute_paths(flags, folder, write)
    return join_node_arguments(flags, node_arguments)


# The engine


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs a test: Maelstrom's executable or, if it is None, the workbench; and why."""

    maelstrom: Path | None
    reason: str

    def __str__(self) -> str:
        name = "the workbench" if self.maelstrom is None else f"Maelstrom at {self.maelstrom}"
        return f"{name} ({self.reason})"


def take_flag(flags: Sequence[str], flag: str) -> tuple[str | None, list[str]]:
    """The value of a flag (the last one if it is repeated, or None), and the other flags."""
    value = None
    for number, word in enumerate(flags):
        name, equals, text = word.partition("=")
        if name == flag:
            value = text if equals else "".join(flags[number + 1 : number + 2])
    return value, without_flags(flags, flag)


def take_engine(flags: Sequence[str]) -> tuple[str | None, list[str]]:
    """The value of `--engine`, and the other flags. Raises UsageError for an unknown engine."""
    wanted, others = take_flag(flags, "--engine")
    if wanted not in (None, "maelstrom", "workbench"):
        raise UsageError(f"--engine is maelstrom or workbench, not {wanted!r}")
    return wanted, others


def take_keep(flags: Sequence[str]) -> tuple[int | None, list[str]]:
    """How many runs the store keeps (None for all), and the flags other than --keep."""
    text, others = take_flag(flags, "--keep")
    try:
        return (KEPT if text is None else keep(text)), others
    except ArgumentTypeError as error:
        raise UsageError(f"argument --keep: {error}") from None


def choose_engine(
    wanted: str | None, flags: Iterable[str], environ: Mapping[str, str], start: Path, root: Path
) -> Engine:
    """The engine that `--engine` names, that the flags require, or that is found (see below).

    Raises UsageError if the flags contradict each other, or if Maelstrom is wanted and not found.
    """
    special = next((f for f in flags if f.partition("=")[0] in WORKBENCH_FLAGS), None)
    if wanted == "maelstrom" and special:
        raise UsageError(f"Maelstrom has no {special}: leave it out, or use --engine workbench")
    if wanted == "workbench":
        return Engine(None, "--engine")
    if special:
        return Engine(None, f"only it has {special}")
    if found := find_maelstrom(environ, start, root):
        return found
    if wanted == "maelstrom":
        raise UsageError(
            "there is no Maelstrom in ./maelstrom or on the PATH: unpack its release there, "
            "or name its folder: MAELSTROM=/path/to/maelstrom"
        )
    return Engine(None, "no Maelstrom found; MAELSTROM=/path/to/maelstrom names one")


def find_maelstrom(environ: Mapping[str, str], start: Path, root: Path) -> Engine | None:
    """Maelstrom as $MAELSTROM names it, in ./maelstrom, or on the PATH; None if there is none."""
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
    """Runs one challenge's tests on one engine. The workbench runs its command `command`.

    The last `keep` tests of Maelstrom's are kept, or all if it is None.
    """

    challenge: Challenge
    engine: Engine
    environment: Environment | Here
    environ: Mapping[str, str]
    command: Sequence[str]
    keep: int | None

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
        words = [*self.command, *arguments]
        return run_workbench(self.environment, self.environ, words, last=alone)

    def _run_maelstrom(self, maelstrom: Path, arguments: Sequence[str]) -> int:
        latest = self.environment.root / "store" / "latest"
        before = latest.resolve()
        try:
            test = [str(maelstrom), "test", *arguments]
            status = follow(test, self.environment, node_environ(self.environment, self.environ))
        except OSError as error:
            raise UsageError(
                f"{maelstrom} can't be started: {error.strerror}. "
                "--engine workbench runs the same test without it"
            ) from None
        kept = latest.resolve()
        if kept != before and (kept / "results.edn").is_file():
            engine = f"Maelstrom at {maelstrom}"
            done = Command.of(present(), None, engine, kept)
            (kept / FILE).write_text(done.as_json(), "utf-8", "surrogatepass")
            words = ["summary", str(kept), "--challenge", self.challenge.name]
            verdict = run_workbench(self.environment, self.environ, words)
            if self.keep is not None:
                retention.prune(latest.parent, self.keep)
            return status or verdict
        print(
            f"error: Maelstrom ended with exit status {status} and without results: "
            "what it printed above may say why. --engine workbench runs the same test without it",
            file=sys.stderr,
        )
        return status or BROKEN


def run_workbench(
    environment: Environment | Here,
    environ: Mapping[str, str],
    arguments: Sequence[str],
    last: bool = False,
) -> int:
    """Carry out a command of the workbench; if it is the `last`, it may replace this process."""
    of_nodes = node_environ(environment, environ)
    if isinstance(environment, Here):
        os.environ.update(of_nodes)
        return environment.workbench(arguments)
    command = [str(environment.python), "-m", "glomers", *arguments]
    told = {**of_nodes, **present().environ()}
    if last:
        os.chdir(environment.root)
        os.execve(command[0], command, told)
    return follow(command, environment, told)


def follow(
    command: Sequence[str], environment: Environment | Here, environ: Mapping[str, str]
) -> int:
    """Run a command and return its exit status. A signal that ends it raises SystemExit."""
    status = foreground.run(command, cwd=environment.root, env=environ)
    if status < 0:
        raise SystemExit(SIGNALLED - status)
    return status


def node_environ(environment: Environment | Here, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with our Python first on the PATH, for nodes that use `/usr/bin/env python3`."""
    path = environ.get("PATH", os.defpath)
    return {**environ, "PATH": f"{environment.bin}{os.pathsep}{path}"}
