"""Challenges in simulation, by their numbers: the official command, or a shorter one like it.

And for played clusters, the services that the nodes of challenges 4 and 5 need.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from glomers import challenges
from glomers.options import Options, parse_test
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


def first_failure(options: Options, seeds: Iterable[int]) -> Any:
    """The results of the first seed with which a test fails; None if there is none."""
    for seed in seeds:
        results = simulated_test(replace(options, seed=seed)).run()
        if results["valid?"] is False:
            return results
    return None
