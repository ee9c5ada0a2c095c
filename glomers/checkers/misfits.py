"""The operation at which a register's history can't be explained any more, and why it fits nowhere.

What ended before it can be put into an order that a register could have had; `longest_order`
finds one. The operation itself fits nowhere in it. Mostly there is a plain reason: nobody had
written what it returned, or that was gone before the operation began.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from glomers.checkers.linearizability import IMPOSSIBLE, Call, call_of
from glomers.history.evidence import Evidence
from glomers.history.operations import Operation
from glomers.report.figures import word
from glomers.report.reasons import Reason, at, indices

KIND = "not-linearizable"
EFFORT = 20_000  # states that are looked at for an order
DRAWN = 200  # operations of a picture: the last ones

Pair = tuple[Operation, Operation | None]


def reason(key: Any, misfit: Call, pairs: Iterable[Pair], evidence: Evidence) -> Reason:
    """Why `misfit` fits nowhere among the operations of that key."""
    found = [call for pair in pairs if (call := call_of(*pair)) is not None]
    calls = [call for call in found if call.invocation.index != misfit.invocation.index]
    ended = misfit.completion or misfit.invocation
    where = f" on {node}" if (node := evidence.node(ended)) else ""
    what = (
        f"{misfit.f} of key {word(key)} by process {ended.process}{where}"
        f" {_outcome(misfit)} {at(ended.time)}"
    )
    order = longest_order(calls, misfit)
    why, involved = _why(misfit, calls, order, evidence)
    return Reason(
        KIND,
        f"{what}, {why}",
        ended.time,
        indices((ended, *(call.completion or call.invocation for call in involved))),
        (),
        evidence.nodes_of(ended, *(call.invocation for call in involved)),
        {
            "form": "order",
            "key": key,
            "order": [_drawn(call) for call in (order or [])[-DRAWN:]],
            "misfit": _drawn(misfit),
        },
    )


def _drawn(call: Call) -> list[Any]:
    """Index, process, what, value, when it began and ended (ns)."""
    ended = call.completion
    value = (ended or call.invocation).value
    begin, end = call.invocation.time, ended.time if ended else None
    return [(ended or call.invocation).index, call.invocation.process, call.f, value, begin, end]


def _outcome(call: Call) -> str:
    value = (call.completion or call.invocation).value
    if call.f == "read":
        return f"returned {word(value)}"
    if call.f == "cas":
        return f"from {word(value[0])} to {word(value[1])} succeeded"
    return f"of {word(value)} succeeded"


def _why(
    misfit: Call, calls: Sequence[Call], order: Sequence[Call] | None, evidence: Evidence
) -> tuple[str, list[Call]]:
    """Why it fits nowhere, and which other calls show that."""
    needed = misfit.needs()
    if needed is not IMPOSSIBLE:
        ended = misfit.completion or misfit.invocation
        makers = [
            call for call in calls if call.makes() == needed and call.invocation.index < ended.index
        ]
        if not makers:
            return "though nobody had written that", []
        if proof := _proof_of_another(misfit, makers, calls):
            done = proof.completion or proof.invocation
            who = f" on {node}" if (node := evidence.node(done)) else ""
            did = {"read": "had returned", "write": "had written", "cas": "had made it"}[proof.f]
            value = done.value[1] if proof.f == "cas" else done.value
            text = f"though a {proof.f}{who} {did} {word(value)} {at(done.time)}"
            return text, [proof, makers[-1]]
    if order:
        value = None
        for call in order:
            value = call.apply(value)
        shown = json.loads(value[1]) if isinstance(value, tuple) else value
        text = f"but what ended before leaves it at {word(shown)} and can't be put in another order"
        return text, [order[-1]]
    return "which contradicts the operations before it", []


def _proof_of_another(misfit: Call, makers: Sequence[Call], calls: Sequence[Call]) -> Call | None:
    """The latest call that wrote or read another value than the one needed, after all calls that
    wrote that had ended, and before the misfit began."""
    last_maker = max(
        (maker.completion.index if maker.completion else misfit.invocation.index)
        for maker in makers
    )
    later = [
        call
        for call in calls
        if call.completion is not None
        and _leaves(call) not in (None, IMPOSSIBLE, misfit.needs())
        and call.invocation.index > last_maker
        and call.completion.index < misfit.invocation.index
    ]
    return max(later, key=_end, default=None)


def _leaves(call: Call) -> Any:
    """The value that the register has when it took effect."""
    return call.argument if call.f == "read" else call.makes()


def longest_order(calls: Sequence[Call], misfit: Call) -> list[Call] | None:
    """An order in which a register may have had all those `calls` that ended before `misfit` did,
    and perhaps some that were open then. None if none is found in a bounded time.

    The search is that of Wing and Gong, with Lowe's memory of states: whatever may come next, that
    began before anything else ended, is tried; what ends first, first.
    """
    assert misfit.completion is not None
    limit = misfit.completion.index
    certain = [c for c in calls if c.completion and c.completion.index < limit]
    maybe = [
        c
        for c in calls
        if c.invocation.index < limit
        and not (c.completion and c.completion.index < limit)
        and c.f != "read"
    ]
    certain.sort(key=_end)
    members = [*certain, *maybe]
    need = (1 << len(certain)) - 1
    seen: set[tuple[Any, int]] = set()
    stack: list[tuple[Any, int, tuple[Any, ...]]] = [(None, 0, ())]  # the path is a linked list
    while stack and len(seen) < EFFORT:
        value, done, path = stack.pop()
        if done & need == need:
            return [members[place] for place in _unlinked(path)]
        if (value, done) in seen:
            continue
        seen.add((value, done))
        first_open = (~done & (done + 1)).bit_length() - 1  # `certain` are in order of their ends
        horizon = _end(certain[first_open])
        following = []
        for place in range(first_open, len(members)):
            if done >> place & 1:
                continue
            call = members[place]
            after = call.apply(value)
            if call.invocation.index < horizon and after is not IMPOSSIBLE:
                following.append((after, done | 1 << place, (path, place)))
        stack += reversed(following)
    return None


def _end(call: Call) -> int:
    return call.completion.index if call.completion else 1 << 62


def _unlinked(path: tuple[Any, ...]) -> list[int]:
    places = []
    while path:
        path, place = path
        places.append(place)
    return places[::-1]
