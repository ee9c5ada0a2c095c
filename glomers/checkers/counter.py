"""Counters: every final read must be the sum of the adds.

An add of unknown outcome may be counted or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from glomers import challenges
from glomers.checkers import Checker, wrong_counts
from glomers.history.evidence import Evidence
from glomers.history.operations import History, as_map
from glomers.options import Options
from glomers.report.figures import Figure, some
from glomers.report.reasons import Reason, summary

Range = tuple[int, int]  # both ends included


def check(history: History, options: Options) -> dict[str, Any]:
    """Maelstrom's counter checker: every final read must lie in one of the acceptable ranges.

    An add of unknown outcome may have happened or not, so each acceptable range is also acceptable
    shifted by it. This includes an add that was still open when the test ended; a history of
    Maelstrom's has no such adds.
    """
    acceptable: list[Range] = [(0, 0)]
    for invocation, completion in history.pairs():
        if invocation.f != "add" or (completion and completion.type == "fail"):
            continue
        added = [(low + invocation.value, high + invocation.value) for low, high in acceptable]
        happened = completion is not None and completion.type == "ok"
        acceptable = added if happened else merged(acceptable + added)
    reads = [read for read in history.client_operations() if read.final and read.type == "ok"]
    errors = [read for read in reads if not _holds(acceptable, read.value)]
    return {
        "valid?": not errors,
        "errors": [as_map(read) for read in errors] or None,
        "final-reads": [read.value for read in reads],
        "acceptable": [[low, high] for low, high in acceptable],
    }


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The ranges in order; those that touch or overlap are joined."""
    result: list[Range] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return result


def _holds(ranges: Iterable[Range], value: Any) -> bool:
    return type(value) is int and any(low <= value <= high for low, high in ranges)


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    yield Figure(challenges.WRONG_COUNTS, len(result["errors"] or ()))
    yield Figure("final reads", None, some(result["final-reads"]))
    yield Figure("acceptable", None, _bounds(result))


def _bounds(result: Mapping[str, Any]) -> str:
    ranges = result["acceptable"]
    return " or ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in ranges)


def explain(result: Mapping[str, Any], evidence: Evidence) -> Iterator[Reason]:
    if result["errors"]:
        reads = some(result["final-reads"])
        yield summary("wrong-count", f"final reads {reads}, acceptable {_bounds(result)}")
        wrong = [evidence.operation(error["index"]) for error in result["errors"]]
        found = [read for read in wrong if read]
        yield from wrong_counts.explain(found, result["acceptable"], evidence)


CHECKER = Checker(check, figures, explain)
