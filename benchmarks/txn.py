#!/usr/bin/env python3
"""The figures of txn.py over its dial and in partitions, and those of the ladder of designs.

    python -m benchmarks.txn                    txn.py, simulated
    python -m benchmarks.txn --ladder           the designs that lead to it, simulated
    python -m benchmarks.txn --real --seeds 0   with real processes, in real time: 10 minutes

A simulation gives the same figures every time. The load is that of 6c, at first without its
partitions; with more nodes it is shorter, as the rows say. Each figure is the median of the seeds,
but the largest lag, the time after a heal and the number of failed transactions are the worst of
them. If matplotlib is there, the first command also draws messages per operation over the largest
lag, as docs/images/txn.svg.

`lag` is how long after the acknowledgement of a write every node shows it. Nobody can tell that
from the writes of the load: a node that never showed one may have learned a later one before. So
ten times a second the benchmark writes a key that is written only once, and reads it on all nodes
every 5 ms (20 ms in real time) until they show it; so a lag is up to that much too long. These
writes count as operations, the reads don't.
`after heal` is the time from the end of a partition until every node shows all that was
acknowledged before. What isn't shown everywhere before the next partition, or the end of the test,
counts with the time that it had.
`latency` is how long a transaction takes; in virtual time computing takes none. `ok` is the
fraction of transactions that had success, `failed` the number of the others, and `invalid` that of
the seeds with an invalid test.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from functools import partial
from itertools import chain, count, cycle

from benchmarks.measuring import (
    COSTS_AND_LAGS,
    HEALED,
    PARTITIONS,
    Benchmark,
    Case,
    Goal,
    at_longest_lag,
    command,
    costs_and_lags,
    dialled,
    main,
    over_dial,
)
from benchmarks.picture import PROTOTYPE, Mark, of_lags
from benchmarks.watch import TIMEOUT, Item, Watch
from glomers.history.operations import Operation
from glomers.history.times import nanos
from glomers.run.drive import Phase, Test
from glomers.workloads.base import Conversation
from glomers.world.client import Outcome

# Seconds. No multiple of anything, lest all writes come at the same point of a batch's window.
WRITE_EVERY = 0.097

COMMITTED = ("--consistency-models", "read-committed")  # 6c's; the command of 6b has no partitions
FIVE = (*COMMITTED, "--node-count", "5", "--time-limit", "10")
TWENTY_FIVE = (*COMMITTED, "--node-count", "25", "--time-limit", "4")
CHEAP = {"messages": Goal("<=", 0.06)}

CURVES = {
    "2 nodes, 6c without partitions": over_dial("2 nodes", "6b", *COMMITTED,
                                                goals={"100ms": CHEAP}),
    "5 nodes": over_dial("5 nodes, 10 s", "6b", *FIVE),
    "25 nodes": over_dial("25 nodes, 4 s", "6b", *TWENTY_FIVE),
}  # fmt: skip
CASES = (
    *chain.from_iterable(CURVES.values()),
    Case("6c, dial 0", dialled("6c", "0"), HEALED),
    Case("6c, dial 100ms", dialled("6c", "100ms"), {**HEALED, **CHEAP}, "prototype: 0.04"),
    *(
        Case(f"{name}, dial {dial}, partitions", dialled("6b", dial, *flags, *PARTITIONS), HEALED)
        for name, flags in (("2 nodes", COMMITTED), ("5 nodes, 10 s", FIVE))
        for dial in ("0", "100ms")
    ),
)
LADDER = tuple(
    Case(f"2 nodes{fault}: {name}",
         command("6b", "--bin", script, *COMMITTED, *flags, node=node), ask=ask)
    for fault, flags in (("", ()), (", partitions", PARTITIONS))
    for name, script, node, ask in (
        ("1 a leader", "ladder/txn/1_leader.py", (), True),
        ("2 push each transaction", "ladder/txn/2_push_each.py", (), False),
        ("3 txn.py", "txn.py", (), False),
        ("3 txn.py, dial 100ms", "txn.py", ("--max-latency", "100ms"), False),
    )
)  # fmt: skip


class TxnWatch(Watch):
    """Writes a new key now and then, to another node each time, and reads it on all nodes."""

    def __init__(self, test: Test, period: float) -> None:
        super().__init__(test, period)
        nodes = test.options.nodes
        self._writers = {node: self.client(f"c-write-{node}") for node in nodes}
        self._next = cycle(nodes)
        self._keys = (f"watch {number}" for number in count())
        self._due = 0
        self._writing: set[str] = set()

    def acknowledged(self, operation: Operation) -> Iterable[Item]:
        return ()

    def look(self) -> None:
        now = self.test.recorder.elapsed
        if self.test.phase is Phase.RUNNING and now >= self._due:
            self._due = now + nanos(WRITE_EVERY)
            node = next(self._next)
            if node not in self._writing:
                self._write(node, next(self._keys))

    def _write(self, node: str, key: str) -> None:
        def write() -> Conversation:
            yield {"type": "txn", "txn": [["w", key, 1]]}

        def done(outcome: Outcome) -> None:
            self._writing.remove(node)
            if outcome.type == "ok":
                self.note(key, self.test.recorder.elapsed)

        self._writing.add(node)
        self.operations += 1
        self._writers[node].converse(node, write(), TIMEOUT, done)

    def read(self, missing: Collection[Item]) -> Conversation:
        answer = yield {"type": "txn", "txn": [["r", key, None] for key in missing]}
        return [key for _, key, value in answer["txn"] or () if value is not None]


PICTURE = of_lags(
    "txn",
    "longest lag from the acknowledgement of a write until every node shows it (ms)",
    (Mark("prototype, 2 nodes, 50 ms batches", (50, 0.04), PROTOTYPE, (8, 4)),),
)

BENCHMARK = Benchmark(
    "txn.py",
    COSTS_AND_LAGS,
    CASES,
    LADDER,
    partial(costs_and_lags, TxnWatch),
    "messages/op",
    PICTURE,
    CURVES,
    at_longest_lag,
    range(3),
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
