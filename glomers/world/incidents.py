"""Incidents: what happened to the nodes of a test that their author should know.

Incidents are exceptions, error answers, requests without an answer, messages that answer nothing.
Maelstrom doesn't mention them, so a node's author may wonder why nothing succeeds. Each kind of
incident is counted, by node, and the first example is kept with its time.
`glomers.report.incidents` makes sentences of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glomers.errors import quote
from glomers.history.edn import Keyword

# Kinds that are always mistakes, so a strict test is not valid with them. Every text continues a
# sentence that begins with the name of the node (or service).
MISTAKES = {
    "exception": "raised an exception",
    "no-in-reply-to": "sent a client a message without `in_reply_to`, which answers nothing",
    "in-reply-to-no-integer": (
        "sent a client an answer whose `in_reply_to` is no integer, so it answers nothing;"
        " it should be the request's `msg_id`, as it came"
    ),
    "answer-to-nothing": (
        "sent a client an answer to a request that it never made"
        " (the answer's `dest` should be the request's `src`, its `in_reply_to` the `msg_id`)"
    ),
    "answered-before": (
        "sent a client an answer to a request that had been answered already"
        " (the answer's `dest` should be the request's `src`, its `in_reply_to` the `msg_id`)"
    ),
    "code-no-integer": (
        "answered with an error whose `code` is no integer,"
        " so nobody knows whether the operation happened"
    ),
    "service-refused": "sent a service a request that it refused, with an error",
    "field-left-out": "sent a service a request that lacks a field, which counts as null",
    "unreplicated": (
        "sent no message to another node, nor to a service, so nothing of what clients wrote was"
        " replicated"
    ),
    "no-newline": "ended its standard output with a line that has no newline, so nobody read it",
}
# Kinds that may be normal, for example if messages are lost or a key has no value yet.
REMARKABLE = {
    "complaint": "complained",
    "no-answer": "left a client without an answer",
    "error": "answered with an error",
    "late": "got an answer late or twice",
    "unanswered": "got no answer",
    "lost": "sent a message that was lost",
    "arrived": "sent a message that arrived",
    "alone": "sent nothing to others",
    "unsynced": "lost what it had written to its disk and not synced, as it was killed",
    "stderr": "printed to standard error",
}
TEXTS = {**MISTAKES, **REMARKABLE}

MOST_KINDS = 200  # that are told apart: a node may raise a new exception each time

NOW = -1  # stands for the present time


@dataclass(slots=True)
class Incident:
    """An incident: the number of cases on each node, and the time (ns) and line of the first case.

    The time is None if it isn't known.
    """

    kind: str
    text: str
    time: int | None
    line: str
    nodes: Counter[str] = field(default_factory=Counter)

    def as_result(self, origin: int) -> dict[str, Any]:
        return {
            "kind": Keyword(self.kind),
            "text": self.text,
            "count": self.nodes.total(),
            "nodes": dict(self.nodes),
            "first": {"time": None if self.time is None else self.time - origin, "line": self.line},
        }


class Incidents:
    """Collects incidents. `now` returns the time in nanoseconds."""

    def __init__(self, now: Callable[[], int] = lambda: 0) -> None:
        self.now = now
        self._found: dict[tuple[str, str], Incident] = {}

    def note(self, kind: str, node: str, line: str | bytes = "", remark: str = "") -> None:
        """Add a case of a kind of TEXTS: its node, the line that shows it, and a remark."""
        text = TEXTS[kind] + (remark and f" ({remark})")
        self.add(kind, kind, text, {node: 1}, line)

    def add(
        self,
        kind: str,
        key: str,
        text: str,
        nodes: Mapping[str, int],
        line: str | bytes = "",
        time: int | None = NOW,
    ) -> None:
        """Add cases of `kind`, by node. Cases with the same `kind` and `key` are counted together.

        `time` is that of the first case, in nanoseconds; None if it isn't known.
        """
        incident = self._found.get((kind, key))
        if incident is None and len(self._found) >= MOST_KINDS:
            key, text = "", f"{TEXTS[kind]} of yet another kind"
            incident = self._found.get((kind, key))
        if incident is None:
            time = self.now() if time == NOW else time
            incident = self._found[kind, key] = Incident(kind, text, time, quote(line))
        incident.nodes.update(nodes)

    def warnings(self, origin: int = 0) -> list[dict[str, Any]]:
        """The incidents that are mistakes, as warnings (see `glomers.run.drive.check`)."""
        return self._results(MISTAKES, origin)

    def remarkable(self, origin: int = 0) -> list[dict[str, Any]]:
        """The other incidents, in the same form. Times count from `origin` (ns)."""
        return self._results(REMARKABLE, origin)

    def _results(self, kinds: Mapping[str, str], origin: int) -> list[dict[str, Any]]:
        return [found.as_result(origin) for found in self._found.values() if found.kind in kinds]
