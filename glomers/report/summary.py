"""The summary of a test: the verdict, the figures a person looks for, and the challenge's targets.

It is read from the results alone, ours or those in the `results.edn` that Maelstrom wrote, so that
both engines end with the same words.
"""

from __future__ import annotations

import argparse
import json
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from glomers import challenges
from glomers.challenges import Challenge, Target
from glomers.errors import UsageError, quote
from glomers.exits import of_verdict
from glomers.history import edn
from glomers.options import Parser
from glomers.report.screen import Screen

Results = Mapping[str, Any]

# Maelstrom's last line for each verdict.
LAST_LINES = {
    True: "Everything looks good! ヽ(‘ー`)ノ",
    False: "Analysis invalid! (ﾉಥ益ಥ）ﾉ ┻━┻",
    "unknown": "Errors occurred during analysis, but no anomalies found. ಠ~ಠ",
}
VERDICT_STYLES = {True: "bold green", False: "bold red", "unknown": "bold yellow"}

WHY = 400  # characters of a reason
SHOWN = 20  # of a list of values, before it says how many more there are
PLAIN_WIDTH = 200  # columns, where there is no terminal


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a test; `value` is what a target is held against, `remark` is in words."""

    name: str
    value: float | None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A figure as it is shown, beside its target. `reached` is None if there is no target."""

    figure: str
    value: str
    remark: str
    target: str = ""
    reached: bool | None = None


def rows(results: Results, challenge: Challenge | None = None) -> list[Row]:
    """The figures that these results hold, beside the challenge's targets for them."""
    targets = {target.figure: target for target in challenge.targets} if challenge else {}
    return [_row(figure, targets.get(figure.name)) for figure in figures(results)]


def _row(figure: Figure, target: Target | None) -> Row:
    written = WRITTEN.get(figure.name, number)
    value = "" if figure.value is None else written(figure.value)
    if target is None or figure.value is None:
        return Row(figure.name, value, figure.remark)
    aim = f"{target.relation} {written(target.limit)}"
    return Row(figure.name, value, figure.remark, aim, target.reached(figure.value))


# The figures


def figures(results: Results) -> Iterator[Figure]:
    """Every figure that these results hold, whatever the workload was."""
    yield from _operations(results)
    yield from _traffic(results)
    workload = results.get("workload") or {}
    for part in (_echo, _ids, _elements, _counter, _log, _transactions, _registers):
        yield from part(workload)


def _operations(results: Results) -> Iterator[Figure]:
    if stats := results.get("stats"):
        counts = [f"{stats[f'{name}-count']:,} {name}" for name in ("ok", "fail", "info")]
        yield Figure("operations", stats["count"], ", ".join(counts))
    fraction = (results.get("availability") or {}).get("ok-fraction")
    if fraction is not None:
        yield Figure(challenges.AVAILABILITY, fraction)


def _traffic(results: Results) -> Iterator[Figure]:
    servers = (results.get("net") or {}).get("servers") or {}
    if servers.get("msgs-per-op") is not None:
        yield Figure(challenges.SERVER_MESSAGES, servers["msgs-per-op"])
    if servers.get("bytes-per-op") is not None:
        yield Figure("server bytes per operation", servers["bytes-per-op"])


def _echo(workload: Results) -> Iterator[Figure]:
    errors = workload.get("errors")
    if errors and "final-reads" not in workload:
        first = json.dumps(edn.to_json(errors[0]), ensure_ascii=False)
        yield Figure("wrong answers", len(errors), quote(first))


def _ids(workload: Results) -> Iterator[Figure]:
    if "acknowledged-count" in workload:
        yield Figure("ids given", workload["acknowledged-count"])
        repeated = (f"{_word(i)}×{n}" for i, n in (workload["duplicated"] or {}).items())
        yield Figure(challenges.DUPLICATED_IDS, workload["duplicated-count"], _some(repeated))


def _elements(workload: Results) -> Iterator[Figure]:
    """Of Jepsen's set-full: broadcast and g-set."""
    if "lost-count" not in workload:
        return
    yield Figure("values", workload["attempt-count"])
    yield Figure(challenges.LOST_VALUES, workload["lost-count"], _some(workload["lost"]))
    if workload["never-read-count"]:
        remark = _some(workload["never-read"])
        yield Figure("values never read", workload["never-read-count"], remark)
    if workload["duplicated-count"]:
        repeated = (f"{_word(value)}×{n}" for value, n in workload["duplicated"].items())
        yield Figure("values read twice", workload["duplicated-count"], _some(repeated))
    quantiles = {float(key): ms for key, ms in (workload.get("stable-latencies") or {}).items()}
    for name, quantile in LATENCIES.items():
        if quantile in quantiles:
            yield Figure(name, quantiles[quantile])


def _counter(workload: Results) -> Iterator[Figure]:
    if "final-reads" in workload:
        wrong = len(workload["errors"] or ())
        yield Figure(challenges.WRONG_COUNTS, wrong)
        yield Figure("final reads", None, _some(workload["final-reads"]))
        bounds = [
            f"{low}" if low == high else f"{low} to {high}" for low, high in workload["acceptable"]
        ]
        yield Figure("acceptable", None, " or ".join(bounds))


