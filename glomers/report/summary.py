"""The summary of a test: the verdict, the figures a person looks for, and the challenge's targets.

A summary is made of the results alone, ours or those in the `results.edn` that Maelstrom wrote, so
tests on both engines end with the same words. The checkers decide which figures there are; the
caller passes them in.
"""

from __future__ import annotations

import argparse
import shlex
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from glomers import challenges
from glomers.challenges import Challenge, Target
from glomers.errors import UsageError
from glomers.exits import of_verdict
from glomers.history import edn
from glomers.history.command import FILE
from glomers.invocation import named, shown
from glomers.options import Parser, program
from glomers.report import incidents
from glomers.report.figures import Figure, word
from glomers.report.reasons import Reason, details, headline
from glomers.report.screen import Screen, say

Results = Mapping[str, Any]
Told = tuple[list[Figure], list[Reason]]

# Maelstrom's last line for each verdict.
LAST_LINES = {
    True: "Everything looks good! ヽ(‘ー`)ノ",
    False: "Analysis invalid! (ﾉಥ益ಥ）ﾉ ┻━┻",
    "unknown": "Errors occurred during analysis, but no anomalies found. ಠ~ಠ",
}
VERDICT_STYLES = {True: "bold green", False: "bold red", "unknown": "bold yellow"}

PLAIN_WIDTH = 200  # columns, where there is no terminal


@dataclass(frozen=True, slots=True)
class Row:
    """A figure as it is shown, beside its target. `reached` is None if it has no target."""

    figure: str
    value: str
    remark: str
    target: str = ""
    reached: bool | None = None


def rows(figures: Iterable[Figure], challenge: Challenge | None = None) -> list[Row]:
    """The figures, each beside the challenge's target for it."""
    targets = {target.figure: target for target in challenge.targets} if challenge else {}
    return [_row(figure, targets.get(figure.name)) for figure in figures]


def _row(figure: Figure, target: Target | None) -> Row:
    value = "" if figure.value is None else figure.write(figure.value)
    if target is None or figure.value is None:
        return Row(figure.name, value, figure.remark)
    aim = f"{target.relation} {figure.write(target.limit)}"
    return Row(figure.name, value, figure.remark, aim, target.reached(figure.value))


# On the screen


