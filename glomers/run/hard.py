"""`--hard`: a test made harder, from its seed, without asking for more than its flags promise.

A challenge's own flags are kind: one request at a time for each node, no latency. A lock that was
forgotten around an rpc is never missed then. So each seed draws a test of its own:

- more workers, two to five times as many;
- a latency where there is none, and how it is distributed, so that messages overtake each other.
  Both are small enough that a request and its answer take less than the half second that a node
  may give them: what waits for a second, as `node.rpc` does, must see no time-out;
- where the flags say that messages between nodes get lost, that is with partitions or `--p-loss`:
  perhaps `flaky` links as well, which are many short partitions, and faults that come more often;
- processes that start further apart, so that timers are further out of phase.

What it doesn't do matters as much, because a right node must pass. Where the flags know of no
fault there is none, as a node may rely on it. Services lose nothing, as in partitions, and all is
whole again before the final operations. No node is paused or killed unless the flags say so.
"""

from __future__ import annotations

import shlex
from dataclasses import replace

from glomers.options import MOST_WORKERS, Options
from glomers.world.cluster import stream

# Milliseconds: the longest mean latency that is drawn, and with which a distribution is drawn.
LONGEST = {"constant": 30, "uniform": 30, "exponential": 20}
LONGEST_OF_FLAGS = {"constant": None, "uniform": 100, "exponential": 20}

LOSING = {"partition", "one-way", "flaky"}  # faults by which messages between nodes get lost
SHORTEST_INTERVAL = 2.0  # seconds between the nemesis's actions


def harder(options: Options) -> Options:
    """The options that the seed of these draws; they are the same each time."""
    random = stream(options.seed, "hard")
    workers = options.concurrency * random.randint(2, 5)
    distribution = random.choice(
        [
            name
            for name, longest in LONGEST_OF_FLAGS.items()
            if longest is None or options.latency <= longest
        ]
    )
    latency = options.latency or random.randint(1, LONGEST[distribution])
    flaky = random.random() < 0.5
    given = options.nemesis_interval
    interval = round(random.uniform(min(SHORTEST_INTERVAL, given), given), 3)
    nemesis = options.nemesis
    if flaky and "flaky" not in nemesis and (options.p_loss or not LOSING.isdisjoint(nemesis)):
        nemesis = (*nemesis, "flaky")
    return replace(
        options,
        concurrency=min(workers, max(MOST_WORKERS, options.concurrency)),
        latency=latency,
        latency_dist=distribution,
        nemesis=nemesis,
        nemesis_interval=interval if options.nemesis else given,
    )


def drawn(options: Options) -> str:
    """What `harder` has drawn, as flags that say the same."""
    flags = ["--concurrency", str(options.concurrency), "--latency", str(options.latency)]
    flags += ["--latency-dist", options.latency_dist]
    if options.nemesis:
        flags += ["--nemesis", ",".join(options.nemesis)]
        flags += ["--nemesis-interval", f"{options.nemesis_interval:g}"]
    return shlex.join(flags)
