"""Transactions over registers: which anomalies a history has, and which models they rule out.

All values written to a key are different, so a read tells which transaction's write it saw: that
gives wr. For ww and rw it must be known which of two versions of a key came first. That is inferred
as in Maelstrom (Elle's `rw-register` with `wfr-keys?`):

- every version comes after the initial one, nil;
- if a transaction read one version and wrote another, the second comes after the first.

If these two contradict each other for a key (`cyclic-versions`), the second is not used at all.

For a given `--max-writes-per-key` the work is linear in the history. (It grows with that flag,
because every read of nil comes before every write of its key.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from glomers.checkers import Checker, cycles, suspected_g0, txn_warnings
from glomers.checkers.dependencies import (
    NAMES,
    RW,
    WR,
    WW,
    DependencyGraph,
    Step,
    data_step,
    explain_order,
)
from glomers.checkers.transactions import (
    Anomalies,
    Case,
    Transaction,
    Transactions,
    Version,
    add_orders,
    comparable,
    cycle_anomalies,
    explain,
    figures,
    intermediate_writers,
    lost_updates,
    verdict,
    writers,
)
from glomers.checkers.verdict import UNKNOWN, warning
from glomers.history.edn import Keyword
from glomers.history.operations import History, as_map
from glomers.options import Options

Index = dict[Version, list[int]]
Successors = dict[Version, dict[Version, None]]

# Two transactions may be related in several ways; the first of these names the edge (as in Elle).
PREFERENCE = (WR, WW, RW, *(relation for relation in NAMES if relation > RW))


def check(history: History, options: Options) -> Case:
    """The verdict, with Elle's keys; `valid?` is "unknown" if no dependency could be inferred.

    Raises UnknownModelError for an unknown consistency model.
    """
    transactions = history.derived(Transactions)
    model = Model(transactions)
    if ambiguous := model.ambiguous():
        return {"valid?": UNKNOWN, "error": ambiguous}
    anomalies: Anomalies = {
        "internal": list(_internal(transactions)),
        "G1a": list(_aborted_reads(transactions)),
        "G1b": list(_intermediate_reads(transactions)),
        "lost-update": list(lost_updates(transactions.ok)),
        "cyclic-versions": model.cyclic_versions,
    }
    anomalies = {name: cases for name, cases in anomalies.items() if cases}
    graph = model.take_graph()
    add_orders(graph, history, options.consistency_models)
    if not graph.successors:
        anomalies["empty-transaction-graph"] = True
    anomalies |= cycle_anomalies(transactions, graph, PREFERENCE, model.explain)
    return verdict(anomalies, options.consistency_models)


# Anomalies of single reads


def _internal(transactions: Transactions) -> Iterator[Case]:
    """Cases of a transaction whose read contradicts its own previous read or write of the key."""
    for transaction in transactions.ok:
        expected: dict[Any, Any] = {}
        for place, (f, key, value) in enumerate(transaction.parts):
            if f == "r" and expected.get(key, value) != value:
                yield {
                    "op": as_map(transaction.operation),
                    "mop": transaction.shown[place],
                    "expected": expected[key],
                }
                break
            expected[key] = value


def _aborted_reads(transactions: Transactions) -> Iterator[Case]:
    """Cases of a transaction that read what a failed transaction had written."""
    yield from _reads_of(writers(transactions.failed), transactions)


def _intermediate_reads(transactions: Transactions) -> Iterator[Case]:
    """Cases of a transaction that read what another one wrote and then overwrote itself."""
    yield from _reads_of(intermediate_writers(transactions.all), transactions)


def _reads_of(written: Mapping[Version, Transaction], transactions: Transactions) -> Iterator[Case]:
    """Reads of these versions in other transactions than those that wrote them."""
    for transaction in transactions.ok if written else ():
        for place, (f, key, value) in enumerate(transaction.parts):
            if f == "r" and (writer := written.get((key, value))) and writer is not transaction:
                yield {
                    "op": as_map(transaction.operation),
                    "mop": transaction.shown[place],
                    "writer": as_map(writer.operation),
                }


# Dependencies


class Model:
    """What the successful transactions read and wrote, and the order of versions."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._reads: Index = defaultdict(list)
        self._writes: Index = defaultdict(list)
        for transaction in transactions.ok:
            for version in transaction.reads:
                self._reads[version].append(transaction.index)
            for version in transaction.writes:
                self._writes[version].append(transaction.index)
        order = chain(self._after_the_initial(), self._writes_follow_reads())
        self._successors = _successors(order)
        self.cyclic_versions = _cycles(self._successors)
        if self.cyclic_versions:
            self._successors = _successors(self._after_the_initial())

    def ambiguous(self) -> str:
        """Which value was written twice, so that reads of it are ambiguous; "" if none was."""
        for version, indices in self._writes.items():
            if len(indices) > 1 and version in self._reads:
                key, value = version
                return f"key {key!r} had value {value!r} written by more than one transaction"
        return ""

    def _after_the_initial(self) -> Iterator[tuple[Version, Version]]:
        initial: dict[Any, Version] = {}
        for version in chain(self._writes, self._reads):
            key, value = version
            if value is not None:
                yield initial.setdefault(key, (key, None)), version

    def _writes_follow_reads(self) -> Iterator[tuple[Version, Version]]:
        """Pairs of the version of a key that a transaction read, and the one that it wrote."""
        for transaction in self._transactions.ok:
            reads = dict(transaction.reads) if transaction.writes else {}
            for version in transaction.writes if reads else ():
                key, _ = version
                if key in reads:
                    yield (key, reads[key]), version

    def take_graph(self) -> DependencyGraph:
        """The dependencies by what was read and written. May only be called once.

        The readers and writers of versions are forgotten then, since they take a quarter of the
        memory.
        """
        graph = DependencyGraph()
        reads, self._reads = self._reads, {}
        writes, self._writes = self._writes, {}
        for version, readers in reads.items():
            for writer in writes.get(version, ()):
                for reader in readers:
                    graph.link(writer, reader, WR)
        for before, successors in self._successors.items():
            wrote, read = writes.get(before, ()), reads.get(before, ())
            for after in successors if wrote or read else ():
                for second in writes.get(after, ()):
                    for first in wrote:
                        graph.link(first, second, WW)
                    for first in read:
                        graph.link(first, second, RW)
        return graph

    def explain(self, a: int, b: int, relation: int, names: tuple[str, str]) -> Step:
        """Why `a` comes before `b` by `relation`: Elle's fields, and a `reason` in words."""
        first, second = (self._transactions.by_index[index] for index in (a, b))
        if relation not in (WW, WR, RW):
            history = self._transactions.history
            return explain_order(history, first.operation, second.operation, relation, names)
        befores = first.reads if relation == RW else first.writes
        afters = dict(second.reads if relation == WR else second.writes)
        key, before, after = next(
            (key, before, afters[key])
            for key, before in befores
            if key in afters and self._related(relation, (key, before), (key, afters[key]))
        )
        i = first.position("r" if relation == RW else "w", key, before)
        j = second.position("r" if relation == WR else "w", key, after)
        reason = _reason(relation, key, before, after, names)
        return data_step(relation, key, (before, after), (i, j), reason)

    def _related(self, relation: int, before: Version, after: Version) -> bool:
        return before == after if relation == WR else after in self._successors.get(before, ())


