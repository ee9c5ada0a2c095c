"""The page of a test that was kept: what its folder holds is brought together for it.

A folder of Maelstrom's has a history, results and logs; its messages are in a form that only
Maelstrom reads, so that page shows operations alone.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from glomers import challenges
from glomers.checkers import set_full
from glomers.errors import UsageError, quote
from glomers.exits import VALID
from glomers.history import edn, lost_turns
from glomers.history.command import FILE, read_command
from glomers.history.kept_runs import RESULTS
from glomers.history.operations import History, read_history
from glomers.invocation import named, shown
from glomers.options import Parser, program
from glomers.report import journal, page, plots, trace
from glomers.report.summary import PAGE, add_folder, kept_results, rows
from glomers.run.figures import of_kept
from glomers.run.overview import challenge_of
from glomers.run.story import kept_story
from glomers.workloads import WORKLOADS
from glomers.world.faults import FAULTS

TRACE = "trace.json"
UNFINISHED = "There are no results: this is what the test did until now, or until it was ended."


def write_page(folder: Path, challenge: str | None = None) -> Path:
    """Write the page of the test that was kept in `folder`, with the targets of a challenge.

    Raises UsageError if the folder holds no test, and OSError if the page can't be written.
    """
    file = folder.resolve() / PAGE
    page.write(collected(folder, challenge), file)
    return file


def collected(folder: Path, challenge: str | None = None) -> page.Run:
    """What the folder of a test holds, with the targets of a challenge.

    A test of ours that has no results was killed, or still goes on: what it did until now.
    Raises UsageError if the folder holds no test.
    """
    if (folder / FILE).is_file() and not (folder / RESULTS).exists():
        return collected_so_far(folder)
    return _collected(folder.resolve(), edn.to_json(kept_results(folder)), challenge)


def collected_so_far(folder: Path) -> page.Run:
    """What the folder of a test holds that has no results: it still goes on, or was killed."""
    run = _collected(folder.resolve(), {"valid?": "unknown"}, None, so_far=True)
    return replace(run, last_line=UNFINISHED)


def _collected(
    folder: Path, results: Mapping[str, Any], challenge: str | None, so_far: bool = False
) -> page.Run:
    known = challenges.find(challenge) if challenge else None
    history = _history(folder, so_far)
    name = folder.parent.name
    workload = WORKLOADS.get(name)
    is_set = workload is not None and workload.checker is set_full.CHECKER
    try:
        figures, reasons = of_kept(results, folder)
        return page.Run(
            folder=quote(folder.name),
            workload=quote(name),
            verdict=results["valid?"],
            reasons=[reason.text for reason in reasons if reason.summary],
            rows=rows(figures, None if "error" in results else known),
            problems=page.problems(results, reasons),
            history=history,
            messages=journal.read(folder / "messages.jsonl"),
            faults=page.spans(history, {name: fault.f for name, fault in FAULTS.items()}),
            stable=set_full.stable_latencies(history) if is_set else (),
            logs=page.logs(folder),
            command=_command(folder),
            lost_turns=lost_turns.read(folder),
            story=kept_story(folder),
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UsageError(f"{folder} holds no results of a test: {error!r}") from None


def _history(folder: Path, so_far: bool) -> History:
    """The history of a test; an empty one if it ended before the first operation."""
    file = folder / "history.jsonl"
    if file.is_file() and not file.stat().st_size:
        return History([])
    return read_history(folder, so_far)


def _command(folder: Path) -> str:
    """The command that brings a test back, as a shell takes it; "" if there is none."""
    if not (folder / FILE).is_file():
        return ""
    command = read_command(folder)
    return f"cd {shlex.quote(str(command.folder))} && {command.program} {shlex.join(command.words)}"


def main(arguments: Sequence[str]) -> int:
    """`report`: make the page of a test that was kept again, or files for other programs."""
    parser = Parser(
        prog=f"{program()} report",
        description="Make the page of a test that was kept, by the workbench or by Maelstrom.",
    )
    add_folder(parser)
    parser.add_argument(
        "--challenge",
        metavar="NAME",
        help="show this challenge's targets (default: those of the one that was run)",
    )
    parser.add_argument(
        "--trace", action="store_true", help=f"instead, write {TRACE}, which Perfetto opens"
    )
    parser.add_argument(
        "--png",
        action="store_true",
        help=f"instead, draw {plots.LATENCY} and {plots.RATE} (needs matplotlib)",
    )
    parser.add_argument(
        "--out", type=named, metavar="DIR", help="where to put these (default: the test's folder)"
    )
    parsed: argparse.Namespace = parser.parse_intermixed_args(arguments)
    challenge = parsed.challenge or challenge_of(parsed.path)
    if not (parsed.trace or parsed.png):
        if parsed.out:
            raise UsageError("--out is for --trace and --png: the page belongs beside the results")
        print(shown(write_page(parsed.path, challenge)))
        return VALID
    run = collected(parsed.path, challenge)
    folder = parsed.out or parsed.path.resolve()
    if not folder.is_dir():
        raise UsageError(f"there is no folder {shown(folder)}")
    if parsed.trace:
        trace.write(run, folder / TRACE)
        print(shown(folder / TRACE))
    if parsed.png:
        for path in plots.write(run, folder):
            print(shown(path))
    return VALID
