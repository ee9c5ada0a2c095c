"""Transactions over lists: which anomalies a history has, and which models they rule out.

A write appends an element to a key's list, and no element is appended twice, so a read reveals the
order of all versions until then. The longest read of a key gives the order of its elements;
elements that were never read come after it. Definitions are Elle's (`elle.list-append`). Unlike in
Elle, appends of failed transactions and elements that nobody appended don't stop the analysis.

The work is linear in the number of elements that were read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from glomers.checkers import Checker, txn_warnings
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
from glomers.checkers.verdict import UNKNOWN
from glomers.history.operations import History, as_map
from glomers.options import Options

Elements = tuple[Any, ...]
# A version's value is its last element here; None for the empty list.

# Two transactions may be related in several ways; the first of these names the edge (as in Elle).
PREFERENCE = tuple(NAMES)
ANYTHING = "..."  # stands for the unknown beginning of an expected list


def check(history: History, options: Options) -> Case:
    """The verdict, with Elle's keys; `valid?` is "unknown" if no dependency could be inferred.

    Raises UnknownModelError for an unknown consistency model.
    """
    transactions = history.derived(Transactions)
    if twice := _appended_twice(transactions):
        return {"valid?": UNKNOWN, "error": twice}
    model = Model(transactions)
    anomalies: Anomalies = {
        "internal": list(_internal(transactions)),
        "future-read": list(_future_reads(transactions)),
        "G1a": list(_aborted_reads(transactions)),
        "G1b": list(_intermediate_reads(transactions)),
        "dirty-update": list(model.dirty_updates()),
        "duplicate-elements": list(_duplicates(transactions)),
        "incompatible-order": list(model.incompatible_orders()),
        "lost-update": list(lost_updates(transactions.ok)),
    }
    anomalies = {name: cases for name, cases in anomalies.items() if cases}
    graph = model.graph()
    add_orders(graph, history, options.consistency_models)
    if not graph.successors:
        anomalies["empty-transaction-graph"] = True
    anomalies |= cycle_anomalies(transactions, graph, PREFERENCE, model.explain)
    return verdict(anomalies, options.consistency_models)


def warnings(history: History, options: Options) -> list[Case]:
    """Warnings of what the verdict lets pass: see txn_warnings.py."""
    return txn_warnings.warnings(history, options, elements)


def elements(shown: Sequence[Any] | None) -> Elements:
    """The elements of a recorded list, comparable; none for nil."""
    return tuple(map(comparable, shown or ()))


def _appended_twice(transactions: Transactions) -> str:
    """Which element was appended twice, so that the analysis is impossible; "" if none was."""
    appends = Counter(
        (key, value)
        for transaction in transactions.all
        for f, key, value in transaction.parts
        if f == "append"
    )
    return next(
        (
            f"{value!r} was appended to key {key!r} twice"
            for (key, value), n in appends.items()
            if n > 1
        ),
        "",
    )


# Anomalies of single transactions and reads


def _reads(transactions: Transactions) -> Iterator[tuple[Transaction, Any, Any, Elements]]:
    """Each read: its transaction, as recorded, the key, and the elements."""
    for transaction in transactions.ok:
        for f, key, value, recorded in _with_elements(transaction):
            if f == "r":
                yield transaction, recorded, key, value


def _with_elements(transaction: Transaction) -> Iterator[tuple[str, Any, Any, Any]]:
    """The micro-operations: f, key, the element or the elements of a read, and as recorded."""
    for (f, key, value), recorded in zip(transaction.parts, transaction.shown, strict=True):
        yield f, key, elements(recorded[2]) if f == "r" else value, recorded


def _internal(transactions: Transactions) -> Iterator[Case]:
    """Cases of a transaction whose read contradicts its own earlier reads and appends."""
    for transaction in transactions.ok:
        expected: dict[Any, Elements] = {}
        for f, key, value, recorded in _with_elements(transaction):
            if f != "r":
                expected[key] = (*expected.get(key, (ANYTHING,)), value)
                continue
            if key in expected and not _fits(value, expected[key]):
                yield {
                    "op": as_map(transaction.operation),
                    "mop": recorded,
                    "expected": list(expected[key]),
                }
                break
            expected[key] = value


def _fits(shown: Elements, expected: Elements) -> bool:
    if expected[:1] != (ANYTHING,):
        return shown == expected
    end = expected[1:]
    return shown[len(shown) - len(end) :] == end


def _future_reads(transactions: Transactions) -> Iterator[Case]:
    """Cases of a transaction that read an element before it appended it itself."""
    for transaction in transactions.ok:
        shown: dict[Version, Any] = {}
        for f, key, value, recorded in _with_elements(transaction):
            if f == "r":
                for element in value:
                    shown.setdefault((key, element), recorded)
            elif (key, value) in shown:
                yield {
                    "op": as_map(transaction.operation),
                    "mop": shown[key, value],
                    "element": value,
                }
                break


def _aborted_reads(transactions: Transactions) -> Iterator[Case]:
    """Cases of a transaction that read what a failed transaction had appended."""
    failed = writers(transactions.failed)
    for transaction, recorded, key, shown in _reads(transactions) if failed else ():
        for element in shown:
            if writer := failed.get((key, element)):
                yield _read_of(transaction, recorded, writer, element)


def _intermediate_reads(transactions: Transactions) -> Iterator[Case]:
    """Cases of a transaction that read a list in the middle of another transaction's appends."""
    intermediate = intermediate_writers(transactions.all)
    for transaction, recorded, key, shown in _reads(transactions):
        writer = intermediate.get((key, shown[-1])) if shown else None
        if writer and writer is not transaction:
            yield _read_of(transaction, recorded, writer, shown[-1])


