"""Dependencies between transactions: which must come before which, and by which relation.

    ww  the second overwrote what the first had written
    wr  the second read what the first had written
    rw  the second overwrote what the first had read
    process   one process did the first, then the second
    realtime  the first had ended before the second began

A transaction is identified by the index of its completion in the history. The relations of a pair
are bits of one number, for speed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from glomers.history.operations import History, Operation

WW, WR, RW, PROCESS, REALTIME = 1, 2, 4, 8, 16
NAMES = {WW: "ww", WR: "wr", RW: "rw", PROCESS: "process", REALTIME: "realtime"}
Step = dict[str, Any]


class DependencyGraph:
    """A directed graph of transactions; `successors[a][b]` holds the relations of a to b."""

    def __init__(self) -> None:
        self.successors: dict[int, dict[int, int]] = {}

    def link(self, a: int, b: int, relation: int) -> None:
        """Add that `a` comes before `b`, unless they are the same."""
        if a != b:
            after = self.successors.get(a)
            if after is None:
                self.successors[a] = {b: relation}
            else:
                after[b] = after.get(b, 0) | relation

    def link_all(self, pairs: Iterable[tuple[int, int]], relation: int) -> None:
        for a, b in pairs:
            self.link(a, b, relation)

    def edges(self) -> Iterator[tuple[int, int]]:
        return ((a, b) for a, after in self.successors.items() for b in after)


def process_order(history: History) -> Iterator[tuple[int, int]]:
    """Pairs of each successful operation and its process's next one."""
    last: dict[int | str, int] = {}
    for operation in history.client_operations():
        if operation.type == "ok":
            if operation.process in last:
                yield last[operation.process], operation.index
            last[operation.process] = operation.index


def realtime_order(history: History) -> Iterator[tuple[int, int]]:
    """Pairs of operations: the first succeeded before the second, which didn't fail, began.

    Pairs that follow from others by way of a third operation are left out (as in Elle), so an
    operation has at most as many pairs as there are processes.
    """
    # Operations that ended, if none that began afterwards has ended yet. A dict keeps their order.
    recent: dict[int, None] = {}
    before: dict[int, tuple[int, ...]] = {}
    for operation in history.client_operations():
        if operation.type == "invoke":
            completion = history.completion(operation) or operation
            if completion.type != "fail":
                before[completion.index] = tuple(recent)
                for earlier in recent:
                    yield earlier, completion.index
        elif operation.type == "ok":
            for earlier in before.pop(operation.index, ()):
                recent.pop(earlier, None)
            recent[operation.index] = None


def explain_order(
    history: History, a: Operation, b: Operation, relation: int, names: tuple[str, str]
) -> Step:
    """Why `a` comes before `b` by `relation`, which is PROCESS or REALTIME, in a few words."""
    step: Step = {"type": NAMES[relation]}
    if relation == PROCESS:
        reason = f"process {a.process} did {names[0]} before {names[1]}"
        return step | {"process": a.process, "reason": reason}
    began = history.invocation(b) or b
    seconds = max(0, began.time - a.time) / 1e9
    reason = (
        f"{names[0]} ended (at index {a.index}) "
        f"{seconds:.3f} s before {names[1]} began (at index {began.index})"
    )
    return step | {"reason": reason}


def data_step(
    relation: int, key: Any, values: tuple[Any, Any], places: tuple[int, int], reason: str
) -> Step:
    """Why a transaction comes before another by WW, WR or RW, with Elle's fields.

    `values` are what the two wrote or read of the key, `places` the positions of the
    micro-operations that did. By WR both are the same value, which is given once.
    """
    step: Step = {"type": NAMES[relation], "key": key, "value": values[0]}
    if relation != WR:
        step["value'"] = values[1]
    return step | {"a-mop-index": places[0], "b-mop-index": places[1], "reason": reason}
