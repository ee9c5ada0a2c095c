"""Challenges in simulation, by their numbers: the official command, or a shorter one like it.

And for played clusters, the services that the nodes of challenges 4 and 5 need.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from glomers import challenges
from glomers.history.store import Store
from glomers.options import Options, parse_test
from glomers.report.reasons import Reason
from glomers.run.build import simulated_test
from glomers.workloads import WORKLOADS

ROOT = Path(__file__).parent.parent
BROKEN = Path(__file__).parent / "broken"


def options(challenge: str, **changes: Any) -> Options:
    """What the challenge's last command says, but for these changes of its options."""
    official = parse_test(challenges.find(challenge).commands[-1], sorted(WORKLOADS))
    return replace(official, **{"bin": str(ROOT / official.bin), "seed": 0, **changes})


def run(challenge: str, **changes: Any) -> dict[str, Any]:
    """The results of one simulated test."""
    return dict(simulated_test(options(challenge, **changes)).run())


def kept_failure(options: Options, seeds: Iterable[int], root: Path) -> Any:
    """The same, of tests that are kept in `root`."""
    for seed in seeds:
        with closing(Store.create(root, options.workload)) as store:
            results = simulated_test(replace(options, seed=seed), store).run()
        if results["valid?"] is False:
            return results
    return None


def cases(results: Any) -> dict[str, Reason]:
    """The first reason of each kind that explains a case, among the results of a test."""
    found: dict[str, Reason] = {}
    for result in results["reasons"]:
        reason = Reason.of_result(result)
        if not reason.summary:
            found.setdefault(reason.kind, reason)
    return found


def first_failure(options: Options, seeds: Iterable[int]) -> Any:
    """The results of the first seed with which a test fails; None if there is none."""
    for seed in seeds:
        results = simulated_test(replace(options, seed=seed)).run()
        if results["valid?"] is False:
            return results
    return None
