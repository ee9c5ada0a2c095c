"""How a value was lost: who acknowledged it, who ever had it, and which message of it came nowhere.

The operations tell who acknowledged a value, and whose reads ever showed it. The messages tell the
rest, where there are any: to whom the value was sent, and what became of it on the way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from glomers.history.evidence import Evidence
from glomers.history.messages import Fate, Place, Sent, Spread, carrying_places, spread
from glomers.history.operations import Operation
from glomers.report.figures import word
from glomers.report.incidents import names
from glomers.report.reasons import Reason, at, first, indices

Lost = tuple[Any, Operation, Operation]
REQUESTS = ("add", "broadcast")
DRAWN = 100  # messages of a picture
PROBES = 5  # values by which it is found out where messages carry values


def explain(lost: Iterable[Lost], evidence: Evidence) -> Iterator[Reason]:
    """A reason for each of the first values."""
    explained = list(first(lost))
    carried = _carried(evidence) if explained and len(evidence.messages) else None
    for value, add, known in explained:
        yield _reason(value, add, known, carried, evidence)


def _carried(evidence: Evidence) -> Collection[Place] | None:
    """Where in the nodes' messages the highest values are; None if there are no numbers.

    A small number may be the number of anything, a high one hardly is.
    """
    values = {
        operation.value
        for operation in evidence.history
        if operation.f in REQUESTS and operation.type == "ok" and type(operation.value) is int
    }
    highest = sorted(values)[-PROBES:]
    return carrying_places(evidence.messages, highest, REQUESTS) or None


@dataclass(slots=True)
class Shown:
    """What the reads of one node said of a value: the last that showed it, the last that didn't."""

    showed: Operation | None = None
    missed: Operation | None = None


def _reason(
    value: Any,
    add: Operation,
    known: Operation,
    carried: Collection[Place] | None,
    evidence: Evidence,
) -> Reason:
    shown = _reads(value, add, evidence)
    way = spread(evidence.messages, value, REQUESTS, carried)
    acknowledged = evidence.history.completion(add)
    showing = [node for node, reads in shown.items() if reads.showed]
    if acknowledged and acknowledged.type == "ok":
        clauses = [f"{evidence.who(acknowledged)} acknowledged it {at(acknowledged.time)}"]
    else:
        clauses = [
            f"nobody acknowledged it, but a read of {evidence.who(known)} showed it"
            f" {at(known.time)}"
        ]
    without: list[str] = []
    failures: list[Sent] = []
    if way.carriers and evidence.nodes:
        without = [n for n in evidence.nodes if n not in way.had and n not in showing]
        failures = list(_last_failures(way, without))
        clauses += _on_the_way(way, without, failures, evidence.node(known), evidence)
    if without:
        clauses.append(f"{names(without)} never had it")
    else:
        clauses += _in_reads(shown, way)
    if acknowledged and (node := evidence.node(acknowledged)):
        clauses += killed({node: acknowledged.time, **way.had}, evidence)
    last = [reads.missed for reads in shown.values()]
    return Reason(
        "lost",
        f"value {word(value)}: {'; '.join(clauses)}",
        known.time,
        indices((add, acknowledged, *last)),
        tuple(sent.id for sent in failures or way.carriers[:1]),
        (*evidence.nodes_of(add), *without),
        _picture(value, way, without, acknowledged, evidence),
    )


def killed(had: Mapping[str, int], evidence: Evidence) -> Iterator[str]:
    """Which of the nodes that had got something, at these times (ns), were killed after it."""
    for time, nodes in evidence.kills(had):
        yield f"{names(nodes)} {'was' if len(nodes) == 1 else 'were'} killed {at(time)}"


def _reads(value: Any, add: Operation, evidence: Evidence) -> dict[str, Shown]:
    """By who was asked: the last reads that showed the value, and that missed it."""
    found: dict[str, Shown] = {}
    for operation in evidence.history.client_operations():
        if operation.f != "read" or operation.type != "ok" or operation.index < add.index:
            continue
        shown = found.setdefault(evidence.who(operation), Shown())
        values = operation.value if isinstance(operation.value, list) else ()
        if value in values and any(type(v) is type(value) and v == value for v in values):
            shown.showed = operation
        else:
            shown.missed = operation
    return found


