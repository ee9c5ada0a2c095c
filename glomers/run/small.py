"""A test that is small enough to be explored: its bounds, its options and its operations."""

from __future__ import annotations

from dataclasses import dataclass, replace

from glomers.checkers import stats
from glomers.options import Options
from glomers.workloads import WORKLOADS
from glomers.workloads.base import Invocation, OperationGenerator

DRAWS = 50  # of an operation, to find one of a kind that is still missing
KEYS = 2  # that operations are about, so that a few of them meet

# The kinds of choices that are faults, and which of the bounds they count for.
FAULTS = {
    "lose": "losses",
    "duplicate": "duplicates",
    "crash": "crashes",
    "early": "early_timers",
    "switch": "switches",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many operations there are, and at most how many faults of each kind.

    An early timer goes off although a message is under way, or an operation could begin.
    Steps are chosen until `horizon` seconds after the last operation has ended. Operations at the
    places `left_out` don't come.
    """

    operations: int = 3
    losses: int = 0
    duplicates: int = 0
    crashes: int = 0
    early_timers: int = 0
    switches: int = 0
    horizon: float = 0.0
    left_out: frozenset[int] = frozenset()


def small(options: Options, bounds: Bounds) -> Options:
    """The options of a test that can be explored: no faults but the chosen ones, no latency, a
    worker for each operation, few keys. A node that crashes can't answer, so it need not."""
    each = options.concurrency
    return replace(
        options,
        concurrency=each * -(-bounds.operations // each),
        key_count=options.key_count or KEYS,
        nemesis=(),
        latency=0,
        p_loss=0.0,
        p_duplicate=0.0,
        hard=False,
        availability=None if bounds.crashes else options.availability,
    )


def operations(options: Options, number: int, generator: OperationGenerator) -> list[Invocation]:
    """The first operations of a generator, for one worker after the other.

    A few that are drawn at random may well be all reads. So operations are drawn again until one is
    of the kind that has come least, if the worker has any of that kind.
    """
    kinds = [f for f in WORKLOADS[options.workload].operations if f not in stats.EXEMPT]
    times = dict.fromkeys(kinds, 0)
    chosen: list[Invocation] = []
    for place in range(number):
        worker = place % options.concurrency
        wanted = min(kinds, key=times.__getitem__)
        drawn: dict[str, Invocation] = {}
        for _ in range(DRAWS):
            invocation = generator.next(worker, worker)
            if invocation is not None and invocation.f in times:
                drawn.setdefault(invocation.f, invocation)
            if wanted in drawn:
                break
        if drawn:
            f = min(filter(drawn.__contains__, kinds), key=times.__getitem__)
            times[f] += 1
            chosen.append(drawn[f]._replace(wait=0.0))
    return chosen
