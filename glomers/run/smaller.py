"""What is smaller than a failing run: for each kind of decision, the runs that may fail as well.

A `Candidate` is a run that can be made, and its `measure` says which of two is the smaller one. The
functions of this module only propose; what still fails is found by running it (shrink.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

from glomers.history.times import MILLIS, NANOS
from glomers.options import Options, words_of
from glomers.scenario import Action, Fate, Invoke, Scenario, Switch, Unsynced, View
from glomers.world.faults import FAULTS

FEW = 24  # entries, of each of which one can be tried alone
ROUND = (NANOS, NANOS // 10, NANOS // 100, MILLIS)  # units of times, the roundest first
NUMBERED = (
    "messages",
    "views",
    "unsynced",
    "switches",
)  # the parts of a scenario whose entries have an `nth`
LISTS = ("operations", "final", "faults", *NUMBERED)

T = TypeVar("T")


@dataclass(frozen=True)
class Candidate:
    """A run that can be made: its options, and its decisions (None: they are drawn)."""

    options: Options
    scenario: Scenario | None = None

    @cached_property
    def told(self) -> Scenario:
        """The decisions, with the command that the options are."""
        return replace(self.scenario or Scenario(), command=tuple(words_of(self.options)))

    @cached_property
    def text(self) -> str:
        """The text of the scenario's file."""
        return str(self.told)

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """What tells it from other candidates: its text, and the times that name entries."""
        entries = (entry for name in NUMBERED for entry in self.part(name))
        return self.text, *(entry.at for entry in entries if not entry.nth)

    @cached_property
    def measure(self) -> tuple[Any, ...]:
        """A smaller run has a smaller measure: fewer nodes and decisions, then fewer workers, less
        time, and a shorter file."""
        told, options = self.told, self.options
        decisions = len(options.nodes) + sum(len(self.part(name)) for name in LISTS)
        values = [invoke.value for invoke in _invokes(told) if isinstance(invoke.value, list)]
        size = decisions, sum(map(len, values)), options.concurrency, options.time_limit
        return *size, len(self.text), self.text

    def with_(self, **parts: Any) -> Candidate:
        """The same run with other `parts` of its scenario."""
        return replace(self, scenario=replace(self.told, **parts))

    def with_options(self, **values: Any) -> Candidate:
        return replace(self, options=replace(self.options, **values))

    def part(self, name: str) -> tuple[Any, ...]:
        """The entries of a part of the scenario."""
        return getattr(self.told, name) or ()


def _invokes(told: Scenario) -> tuple[Invoke, ...]:
    return (*(told.operations or ()), *(told.final or ()))


def sizes(candidate: Candidate) -> str:
    """What there is in a run, in words."""
    told, n = candidate.told, len(candidate.options.nodes)
    fates = Counter(min(len(fate.delays), 2) for fate in told.messages)
    starts = {fault.f[0] for fault in FAULTS.values()}
    counts = {
        "node": n,
        "operation": len(told.operations or ()),
        "final operation": len(told.final or ()),
        "fault": sum(action.f in starts for action in told.faults),
        "lost message": fates[0],
        "duplicated message": fates[2],
        "message with its own latency": fates[1],
        "old state of a service": len(told.views),
        "torn disk": len(told.unsynced),
        "switch": len(told.switches),
    }
    return ", ".join(_counted(count, what) for what, count in counts.items() if count)


def _counted(count: int, what: str) -> str:
    if count == 1:
        return f"1 {what}"
    first, *rest = what.split(" ")
    if len(rest) > 1:  # message with …, state of …
        first, *rest = [what.replace("message", "messages").replace("state", "states")]
        return f"{count:,} {first}"
    plural = f"{what}es" if what.endswith("ch") else f"{what}s"
    return f"{count:,} {plural}"


def with_entry(candidate: Candidate, name: str, place: int, entry: Any) -> Candidate:
    """The run with another entry in that place of a part of the scenario."""
    entries = candidate.part(name)
    return candidate.with_(**{name: (*entries[:place], entry, *entries[place + 1 :])})


