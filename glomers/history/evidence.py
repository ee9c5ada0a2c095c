"""What there is to explain a verdict with: the operations, the messages, and who talked to whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from glomers.history.messages import Messages
from glomers.history.operations import History, Operation

# What starts a cut of the network and what ends it, in a history; and what a person calls it.
CUTS = {"start-partition": "partition", "start-one-way": "one-way partition"}
ENDS = {"stop-partition": "start-partition", "stop-one-way": "start-one-way"}

NO_HISTORY = History(())


def node_of(process: int, nodes: Sequence[str], concurrency: int) -> str:
    """The node that a client talks to: worker i (of the workers, by process) to node i mod n."""
    return nodes[process % concurrency % len(nodes)]


@dataclass(frozen=True)
class Evidence:
    """What is known of a test. All of it may be missing, and then less can be explained.

    `nodes` and `concurrency` are those of the test; without them nobody knows which node an
    operation was asked of. `journal` is the file of the messages.
    """

    history: History = NO_HISTORY
    nodes: tuple[str, ...] = ()
    concurrency: int = 0
    journal: Path | None = None

    @cached_property
    def messages(self) -> Messages:
        return Messages.read(self.journal) if self.journal else Messages()

    @cached_property
    def _places(self) -> dict[int, int]:
        return {operation.index: place for place, operation in enumerate(self.history)}

    def operation(self, index: Any) -> Operation | None:
        """The operation of that index."""
        place = self._places.get(index)
        return None if place is None else self.history[place]

    def node(self, operation: Operation) -> str:
        """The node that was asked; "" if nobody knows."""
        if not self.nodes or not self.concurrency or not operation.is_client:
            return ""
        return node_of(int(operation.process), self.nodes, self.concurrency)

    def nodes_of(self, *operations: Operation | None) -> tuple[str, ...]:
        """The nodes of some operations, each once."""
        found = [self.node(operation) for operation in operations if operation]
        return tuple(node for node in dict.fromkeys(found) if node)

    def who(self, operation: Operation) -> str:
        """Who answered an operation, in a sentence."""
        return self.node(operation) or f"the node of process {operation.process}"

    def kills(self, had: Mapping[str, int]) -> Iterator[tuple[int, list[str]]]:
        """When (ns) which of these nodes were first killed after the time at which they had got
        something."""
        had = dict(had)
        for operation in self.history:
            if operation.f == "kill" and isinstance(operation.value, Mapping):
                became = {str(node): str(word) for node, word in operation.value.items()}
                killed = [
                    node
                    for node, time in had.items()
                    if time <= operation.time and became.get(node) == "killed"
                ]
                for node in killed:
                    del had[node]
                if killed:
                    yield operation.time, killed

    def cut(self, time: int, src: str, dest: str) -> str:
        """The partition that kept `dest` from hearing `src` at `time` (ns), in a sentence."""
        active: dict[str, tuple[str, Any]] = {}
        kinds: dict[str, str] = {}
        for operation in self.history:
            if operation.time > time:
                break
            if operation.is_client:
                continue
            if operation.f in CUTS:
                if isinstance(operation.value, str):
                    kinds[operation.f] = operation.value
                else:
                    active[operation.f] = kinds.get(operation.f, ""), operation.value
            elif operation.f in ENDS:
                active.pop(ENDS[operation.f], None)
        cuts = [(f, kind) for f, (kind, value) in active.items() if src in _grudge(value, dest)]
        if not cuts:
            return "a partition"
        f, kind = cuts[0]
        return f"the {CUTS[f]} ({kind})" if kind else f"the {CUTS[f]}"


def _grudge(value: Any, dest: str) -> Any:
    """Whose messages `dest` dropped, by what the nemesis wrote: `[:isolated {node nodes}]`."""
    grudge = value[1] if isinstance(value, (list, tuple)) and len(value) > 1 else None
    return grudge.get(dest) or () if isinstance(grudge, Mapping) else ()