# By the messages


def _last_failures(way: Spread, without: Iterable[str]) -> Iterator[Sent]:
    """For each node that never had it the last message that would have brought it."""
    for node in without:
        to_it = [sent for sent in way.carriers if sent.dest == node]
        if to_it:
            yield to_it[-1]


def _on_the_way(
    way: Spread, without: list[str], failures: list[Sent], subject: str, evidence: Evidence
) -> Iterator[str]:
    """What became of the messages to the nodes that never had it; `subject` was named before."""
    alike: dict[tuple[str, str], list[Sent]] = {}
    for sent in failures:
        fate = sent.fates[-1] if sent.fates else None
        alike.setdefault((sent.src, _phrase(fate, sent, evidence)), []).append(sent)
    for (src, phrase), same in alike.items():
        dests = [sent.dest for sent in same]
        tries = sum(sent.dest in dests for sent in way.carriers)
        last = max(same, key=lambda sent: sent.time)
        whose = "its" if src == subject else f"{src}'s"
        which = "message" if len(same) == 1 else "messages"
        more = "" if tries == len(same) else f" (the last of {tries})"
        when = last.fates[-1].time if last.fates else last.time
        was = "was" if len(same) == 1 else "were"
        yield (
            f"{whose} {which} to {names(dests)}{more} {was} {phrase} {at(when)}"
            " and never sent again"
        )
    reached = {sent.dest for sent in failures}
    if unsent := [node for node in without if node not in reached]:
        yield f"no message to {names(unsent)} held it"


def _phrase(fate: Fate | None, sent: Sent, evidence: Evidence) -> str:
    """What became of a message, after "was"."""
    if fate is None:
        return "still under way"
    if fate.event == "cut":
        return f"cut by {evidence.cut(fate.time, sent.src, sent.dest)}"
    return {"lost": "lost on the way", "drop": "dropped, as its receiver had crashed,"}.get(
        fate.event, fate.event
    )


def _picture(
    value: Any,
    way: Spread,
    without: list[str],
    acknowledged: Operation | None,
    evidence: Evidence,
) -> dict[str, Any]:
    """Who had a value when, and the messages that carried it, if any are known."""
    if not way.carriers:
        return {"follow": value}
    return {
        "form": "spread",
        "follow": value,
        "acknowledged": _acknowledgement(acknowledged, evidence),
        "had": [[node, time] for node, time in way.had.items()],
        "without": without,
        "messages": [
            [sent.id, sent.src, sent.dest, sent.time, _fate(sent)] for sent in way.carriers[:DRAWN]
        ],
    }


def _acknowledgement(completion: Operation | None, evidence: Evidence) -> list[Any] | None:
    """Which node acknowledged it, and when; None if nobody did, or nobody knows who."""
    if completion is None or completion.type != "ok" or not evidence.node(completion):
        return None
    return [evidence.node(completion), completion.time]


def _fate(sent: Sent) -> str:
    return sent.fates[0].event if sent.fates else "under way"


# By the reads


def _in_reads(shown: dict[str, Shown], way: Spread) -> Iterator[str]:
    """What the reads say: who never showed it, and who did so, but no longer."""
    forgot = {
        node: (reads.showed, reads.missed)
        for node, reads in shown.items()
        if reads.showed and reads.missed and reads.missed.index > reads.showed.index
    }
    never = [node for node, reads in shown.items() if not reads.showed]
    for node, (showed, missed) in list(forgot.items())[:1]:
        yield (
            f"{node} showed it until {showed.time / 1e9:.2f} s,"
            f" but its read {at(missed.time)} doesn't"
        )
    came = [way.had[node] for node in never if node in way.had]
    if never and len(came) == len(never) and len(never) < len(shown):
        yield f"it came to {names(never)} {at(min(came))}, but no read there ever showed it"
    elif len(never) == len(shown):
        yield "no read ever showed it"
    elif never:
        still = [node for node, reads in shown.items() if reads.showed]
        yield f"no read of {names(never)} ever showed it, only those of {names(still)} did"
