"""A suspicion of G0 in transactions over registers, beyond what Elle can infer.

G0 is a cycle of transactions in which each overwrote a version of the next. To detect it, one must
know which of two versions of a key came later. Clients of registers only know that if one
transaction reads the first version and writes the second.

More is known if each node is a copy that never goes back to an older version. Then, of two versions
that a node shows or acknowledges as written, in transactions that don't overlap, the later is the
newer one. So if one node shows that T1 overwrote T2, and another that T2 overwrote T1, they
contradict each other.

That is no proof. A node may legally answer with an old version, or acknowledge a write that has
already lost to a version with a newer timestamp. The check catches nodes that apply writes as they
arrive, so that copies differ for good. It never suspects last-write-wins by Lamport time, where a
node's own write is always newer than all that the node has shown.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

from glomers.checkers import cycles
from glomers.checkers.dependencies import WW, DependencyGraph
from glomers.checkers.transactions import Case, Transaction, Transactions
from glomers.checkers.txn_warnings import node_of
from glomers.history.operations import as_map
from glomers.options import Options

Order = tuple[str, Any, Any, Any]  # a node, a key, and two of its versions
TEXT = (
    "transactions seem to have overwritten each other in a cycle"
    " (no proof: this assumes that no node goes back to an older version)"
)


def cases(transactions: Transactions, options: Options) -> list[Case]:
    """A short cycle of each component of the graph of overwrites, and which nodes showed what."""
    graph = DependencyGraph()
    for pair, _ in _overwrites(transactions, options):
        graph.link(*pair, WW)
    found = []
    reasons: dict[tuple[int, int], Order] = {}
    for component in cycles.components(graph):
        for circle in cycles.examples(component, cycles.existing(component), (WW,)):
            if not reasons:
                for pair, order in _overwrites(transactions, options):
                    reasons.setdefault(pair, order)
            nodes = circle.transactions
            pairs = zip(nodes, nodes[1:] + nodes[:1], strict=True)
            found.append({
                "cycle": [as_map(transactions.by_index[node].operation) for node in nodes],
                "steps": [_step(*reasons[pair]) for pair in pairs],
            })  # fmt: skip
    return found


def _step(node: str, key: Any, before: Any, after: Any) -> Case:
    reason = f"{node} had {before!r} of key {key!r}, and later {after!r}"
    return {"node": node, "key": key, "reason": reason}


def _overwrites(
    transactions: Transactions, options: Options
) -> Iterator[tuple[tuple[int, int], Order]]:
    """Pairs of transactions of which the second seems to have overwritten the first, and why."""
    writer = {
        version: transaction.index
        for transaction in transactions.ok
        for version in transaction.writes
    }
    for order in _orders(transactions, options):
        _, key, before, after = order
        first, second = writer.get((key, before)), writer.get((key, after))
        if first is not None and second is not None:
            yield (first, second), order


def _orders(transactions: Transactions, options: Options) -> Iterator[Order]:
    """Pairs of versions of a key, of which a node showed the second after the first."""
    # By node and key: the versions shown last by transactions that have ended. Versions that a
    # later transaction has followed are dropped, as in dependencies.realtime_order.
    recent: dict[tuple[str, Any], dict[int, Any]] = defaultdict(dict)
    # By transaction that goes on: for each key, those versions, which of them it follows, its own.
    running: dict[int, list[tuple[dict[int, Any], list[int], Any]]] = {}
    for transaction, began in _moments(transactions):
        if not began:
            for copies, followed, last in running.pop(transaction.index):
                for ended in followed:
                    copies.pop(ended, None)
                copies[transaction.index] = last
            continue
        node = node_of(transaction.operation, options)
        running[transaction.index] = follows = []
        for key, (first, last) in _shown(transaction).items():
            copies = recent[node, key]
            follows.append((copies, list(copies), last))
            for earlier in copies.values():
                if first != earlier:
                    yield node, key, earlier, first


def _moments(transactions: Transactions) -> Iterator[tuple[Transaction, bool]]:
    """The beginning (True) and the end (False) of each successful transaction, in order."""
    beginning = deque(sorted(transactions.ok, key=lambda transaction: transaction.request.index))
    for ending in transactions.ok:
        while beginning and beginning[0].request.index < ending.index:
            yield beginning.popleft(), True
        yield ending, False


def _shown(transaction: Transaction) -> dict[Any, tuple[Any, Any]]:
    """Key -> the first and the last version that the transaction read from or wrote for others."""
    shown = {key: (value, value) for key, value in transaction.reads}
    for key, value in transaction.writes:
        shown[key] = (shown[key][0] if key in shown else value), value
    return shown