def _read_of(reader: Transaction, recorded: Any, writer: Transaction, element: Any) -> Case:
    return {
        "op": as_map(reader.operation),
        "mop": recorded,
        "writer": as_map(writer.operation),
        "element": element,
    }


def _duplicates(transactions: Transactions) -> Iterator[Case]:
    """Cases of a read that showed an element more than once."""
    for transaction, recorded, _, shown in _reads(transactions):
        if len(set(shown)) < len(shown):
            twice = {element: n for element, n in Counter(shown).items() if n > 1}
            yield {"op": as_map(transaction.operation), "mop": recorded, "duplicates": twice}


# Dependencies


class Model:
    """The order of each key's elements, and which transactions appended and read them."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._possible = [t for t in transactions.all if t.operation.type != "fail"]
        self._writer = writers(self._possible)
        # Key -> the different lists that were read, the shortest first.
        self._lists: dict[Any, list[Elements]] = {}
        # The transactions whose read ended with that element.
        self._readers: dict[Version, list[int]] = defaultdict(list)
        for transaction, _, key, shown in _reads(transactions):
            self._readers[key, shown[-1] if shown else None].append(transaction.index)
            if shown:
                self._lists.setdefault(key, []).append(shown)
        for key, lists in self._lists.items():
            self._lists[key] = sorted(dict.fromkeys(lists), key=len)
        self._order = {key: list(dict.fromkeys(lists[-1])) for key, lists in self._lists.items()}
        self._before: dict[Version, Any] = {
            (key, after): before
            for key, order in self._order.items()
            for before, after in pairwise([None, *order])
        }

    def incompatible_orders(self) -> Iterator[Case]:
        """Cases of two reads of a key, neither of which is the beginning of the other."""
        for key, lists in self._lists.items():
            for shorter, longer in pairwise(lists):
                if longer[: len(shorter)] != shorter:
                    yield {"key": key, "values": [list(shorter), list(longer)]}
                    break

    def dirty_updates(self) -> Iterator[Case]:
        """Cases of a successful transaction whose append follows an element of a failed one."""
        all_writers = writers(self._transactions.all)
        for key, order in self._order.items():
            failed: Transaction | None = None
            between: list[Any] = []
            for element in order:
                writer = all_writers.get((key, element))
                if writer is None:
                    continue
                between.append(element)
                if writer.operation.type == "ok":
                    if failed:
                        txns = [as_map(failed.operation), ANYTHING, as_map(writer.operation)]
                        yield {"key": key, "values": between, "txns": txns}
                    failed, between = None, []
                elif writer.operation.type == "fail" and failed is None:
                    failed, between = writer, [element]

    def _previous(self, key: Any, element: Any) -> Any:
        """The element before an appended one; if that was never read, the last that was read."""
        version = key, element
        if version in self._before:
            return self._before[version]
        order: Sequence[Any] = self._order.get(key, ())
        return order[-1] if order else None

    def graph(self) -> DependencyGraph:
        graph = DependencyGraph()
        for transaction in self._possible:
            for f, key, value in transaction.parts:
                if f == "append":
                    previous = key, self._previous(key, value)
                    if first := self._writer.get(previous):
                        graph.link(first.index, transaction.index, WW)
                    for reader in self._readers.get(previous, ()):
                        graph.link(reader, transaction.index, RW)
        for version, readers in self._readers.items():
            if writer := self._writer.get(version):
                graph.link_all(((writer.index, reader) for reader in readers), WR)
        return graph

    def explain(self, a: int, b: int, relation: int, names: tuple[str, str]) -> Step:
        """Why `a` comes before `b` by `relation`: Elle's fields, and a `reason` in words."""
        first, second = (self._transactions.by_index[index] for index in (a, b))
        if relation not in (WW, WR, RW):
            history = self._transactions.history
            return explain_order(history, first.operation, second.operation, relation, names)
        i, j, key, before, after = next(self._links(first, second, relation))
        reason = _reason(relation, key, before, after, names)
        return data_step(relation, key, (before, after), (i, j), reason)

    def _links(
        self, first: Transaction, second: Transaction, relation: int
    ) -> Iterator[tuple[int, int, Any, Any, Any]]:
        """For each pair of related micro-operations: their positions, key and elements."""
        for j, (later_f, key, later, _) in enumerate(_with_elements(second)):
            for i, (earlier_f, same, earlier, _) in enumerate(_with_elements(first)):
                if key != same or (later_f == "r") != (relation == WR):
                    continue
                if (earlier_f == "r") != (relation == RW):
                    continue
                before, after = _last(earlier_f, earlier), _last(later_f, later)
                expected = after if relation == WR else self._previous(key, after)
                if before == expected:
                    yield i, j, key, before, after


def _last(f: str, value: Any) -> Any:
    """The element that was appended, or the last that was read; None for an empty list."""
    if f != "r":
        return value
    return value[-1] if value else None


def _reason(relation: int, key: Any, before: Any, after: Any, names: tuple[str, str]) -> str:
    first, second = names
    if relation == WR:
        return f"{first} appended {before!r} to key {key!r}, which {second} read"
    if relation == WW:
        return (
            f"{first} appended {before!r} to key {key!r}, and {second} appended {after!r} after it"
        )
    if before is None:
        return f"{first} read key {key!r} when it was empty, before {second} appended {after!r}"
    return f"{first} read key {key!r} up to {before!r}, before {second} appended {after!r}"


CHECKER = Checker(check, figures, explain, warnings)