def _log(workload: Results) -> Iterator[Figure]:
    """Of Jepsen's kafka checker."""
    if "bad-error-types" not in workload:
        return
    kinds = workload["bad-error-types"] or ()
    words = (f"{_word(kind)}{_count(workload.get(kind))}" for kind in kinds)
    yield Figure(challenges.LOG_ERRORS, len(kinds), ", ".join(words))
    if lag := workload.get("worst-realtime-lag"):
        remark = f"of key {_word(lag['key'])}" if "key" in lag else ""
        yield Figure(WORST_LAG, lag["lag"] * 1000, remark)


def _transactions(workload: Results) -> Iterator[Figure]:
    """Of Elle."""
    if "anomaly-types" not in workload:
        return
    kinds = workload["anomaly-types"] or ()
    cases = workload.get("anomalies") or {}
    words = (f"{_word(kind)}{_count(cases.get(kind))}" for kind in kinds)
    yield Figure(challenges.ANOMALIES, len(kinds), ", ".join(words))
    if workload.get("not"):
        yield Figure("models that do not hold", None, _some(sorted(map(_word, workload["not"]))))


def _registers(workload: Results) -> Iterator[Figure]:
    """Of the lin-kv workload."""
    if "failures" in workload:
        keys = workload["failures"]
        yield Figure("keys that are not linearizable", len(keys), _some(keys))


# In words

LATENCIES = {
    challenges.MEDIAN_LATENCY: 0.5,
    "stable latency 95 %": 0.95,
    challenges.MAX_LATENCY: 1.0,
}
WORST_LAG = "worst lag of a poll"


def number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms"


def _percent(value: float) -> str:
    """Rounded down: 100 % is all of them."""
    return f"{math.floor(round(value * 1e4, 6)) / 100:g} %"


WRITTEN: dict[str, Callable[[float], str]] = {
    challenges.AVAILABILITY: _percent,
    WORST_LAG: _milliseconds,
    **dict.fromkeys(LATENCIES, _milliseconds),
}


def _word(value: Any) -> str:
    return quote(str(value), 40)


def _some(values: Iterable[Any] | None) -> str:
    words = [_word(value) for value in values or ()]
    more = len(words) - SHOWN
    return " ".join(words[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _count(cases: Any) -> str:
    """How many cases of an error there are, if the checker says so."""
    if isinstance(cases, Mapping):
        cases = cases.get("count")
    number = len(cases) if isinstance(cases, Sequence) else cases
    return f"×{number}" if number and not isinstance(number, bool) else ""


def reasons(results: Results) -> list[str]:
    """Which checkers did not find the test valid, and why as far as it fits in a word or two."""
    found = []
    for name, part in results.items():
        if not isinstance(part, Mapping) or part.get("valid?") in (True, None):
            continue
        kinds = part.get("by-f") or {}
        without = [_word(f) for f, stats in kinds.items() if not stats["ok-count"]]
        why = f"no {' and no '.join(without)} succeeded" if without else part.get("error")
        found.append(f"{name} ({quote(str(why), WHY)})" if why else name)
    return found


# On the screen


def render(
    results: Results,
    store_path: Path | None,
    challenge: str | None = None,
    console: Console | None = None,
) -> None:
    """Print the summary: the verdict, the figures beside the targets, where the test is kept.

    What ended before its time has figures, but missed no target yet.
    Raises UsageError if there is no such challenge.
    """
    known = challenges.find(challenge) if challenge else None
    console = console or Screen(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    table = rows(results, None if "error" in results else known)
    valid = results["valid?"]
    console.print()
    console.print(Text(LAST_LINES[valid], VERDICT_STYLES[valid]))
    if "error" in results:
        console.print(Text(str(results["error"])), soft_wrap=True)
    elif found := reasons(results):
        console.print(Text(f"Not valid: {', '.join(found)}"), soft_wrap=True)
    aims = [row for row in table if row.reached is not None]
    if missed := [row.figure for row in aims if not row.reached]:
        console.print(Text(f"Targets missed: {', '.join(missed)}", "yellow"))
    for warning in results.get("warnings", ()):
        text = f"Warning ({_word(warning['kind'])}, {warning['count']:,}×): {warning['text']}"
        console.print(Text(text, "yellow"), soft_wrap=True)
    if table:
        console.print()
    for line in lines(table, console.width):
        console.print(line)
    if store_path:
        console.print()
        console.print(Text(f"Kept in {store_path}"), soft_wrap=True)


def lines(table: Sequence[Row], width: int) -> Iterator[Text]:
    """The rows in columns: figure, value, and then the target, the remark below it if there is one.

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


def main(arguments: Sequence[str]) -> int:
    """`summary`: show the summary of a test that was kept, by either engine, and its verdict."""
    parser = Parser(
        prog="python -m glomers summary",
        description="Show the summary of a test that was kept, by the workbench or by Maelstrom.",
    )
    parser.add_argument(
        "path",
        type=Path,
        nargs="?",
        default=Path("store/latest"),
        metavar="FOLDER",
        help="the test's folder (default: store/latest)",
    )
    parser.add_argument("--challenge", metavar="NAME", help="show this challenge's targets")
    parsed: argparse.Namespace = parser.parse_args(arguments)
    file = parsed.path / "results.edn"
    try:
        results = edn.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"can't read {file}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{file} holds no results: {error}") from None
    if not isinstance(results, Mapping) or results.get("valid?") not in tuple(LAST_LINES):
        raise UsageError(f"{file} holds no results: expected a map with a verdict as its :valid?")
    try:
        rows(results), reasons(results)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UsageError(f"{file} holds no results of a test: {error!r}") from None
    render(results, parsed.path.resolve(), parsed.challenge)
    return of_verdict(results["valid?"])
