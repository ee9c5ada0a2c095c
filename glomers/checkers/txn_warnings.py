"""Warnings of what Elle lets pass in a history of transactions, though no sensible node does it.

Elle asks whether *some* order of versions explains a history. It finds no fault with a node that
answers nil to every read, and under read-committed even stale reads are legal. So there are
warnings beside the verdict. Some prove a mistake:

    mismatch     an answer is not the request with its reads filled in
    unwritten    a read shows a value that nobody wrote
    future-read  a transaction read a value before it wrote that value itself

Others show that the run proved nothing:

    silent    a node never showed a write, though clients read keys that it had written before
    isolated  a node never showed a write of another node, though clients often read keys that
              another node had written, while there was no partition and no fault began or ended
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from glomers.checkers.transactions import (
    Case,
    MicroOperation,
    Transaction,
    Transactions,
    comparable,
    writers,
)
from glomers.checkers.verdict import warning
from glomers.history import evidence
from glomers.history.operations import History, Operation, as_map
from glomers.options import Options

OCCASIONS = 20  # reads of a key that another node had written, after which a node should show one

TEXTS = {
    "mismatch": "an answer is not the request with its reads filled in",
    "unwritten": "a read showed a value that nobody wrote",
    "future-read": "a transaction read a value before it wrote that value itself",
    "silent": "a node never showed a write, not even one of its own: the run proves nothing",
    "isolated": "a node never showed what another node had written",
}

Seen = Callable[[MicroOperation], Iterable[Any]]


def warnings(history: History, options: Options, seen: Seen) -> list[dict[str, Any]]:
    """A warning for each kind that was found: what it is, the number of cases, and the first.

    `seen(read)` are the values that a read shows, comparable; none for a key never written.
    """
    transactions = Transactions(history)
    run = Run(transactions, options, seen)
    cases: dict[str, list[Case]] = {
        "mismatch": list(_mismatches(transactions)),
        "unwritten": list(_unwritten(transactions, seen)),
        "future-read": list(_future_reads(transactions, seen)),
        "silent": list(run.silent()),
        "isolated": list(run.isolated()),
    }
    return [warning(kind, _text(kind, found), found) for kind, found in cases.items() if found]


def _text(kind: str, cases: list[Case]) -> str:
    """The text of a warning; if it is about nodes, with their names and the number of reads."""
    if "node" not in cases[0]:
        return TEXTS[kind]
    nodes = ", ".join(case["node"] for case in cases)
    return f"{TEXTS[kind]} ({nodes}; {cases[0]['node']} was read {cases[0]['reads']:,} times)"


def node_of(operation: Operation, options: Options) -> str:
    """The node that an operation was asked of."""
    return evidence.node_of(int(operation.process), options.nodes, options.concurrency)


# Proofs


def _mismatches(transactions: Transactions) -> Iterator[Case]:
    for transaction in transactions.ok:
        request = transactions.history.invocation(transaction.operation)
        answer = transaction.operation
        if request and [*map(_asked, request.value)] != [*map(_asked, answer.value or ())]:
            yield {"request": request.value, "op": as_map(answer)}


def _asked(part: list[Any]) -> tuple[Any, ...]:
    """A micro-operation without the value of a read, which the node fills in."""
    f, key, value = part
    return f, comparable(key), None if f == "r" else comparable(value)


def _unwritten(transactions: Transactions, seen: Seen) -> Iterator[Case]:
    written = {
        (comparable(key), comparable(value))
        for invocation, _ in transactions.history.pairs()
        if invocation.f == "txn"
        for f, key, value in invocation.value
        if f != "r"
    }
    for transaction in transactions.ok:
        for part in transaction.parts:
            if part.f == "r" and any((part.key, value) not in written for value in seen(part)):
                yield {"op": as_map(transaction.operation), "mop": part.shown}


def _future_reads(transactions: Transactions, seen: Seen) -> Iterator[Case]:
    for transaction in transactions.ok:
        later = Counter((part.key, part.value) for part in transaction.parts if part.f != "r")
        for part in transaction.parts:
            if part.f != "r":
                later[part.key, part.value] -= 1
            elif any(later[part.key, value] > 0 for value in seen(part)):
                yield {"op": as_map(transaction.operation), "mop": part.shown}


# What each node showed


@dataclass(slots=True)
class View:
    """What the clients of one node saw, in reads of keys that the transaction hadn't written."""

    reads: int = 0
    own_occasions: int = 0  # reads of keys that this node had acknowledged a write of
    other_occasions: int = 0  # reads of keys another node had written, with no partition since
    shown: int = 0  # reads that showed a write
    others_shown: int = 0  # reads that showed a write of another node
    echoes: bool = True  # whether every answer was the request itself


class Run:
    """What the clients of each node saw, in the course of a history."""

    def __init__(self, transactions: Transactions, options: Options, seen: Seen) -> None:
        self._transactions = transactions
        self._options = options
        self._seen = seen
        self.views: dict[str, View] = {node: View() for node in options.nodes}
        # The node that was asked to write each value.
        self._origin = {
            version: node_of(transaction.operation, options)
            for version, transaction in writers(transactions.all).items()
        }
        # Key -> the nodes that acknowledged a write of it: ever, and since the last fault.
        self._acknowledged: dict[Any, set[str]] = defaultdict(set)
        self._connected: dict[Any, set[str]] = defaultdict(set)
        self._partitions: set[str] = set()
        for operation in transactions.history:
            if operation.is_client:
                self._follow(operation)
            else:
                verb, _, partition = operation.f.partition("-")
                if partition and verb == "start":
                    self._partitions.add(partition)
                else:
                    self._partitions.discard(partition)
                self._connected.clear()

    def _follow(self, operation: Operation) -> None:
        began = operation.type == "invoke"
        history = self._transactions.history
        completion = history.completion(operation) if began else operation
        if completion is None or completion.type != "ok" or completion.f != "txn":
            return
        transaction = self._transactions.by_index[completion.index]
        if began:
            self._asked(transaction)
            return
        self._answered(transaction)
        for key in transaction.external_writes():
            self._acknowledged[key].add(node_of(operation, self._options))
            if not self._partitions:
                self._connected[key].add(node_of(operation, self._options))

    def _asked(self, transaction: Transaction) -> None:
        node = node_of(transaction.operation, self._options)
        view = self.views[node]
        for key in transaction.external_reads():
            view.reads += 1
            view.own_occasions += node in self._acknowledged[key]
            view.other_occasions += bool(self._connected[key] - {node})

    def _answered(self, transaction: Transaction) -> None:
        node = node_of(transaction.operation, self._options)
        view = self.views[node]
        request = self._transactions.history.invocation(transaction.operation)
        view.echoes &= request is not None and request.value == transaction.operation.value
        for part in transaction.firsts():
            if part.f == "r":
                values = list(self._seen(part))
                view.shown += bool(values)
                view.others_shown += any(
                    self._origin.get((part.key, value), node) != node for value in values
                )

    def silent(self) -> Iterator[Case]:
        for node, view in self.views.items():
            if view.own_occasions and not view.shown:
                yield {"node": node, "reads": view.reads, "echoes-requests": view.echoes}

    def isolated(self) -> Iterator[Case]:
        for node, view in self.views.items():
            if view.shown and view.other_occasions >= OCCASIONS and not view.others_shown:
                yield {"node": node, "reads": view.reads, "occasions": view.other_occasions}
