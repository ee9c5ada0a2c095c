"""Availability: the fraction of operations that succeeded, and whether that is enough."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from glomers import challenges
from glomers.checkers import Checker, failures
from glomers.history.evidence import Evidence
from glomers.history.operations import History
from glomers.options import Options
from glomers.report.figures import Figure, percent
from glomers.report.reasons import Reason, summary


def check(history: History, options: Options) -> dict[str, Any]:
    """Maelstrom's availability checker.

    `options.availability` is None (any fraction is enough), "total" (all operations must succeed)
    or the least fraction that must succeed.
    """
    counts = Counter(operation.type for operation in history.client_operations())
    fraction = single(counts["ok"] / counts["invoke"]) if counts["invoke"] else 1
    expected = options.availability
    if expected is None:
        valid = True
    elif expected == "total":
        valid = counts["ok"] == counts["invoke"]
    else:
        valid = float(expected) <= fraction
    return {"valid?": valid, "ok-fraction": fraction}


def single(number: float) -> float:
    """A number rounded to single precision, in its shortest form, as Maelstrom gives fractions."""
    packed = struct.pack("f", number)
    [rounded] = struct.unpack("f", packed)
    shortest = (float(f"{rounded:.{digits}g}") for digits in range(1, 10))
    return next(short for short in shortest if struct.pack("f", short) == packed)


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    yield Figure(challenges.AVAILABILITY, result["ok-fraction"], write=percent)


def explain(result: Mapping[str, Any], evidence: Evidence) -> Iterator[Reason]:
    if result["valid?"] is False:
        of_all = f"only {percent(result['ok-fraction'])} of the operations succeeded"
        yield summary("availability", of_all)
        yield from failures.explain("availability", evidence)


CHECKER = Checker(check, figures, explain)