def render(
    results: Results,
    figures: Iterable[Figure],
    reasons: Sequence[Reason],
    store_path: Path | None,
    challenge: str | None = None,
    console: Console | None = None,
    page: Path | None = None,
) -> None:
    """Print the summary: the verdict and its `reasons`, what befell the nodes, `figures` beside
    the targets, where the test is kept, and the `page` that shows it.

    A test that ended early shows its figures, but isn't said to have missed targets.
    Raises UsageError if there is no such challenge.
    """
    known = challenges.find(challenge) if challenge else None
    console = console or Screen(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    table = rows(figures, None if "error" in results else known)
    valid = results["valid?"]
    console.print()
    console.print(Text(LAST_LINES[valid], VERDICT_STYLES[valid]))
    tell = partial(say, console)
    error, _, evidence = str(results.get("error", "")).partition("\n")
    if error:
        tell(error)
    elif reasons:
        tell(f"Not valid: {headline(reasons)}")
        for case in details(reasons):
            tell(case, indent=2)
    # What led to the error stands between it and its evidence; what may be as usual comes later.
    usual = not incidents.serious_sentences(results)
    if evidence and usual:
        console.print(Text(evidence), soft_wrap=True)
    for told in incidents.first_sentences(results, store_path):
        tell(told, "yellow", 2)
    if evidence and not usual:
        console.print(Text(evidence), soft_wrap=True)
    aims = [row for row in table if row.reached is not None]
    if missed := [f"{r.figure} {r.value}, target {r.target}" for r in aims if not r.reached]:
        tell(f"Targets missed: {'; '.join(missed)}", "yellow")
    for warning in incidents.warnings_beside(results):
        text = f"Warning ({word(warning['kind'])}, {warning['count']:,}×): {warning['text']}"
        tell(text, "yellow")
    if table:
        console.print()
    for line in lines(table, console.width):
        console.print(line)
    if usual_told := incidents.usual_sentences(results):
        console.print()
        for told in usual_told:
            tell(told, "dim", 2)
    if store_path:
        console.print()
        console.print(Text(f"Kept in {shown(store_path)}"), soft_wrap=True)
        if page:
            console.print(Text(f"To be seen in {shown(page)}"), soft_wrap=True)
        if last := "; ".join(_how_to_repeat(results, store_path)):
            console.print(Text(last), soft_wrap=True)


def _how_to_repeat(results: Results, store_path: Path) -> Iterator[str]:
    """The seed of the run that is kept in `store_path`, and the command that repeats it."""
    if "seed" in results:
        yield f"Seed {results['seed']}"
    if not (store_path / FILE).is_file():
        return
    latest = Path("store/latest")
    which = [] if latest.resolve() == store_path.resolve() else [shown(store_path)]
    yield f"to run it again: {program()} {shlex.join(['again', *which])}"


def lines(table: Sequence[Row], width: int) -> Iterator[Text]:
    """The rows in columns: figure, value, and then the target, with the remark below the target.

    `width` is in characters.
    """
    first = max((len(row.figure) for row in table), default=0)
    second = max((len(row.value) for row in table), default=0)
    indent = first + second + len("      ")
    for row in table:
        words = [Text(line, "dim") for line in textwrap.wrap(row.remark, max(20, width - indent))]
        if row.reached is not None:
            mark, style = ("reached", "green") if row.reached else ("missed", "bold red")
            words.insert(0, Text.assemble(f"target {row.target}: ", (mark, style)))
        beginning = f"  {row.figure:<{first}}  {row.value:>{second}}  "
        for line in words or [Text()]:
            whole = Text(beginning) + line
            whole.rstrip()
            yield whole
            beginning = " " * indent


# The command

RESULTS = "results.edn"
PAGE = "report.html"


def kept_results(folder: Path) -> Results:
    """The results of a test that either engine kept, with what its logs tell if they don't.

    Raises UsageError if there are none.
    """
    file = shown(folder / RESULTS)
    try:
        results = edn.loads((folder / RESULTS).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"can't read {file}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{file} holds no results: {error}") from None
    if not isinstance(results, Mapping) or results.get("valid?") not in tuple(LAST_LINES):
        raise UsageError(f"{file} holds no results: expected a map with a verdict as its :valid?")
    if "incidents" not in results and "error" not in results:  # as in one of Maelstrom's
        return {**results, "incidents": incidents.of_logs(folder)}
    return results


def add_folder(parser: Parser) -> None:
    """Add the argument that names the folder of a kept test, as `path`."""
    parser.add_argument(
        "path",
        type=named,
        nargs="?",
        default=Path("store/latest"),
        metavar="FOLDER",
        help="the test's folder (default: store/latest)",
    )


def main(arguments: Sequence[str], told: Callable[[Results, Path], Told]) -> int:
    """`summary`: show the summary of a kept test of either engine; return the verdict's status.

    `told(results, folder)` returns the figures of the results that are kept in the folder, and the
    reasons for the verdict.
    """
    parser = Parser(
        prog=f"{program()} summary",
        description="Show the summary of a test that was kept, by the workbench or by Maelstrom.",
    )
    add_folder(parser)
    parser.add_argument("--challenge", metavar="NAME", help="show this challenge's targets")
    parsed: argparse.Namespace = parser.parse_intermixed_args(arguments)
    results = kept_results(parsed.path)
    try:
        figures, reasons = told(results, parsed.path)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UsageError(
            f"{shown(parsed.path / RESULTS)} holds no results of a test: {error!r}"
        ) from None
    folder = parsed.path.resolve()
    page = folder / PAGE if (folder / PAGE).is_file() else None
    render(results, figures, reasons, folder, parsed.challenge, page=page)
    return of_verdict(results["valid?"])
