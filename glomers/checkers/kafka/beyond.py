"""Warnings beyond Maelstrom's: what Jepsen's checker lets pass in a history of sends and polls."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from glomers.checkers.kafka.facts import Completion, Facts, Log, gather, plain
from glomers.checkers.verdict import warning
from glomers.history.operations import History, as_map
from glomers.options import Options

Case = dict[str, Any]

TEXTS = {
    "silent": "sends were acknowledged, but no poll ever showed a message",
    "incomplete": "a process polled again and again from the beginning, but never saw the end",
    "gap": "a poll left out messages at and after the offset that was asked for",
    "below-offset": "a poll showed offsets below the one that was asked for",
    "unasked-key": "a poll showed a key that was not asked for",
    "unsorted": "a poll showed offsets that don't increase",
    "phantom": "a poll showed a message that nobody sent",
}
ENOUGH_POLLS = 3  # polls after which a process should have seen everything


def warnings(history: History, options: Options) -> list[dict[str, Any]]:
    """A warning for each kind that was found: what it is, the number of cases, and the first."""
    facts = history.derived(gather)
    cases: dict[str, list[Case]] = {kind: [] for kind in TEXTS}
    cases["silent"] += _silence(facts)
    for completions in facts.by_process():
        for kind, case in _follow(facts, completions):
            cases[kind].append(case)
    cases["phantom"] += [{"text": phantom} for phantom in phantoms(facts)]
    return [warning(kind, TEXTS[kind], found) for kind, found in cases.items() if found]


def phantoms(facts: Facts) -> Iterator[str]:
    """Descriptions of polls that show a message which nobody sent."""
    for key, message, poll in facts.premature:
        if message not in facts.writers[key]:
            yield (
                f"process {poll.process} polled message {json.dumps(plain(message))}"
                f" of key {json.dumps(key)} (operation {poll.index})"
            )


def _silence(facts: Facts) -> Iterator[Case]:
    successes = Counter(c.operation.f for c in facts.completions if c.operation.type == "ok")
    if successes["send"] and successes["poll"] and not any(facts.readers.values()):
        yield {"polls": successes["poll"], "acknowledged": successes["send"]}


def _follow(facts: Facts, completions: Sequence[Completion]) -> Iterator[tuple[str, Case]]:
    """Follow a process's position in each key, as its session does, and compare its polls."""
    positions: dict[str, int] = {}
    exact = True  # False after a poll whose commit failed: it moved the session, but where to?
    polls_since_rewind: int | None = None
    for completion in completions:
        operation = completion.operation
        if operation.f == "assign" and operation.type == "ok":
            if ("seek-to-beginning?", True) in operation.extra:
                positions, exact, polls_since_rewind = {}, True, 0
            positions = {key: positions.get(key, 0) for key in operation.value}
        elif operation.f == "poll":
            exact = exact and operation.type == "ok"
            if polls_since_rewind is not None and operation.type == "ok":
                polls_since_rewind += 1
        for key, polled in completion.polls.items():
            position = positions.get(key)
            for kind in _misfits(facts.log(key), position, exact, polled.offsets):
                yield kind, {"key": key, "position": position, "op": as_map(operation)}
            positions[key] = max(position or 0, max(polled.offsets, default=-1) + 1)
    behind = [key for key, position in positions.items() if position <= facts.log(key).last_offset]
    if behind and polls_since_rewind is not None and polls_since_rewind >= ENOUGH_POLLS:
        yield "incomplete", {"process": completions[0].operation.process, "keys": sorted(behind)}


def _misfits(log: Log, position: int | None, exact: bool, offsets: Sequence[int]) -> Iterator[str]:
    """What is wrong with the offsets that a poll shows of a key, read from `position` on.

    The position is None if the key was not asked for, and a lower bound if it isn't `exact`.
    """
    place = 0 if position is None else bisect_left(log.offsets, position)
    if position is not None and offsets == log.offsets[place : place + len(offsets)]:
        return  # the usual case takes only one comparison
    if position is None:
        yield "unasked-key"
    if any(later <= earlier for earlier, later in pairwise(offsets)):
        yield "unsorted"
    if position is not None and offsets:
        first = min(offsets)
        if first < position:
            yield "below-offset"
        elif exact and first > log.offsets[place]:
            yield "gap"
