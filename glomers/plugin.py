"""The pytest plugin: it gives tests the fixture `simulate` wherever the package is installed.

pytest imports this module in every run, so the simulation is only imported for tests that use it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from glomers.testing import Simulation


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulation]]:
    """Make simulated clusters that end with the test: `simulate("broadcast.py", nodes=5)`.

    The arguments are those of glomers.testing.Simulation. Unless the test has failed already, it
    fails for exceptions and messages that it didn't expect (see `Simulation.close`).
    """
    from glomers.testing import Simulation

    simulations: list[Simulation] = []

    def make(*args: Any, **kwargs: Any) -> Simulation:
        __tracebackhide__ = True  # as all of glomers.testing
        simulations.append(Simulation(*args, **kwargs))
        return simulations[-1]

    yield make
    # pytest keeps there the exception that the test has raised, and deletes it before each test.
    has_failed = getattr(sys, "last_value", None) is not None
    problems = []
    for simulation in simulations:
        if has_failed:
            simulation.abandon()
            continue
        try:
            simulation.close()
        except AssertionError as error:
            problems.append(str(error))
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
