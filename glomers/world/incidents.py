"""What the nodes of a test did or suffered that its author should know of.

Exceptions, refusals, requests that nobody answered, messages that answer nothing: Maelstrom lets
them pass without a word, and a node's author wonders why nothing succeeds. Each kind of incident
is counted, by node, and the first example is kept with its time. `glomers.report.incidents` makes
sentences of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glomers.errors import quote
from glomers.history.edn import Keyword

# Kinds that are no node's business as usual, so that a strict test is not valid with them. All
# texts go on from the name of the node (or service) whose incident it is.
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
    "no-newline": "ended its standard output with a line that has no newline, so nobody read it",
}
# Kinds that may be business as usual, where messages are lost or a value is not there yet.
REMARKABLE = {
    "complaint": "complained",
    "no-answer": "left a client without an answer",
    "error": "answered with an error",
    "unanswered": "got no answer",
    "lost": "sent a message that was lost",
    "alone": "sent nothing to others",
    "stderr": "printed to standard error",
}
TEXTS = {**MISTAKES, **REMARKABLE}

NOW = -1  # stands for the present time


@dataclass(slots=True)
class Incident:
    """Cases of one thing: how many on which node, and the first: when (ns), and a line.

    The time is None where nobody knows it.
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
    """Collects them. `now` tells the time in nanoseconds."""

    def __init__(self, now: Callable[[], int] = lambda: 0) -> None:
        self.now = now
        self._found: dict[tuple[str, str], Incident] = {}

    def note(self, kind: str, node: str, line: str | bytes = "", remark: str = "") -> None:
        """A case of one of the kinds of TEXTS: the node, the line that shows it, and a remark."""
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
        """Cases of `kind`, by node. Those of the same `key` are counted together.

        `time` is that of the first case, in nanoseconds; None if nobody knows.
        """
        incident = self._found.get((kind, key))
        if incident is None:
            time = self.now() if time == NOW else time
            incident = self._found[kind, key] = Incident(kind, text, time, quote(line))
        incident.nodes.update(nodes)

    def of(self, node: str) -> list[Incident]:
        """Those of one node, in the order of their first cases."""
        return [incident for incident in self._found.values() if node in incident.nodes]

    def warnings(self, origin: int = 0) -> list[dict[str, Any]]:
        """The mistakes, as warnings of the results (see `glomers.run.drive.check`)."""
        return self._results(MISTAKES, origin)

    def remarkable(self, origin: int = 0) -> list[dict[str, Any]]:
        """The other incidents, in the same form. Times are counted from `origin`."""
        return self._results(REMARKABLE, origin)

    def _results(self, kinds: Mapping[str, str], origin: int) -> list[dict[str, Any]]:
        return [found.as_result(origin) for found in self._found.values() if found.kind in kinds]
