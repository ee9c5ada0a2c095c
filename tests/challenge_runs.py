"""Challenges in simulation, by their numbers: the official command, or a shorter one like it.

And for played clusters, the services that the nodes of challenges 4 and 5 need.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench import challenges
from workbench.options import (
    Options,
    Parser,
    add_check_flags,
    add_test_flags,
    from_namespace,
    split_node_arguments,
)
from workbench.runner import simulate
from workbench.workloads import WORKLOADS

ROOT = Path(__file__).parent.parent
BROKEN = Path(__file__).parent / "broken"


def options(challenge: str, **changes: Any) -> Options:
    """What the challenge's last command says, but for these changes of its options."""
    flags, args = split_node_arguments(shlex.split(challenges.find(challenge).commands[-1]))
    parser = Parser()
    add_check_flags(parser, sorted(WORKLOADS))
    add_test_flags(parser)
    official = from_namespace(parser.parse_args(flags), args)
    return replace(official, **{"bin": str(ROOT / official.bin), "seed": 0, **changes})


def run(challenge: str, **changes: Any) -> dict[str, Any]:
    """The results of one simulated test."""
    return dict(simulate(options(challenge, **changes), None))


def first_failure(challenge: str, script: str, seeds: Iterable[int], **changes: Any) -> Any:
    """The results of the first seed with which a script of tests/broken fails; None if none."""
    for seed in seeds:
        results = run(challenge, bin=str(BROKEN / script), seed=seed, **changes)
        if results["valid?"] is False:
            return results
    return None
