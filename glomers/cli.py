"""The command line: `glomers test …` takes the command line of `maelstrom test …`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from glomers import __version__, challenges, exits
from glomers.errors import UsageError, did_you_mean
from glomers.exits import VALID
from glomers.invocation import Invocation, carrying_out, named, of_process, present, shown_program
from glomers.options import (
    IGNORED,
    TEST_USAGE,
    Options,
    Parser,
    add_check_flags,
    add_test_flags,
    challenge_first,
    check_flags,
    checked,
    from_namespace,
    parser_of_exploration,
    parser_of_test,
    program,
    without_flags,
)

USAGE = f"""usage: {program()} COMMAND …

  3c, …       run a challenge of Gossip Glomers; with --bin FILE, on your node
  test        run a test, with the flags of `maelstrom test`
  sweep       simulate a test, or a challenge, with many seeds
  explore     simulate a small test, or a challenge, in every order in which things can happen
  shrink      find the smallest run that fails as a given one does
  again       repeat the last run, with its seed; further flags are added
  check       judge a history that was recorded, by us or by Maelstrom
  summary     show the summary of a test that was kept
  report      make the page of a test that was kept: all of it, to look at in a browser
  serve       show all tests that were kept in the browser, and those that are running
  copy        copy a challenge's script and the node library here, to run and to change
  new         begin a node: a script with one handler, and a test of it
  challenge   run a challenge by its number, or list them all

Add --help to a command for its flags. --version tells the version.
"""

# Maelstrom's other commands, and what to do instead.
ELSEWHERE = {
    name: f"{name} is a command of Maelstrom's only: {instead}"
    for name, instead in {
        "demo": "the demos are this project's solutions of the challenges: "
        "./run.sh without arguments lists them, and ./run.sh 1 runs the first",
        "doc": "the documentation is in docs/, and Maelstrom's own at "
        "https://github.com/jepsen-io/maelstrom/tree/main/doc",
        "analyze": f"`{program()} check FOLDER -w WORKLOAD` judges a recorded history again",
    }.items()
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status. An error is printed as a sentence, not a traceback."""
    words = sys.argv[1:] if arguments is None else arguments

    def command() -> int:
        with carrying_out(of_process(words)):
            return _carry_out(*challenge_first(words))

    return exits.run(command)


def _carry_out(command: str = "", *arguments: str) -> int:
    if command in COMMANDS:
        return COMMANDS[command](arguments)
    if command in ("-h", "--help", "help"):
        print(USAGE, end="")
        return VALID
    if command == "--version":
        print(f"glomers {__version__}")
        return VALID
    if challenges.is_number(command):
        return challenge([command, *arguments])
    names = f"{', '.join(COMMANDS)}, or a challenge such as 3c"
    if not command:
        print(USAGE)
        raise UsageError(f"expected a command: one of {names}")
    if command in ELSEWHERE:
        raise UsageError(ELSEWHERE[command])
    check_flags([command])
    hint = did_you_mean(command, COMMANDS)
    raise UsageError(f"unknown command {command!r}; {hint}expected one of {names}")


def test(arguments: Sequence[str]) -> int:
    """`test`: run a test, or several one after the other, and print the verdict."""
    from glomers.run import replay
    from glomers.workloads import WORKLOADS
    from glomers.world.faults import HELP_OF_FAULTS

    parser = parser_of_test(sorted(WORKLOADS), HELP_OF_FAULTS)
    scenario, arguments = replay.scenario_of(arguments)
    with replay.naming(scenario, arguments):
        options, parsed = _options(parser, arguments)

    from glomers.run import single

    if options.preempt and not (parsed.simulate or parsed.scenario):
        raise UsageError("--preempt needs --simulate: only a simulation decides about threads")
    if parsed.challenge:
        challenges.find(parsed.challenge)
    status = VALID
    for number in range(parsed.test_count):
        again = replace(options, seed=options.seed + number)
        if parsed.test_count > 1:
            which = f"Test {number + 1} of {parsed.test_count}"
            print(f"\n{which}, with --seed {again.seed}", flush=True)
        root = Path(parsed.store)
        results, _ = single.run(
            again, root, parsed.challenge, parsed.simulate, parsed.keep, scenario
        )
        if results.get("error") == "interrupted":
            raise KeyboardInterrupt
        status = exits.of_verdict(results["valid?"])
        if status != VALID:
            break
    return status


