"""The pytest plugin: wherever the package is installed, tests have the fixture `simulate`.

pytest imports this in every run, so the simulation is imported only for a test that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from glomers.testing import Simulation


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulation]]:
    """Make simulated clusters that end with the test: `simulate("broadcast.py", nodes=5)`.

    The arguments are those of glomers.testing.Simulation.
    """
    from glomers.testing import Simulation

    simulations: list[Simulation] = []

    def make(*args: Any, **kwargs: Any) -> Simulation:
        simulations.append(Simulation(*args, **kwargs))
        return simulations[-1]

    yield make
    for simulation in simulations:
        simulation.close()