def _reason(relation: int, key: Any, before: Any, after: Any, names: tuple[str, str]) -> str:
    first, second = names
    if relation == WR:
        return f"{first} wrote {before!r} to key {key!r}, which {second} read"
    if before is None:
        return f"{first} read key {key!r} as it was before any write, and {second} wrote {after!r}"
    did = "read" if relation == RW else "wrote"
    return (
        f"{first} {did} {before!r} of key {key!r}, which {second} read and overwrote with {after!r}"
    )


def _successors(order: Iterable[tuple[Version, Version]]) -> Successors:
    found: Successors = defaultdict(dict)
    for before, after in order:
        found[before][after] = None
    return found


def _cycles(successors: Successors) -> list[Case]:
    """Cases of versions of a key, each of which would have to come after all others."""
    groups = [nodes for nodes in cycles.strongly_connected(successors) if len(nodes) > 1]
    if not groups:
        return []
    order = chain.from_iterable((before, *after) for before, after in successors.items())
    position = {version: i for i, version in enumerate(dict.fromkeys(order))}
    return [
        {
            "key": nodes[0][0],
            "scc": [value for _, value in nodes],
            "sources": [Keyword("initial-state"), Keyword("wfr-keys")],
        }
        for nodes in sorted((sorted(nodes, key=position.__getitem__) for nodes in groups),
                            key=lambda nodes: position[nodes[0]])
    ]  # fmt: skip


# Beyond Maelstrom


def warnings(history: History, options: Options) -> list[Case]:
    """Warnings of what the verdict lets pass: see txn_warnings.py and suspected_g0.py."""
    found = txn_warnings.warnings(history, options, _seen)
    if suspicions := suspected_g0.cases(history.derived(Transactions), options):
        found.append(warning("suspicious-G0", suspected_g0.TEXT, suspicions))
    return found


def _seen(shown: Any) -> tuple[Any, ...]:
    """The value that a read showed, comparable; none for nil."""
    return () if shown is None else (comparable(shown),)


CHECKER = Checker(check, figures, explain, warnings)