def sweep(arguments: Sequence[str]) -> int:
    """`sweep`: simulate the same test, or a challenge's, with many seeds."""
    if arguments and challenges.is_number(arguments[0]):
        return challenge(["sweep", *arguments])

    from glomers.launch.program import check_script
    from glomers.report.screen import Screen
    from glomers.run import checks, sweep
    from glomers.run.saved_sweep import SavedSweep
    from glomers.workloads import WORKLOADS
    from glomers.world.faults import HELP_OF_FAULTS

    parser = Parser(
        prog=f"{program()} sweep",
        usage=TEST_USAGE,
        description="Simulate a test with many seeds.",
    )
    add_check_flags(parser, sorted(WORKLOADS), default=Options.workload)
    add_test_flags(parser, HELP_OF_FAULTS)
    parser.add_argument(
        "--seeds",
        type=checked(sweep.seeds, bool, "seeds such as 0..999"),
        default=range(100),
        metavar="FIRST..LAST",
        help="the seeds, both included (default: 0..99)",
    )
    parser.add_argument("--dask", metavar="ADDRESS", help="run on the Dask cluster at ADDRESS")
    parser.add_argument(
        "--save",
        type=named,
        metavar="FILE",
        help="add each outcome to FILE; seeds that it has already are not run again",
    )
    options, parsed = _options(parser, arguments)
    check_script(Path(options.bin))
    if options.check:
        checks.load(Path(options.check))
    console = Screen()
    save = SavedSweep(parsed.save, options) if parsed.save else nullcontext()
    with save as saved, sweep.executor(parsed.dask) as pool:
        tally, complete = sweep.sweep(options, parsed.seeds, pool, console, saved)
    sweep.show(tally, _test_of_sweep(), console)
    if not complete:
        raise KeyboardInterrupt
    return exits.of_verdict(tally.valid)


def explore(arguments: Sequence[str]) -> int:
    """`explore`: simulate a small test, or a challenge's, in every order."""
    if arguments and challenges.is_number(arguments[0]):
        return challenge(["explore", *arguments])

    from glomers.history.store import Store
    from glomers.launch.program import check_script
    from glomers.report.screen import Screen
    from glomers.run import explore
    from glomers.run.small import Bounds
    from glomers.workloads import WORKLOADS
    from glomers.world.faults import HELP_OF_FAULTS

    parser = parser_of_exploration(sorted(WORKLOADS), HELP_OF_FAULTS)
    options, parsed = _options(parser, arguments)
    check_script(Path(options.bin))
    Store.check(Path(parsed.store))
    bounds = Bounds(**{k: v for k, v in vars(parsed).items() if k in Bounds.__dataclass_fields__})
    limits = explore.Limits(parsed.most_runs, parsed.most_seconds)
    console = Screen()
    found = explore.explore(options, bounds, limits, console)
    explore.show(found, options, bounds, Path(parsed.store), parsed.challenge, console)
    if found.interrupted:
        raise KeyboardInterrupt
    return exits.of_verdict(found.valid)


def shrink(arguments: Sequence[str]) -> int:
    """`shrink`: find the smallest run that fails as a given one does."""
    if arguments and challenges.is_number(arguments[0]):
        return challenge(["shrink", *arguments])

    from glomers.run.shrunk import main

    return main(arguments)


def _options(parser: Parser, arguments: Sequence[str]) -> tuple[Options, argparse.Namespace]:
    """A test's options, and all other flags of its command line."""
    parsed, node_arguments = parser.parse(arguments)
    options = from_namespace(parsed, node_arguments)
    if options.consistency_models != Options.consistency_models:
        from glomers.checkers import consistency_models

        consistency_models.forbidden_anomalies(options.consistency_models)
    for flag in getattr(parsed, "ignored", ()):
        print(f"note: {flag} is ignored: {IGNORED[flag][1]}", file=sys.stderr)
    preempts = options.preempt or getattr(parsed, "scenario", None)
    if options.preempt_by != Options.preempt_by and not preempts:
        print("note: --preempt-by has no effect without --preempt", file=sys.stderr)
    return options, parsed


def _test_of_sweep() -> list[str]:
    """The command that runs one test of the sweep that the person called; its seed is left out."""
    _, *words = without_flags(present().words, "--seeds", "--dask", "--save")
    return words if words and challenges.is_number(words[0]) else ["test", *words]


