"""The command line: `python -m workbench test …` takes the command line of `maelstrom test …`."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import UsageError
from workbench.options import (
    Parser,
    add_check_flags,
    add_test_flags,
    checked,
    from_namespace,
    split_node_arguments,
)

# As Jepsen's. INTERRUPTED is a shell's.
VALID, INVALID, UNKNOWN = 0, 1, 2
BAD_ARGUMENTS, BROKEN, INTERRUPTED = 254, 255, 130

USAGE = """usage: python -m workbench COMMAND …

  test        run a test, with the flags of `maelstrom test`
  sweep       simulate a test with many seeds
  check       judge a history that was recorded, by us or by Maelstrom
  challenge   run a challenge of Gossip Glomers by its number (what ./run.sh does)
  summary     show the summary of a test that was kept

Add --help to a command for its flags.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status. Errors are told in a sentence, not a traceback."""
    command, *rest = sys.argv[1:] if arguments is None else arguments or ["--help"]
    try:
        if command == "test":
            return test(rest)
        if command == "sweep":
            return sweep(rest)
        if command == "check":
            return check(rest)
        if command in ("challenge", "summary"):
            from workbench import launcher

            return launcher.main([command, *rest])
        if command in ("-h", "--help", "help"):
            print(USAGE, end="")
            return VALID
        raise UsageError(
            f"unknown command {command!r}; expected test, sweep, check, challenge or summary"
        )
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_ARGUMENTS
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return INTERRUPTED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror}", file=sys.stderr)
        return BROKEN
    except Exception:
        traceback.print_exc()
        print("error: that was a mistake of the workbench, not of your node", file=sys.stderr)
        return BROKEN


def exit_status(valid: Any) -> int:
    """The exit status for a `valid?`: True, False or "unknown"."""
    return VALID if valid is True else UNKNOWN if valid == "unknown" else INVALID


def test(arguments: Sequence[str]) -> int:
    """`test`: run one test and tell the verdict."""
    flags, node_arguments = split_node_arguments(arguments)
    parser = _test_parser("test", "Run one test.")
    parser.add_argument("--store", type=Path, default=Path("store"), metavar="FOLDER",
                        help="where tests are kept (default: store)")  # fmt: skip
    parser.add_argument("--challenge", metavar="NAME", help="show this challenge's targets")
    parser.add_argument("--simulate", action="store_true",
                        help="run the Python script --bin here, in virtual time")  # fmt: skip
    parsed = parser.parse_args(flags)
    options = from_namespace(parsed, node_arguments)

    from workbench import challenges
    from workbench.runner import run

    if parsed.challenge:
        challenges.find(parsed.challenge)
    results = run(options, parsed.store, parsed.challenge, parsed.simulate)
    return INTERRUPTED if results.get("error") == "interrupted" else exit_status(results["valid?"])


def sweep(arguments: Sequence[str]) -> int:
    """`sweep`: simulate the same test with many seeds."""
    from rich.console import Console

    from workbench import sweep
    from workbench.checkers.verdict import merge_valid

    flags, node_arguments = split_node_arguments(arguments)
    parser = _test_parser("sweep", "Simulate a test with many seeds.")
    parser.add_argument(
        "--seeds",
        type=checked(sweep.seeds, bool, "seeds such as 0..999"),
        default=range(100),
        metavar="FIRST..LAST",
        help="the seeds, both included (default: 0..99)",
    )
    parser.add_argument("--dask", metavar="ADDRESS", help="run on the Dask cluster at ADDRESS")
    parsed = parser.parse_args(flags)
    options = from_namespace(parsed, node_arguments)
    console = Console()
    with sweep.executor(parsed.dask) as pool:
        outcomes, complete = sweep.sweep(options, parsed.seeds, pool, console)
    sweep.show(outcomes, _without(arguments, "--seeds", "--dask"), console)
    if not complete:
        return INTERRUPTED
    return exit_status(merge_valid(outcome.valid for outcome in outcomes))


def _test_parser(command: str, description: str) -> Parser:
    from workbench.workloads import WORKLOADS

    parser = Parser(prog=f"python -m workbench {command}", description=description)
    add_check_flags(parser, sorted(WORKLOADS))
    add_test_flags(parser)
    return parser


def _without(arguments: Sequence[str], *flags: str) -> list[str]:
    """A command line without some flags and their values."""
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in flags:
            next(rest, None)
        elif argument.partition("=")[0] not in flags:
            kept.append(argument)
    return kept


def check(arguments: Sequence[str]) -> int:
    """`check`: judge a recorded history."""
    from workbench.history import read_history
    from workbench.summary import render
    from workbench.test import check
    from workbench.workloads import WORKLOADS

    parser = Parser(
        prog="python -m workbench check",
        description="Judge a history: history.edn or history.jsonl, plain or gzipped.",
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="a history, or a folder with one")
    add_check_flags(parser, sorted(WORKLOADS))
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parsed = parser.parse_args(arguments)
    options = from_namespace(parsed)
    results = check(read_history(parsed.path), options)
    if parsed.json:
        from workbench import edn

        print(json.dumps(edn.to_json(results), indent=2))
    else:
        render(results, None, None)
    return exit_status(results["valid?"])
