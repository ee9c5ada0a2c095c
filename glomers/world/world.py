"""The world of a test: a loop, the network that it runs, and the endpoints of that network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from glomers.world.cluster import Cluster
from glomers.world.incidents import Incidents
from glomers.world.loop import Loop
from glomers.world.network import Network
from glomers.world.services import Service
from glomers.world.witness import Witness

L = TypeVar("L", bound=Loop)


@dataclass(frozen=True, slots=True)
class World(Generic[L]):
    """The surroundings of a test, and its nodes. `glomers.run.build` makes one.

    Services already answer on the network; nodes do so once `cluster` has been started. `incidents`
    collects what happens to nodes; `witness` looks for more incidents in their messages.
    """

    loop: L
    network: Network
    cluster: Cluster
    incidents: Incidents
    witness: Witness
    services: Mapping[str, Service]

    def end(self) -> list[str]:
        """End all nodes and return warnings. The loop can't be used afterwards."""
        for node, line in self.cluster.unfinished_lines():
            self.incidents.note("no-newline", node, line)
        self.witness.end()
        warnings = self.cluster.stop()
        self.loop.close()
        return warnings
