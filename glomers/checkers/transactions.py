"""What the checkers of transactions have in common: reading them, anomalies, and the verdict.

A transaction is a list of micro-operations `[f, key, value]`. Its first read of a key is *external*
if it had not written that key before: it shows another transaction's write. Its last write of a key
is external, too: others may read it.

Definitions and the shape of the results are Elle's (`elle.txn`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glomers import challenges
from glomers.checkers import consistency_models as models
from glomers.checkers import cycles, dependencies, txn_reasons
from glomers.checkers.dependencies import PROCESS, REALTIME, DependencyGraph, Step
from glomers.checkers.verdict import UNKNOWN
from glomers.history.edn import Keyword
from glomers.history.evidence import Evidence
from glomers.history.operations import History, Operation, as_map
from glomers.history.values import identity
from glomers.report.figures import Figure, kinds, some, word
from glomers.report.reasons import Reason, summary

Case = dict[str, Any]
Anomalies = dict[str, Any]  # type -> list of cases
Explain = Callable[[int, int, int, tuple[str, str]], Step]
MicroOperation = Sequence[Any]  # f, key and value
Version = tuple[Any, Any]  # a key and its value

# Anomalies that prove nothing, neither that the history is right nor that it is wrong; and why.
UNDECIDED = {
    "empty-transaction-graph": "no transaction is known to depend on another:"
    " none that succeeded shows or replaces what another wrote"
}


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction as it was asked for, and as it completed (or began, if it never did).

    `parts` are the micro-operations of `operation`; their keys and values can be compared and
    hashed. They are the recorded lists themselves wherever these can be, because copies would take
    as much memory as the history. `reads` and `writes` are the external ones.
    """

    request: Operation
    operation: Operation
    parts: Sequence[MicroOperation]
    reads: Sequence[Version]
    writes: Sequence[Version]

    @property
    def index(self) -> int:
        return self.operation.index

    @property
    def asked(self) -> Sequence[MicroOperation]:
        """The micro-operations of the request, comparable."""
        return micro_operations(self.request.value)

    @property
    def shown(self) -> Sequence[Any]:
        """The micro-operations as recorded."""
        return self.operation.value or ()

    def first_reads(self) -> Iterator[tuple[Any, Any]]:
        """The external reads: each key, and the value as recorded."""
        seen: set[Any] = set()
        for (f, key, _), shown in zip(self.parts, self.shown, strict=True):
            if f == "r" and key not in seen:
                yield key, shown[2]
            seen.add(key)

    def position(self, f: str, key: Any, value: Any) -> int:
        """The position of that micro-operation, from 0."""
        return next(i for i, part in enumerate(self.parts) if (*part,) == (f, key, value))


def comparable(value: Any) -> Any:
    """The identity of a value: it can be hashed, and only equals that of the same value.

    nil remains None.
    """
    return value if value is None or type(value) is int else identity(value)


def micro_operations(value: Sequence[Sequence[Any]] | None) -> Sequence[MicroOperation]:
    """The micro-operations of a recorded transaction, comparable."""
    for _, key, what in value or ():
        if type(key) is not int or (type(what) is not int and what is not None):
            return [(f, comparable(key), comparable(what)) for f, key, what in value or ()]
    return value or ()


def _external(parts: Sequence[MicroOperation]) -> tuple[tuple[Version, ...], tuple[Version, ...]]:
    """The reads of keys that had not occurred before, and the last write of each key."""
    if len(parts) == 1:
        [(f, *version)] = parts
        return ((tuple(version),), ()) if f == "r" else ((), (tuple(version),))
    seen: set[Any] = set()
    reads: list[Version] = []
    writes: dict[Any, Any] = {}
    for f, key, value in parts:
        if f != "r":
            writes[key] = value
        elif key not in seen:
            reads.append((key, value))
        seen.add(key)
    return tuple(reads), tuple(writes.items())


