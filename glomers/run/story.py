"""The story of a run that was kept: what its folder holds is brought together for it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from glomers import scenario
from glomers.errors import UsageError
from glomers.history import lost_turns
from glomers.history.operations import History
from glomers.options import parse_test
from glomers.report import page
from glomers.report.happenings import Account
from glomers.report.reasons import Reason
from glomers.report.story import FILE, story
from glomers.run.reasons import KEY, evidence_beside
from glomers.scenario import View
from glomers.workloads import WORKLOADS
from glomers.world.faults import FAULTS

MOST_OPERATIONS = 100  # of a run that is told: the rest is for `glomers shrink`


def tell(folder: Path, history: History, results: Mapping[str, Any]) -> list[str]:
    """Write the story of a run into its folder; return its lines, below a headline.

    Nothing is told of a run that isn't small.
    """
    if sum(1 for _ in history.pairs()) > MOST_OPERATIONS:
        return []
    lines = of_kept(folder, history, results)
    (folder / FILE).write_text("".join(f"{line}\n" for line in lines), "utf-8", "replace")
    return ["", "What happened:", *lines]


def kept_story(folder: Path) -> list[str]:
    """The lines of the story that `tell` has written; none if it has written none."""
    with suppress(OSError):
        return (folder / FILE).read_text("utf-8").splitlines()
    return []


def of_kept(folder: Path, history: History, results: Mapping[str, Any]) -> list[str]:
    """The story of the simulated run that is kept in `folder`."""
    evidence = evidence_beside(history, folder)
    views: tuple[View, ...] = ()
    with suppress(UsageError):
        told = scenario.read(folder / scenario.FILE)
        options = parse_test(shlex.join(told.command), sorted(WORKLOADS))
        evidence = replace(evidence, nodes=options.nodes, concurrency=options.concurrency)
        views = told.views
    account = Account(
        evidence,
        results,
        [Reason.of_result(reason) for reason in results.get(KEY, ())],
        lost_turns.read(folder),
        views,
        page.spans(history, {name: fault.f for name, fault in FAULTS.items()}),
        page.logs(folder),
    )
    return story(account)
