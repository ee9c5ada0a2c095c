"""The anomalies of transactions in sentences: which transactions, on which nodes, and why.

Those of a cycle are T1, T2, … with a reason for each edge: what one read that another wrote. A
picture is the cycle, with its transactions and edges.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from glomers.checkers.failures import error_code
from glomers.history import edn
from glomers.history.evidence import Evidence
from glomers.history.operations import Operation
from glomers.report.figures import some, word
from glomers.report.reasons import CASES, Reason, at, first, in_turn, indices, listed

EDGES = 4  # of a cycle that are explained in words

Case = Mapping[str, Any]
Told = tuple[str, list[Any]]  # a sentence, and the operations that it is about, as in the case


def explain(
    anomalies: Mapping[str, Any], types: Sequence[str], evidence: Evidence
) -> Iterator[Reason]:
    """The first cases: one of each type, then the second of each."""
    groups = [
        _of_type(type, anomalies[type], evidence)
        for type in types
        if isinstance(anomalies.get(type), (list, tuple))
    ]
    return in_turn(groups)


def _of_type(type: str, cases: Sequence[Case], evidence: Evidence) -> Iterator[Reason]:
    reasons = (_reason(type, case, evidence) for case in first(cases))
    return (reason for reason in reasons if reason)


def _reason(type: str, case: Case, evidence: Evidence) -> Reason | None:
    plain = edn.to_json(case)
    if "steps" in plain:
        text, shown = _cycle(type, plain, evidence)
    elif "scc-size" in plain:
        text, shown = _existence(type, plain)
    elif type in SENTENCES:
        text, shown = SENTENCES[type](plain, Namer(evidence))
    else:
        return None
    operations = [_operation(one, evidence) for one in shown]
    known = [operation for operation in operations if operation]
    return Reason(
        type,
        text,
        max((operation.time for operation in known), default=None),
        indices(known),
        (),
        evidence.nodes_of(*known),
        _picture(plain),
    )


def _operation(shown: Any, evidence: Evidence) -> Operation | None:
    index = shown.get("index") if isinstance(shown, Mapping) else shown
    return evidence.operation(index)


class Namer:
    """Names transactions in a sentence: T1, T2, … with the node and the time."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._names: dict[int, str] = {}

    def __call__(self, shown: Any) -> str:
        """A transaction; where it is named for the first time, with its node and time."""
        index = shown.get("index") if isinstance(shown, Mapping) else None
        if index is None:
            return "another"
        if index in self._names:
            return self._names[index]
        name = self._names[index] = f"T{len(self._names) + 1}"
        operation = self._evidence.operation(index)
        if operation is None:
            return f"{name} (operation {index})"
        return f"{name} ({self._evidence.who(operation)} {at(operation.time)})"


# Cycles


def _cycle(type: str, case: Case, evidence: Evidence) -> Told:
    """Who they are, and why each comes before the next."""
    transactions, steps = case["cycle"][:-1], case["steps"]
    name = Namer(evidence)
    who = [name(transaction) for transaction in transactions]
    names = [f"T{number}" for number in range(1, len(transactions) + 1)]
    pairs = zip(names, names[1:] + names[:1], strict=True)
    edges = [_edge(step, one, other) for step, (one, other) in zip(steps, pairs, strict=False)]
    more = len(edges) - EDGES
    words = "; ".join(edges[:EDGES]) + (f"; and {more} more" if more > 0 else "")
    return f"{word(type)} of {listed(who)}: {words}", list(transactions)


def _edge(step: Case, one: str, other: str) -> str:
    """Why one transaction comes before the other. Maelstrom gives no reason in words."""
    reason = step.get("reason")
    if reason:
        return str(reason)
    where = f" (key {word(step['key'])})" if "key" in step else ""
    return f"{one} comes before {other} by {word(step['type'])}{where}"


def _existence(type: str, case: Case) -> Told:
    text = (
        f"{word(type)}: {case['scc-size']} transactions each had to come before the others"
        f" (by {some(case['subgraph'][1:])}), which {word(case['not'])} forbids"
    )
    return text, list(case["scc"][:CASES])


