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
from glomers.report.figures import Figure
from glomers.report.reasons import Reason
from glomers.run import reasons
from glomers.run.reasons import part
from glomers.workloads import WORKLOADS

Results = Mapping[str, Any]


def figures(results: Results, workload: str | None) -> list[Figure]:
    """The figures of a test of `workload` (None if the workload isn't known).

    Raises LookupError if the results are of another workload.
    """
    judged = part(results, "workload")
    any_done = part(results, "stats").get("count") != 0  # or else 100 % of nothing succeeded
    return [
        *_if_any(stats.figures, part(results, "stats")),
        *(_if_any(availability.figures, part(results, "availability")) if any_done else ()),
        *_traffic(results.get("net") or {}),
        *(_if_any(WORKLOADS[workload].checker.figures, judged) if workload else _guess(results)),
    ]


def of_kept(results: Results, folder: Path) -> tuple[list[Figure], list[Reason]]:
    """Figures and reasons of a test that is kept in `folder`, such as store/<workload>/<time>.

    Raises LookupError if the results are of another workload.
    """
    name = folder.resolve().parent.name
    workload = name if name in WORKLOADS else None
    return figures(results, workload), reasons.of_kept(results, workload, folder)


def _if_any(figures: Any, judged: Results) -> Iterator[Figure]:
    if judged:
        yield from figures(judged)


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
    done = set(part(results, "stats").get("by-f") or ())
    for workload in WORKLOADS.values():
        if done <= set(workload.operations):
            with suppress(LookupError):
                return list(_if_any(workload.checker.figures, part(results, "workload")))
    return []
