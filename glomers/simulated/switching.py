"""Turns between lines that are chosen, one by one, rather than drawn: for explorations.

`preempting.py` says which code is followed. Here a strand that loses its turn waits until it is
told to go on.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from random import Random
from types import CodeType

from glomers.simulated.preempting import Nowhere, Preempter
from glomers.simulated.turns import Strand, TurnLoop

# Called with a node's name, a file, and the number of a line.
Ask = Callable[[str, str, int], bool]


class Switcher(Preempter):
    """Asks before each line of the nodes' code whether the running strand loses its turn."""

    def __init__(self, loop: TurnLoop, ask: Ask) -> None:
        super().__init__(loop, Nowhere("lines"), Random(0))
        self._ask = ask
        self._turns = loop
        self._counts: Counter[str] = Counter()  # how many strands of each node have lost their turn
        self._parked: dict[tuple[str, str], Strand] = {}

    @property
    def waiting(self) -> Collection[tuple[str, str]]:
        """The strands that wait: the node of each, and the how manieth it is, with its line."""
        return self._parked.keys()

    def go_on(self, node: str, which: str) -> None:
        """Let a strand go on."""
        strand = self._parked.pop((node, which))
        self._turns.call_at(self._turns.now, self._turns.resume, strand)

    def forget(self, node: str) -> None:
        """Forget the strands of a node that has crashed."""
        for here, which in [*self._parked]:
            if here == node:
                del self._parked[here, which]

    def _before(self, code: CodeType, line: int, offset: int | None = None) -> None:
        strand = self._turns.strand
        if strand is None:
            return
        node, file = strand.node.id, code.co_filename
        if self._ask(node, file, line):
            self._counts[node] += 1
            self._parked[node, f"{self._counts[node]} {Path(file).name}:{line}"] = strand
            sys.call_tracing(self._turns.park, ())
