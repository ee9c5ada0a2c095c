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

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from glomers.checkers.transactions import Case, Transaction, Transactions, Version, writers
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

# The values that a read shows, comparable, of what is recorded of it; none for a key never written.
Seen = Callable[[Any], Sequence[Any]]


def warnings(history: History, options: Options, seen: Seen) -> list[dict[str, Any]]:
    """A warning for each kind that was found: what it is, the number of cases, and the first."""
    transactions = history.derived(Transactions)
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
        if not _fills_in(transaction):
            yield {"request": transaction.request.value, "op": as_map(transaction.operation)}


def _fills_in(transaction: Transaction) -> bool:
    """Whether an answer is the request, but for the values of reads."""
    asked, parts = transaction.asked, transaction.parts
    if len(asked) != len(parts):
        return False
    for (f, key, value), (g, same, other) in zip(asked, parts, strict=True):
        if f != g or key != same or (f != "r" and value != other):
            return False
    return True


def _unwritten(transactions: Transactions, seen: Seen) -> Iterator[Case]:
    written = {
        (key, value)
        for transaction in transactions.all
        for f, key, value in transaction.asked
        if f != "r"
    }
    for transaction in transactions.ok:
        for (f, key, _), shown in zip(transaction.parts, transaction.shown, strict=True):
            if f == "r":
                for value in seen(shown[2]):
                    if (key, value) not in written:
                        yield {"op": as_map(transaction.operation), "mop": shown}
                        break


def _future_reads(transactions: Transactions, seen: Seen) -> Iterator[Case]:
    for transaction in transactions.ok:
        if not transaction.writes:
            continue
        later: set[Version] = set()
        found = []
        for (f, key, value), shown in zip(
            reversed(transaction.parts), reversed(transaction.shown), strict=True
        ):
            if f != "r":
                later.add((key, value))
            elif later and any((key, value) in later for value in seen(shown[2])):
                found.append({"op": as_map(transaction.operation), "mop": shown})
        yield from reversed(found)


# What each node showed


@dataclass(slots=True)
class View:
    """What the clients of one node saw, in reads of keys that the transaction hadn't written.

    Nothing is counted any more once it is settled that there is nothing to warn of.
    """

    reads: int = 0
    own_occasions: int = 0  # reads of keys that this node had acknowledged a write of
    other_occasions: int = 0  # reads of keys another node had written, with no partition since
    shown: bool = False  # whether a read showed a write
    settled: bool = False  # whether one showed a write of another node, if there are others
    echoes: bool = True  # whether every answer was the request itself


class Run:
    """What the clients of each node saw, in the course of a history, until all is settled."""

    def __init__(self, transactions: Transactions, options: Options, seen: Seen) -> None:
        self._transactions = transactions
        self._options = options
        self._seen = seen
        self.views: dict[str, View] = {node: View() for node in options.nodes}
        self._writers = writers(transactions.all)
        # Key -> the nodes that acknowledged a write of it: ever, and since the last fault.
        self._acknowledged: dict[Any, set[str]] = defaultdict(set)
        self._connected: dict[Any, set[str]] = defaultdict(set)
        self._partitions: set[str] = set()
        for operation in transactions.history:
            if operation.is_client:
                self._follow(operation)
                if all(view.settled for view in self.views.values()):
                    break
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
        node = node_of(operation, self._options)
        if began:
            self._asked(transaction, node)
            return
        self._answered(transaction, node)
        for key, _ in transaction.writes:
            self._acknowledged[key].add(node)
            if not self._partitions:
                self._connected[key].add(node)

    def _asked(self, transaction: Transaction, node: str) -> None:
        view = self.views[node]
        for key, _ in transaction.reads:
            view.reads += 1
            view.own_occasions += node in self._acknowledged[key]
            view.other_occasions += bool(self._connected[key] - {node})

    def _answered(self, transaction: Transaction, node: str) -> None:
        view = self.views[node]
        view.echoes &= transaction.request.value == transaction.operation.value
        for key, shown in transaction.first_reads():
            for value in self._seen(shown):
                view.shown = True
                writer = self._writers.get((key, value))
                others = writer and node_of(writer.operation, self._options) != node
                view.settled |= bool(others) or len(self.views) == 1

    def silent(self) -> Iterator[Case]:
        for node, view in self.views.items():
            if view.own_occasions and not view.shown:
                yield {"node": node, "reads": view.reads, "echoes-requests": view.echoes}

    def isolated(self) -> Iterator[Case]:
        for node, view in self.views.items():
            if view.shown and view.other_occasions >= OCCASIONS and not view.settled:
                yield {"node": node, "reads": view.reads, "occasions": view.other_occasions}
