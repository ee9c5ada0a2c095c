"""Unique ids: no id may be given twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from glomers import challenges
from glomers.checkers import Checker
from glomers.history.edn import Record, hashable
from glomers.history.evidence import Evidence
from glomers.history.operations import History, Operation
from glomers.history.values import identity, order
from glomers.options import Options
from glomers.report.figures import Figure, times, word
from glomers.report.reasons import Reason, at, first, indices, listed, summary

DUPLICATES_SHOWN = 48  # Jepsen's checker shows as many: those that occur most often


def check(history: History, options: Options) -> dict[str, Any]:
    """Jepsen's unique-ids checker. Ids may be any JSON values.

    `duplicated` maps each id that was given more than once to its count. `range` is the lowest and
    the highest id, in the order of `values.order`.
    """
    attempts, acknowledged = 0, []
    for operation in history.client_operations():
        if operation.f == "generate":
            attempts += operation.type == "invoke"
            if operation.type == "ok":
                acknowledged.append(operation.value)
    counts = Counter(map(identity, acknowledged))
    ids = {identity(value): value for value in acknowledged}
    in_order = sorted(ids, key=lambda key: order(ids[key]))
    duplicates = [key for key in in_order if counts[key] > 1]
    # If ids occur equally often, Jepsen shows the highest ones.
    most_frequent = sorted(duplicates, key=counts.__getitem__)[::-1][:DUPLICATES_SHOWN]
    shown = set(most_frequent)
    present = [ids[key] for key in in_order if ids[key] is not None]
    return {
        "valid?": not duplicates,
        "attempted-count": attempts,
        "acknowledged-count": len(acknowledged),
        "duplicated-count": len(duplicates),
        "duplicated": Record((hashable(ids[k]), counts[k]) for k in duplicates if k in shown),
        "range": [present[0], present[-1]] if present else [None, None],
    }


def figures(result: Mapping[str, Any]) -> Iterator[Figure]:
    yield Figure("ids given", result["acknowledged-count"])
    remark = times(result["duplicated"])
    yield Figure(challenges.DUPLICATED_IDS, result["duplicated-count"], remark)


def explain(result: Mapping[str, Any], evidence: Evidence) -> Iterator[Reason]:
    if not result["duplicated"]:
        return
    yield summary("duplicate-id", f"ids given more than once: {times(result['duplicated'])}")
    given: dict[Any, list[Operation]] = {}
    for operation in evidence.history.client_operations():
        if operation.f == "generate" and operation.type == "ok":
            given.setdefault(identity(operation.value), []).append(operation)
    yield from first(_reason(same, evidence) for same in given.values() if len(same) > 1)


def _reason(same: Sequence[Operation], evidence: Evidence) -> Reason:
    """The requests that got the same id."""
    gave = [f"{evidence.who(one)} {at(one.time)} (process {one.process})" for one in same]
    return Reason(
        "duplicate-id",
        f"id {word(same[0].value)} was given by {listed(gave)}",
        same[1].time,
        indices(same),
        (),
        evidence.nodes_of(*same),
    )


CHECKER = Checker(check, figures, explain)
