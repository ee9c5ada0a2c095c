"""`--hard`: makes a test harder, at random from its seed, within what its flags allow.

The flags of most challenges are kind: one request at a time for each node, and no latency. With
them, a lock that was forgotten around an rpc does no harm. So `--hard` draws from each seed:

- more workers, two to five times as many;
- a latency, if the flags give none, and its distribution, so that messages overtake each other.
  A request and its answer still take less than half a second, so that an rpc with the default
  time-out of a second never times out because of latency alone;
- more faults, if the flags say that messages between nodes get lost, that is with partitions or
  `--p-loss`: perhaps `flaky` links as well, which are many short partitions, and a shorter interval
  between faults;
- processes that start further apart, so that timers are further out of phase.

A correct node must still pass. So there are no faults if the flags ask for none, because a node may
rely on that. Messages to services are never lost, as in partitions, and all faults end before the
final operations. No node is paused or killed unless the flags say so.
"""

from __future__ import annotations

import shlex
from dataclasses import replace

from glomers.options import MOST_WORKERS, Options
from glomers.world.cluster import stream

# In milliseconds: the longest mean latency that is drawn for each distribution, and the longest
# latency of the flags with which that distribution may be drawn (None: any).
LONGEST = {"constant": 30, "uniform": 30, "exponential": 20}
LONGEST_OF_FLAGS = {"constant": None, "uniform": 100, "exponential": 20}

LOSING = {"partition", "one-way", "flaky"}  # faults by which messages between nodes get lost
SHORTEST_INTERVAL = 2.0  # seconds between the nemesis's actions


def harder(options: Options) -> Options:
    """Harder options, drawn from the seed of `options`: the same seed always draws the same."""
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
    """What `harder` has drawn, as flags that ask for the same."""
    flags = ["--concurrency", str(options.concurrency), "--latency", str(options.latency)]
    flags += ["--latency-dist", options.latency_dist]
    if options.nemesis:
        flags += ["--nemesis", ",".join(options.nemesis)]
        flags += ["--nemesis-interval", f"{options.nemesis_interval:g}"]
    return shlex.join(flags)
