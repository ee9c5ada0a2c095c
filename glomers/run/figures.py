"""The figures of a whole test: each checker makes them from its own part of the results.

The results are ours or those in the `results.edn` that Maelstrom wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from glomers import challenges
from glomers.checkers import availability, stats
from glomers.errors import quote
from glomers.report.figures import Figure
from glomers.workloads import WORKLOADS

Results = Mapping[str, Any]

WHY = 400  # characters of a reason


def figures(results: Results, workload: str | None) -> list[Figure]:
    """The figures of a test of `workload` (None if the workload isn't known).

    Raises LookupError if the results are of another workload.
    """
    judged = _part(results, "workload")
    any_done = _part(results, "stats").get("count") != 0  # or else 100 % of nothing succeeded
    return [
        *_if_any(stats.figures, _part(results, "stats")),
        *(_if_any(availability.figures, _part(results, "availability")) if any_done else ()),
        *_traffic(results.get("net") or {}),
        *(_if_any(WORKLOADS[workload].checker.figures, judged) if workload else _guess(results)),
    ]


def of_kept(results: Results, folder: Path) -> tuple[list[Figure], list[str]]:
    """Figures and reasons of a test that is kept in `folder`, such as store/<workload>/<time>.

    Raises LookupError if the results are of another workload.
    """
    name = folder.resolve().parent.name
    workload = name if name in WORKLOADS else None
    return figures(results, workload), reasons(results, workload)


def reasons(results: Results, workload: str | None) -> list[str]:
    """Why a test isn't valid: the reasons of each checker, its most important one first."""
    checkers = {"stats": stats.CHECKER, "availability": availability.CHECKER}
    if workload:
        checkers["workload"] = WORKLOADS[workload].checker
    found = []
    for name, part in results.items():
        if not isinstance(part, Mapping) or part.get("valid?") in (True, None):
            continue
        why = part.get("error")
        known = name in checkers and not why and _part(results, name)
        told = list(checkers[name].reasons(part)) if known else []
        found += told or [f"{name} ({quote(str(why), WHY)})" if why else name]
    return found


def _part(results: Results, name: str) -> Results:
    """A checker's result; empty if it holds only a verdict, and why there is no more."""
    part: Results = results.get(name) or {}
    return part if part.keys() - {"valid?", "error"} else {}


def _if_any(figures: Any, part: Results) -> Iterator[Figure]:
    if part:
        yield from figures(part)


def _traffic(net: Results) -> Iterator[Figure]:
    """The figures of the network. Those of bytes are missing for Maelstrom, which counts none."""
    servers = net.get("servers") or {}
    if servers.get("msgs-per-op") is not None:
        yield Figure(challenges.SERVER_MESSAGES, servers["msgs-per-op"])
    if servers.get("bytes-per-op") is not None:
        yield Figure("server bytes per operation", servers["bytes-per-op"])


def _guess(results: Results) -> list[Figure]:
    """The figures of the first workload that has the operations in the results.

    Several workloads may have them: counters and sets both have adds and reads. The first workload
    whose checker can read the result is taken.
    """
    done = set(_part(results, "stats").get("by-f") or ())
    for workload in WORKLOADS.values():
        if done <= set(workload.operations):
            with suppress(LookupError):
                return list(_if_any(workload.checker.figures, _part(results, "workload")))
    return []
