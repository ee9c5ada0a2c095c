#!/usr/bin/env python3
"""The figures of kafka.py over its dial and in partitions, and those of the ladder of designs.

    python -m benchmarks.kafka                    kafka.py, simulated
    python -m benchmarks.kafka --ladder           the designs that lead to it, simulated
    python -m benchmarks.kafka --real --seeds 0   with real processes, in real time: 12 minutes

A simulation gives the same figures every time. The load is that of 5c; with more nodes it is
shorter or slower, as the rows say. Each figure is the median of the seeds, but the largest lag, the
time after a heal and the number of failed operations are the worst of them. If matplotlib is there,
the first command also draws messages per operation over the largest lag, as docs/images/kafka.svg.

`lag` is how long after the acknowledgement of a send its message is shown by a poll of every node.
All nodes are polled every 5 ms (20 ms in real time) to find out, so it is up to that much too long.
`after heal` is the time from the end of a partition until every node shows all that was
acknowledged before. What isn't shown everywhere before the next partition, or the end of the test,
counts with the time that it had.
`latency` is how long a client's operation takes; in virtual time computing takes none.
`ok` is the fraction of operations that had success. Those of the load that crash a client never
have; `failed` counts the others that had none, and `invalid` the seeds with an invalid test.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from functools import partial
from itertools import chain

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
from benchmarks.picture import LAGS, PROTOTYPE, Curve, Mark, of_lags
from benchmarks.watch import Item, Watch
from glomers.history.operations import Operation
from glomers.workloads.base import Conversation

FIVE = ("--node-count", "5", "--time-limit", "10")
TWENTY_FIVE = ("--node-count", "25", "--time-limit", "4", "--rate", "100")
FEW_BYTES = {"bytes": Goal("<=", 118)}  # where each key has an owner (see --ladder)

CURVES = {
    "2 nodes, 5c": over_dial(
        "5c", "5c",
        goals={
            "0": FEW_BYTES,
            "100ms": {"messages": Goal("<=", 0.08), **FEW_BYTES},
            "500ms": {"messages": Goal("<=", 0.02), **FEW_BYTES},
        },
        published={
            "0": "1.37 (an owner for each key)",
            "100ms": "prototype: 0.069, max lag 98 ms",
        },
    ),
    "5 nodes": over_dial("5 nodes, 10 s", "5c", *FIVE),
    "25 nodes": over_dial("25 nodes, 100/s, 4 s", "5c", *TWENTY_FIVE),
}  # fmt: skip
CASES = (
    *chain.from_iterable(CURVES.values()),
    *(
        Case(f"{name}, dial {dial}, partitions",
             dialled("5c", dial, *flags, *PARTITIONS), HEALED, published)
        for name, dial, flags, published in (
            ("5c", "0", (), ""),
            ("5c", "100ms", (), "prototype: 0.058"),
            ("5 nodes, 10 s", "0", FIVE, ""),
            ("5 nodes, 10 s", "100ms", FIVE, ""),
        )
    ),
)  # fmt: skip
SHORT = ("--time-limit", "5")  # a simulation of the first rung takes ten times as long as others
LADDER = tuple(
    Case(f"5c{fault}: {name}", command("5c", "--bin", script, *short, *flags, node=node), ask=ask)
    for fault, flags in (("", ()), (", partitions", PARTITIONS))
    for name, script, node, short, ask in (
        ("1 whole logs in lin-kv, 5 s", "ladder/kafka/1_whole_logs.py", (), SHORT, True),
        ("2 an owner for each key", "ladder/kafka/2_owners.py", (), (), True),
        ("3 kafka.py", "kafka.py", (), (), False),
        ("3 kafka.py, dial 100ms", "kafka.py", ("--max-latency", "100ms"), (), False),
    )
)


class KafkaWatch(Watch):
    """Polls all keys with acknowledged messages that a node hasn't shown yet."""

    def acknowledged(self, operation: Operation) -> Iterator[Item]:
        if operation.f == "send":
            [[_, key, (offset, _)]] = operation.value
            yield key, offset

    def read(self, missing: Collection[Item]) -> Conversation:
        offsets: dict[str, int] = {}
        for key, offset in missing:
            offsets[key] = min(offset, offsets.get(key, offset))
        answer = yield {"type": "poll", "offsets": offsets}
        return [(key, offset) for key, pairs in answer["msgs"].items() for offset, _ in pairs or ()]


PICTURE = of_lags(
    "kafka",
    "longest lag from the acknowledgement of a send until every node shows it (ms)",
    (Mark("prototype, 2 nodes", (98, 0.069), PROTOTYPE, (8, 3)),),
    (Curve("best published for 5c, lag unknown: 1.37", [(lag, 1.37) for lag in LAGS]),),
)

BENCHMARK = Benchmark(
    "kafka.py",
    COSTS_AND_LAGS,
    CASES,
    LADDER,
    partial(costs_and_lags, KafkaWatch),
    "messages/op",
    PICTURE,
    CURVES,
    at_longest_lag,
    range(3),
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