def check(arguments: Sequence[str]) -> int:
    """`check`: judge a recorded history."""
    from rich.console import Console

    from glomers.report.summary import render
    from glomers.run.figures import figures
    from glomers.run.progress import analysis
    from glomers.run.reasons import reasons
    from glomers.run.recorded import judge
    from glomers.workloads import WORKLOADS

    parser = Parser(
        prog=f"{program()} check",
        description="Judge a history: history.edn or history.jsonl, plain or gzipped.",
    )
    parser.add_argument("path", type=named, metavar="PATH", help="a history, or a folder with one")
    add_check_flags(parser, sorted(WORKLOADS))
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parsed = parser.parse_intermixed_args(arguments)
    options = from_namespace(parsed)
    with analysis(f"checking: {options.workload}", Console(stderr=True, soft_wrap=True)):
        results = judge(parsed.path, options)
    if parsed.json:
        from glomers.history import edn

        print(json.dumps(edn.to_json(results), indent=2))
    else:
        told = figures(results, options.workload), reasons(results, options.workload)
        render(results, *told, None)
    return exits.of_verdict(results["valid?"])


def challenge(arguments: Sequence[str]) -> int:
    """`challenge`: run a challenge with the present Python, in the present folder.

    With `--from FOLDER` it does what `./run.sh` does for a person in that folder.
    """
    from glomers.launch.launcher import ROOT, Here, launch

    if "--from" in arguments[:1] and len(arguments) > 1:
        start, words, here = Path(arguments[1]), tuple(challenge_first(arguments[2:])), None
        with carrying_out(replace(present(), folder=start)):
            program = shown_program(ROOT / "run.sh")
    else:
        here = Here(Path.cwd(), lambda words: COMMANDS[words[0]](words[1:]))
        start, words, program = here.root, tuple(arguments), present().program
    with carrying_out(Invocation(program, start, words)):
        return launch(words, ELSEWHERE, COMMANDS, here)


def again(arguments: Sequence[str]) -> int:
    """`again`: repeat a run that was kept."""
    return challenge(["again", *arguments])


def summary(arguments: Sequence[str]) -> int:
    """`summary`: show the summary of a test that was kept, by either engine."""
    from glomers.report.summary import main
    from glomers.run.figures import of_kept

    return main(arguments, of_kept)


def report(arguments: Sequence[str]) -> int:
    """`report`: the page of a test that was kept, by either engine."""
    from glomers.run.kept import main

    return main(arguments)


def serve(arguments: Sequence[str]) -> int:
    """`serve`: all tests that are kept, in the browser."""
    from glomers.run.serve import main

    return main(arguments)


def copy(arguments: Sequence[str]) -> int:
    """`copy`: a challenge's script, and the node library beside it."""
    from glomers import copies

    parser = Parser(
        prog=f"{program()} copy",
        description="Copy a challenge's script and maelstrom_node.py, to run and to change.",
    )
    parser.add_argument("challenge", metavar="CHALLENGE", help="its number, such as 3 or 3c")
    _add_folder(parser)
    parser.add_argument(
        "--single-file",
        action="store_true",
        help="put the needed part of the library into the script itself",
    )
    parsed = parser.parse_intermixed_args(arguments)
    copies.copy(parsed.challenge, parsed.folder, parsed.single_file, parsed.force)
    return VALID


def new(arguments: Sequence[str]) -> int:
    """`new`: a node to begin with, and a test of it."""
    from glomers import copies

    parser = Parser(
        prog=f"{program()} new",
        description="Begin a node: a script with one handler, a test, and maelstrom_node.py.",
    )
    parser.add_argument("name", metavar="NAME", help="the script's name, with or without .py")
    _add_folder(parser)
    parsed = parser.parse_intermixed_args(arguments)
    copies.new(parsed.name, parsed.folder, parsed.force)
    return VALID


def _add_folder(parser: Parser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=named, default=".", metavar="FOLDER",
        help="where to put it (default: here)",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="overwrite files that are in the way")


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "test": test,
    "sweep": sweep,
    "explore": explore,
    "shrink": shrink,
    "check": check,
    "again": again,
    "challenge": challenge,
    "summary": summary,
    "report": report,
    "serve": serve,
    "copy": copy,
    "new": new,
}