# Time


def prefixes(candidate: Candidate) -> list[Candidate]:
    """The run's first operations: one, two, four … of them, and the faults until the last one."""
    return [
        prefix(candidate, 1 << power)
        for power in range(len(candidate.part("operations")).bit_length())
    ]


def prefix(candidate: Candidate, count: int) -> Candidate:
    """The run's first `count` operations, and the faults until the last one."""
    ordered = sorted(candidate.part("operations"), key=lambda invoke: invoke.time)[:count]
    last = max((invoke.time for invoke in ordered), default=0)
    faults = tuple(action for action in candidate.part("faults") if action.time <= last)
    return within(candidate.with_(operations=tuple(ordered), faults=faults), last)


def within(candidate: Candidate, last: int, more: int = 1) -> Candidate:
    """The run with the shortest time limit in whole seconds in which `last` (ns) comes to pass."""
    limit = min(candidate.options.time_limit, last // NANOS + more)
    return candidate.with_options(time_limit=limit)


def shorter(candidate: Candidate) -> Iterator[Candidate]:
    """The run with less time."""
    last = max((entry.time for entry in _timed(candidate)), default=0)
    for more in (1, 2, 5, 10):
        yield within(candidate, last, more)


def _timed(candidate: Candidate) -> list[Invoke | Action]:
    """What the load and the nemesis do, in order."""
    both = (*candidate.part("operations"), *candidate.part("faults"))
    return sorted(both, key=lambda entry: entry.time)


def timed(candidate: Candidate, times: Sequence[int]) -> Candidate:
    """The run whose operations and faults come at these times (ns), in the same order."""
    moved = [replace(entry, time=time) for entry, time in zip(_timed(candidate), times)]
    moved.sort(key=lambda entry: entry.time)
    there = candidate.with_(
        operations=tuple(entry for entry in moved if isinstance(entry, Invoke)),
        faults=tuple(entry for entry in moved if isinstance(entry, Action)),
    )
    return within(there, max(times, default=0))


def other_times(candidate: Candidate) -> Iterator[Candidate]:
    """The run at rounder times, or with less time between what happens."""
    times = [entry.time for entry in _timed(candidate)]
    if not times:
        return
    for apart in (0, 50 * MILLIS):  # events that are not further apart stay together
        groups = [0]
        for before, after in pairwise(times):
            groups.append(groups[-1] + (after - before > apart))
        for unit in reversed(ROUND) if len(times) > 10 else ROUND:
            yield timed(candidate, [group * unit for group in groups])
    for unit in ROUND:
        yield timed(candidate, [number * unit for number in range(len(times))])
        yield timed(candidate, [(time - times[0]) // unit * unit for time in times])
        yield timed(candidate, [time // unit * unit for time in times])
    yield timed(candidate, [time - times[0] for time in times])
    if len(times) <= FEW:
        yield from _nearer(candidate, times)
    yield from _final_times(candidate)


def _nearer(candidate: Candidate, times: Sequence[int]) -> Iterator[Candidate]:
    """One gap after the other shorter, or one time rounder."""
    for place, time in enumerate(times):
        gap = time - (times[place - 1] if place else 0)
        for less in (0, *reversed(ROUND)):
            if less < gap:
                yield timed(candidate, [t - (gap - less) * (t >= time) for t in times])
        for unit in ROUND:
            rounded = time // unit * unit
            if rounded < time:
                yield timed(candidate, [*times[:place], rounded, *times[place + 1 :]])


def _final_times(candidate: Candidate) -> Iterator[Candidate]:
    final = candidate.part("final")
    if any(invoke.time or invoke.wait for invoke in final):
        plain = tuple(replace(invoke, time=0, wait=0) for invoke in final)
        yield candidate.with_(final=plain)
        yield candidate.with_(final=tuple(replace(invoke, time=0) for invoke in final))
        for unit in ROUND:
            spaced = (replace(x, time=n * unit, wait=0) for n, x in enumerate(final))
            yield candidate.with_(final=tuple(spaced))


# When decisions come to pass


def by_time(candidate: Candidate) -> Candidate:
    """The same run, whose numbered entries are named by the time at which they came to pass.

    So they stay the same when others of their kind before them are left out.
    """
    return candidate.with_(
        **{
            name: tuple(replace(e, nth=0) if e.at is not None else e for e in candidate.part(name))
            for name in NUMBERED
        }
    )


# Nodes and workers


def of_nodes(candidate: Candidate, kept: Sequence[str]) -> Candidate:
    """The run of these nodes alone. Nodes with the usual names are numbered anew."""
    before = candidate.options.nodes
    usual = before == tuple(f"n{number}" for number in range(len(before)))
    after = tuple(f"n{number}" for number in range(len(kept))) if usual else tuple(kept)
    names = dict(zip(kept, after))
    n, m = len(before), len(after)
    workers = {
        node + n * level: after.index(names[before[node]]) + m * level
        for node in range(n)
        if before[node] in names
        for level in range(-(-candidate.options.concurrency // n))
    }
    told = candidate.told
    gone = set(before) - set(kept)
    ends = {**{end: end for fate in told.messages for end in (fate.src, fate.dest)}, **names}
    callers = {**{view.caller: view.caller for view in told.views}, **names}
    there = candidate.with_(
        operations=_of_workers(told.operations or (), workers),
        final=None if told.final is None else _of_workers(told.final, workers),
        messages=tuple(
            replace(fate, src=ends[fate.src], dest=ends[fate.dest])
            for fate in told.messages
            if gone.isdisjoint((fate.src, fate.dest))
        ),
        views=tuple(
            replace(view, caller=callers[view.caller])
            for view in told.views
            if view.caller not in gone
        ),
        faults=tuple(filter(None, (_of_nodes(action, names) for action in told.faults))),
        unsynced=tuple(
            replace(entry, node=names[entry.node])
            for entry in told.unsynced
            if entry.node not in gone
        ),
        switches=tuple(
            replace(switch, node=names[switch.node])
            for switch in told.switches
            if switch.node not in gone
        ),
    )
    concurrency = max(1, *(worker + 1 for worker in workers.values()), m)
    return there.with_options(nodes=after, concurrency=concurrency)


def _of_workers(invokes: Iterable[Invoke], workers: Mapping[int, int]) -> tuple[Invoke, ...]:
    return tuple(
        replace(invoke, worker=workers[invoke.worker])
        for invoke in invokes
        if invoke.worker in workers
    )


def _of_nodes(action: Action, names: Mapping[str, str]) -> Action | None:
    """What is left of a fault if there are only these nodes; None if that is nothing."""
    if action.nodes is not None:
        nodes = tuple(names[node] for node in action.nodes if node in names)
        return replace(action, nodes=nodes) if nodes else None
    if action.grudge is not None:
        grudge = {
            names[node]: tuple(names[other] for other in others if other in names)
            for node, others in action.grudge.items()
            if node in names
        }
        grudge = {node: others for node, others in grudge.items() if others}
        return replace(action, grudge=grudge) if grudge else None
    return action


def fewer_workers(candidate: Candidate) -> Iterator[Candidate]:
    """The run with one worker for each node, or with as many as work."""
    options, told = candidate.options, candidate.told
    n = len(options.nodes)
    used = sorted({invoke.worker for invoke in _invokes(told)})
    one = {worker: worker % n for worker in used}
    counts: Counter[int] = Counter()
    dense = {}
    for worker in used:
        dense[worker] = worker % n + n * counts[worker % n]
        counts[worker % n] += 1
    for workers in (one, dense):
        yield candidate.with_(
            operations=_of_workers(told.operations or (), workers),
            final=None if told.final is None else _of_workers(told.final, workers),
        ).with_options(concurrency=n * (1 + max((w // n for w in workers.values()), default=0)))


def moved_operations(candidate: Candidate) -> Iterator[Candidate]:
    """The run with the operations of one node at another one, of which fewer are then needed."""
    told, n = candidate.told, len(candidate.options.nodes)
    used = sorted({invoke.worker % n for invoke in _invokes(told)}, reverse=True)
    for node in used:
        for other in range(n):
            if other == node:
                continue
            workers = {
                invoke.worker: invoke.worker - invoke.worker % n + other
                if invoke.worker % n == node
                else invoke.worker
                for invoke in _invokes(told)
            }
            yield candidate.with_(
                operations=_of_workers(told.operations or (), workers),
                final=None if told.final is None else _of_workers(told.final, workers),
            )


# Faults


def milder_faults(candidate: Candidate) -> Iterator[Candidate]:
    """The run with fewer nodes in one of its faults. A partition keeps its form: nodes are left
    out on both sides."""
    faults = candidate.part("faults")
    for place, action in enumerate(faults):
        for milder in _milder(action):
            yield with_entry(candidate, "faults", place, milder)


def _milder(action: Action) -> Iterator[Action]:
    if action.nodes is not None and len(action.nodes) > 1:
        yield from (replace(action, nodes=(node,), kind=None) for node in action.nodes)
    if action.grudge is not None:
        hit = sorted({*action.grudge, *(n for others in action.grudge.values() for n in others)})
        parts: list[tuple[str, ...]] = [
            (a, b) for place, a in enumerate(hit) for b in hit[place + 1 :]
        ]
        parts += [tuple(other for other in hit if other != node) for node in hit]
        for kept in parts if len(hit) > 2 else ():
            there = _of_nodes(action, {node: node for node in kept})
            if there is not None:
                yield replace(there, kind=None)


# Messages and switches


def plainer_messages(candidate: Candidate) -> Iterator[Candidate]:
    """The run with messages that arrive once, after the usual latency: all of a kind at once."""
    fates = candidate.part("messages")
    yield candidate.with_(messages=tuple(fate for fate in fates if not fate.delays))
    once = (replace(fate, delays=fate.delays[:1]) for fate in fates)
    yield candidate.with_(messages=tuple(once))
    yield candidate.with_(messages=tuple(fate for fate in fates if len(fate.delays) != 1))


def simpler_entries(candidate: Candidate) -> Iterator[Candidate]:
    """The run with one entry that comes sooner, or whose time is rounder, or which loses more."""
    for name in NUMBERED:
        entries = candidate.part(name)
        if len(entries) > FEW:
            continue
        for place, entry in enumerate(entries):
            for simpler in _simpler(entry):
                if simpler not in entries:
                    yield with_entry(candidate, name, place, simpler)


def _simpler(entry: Fate | View | Unsynced | Switch) -> Iterator[Any]:
    for nth in sorted({1, 2, 3, entry.nth // 2, entry.nth - 1}):
        if 1 <= nth < entry.nth:
            yield replace(entry, nth=nth)
    if isinstance(entry, Fate):
        if len(entry.delays) > 1:
            yield from (replace(entry, delays=(delay,)) for delay in entry.delays)
        for delays in _rounder(entry.delays):
            yield replace(entry, delays=delays)
    elif isinstance(entry, View):
        yield from (replace(entry, behind=behind) for behind in range(min(entry.behind, 3)))
        if entry.learner is not None:
            yield replace(entry, learner=None)
        if entry.replica:
            yield replace(entry, replica=0)
    elif isinstance(entry, Unsynced):
        yield replace(entry, begin=0, end=None)
        yield replace(entry, end=None)
        yield replace(entry, begin=0)
    else:
        yield from (replace(entry, wait=wait) for (wait,) in _rounder((entry.wait,)))


def _rounder(waits: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Rounder times (ns) than these: one for all, then each rounded up or down."""
    for unit in (1000 * MILLIS, 100 * MILLIS, 10 * MILLIS, MILLIS):
        if all(wait >= unit for wait in waits):
            yield tuple(unit for _ in waits)
            yield tuple(wait // unit * unit for wait in waits)
        yield tuple(-(-wait // unit) * unit for wait in waits)


# Values


def of_parts(candidate: Candidate) -> Iterator[tuple[str, int]]:
    """Which operations have a value of several parts, such as the steps of a transaction."""
    for name in ("operations", "final"):
        for place, invoke in enumerate(candidate.part(name)):
            if isinstance(invoke.value, list) and len(invoke.value) > 1:
                yield name, place


def with_value(candidate: Candidate, name: str, place: int, value: Sequence[Any]) -> Candidate:
    """The run with another value, a list, of one operation."""
    changed = replace(candidate.part(name)[place], value=list(value))
    return with_entry(candidate, name, place, changed)


def small_values(candidate: Candidate) -> Iterator[Candidate]:
    """The run with keys and values 1, 2, 3 … in the order in which they come, or one of the two."""
    for keys, values in ((True, True), (True, False), (False, True)):
        naming = _Names(keys, values)
        yield candidate.with_(
            **{
                name: tuple(replace(x, value=naming.of(x)) for x in candidate.part(name))
                for name in ("operations", "final")
                if candidate.part(name)
            }
        )


class _Names:
    """Small numbers for keys and values, by which the same ones stay the same."""

    def __init__(self, keys: bool, values: bool) -> None:
        self._keys: dict[Any, int] | None = {} if keys else None
        self._values: dict[Any, int] | None = {} if values else None

    def of(self, invoke: Invoke) -> Any:
        value = invoke.value
        if not isinstance(value, list):
            return self._named(self._values, value)
        if invoke.f == "assign":
            return [self._named(self._keys, key) for key in value]
        if value and all(isinstance(step, list) for step in value):  # micro-operations
            return [self._step(step) for step in value]
        if len(value) == 2:  # a key, and what belongs to it
            return [self._named(self._keys, value[0]), self._all(value[1])]
        return value

    def _step(self, step: list[Any]) -> list[Any]:
        f, *rest = step
        if not rest:
            return step
        key, *values = rest
        return [f, self._named(self._keys, key), *map(self._all, values)]

    def _all(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._named(self._values, each) for each in value]
        return self._named(self._values, value)

    def _named(self, names: dict[Any, int] | None, value: Any) -> Any:
        """The small number of a value, as a text if the value is one; others stay as they are."""
        number = isinstance(value, int) and not isinstance(value, bool)
        if names is None or not (number or (isinstance(value, str) and value.isdigit())):
            return value
        small = names.setdefault(value, len(names) + 1)
        return small if number else str(small)


# The command


def plainer_options(candidate: Candidate) -> Iterator[Candidate]:
    """The run with a plainer command: what a scenario decides needs no flags."""
    options = candidate.options
    decided = {"nemesis", "nemesis_interval", "p_loss", "p_duplicate", "rate", "latency_dist"}
    decided |= {"hard", "preempt", "preempt_by"}
    known = {field.name: field.default for field in fields(Options) if field.name in decided}
    yield candidate.with_options(**known)
    yield from (candidate.with_options(**{name: value}) for name, value in known.items())
    yield candidate.with_(latency=None).with_options(latency=0)
    yield candidate.with_(latency=None)
    for name in ("seed", "key_count", "max_txn_length", "max_writes_per_key", "topology"):
        default = Options.__dataclass_fields__[name].default
        if getattr(options, name) != default:
            yield candidate.with_options(**{name: default})
    if len(options.nodes) > 1:
        yield candidate.with_options(topology="total")


Move = Callable[[Candidate], Iterable[Candidate]]

# What is tried once nothing can be left out.
MOVES: tuple[Move, ...] = (
    fewer_workers,
    moved_operations,
    milder_faults,
    shorter,
    other_times,
    simpler_entries,
    small_values,
)
