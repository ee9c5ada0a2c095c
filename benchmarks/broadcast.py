#!/usr/bin/env python3
"""The figures of broadcast.py over its dial and under faults, and those of the ladder of designs.

    python -m benchmarks.broadcast                    broadcast.py, simulated
    python -m benchmarks.broadcast --ladder           the designs that lead to it, simulated
    python -m benchmarks.broadcast --real --seeds 0   with real processes, in real time: 8 minutes

A simulation gives the same figures every time. The tests are the challenges' own commands. Each
figure is the median of the seeds, but values lost and the time after a heal are the worst of them.
If matplotlib is there, the first command also draws messages per operation over latency, as
docs/images/broadcast.svg.

`limit` is the cost of the simplest designs: n-1 messages for a value that is sent to everybody
alone, or 2n-2 for a round of a hub in which every spoke has something to send, if rounds are as
long as the dial permits.
`after heal` is how long after the end of a partition the last node has every value that was
acknowledged before; nodes are read every 10 ms to find out. If another partition, or the end of
the test, comes before that, it is the time until then.
A dial of 700 ms is one by the clock: the checker reads about one hop (100 ms) less, so 3d's limit
of 600 ms is kept. That of 3e is kept at 2,050 ms in the same way.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterator
from functools import partial

from benchmarks.measuring import (
    HEAL,
    Benchmark,
    Case,
    Column,
    Figures,
    Goal,
    command,
    costs,
    dialled,
    main,
    run,
)
from benchmarks.picture import PROTOTYPE, SAFE, UNKNOWN, UNSAFE, Curve, Mark, Picture
from benchmarks.watch import Item, Watch
from glomers.history.operations import Operation
from glomers.options import Options
from glomers.workloads.base import Conversation
from maelstrom_node import _seconds

READ_EVERY = 0.01  # seconds
PARTITION, LOSS = ("--nemesis", "partition"), ("--p-loss", "0.1")
HUNDRED = ("--node-count", "100")
NOTHING_LOST = {"lost": Goal("<=", 0)}
HEALED = {**NOTHING_LOST, "heal": Goal("<=", 2)}

DIAL = (
    Case("3c", dialled("3c", "0"),
         {**NOTHING_LOST, "messages": Goal("<=", 2.8), "heal": Goal("<=", 1)},
         "117.2"),
    Case("3d, dial 0", dialled("3d", "0"),
         {**NOTHING_LOST, "messages": Goal("<=", 12.5), "bytes": Goal("<=", 1000),
          "median": Goal("<=", 80), "max": Goal("<=", 110)},
         "14.7 at 78/102 (unsafe: 11.8 at 84/105)"),
    Case("3d, dial 600ms", dialled("3d", "600ms"),
         {**NOTHING_LOST, "messages": Goal("<=", 1.4), "median": Goal("<", 400),
          "max": Goal("<", 600)},
         "7.75 at 333/533"),
    Case("3d, dial 700ms", dialled("3d", "700ms"),
         {**NOTHING_LOST, "messages": Goal("<=", 0.9), "median": Goal("<", 400),
          "max": Goal("<", 600)}),
    Case("3e, dial 2s", dialled("3e", "2s"),
         {**NOTHING_LOST, "messages": Goal("<=", 0.36), "median": Goal("<", 1000),
          "max": Goal("<", 2000)},
         "1.92 at 764/1087"),
    Case("3e, dial 2050ms", dialled("3e", "2050ms"),
         {**NOTHING_LOST, "messages": Goal("<=", 0.28), "median": Goal("<", 1000),
          "max": Goal("<", 2000)}),
    *(
        Case(f"{challenge}, dial {dial}, {fault}", dialled(challenge, dial, *flags), goals)
        for fault, flags, goals in (
            ("partition", PARTITION, HEALED), ("loss 10 %", LOSS, NOTHING_LOST)
        )
        for challenge, dial in (("3d", "0"), ("3d", "600ms"), ("3e", "2s"))
    ),
    Case("100 nodes, dial 0", dialled("3d", "0", *HUNDRED),
         {**NOTHING_LOST, "messages": Goal("<=", 52), "bytes": Goal("<=", 5000)}),
    Case("100 nodes, dial 2s", dialled("3e", "2s", *HUNDRED), NOTHING_LOST),
)  # fmt: skip

CURVE = tuple(
    Case(f"dial {dial}", dialled("3d", dial))
    for dial in ("0", "300ms", "400ms", "500ms", "600ms", "800ms", "1s", "1300ms", "1600ms", "2s")
)

FLOOD, RETRY, PUSH, REPAIR = (
    f"ladder/broadcast/{name}.py"
    for name in ("1_flood", "2_flood_with_retry", "3_push", "4_push_with_repair")
)
HUB = "broadcast.py"
LADDER = tuple(
    Case(f"{challenge}: {name}", command(challenge, "--bin", script, node=node))
    for challenge, name, script, node in (
        ("3c", "1 flood", FLOOD, ()),
        ("3c", "2 flood with retry after 1 s", RETRY, ()),
        ("3c", "2 flood with retry after 25 ms", RETRY, ("0.025",)),
        ("3c", "3 push", PUSH, ()),
        ("3c", "4 push with repair", REPAIR, ()),
        ("3c", "5 broadcast.py", HUB, ()),
        ("3d", "1 flood", FLOOD, ()),
        ("3d", "2 flood with retry after 1 s", RETRY, ()),
        ("3d", "3 push", PUSH, ()),
        ("3d", "4 push with repair", REPAIR, ()),
        ("3d", "5 broadcast.py", HUB, ()),
        ("3d", "5 broadcast.py, dial 600ms", HUB, ("--max-latency", "600ms")),
    )
)


# Measuring


class BroadcastWatch(Watch):
    """Reads after heals. How long values are late otherwise, the checker knows."""

    always = False

    def acknowledged(self, operation: Operation) -> Iterator[Item]:
        if operation.f == "broadcast":
            yield operation.value

    def read(self, missing: Collection[Item]) -> Conversation:
        answer = yield {"type": "read"}
        return answer["messages"]


def measure(case: Case, seed: int, real: bool) -> Figures:
    """The figures of one test; per operation or per value, in bytes, milliseconds, or seconds."""
    watching = partial(BroadcastWatch, period=READ_EVERY)
    ran = run(case, seed, real, watching if "partition" in case.options().nemesis else None)
    values = ran.results["workload"]
    latencies, lost = values["stable-latencies"], values["lost-count"]
    figures = {
        **costs(ran),
        "limit": limit(case.options()),
        "per_value": ran.results["net"]["servers"]["msg-count"] / values["attempt-count"],
        "median": latencies[0.5],
        "max": latencies[1],
        "lost": lost,
    }
    if ran.watch:
        heal = max(ran.watch.heals, default=0.0)
        figures["heal"] = math.inf if lost else heal
    return figures


def limit(options: Options) -> float:
    """The messages per operation of the simplest design, if it wasted none (see above)."""
    n = len(options.nodes)
    dial = dict(zip(options.args, options.args[1:])).get("--max-latency", "0")
    if dial == "0":
        return (n - 1) / 2
    return (2 * n - 2) / (_seconds(dial) - 2 * options.latency / 1000) / options.rate


# Showing

COLUMNS = (
    Column("messages", "messages/op", "{:.2f}"),
    Column("limit", "limit", "{:.2f}"),
    Column("per_value", "per value", "{:.2f}"),
    Column("bytes", "bytes/op", "{:,.0f}"),
    Column("median", "median", "{:,.0f} ms"),
    Column("max", "max", "{:,.0f} ms"),
    Column("lost", "lost", "{:g}", max),
    HEAL,
)

# The published figures are those of 25 nodes, 100 ms between them and 100 operations a second, as
# far as their authors tell them. A prototype is a bare design, tried on Maelstrom.
MARKS = (
    Mark("push, re-sender, state sync", (78, 14.7), SAFE, (9, 4)),
    Mark("push, no repair", (84, 11.8), UNSAFE, (9, -12)),
    Mark("3-ary tree per origin", (203, 11.6), UNSAFE, (9, -4)),
    Mark("10-ary tree, 50 ms batches", (333, 7.75), SAFE),
    Mark("star, 500 ms batches", (764, 1.92), UNKNOWN, (8, 2)),
    Mark("hub 500 ms, spokes 100 ms", (339, 1.99), UNKNOWN, (-6, 9)),
    Mark("star, 1 s batches", (462, 2.0), UNKNOWN, (-4, -14)),
    Mark("push, full-set digests", (73, 12.23), PROTOTYPE, (12, 2)),
    Mark("hub, 0.38 s rounds", (254, 1.37), PROTOTYPE, (8, 3)),
    Mark("hub, 1.55 s rounds", (865, 0.41), PROTOTYPE, (8, 3)),
)

# 2n-2 = 48 messages a round of W seconds, and 100 operations a second. A value takes W/2 + 0.2 s
# in the mean, but the checker reads one hop less: in Maelstrom, a client's request that finds
# a message under way to its node waits for it, and so a read already shows what comes then.
ROUNDS = [second / 100 for second in range(4, 181)]
ROUND_LIMIT = [(1000 * (w / 2 + 0.1), 0.48 / w) for w in ROUNDS]
PICTURE = Picture(
    "broadcast",
    "median stable latency, as the checker reads it (ms)",
    MARKS,
    (Curve("limit of full rounds: 0.48/W, read as W/2 + 0.1 s", ROUND_LIMIT),),
    times=(0, 1180),
    messages=(0.2, 30),
    ticks=(0.25, 0.5, 1, 2, 4, 8, 16),
)

BENCHMARK = Benchmark(
    "broadcast.py",
    COLUMNS,
    DIAL,
    LADDER,
    measure,
    "messages/op at median/max",
    PICTURE,
    {"broadcast.py over its dial, 0 … 2 s": CURVE},
    lambda figures: (figures["median"], figures["messages"]),
    range(5),
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
