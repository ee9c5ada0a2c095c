"""Turns between lines that are chosen, one by one, rather than drawn: for explorations.

`preempting.py` says which code is followed. Here a strand that loses its turn waits until it is
told to go on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from random import Random
from types import CodeType

from glomers.scenario import Switch
from glomers.simulated.preempting import Nowhere, Preempter
from glomers.simulated.turns import Strand, TurnLoop

# Called with the place that a strand comes to, and the file.
Ask = Callable[[Switch, str], bool]


class Switcher(Preempter):
    """Asks before each line of the nodes' code whether the running strand loses its turn."""

    def __init__(self, loop: TurnLoop, ask: Ask) -> None:
        super().__init__(loop, Nowhere("lines"), Random(0))
        self._ask = ask
        self._parked: dict[tuple[str, str], Strand] = {}

    @property
    def waiting(self) -> Collection[tuple[str, str]]:
        """The strands that wait: the node of each, and the name of the place."""
        return self._parked.keys()

    @staticmethod
    def name(place: Switch) -> str:
        """The name of a place: how often the node has come there, and the line."""
        return f"{place.nth} {place.line}"

    def go_on(self, node: str, which: str) -> None:
        """Let a strand go on."""
        strand = self._parked.pop((node, which))
        self._loop.call_at(self._loop.now, self._loop.resume, strand)

    def forget(self, node: str) -> None:
        """Forget the strands of a node that has crashed."""
        for here, which in [*self._parked]:
            if here == node:
                del self._parked[here, which]

    def _before(self, code: CodeType, line: int, offset: int | None = None) -> None:
        strand = self._loop.strand
        if strand is None:
            return
        place = self._places.come(strand, code, line, offset)
        if self._ask(place, code.co_filename):
            self._parked[place.node, self.name(place)] = strand
            sys.call_tracing(self._loop.park, ())
