"""Sets: an element that was added must become readable on all nodes, and stay so.

The checker of broadcast and g-set. Theory, as in Jepsen's `set-full`:

- An element is *known* from the completion of its add, or of the first read that shows it,
  whichever comes first.
- An element is *stable* if the last read (by invocation) that counts for it shows it.
- It is *lost* if that read misses it, although the read began after the element was known.
- Otherwise it was *never read*.
- The *stable latency* runs from when the element was known to the invocation of the last read that
  missed it. The element is *stale* if that is a millisecond or more.

A read counts for the elements whose add began before the read ended. Jepsen updates every such
element at every read. Here the reads are gone through from the last to the first, and an element is
finished when a read has shown it and a read has missed it, which for most elements is soon.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glomers import challenges
from glomers.checkers import Checker, lost_values
from glomers.checkers.verdict import UNKNOWN
from glomers.history.edn import Keyword
from glomers.history.evidence import Evidence
from glomers.history.operations import History, Operation, as_map
from glomers.history.values import identity, order, quantile
from glomers.options import Options
from glomers.report.figures import Figure, milliseconds, some, times
from glomers.report.reasons import Reason, summary

QUANTILES = (0, 0.5, 0.95, 0.99, 1)
WORST_SHOWN = 8
MILLIS = 1_000_000  # nanoseconds in a millisecond
ADD = ("add", "broadcast")
LATENCIES = {
    challenges.MEDIAN_LATENCY: 0.5,
    "stable latency 95 %": 0.95,
    challenges.MAX_LATENCY: 1.0,
}

STABLE, LOST, NEVER_READ = map(Keyword, ("stable", "lost", "never-read"))


@dataclass(slots=True)
class Element:
    """One element: `last_present` and `last_absent` are invocations of reads."""

    add: Operation
    known: Operation | None = None
    last_present: Operation | None = None
    last_absent: Operation | None = None

    @property
    def value(self) -> Any:
        return self.add.value

    @property
    def outcome(self) -> Keyword:
        present = self.last_present.index if self.last_present else -1
        absent = self.last_absent.index if self.last_absent else -1
        if present > absent:
            return STABLE
        # A read may miss an element that became known while the read was running.
        return LOST if self.known and absent > self.known.index else NEVER_READ

    @property
    def stable_latency(self) -> int:
        return self._until(self.last_absent)

    @property
    def lost_latency(self) -> int:
        return self._until(self.last_present)

    def _until(self, last: Operation | None) -> int:
        """Whole milliseconds from when the element was known until just after `last` began."""
        assert self.known is not None
        return max(0, last.time + 1 - self.known.time) // MILLIS if last else 0


@dataclass(frozen=True, slots=True)
class Read:
    """A successful read, and the identities of the elements that it showed."""

    invocation: Operation
    completion: Operation
    shown: frozenset[Any]


def check(history: History, options: Options) -> dict[str, Any]:
    """Jepsen's set-full checker. Elements may be any JSON values.

    `duplicated` is always empty: Jepsen looks for elements that a read shows less than once.
    """
    elements, reads = _gather(history)
    _find_last_reads(elements, reads)
    by_outcome: dict[Keyword, list[Element]] = {STABLE: [], LOST: [], NEVER_READ: []}
    for element in sorted(elements.values(), key=lambda element: order(element.value)):
        by_outcome[element.outcome].append(element)
    stable, lost, never_read = by_outcome.values()
    stale = [element for element in stable if element.stable_latency > 0]
    worst = sorted(stale, key=lambda element: element.stable_latency)[::-1][:WORST_SHOWN]
    result = {
        "valid?": False if lost else True if stable else UNKNOWN,
        "attempt-count": len(elements),
        "stable-count": len(stable),
        **_listed("lost", lost),
        **_listed("never-read", never_read),
        **_listed("stale", stale),
        "worst-stale": [_describe(element) for element in worst],
        "duplicated-count": 0,
        "duplicated": {},
    }
    if result["valid?"] == UNKNOWN:
        result["error"] = _nothing_proved(elements, reads)
    if stable:
        result["stable-latencies"] = quantiles([element.stable_latency for element in stable])
    if lost:
        result["lost-latencies"] = quantiles([element.lost_latency for element in lost])
    return result


def stable_latencies(history: History) -> list[tuple[Any, int, int]]:
    """For each stable element: its value, when it was known (ns), its stable latency (ms)."""
    elements, reads = _gather(history)
    _find_last_reads(elements, reads)
    return [
        (element.value, element.known.time, element.stable_latency)
        for element in elements.values()
        if element.known and element.outcome == STABLE
    ]


def _nothing_proved(elements: Mapping[Any, Element], reads: Sequence[Read]) -> str:
    if not elements:
        return "no value was added, so there was none to be read"
    if not reads:
        return "without a read nobody knows what became of the values"
    return "no read shows any of the values that were added"


def _gather(history: History) -> tuple[dict[Any, Element], list[Read]]:
    """The elements by identity, and the reads in the order of their ends.

    If an element is added again, only what comes after the last add counts.
    """
    elements: dict[Any, Element] = {}
    unknown: set[Any] = set()
    reads = []
    for operation in history.client_operations():
        if operation.f in ADD:
            key = identity(operation.value)
            if operation.type == "invoke":
                elements[key] = Element(operation)
                unknown.add(key)
            elif operation.type == "ok" and key in unknown:
                elements[key].known = operation
                unknown.remove(key)
        elif operation.f == "read" and operation.type == "ok":
            shown = _identities(operation.value)
            for key in unknown & shown:
                elements[key].known = operation
            unknown -= shown
            if (invocation := history.invocation(operation)) is not None:
                reads.append(Read(invocation, operation, shown))
    return elements, reads


def _identities(values: Any) -> frozenset[Any]:
    if not isinstance(values, list):
        return frozenset()
    if set(map(type, values)) == {int}:
        return frozenset(values)  # these are their own identities; this saves time in long reads
    return frozenset(map(identity, values))


def _find_last_reads(elements: dict[Any, Element], reads: Iterable[Read]) -> None:
    """Find for each element the read, by invocation, that last showed it, and last missed it."""
    never_shown, never_missed = set(elements), set(elements)
    for read in sorted(reads, key=lambda read: read.invocation.index, reverse=True):
        for key in never_shown & read.shown:
            if elements[key].add.index < read.completion.index:
                elements[key].last_present = read.invocation
                never_shown.remove(key)
        for key in never_missed - read.shown:
            if elements[key].add.index < read.completion.index:
                elements[key].last_absent = read.invocation
                never_missed.remove(key)


def quantiles(values: Sequence[int]) -> dict[float, int]:
    """The values at the quantiles that Jepsen shows."""
    ranked = sorted(values)
    return {q: quantile(ranked, q) for q in QUANTILES}


def _listed(name: str, elements: Sequence[Element]) -> dict[str, Any]:
    return {f"{name}-count": len(elements), name: [element.value for element in elements]}


def _describe(element: Element) -> dict[str, Any]:
    """A stable element in detail."""
    return {
        "element": element.value,
        "outcome": element.outcome,
        "stable-latency": element.stable_latency,
        "lost-latency": None,
        "known": _as_add(element.known),
        "last-absent": _as_add(element.last_absent),
    }


def _as_add(operation: Operation | None) -> dict[str, Any] | None:
    """The operation as Jepsen shows it, which calls a broadcast an add."""
    if operation is None:
        return None
    return as_map(replace(operation, f="add") if operation.f == "broadcast" else operation)


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    yield Figure("values", result["attempt-count"])
    yield Figure(challenges.LOST_VALUES, result["lost-count"], some(result["lost"]))
    if result["never-read-count"]:
        remark = some(result["never-read"])
        yield Figure("values never read", result["never-read-count"], remark)
    if result["duplicated-count"]:
        remark = times(result["duplicated"])
        yield Figure("values read twice", result["duplicated-count"], remark)
    quantiles = {float(key): ms for key, ms in (result.get("stable-latencies") or {}).items()}
    for name, q in LATENCIES.items():
        if q in quantiles:
            yield Figure(name, quantiles[q], write=milliseconds)


def explain(result: Mapping[str, Any], evidence: Evidence) -> Iterator[Reason]:
    if result["lost-count"]:
        values = f"{_values(result['lost-count'])} lost: {some(result['lost'])}"
        yield summary("lost", values)
        yield from lost_values.explain(lost(evidence.history), evidence)
    if result["duplicated-count"]:
        shown = times(result["duplicated"])
        yield summary(
            "duplicated",
            f"{_values(result['duplicated-count'])} read more than once by one read: {shown}",
        )
    if result["valid?"] is not True and result["never-read-count"]:
        values = f"{_values(result['never-read-count'])} never read: {some(result['never-read'])}"
        yield summary("never-read", values)


def lost(history: History) -> Iterator[tuple[Any, Operation, Operation]]:
    """Each value that was lost, in their order: what it is, its add, and when it was known."""
    elements, reads = _gather(history)
    _find_last_reads(elements, reads)
    for element in sorted(elements.values(), key=lambda element: order(element.value)):
        if element.outcome == LOST and element.known:
            yield element.value, element.add, element.known


def _values(count: int) -> str:
    return f"{count:,} value{'s were' if count != 1 else ' was'}"


CHECKER = Checker(check, figures, explain)