def _picture(case: Case) -> dict[str, Any]:
    """A cycle's transactions (index, process, time, what they did), and its edges."""
    if "steps" not in case:
        return {}
    return {
        "form": "cycle",
        "transactions": [
            [one["index"], one["process"], one["time"], one["value"]] for one in case["cycle"][:-1]
        ],
        "edges": [
            [word(step["type"]), _edge(step, f"T{place}", f"T{place % len(case['steps']) + 1}")]
            for place, step in enumerate(case["steps"], 1)
        ],
    }


# Anomalies of single reads and writes


def _value(value: Any) -> str:
    return word(json.dumps(value))


def _internal(case: Case, name: Namer) -> Told:
    _, key, value = case["mop"]
    expected = case["expected"]
    text = (
        f"{name(case['op'])} read {_value(value)} of key {word(key)}, though what it had read and"
        f" written itself before makes {_value(expected)}"
    )
    return text, [case["op"]]


def _future_read(case: Case, name: Namer) -> Told:
    _, key, value = case["mop"]
    text = (
        f"{name(case['op'])} read {_value(value)} of key {word(key)}, with"
        f" {_value(case['element'])}, which it appended only afterwards"
    )
    return text, [case["op"]]


def _aborted_read(case: Case, name: Namer) -> Told:
    reader, writer = case["op"], case["writer"]
    _, key, value = case["mop"]
    seen = case.get("element", value)
    text = (
        f"{name(reader)} read {_value(seen)} of key {word(key)}, which {name(writer)} had written,"
        " but that failed"
    )
    code = error_code(writer.get("error"))
    return (f"{text} ({code})" if code else text), [reader, writer]


def _intermediate_read(case: Case, name: Namer) -> Told:
    reader, writer = case["op"], case["writer"]
    _, key, value = case["mop"]
    seen = case.get("element", value)
    written = [last for f, of, last in writer["value"] if f != "r" and of == key]
    text = (
        f"{name(reader)} read {_value(seen)} of key {word(key)}, which {name(writer)} wrote on the"
        f" way only: it went on to write {_value(written[-1] if written else None)}"
    )
    return text, [reader, writer]


def _lost_update(case: Case, name: Namer) -> Told:
    key = case["key"]
    each = [f"{name(one)} then wrote {_value(_last_write(one, key))}" for one in case["txns"]]
    text = (
        f"{len(each)} transactions read {_value(case['value'])} of key {word(key)} and overwrote"
        f" it: {listed(each)}"
    )
    return text, list(case["txns"])


def _last_write(transaction: Case, key: Any) -> Any:
    return next((v for f, of, v in reversed(transaction["value"]) if f != "r" and of == key), None)


def _duplicate(case: Case, name: Namer) -> Told:
    _, key, value = case["mop"]
    twice = some(f"{element}×{count}" for element, count in case["duplicates"].items())
    text = f"{name(case['op'])} read {_value(value)} of key {word(key)}, with {twice}"
    return text, [case["op"]]


def _incompatible_order(case: Case, name: Namer) -> Told:
    one, other = case["values"]
    text = (
        f"key {word(case['key'])} was read as {_value(one)} and as {_value(other)}:"
        " neither goes on from the other"
    )
    return text, []


def _dirty_update(case: Case, name: Namer) -> Told:
    failed, *_, later = case["txns"]
    values = case["values"]
    text = (
        f"{name(later)} appended {_value(values[-1])} to key {word(case['key'])} behind"
        f" {_value(values[0])}, which {name(failed)} had appended, but that failed"
    )
    return text, [later, failed]


def _cyclic_versions(case: Case, name: Namer) -> Told:
    versions = listed(_value(version) for version in case["scc"])
    text = f"of key {word(case['key'])}, each of the versions {versions} was made from another"
    return text, []


SENTENCES: dict[str, Callable[[Case, Namer], Told]] = {
    "internal": _internal,
    "future-read": _future_read,
    "G1a": _aborted_read,
    "G1b": _intermediate_read,
    "lost-update": _lost_update,
    "duplicate-elements": _duplicate,
    "incompatible-order": _incompatible_order,
    "dirty-update": _dirty_update,
    "cyclic-versions": _cyclic_versions,
}