class Transactions:
    """The transactions of a history, by how they ended."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.all: list[Transaction] = []
        self.by_index: dict[int, Transaction] = {}
        for invocation, completion in history.pairs():
            if invocation.f == "txn":
                operation = completion or invocation
                parts = micro_operations(operation.value)
                transaction = Transaction(invocation, operation, parts, *_external(parts))
                self.all.append(transaction)
                self.by_index[transaction.index] = transaction
        self.all.sort(key=lambda transaction: transaction.index)
        self.ok = [t for t in self.all if t.operation.type == "ok"]
        self.failed = [t for t in self.all if t.operation.type == "fail"]


# Anomalies without cycles


def writers(transactions: Iterable[Transaction]) -> dict[Version, Transaction]:
    """The transaction that wrote each version."""
    return {
        (key, value): transaction
        for transaction in transactions
        for f, key, value in transaction.parts
        if f != "r"
    }


def intermediate_writers(transactions: Iterable[Transaction]) -> dict[Version, Transaction]:
    """The transaction that wrote each version and then overwrote it itself."""
    found: dict[Version, Transaction] = {}
    for transaction in transactions:
        last: dict[Any, Any] = {}
        for f, key, value in transaction.parts:
            if f != "r":
                if key in last:
                    found[key, last[key]] = transaction
                last[key] = value
    return found


def lost_updates(transactions: Iterable[Transaction]) -> Iterator[Case]:
    """Cases of two or more transactions that read the same version of a key and wrote that key."""
    updates: dict[Version, list[tuple[Transaction, int]]] = {}
    for transaction in transactions:
        reads: dict[Any, int] = {}  # where the first read of each key is
        written: set[Any] = set()
        for place, (f, key, _) in enumerate(transaction.parts):
            if f == "r":
                reads.setdefault(key, place)
            elif key in reads and key not in written:
                written.add(key)
                version = key, transaction.parts[reads[key]][2]
                updates.setdefault(version, []).append((transaction, reads[key]))
    for (key, _), rivals in updates.items():
        if len(rivals) > 1:
            reader, place = rivals[-1]
            txns = [as_map(rival.operation) for rival, _ in rivals]
            yield {"key": key, "value": reader.shown[place][2], "txns": txns}


# Anomalies with cycles


def add_orders(graph: DependencyGraph, history: History, consistency_models: Sequence[str]) -> None:
    """Add the dependencies by time that these models rely on (`elle.txn/additional-graphs`)."""
    forbidden = models.forbidden_anomalies(consistency_models)
    if any(anomaly.endswith("-realtime") for anomaly in forbidden):
        graph.link_all(dependencies.realtime_order(history), REALTIME)
    elif any(anomaly.endswith("-process") for anomaly in forbidden):
        graph.link_all(dependencies.process_order(history), PROCESS)


def cycle_anomalies(
    transactions: Transactions,
    graph: DependencyGraph,
    preference: Sequence[int],
    explain: Explain,
) -> Anomalies:
    """All anomalies that are cycles of the graph, explained."""
    found: Anomalies = {}
    for component in cycles.components(graph):
        existences = cycles.existing(component)
        for existence in existences:
            found.setdefault(existence.type, []).append({
                "type": Keyword(existence.type),
                "not": Keyword(existence.model),
                "subgraph": [Keyword("union"), *map(Keyword, existence.relations)],
                "scc-size": len(existence.transactions),
                "scc": list(existence.transactions),
            })  # fmt: skip
        for cycle in cycles.examples(component, existences, preference):
            found.setdefault(cycle.type, []).append(_explained(cycle, transactions, explain))
    return found


def _explained(cycle: cycles.Cycle, transactions: Transactions, explain: Explain) -> Case:
    """A cycle as results show it: its operations, and why each comes before the next."""
    nodes = cycle.transactions
    after = nodes[1:] + nodes[:1]
    names = [f"T{number}" for number in range(1, len(nodes) + 1)]
    steps = [
        explain(a, b, relation, pair)
        for a, b, relation, pair in zip(
            nodes,
            after,
            cycle.relations,
            zip(names, names[1:] + names[:1], strict=True),
            strict=True,
        )
    ]
    operations = [as_map(transactions.by_index[node].operation) for node in (*nodes, nodes[0])]
    return {"type": Keyword(cycle.type), "cycle": operations, "steps": steps}


# Results


def verdict(anomalies: Anomalies, consistency_models: Sequence[str]) -> Case:
    """The result of a check that found these anomalies; it reports those that the models forbid.

    `not` holds the weakest models that the anomalies rule out (all of them, forbidden or not), and
    `also-not` the stronger models.
    """
    forbidden = models.forbidden_anomalies(consistency_models)
    bad = [name for name in anomalies if name in forbidden]
    undecided = [name for name in anomalies if name in UNDECIDED]
    reported = sorted([*_without_redundant(bad), *undecided])
    if not reported:
        return {"valid?": True, "anomaly-types": [], "anomalies": None}
    weakest, stronger = models.boundary(anomalies)
    return {
        "valid?": False if bad else UNKNOWN,
        "anomaly-types": [Keyword(name) for name in reported],
        "anomalies": {name: anomalies[name] for name in reported},
        "not": frozenset(map(Keyword, weakest)),
        "also-not": frozenset(map(Keyword, stronger)),
        **({} if bad else {"error": "; ".join(UNDECIDED[name] for name in undecided)}),
    }


def _without_redundant(names: Sequence[str]) -> list[str]:
    """The names without each "…-cycle-exists" whose model another anomaly rules out, too."""
    proven = models.impossible_models(n for n in names if not n.endswith("-cycle-exists"))
    redundant = {
        f"{rule.model}-cycle-exists"
        for rule in cycles.RULES
        if models.model_name(rule.model) in proven
    }
    return [name for name in names if name not in redundant]


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    bad = _proven(result)
    yield Figure(challenges.ANOMALIES, len(bad), kinds(bad, result.get("anomalies") or {}))
    if result.get("not"):
        yield Figure("models that do not hold", None, some(sorted(map(word, result["not"]))))


def explain(result: Mapping[str, Any], evidence: Evidence) -> Iterator[Reason]:
    if bad := _proven(result):
        anomalies = result.get("anomalies") or {}
        yield summary("anomalies", kinds(bad, anomalies))
        yield from txn_reasons.explain(anomalies, list(map(str, bad)), evidence)


def _proven(result: Mapping[str, Any]) -> list[Any]:
    """The anomalies of a result, except those that prove nothing."""
    return [name for name in result["anomaly-types"] or () if name not in UNDECIDED]
