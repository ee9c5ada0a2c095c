"""What was odd about the messages of a test, though no rule of Maelstrom's ends it for that.

Maelstrom lets these pass without a word, and a node's author wonders why nothing succeeds. They
become warnings of the results: a kind, a text with the first example, and how many there were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glomers.errors import quote
from glomers.history.edn import Keyword

TEXTS = {
    "no-in-reply-to": "a client was sent a message without `in_reply_to`, which answers nothing",
    "in-reply-to-no-integer": (
        "a client was sent an answer whose `in_reply_to` is no integer, so it answers nothing;"
        " it should be the request's `msg_id`, as it came"
    ),
    "answer-to-nothing": (
        "a client was sent an answer to a request that it never made"
        " (the answer's `dest` should be the request's `src`, its `in_reply_to` the `msg_id`)"
    ),
    "answered-before": (
        "a client was sent an answer to a request that had been answered already"
        " (the answer's `dest` should be the request's `src`, its `in_reply_to` the `msg_id`)"
    ),
    "code-no-integer": (
        "an error's `code` is no integer, so nobody knows whether the operation happened"
    ),
    "service-refused": "a service refused a request, with an error",
    "field-left-out": "a request to a service lacks a field, which counts as null",
    "no-newline": (
        "the standard output of a node ends with a line that has no newline, so it was never read"
    ),
}


@dataclass(slots=True)
class Oddity:
    """How often something odd happened, and the first example: a line, and what there is to add."""

    count: int
    line: str
    remark: str


class Oddities:
    """Collects them, by the kinds of TEXTS."""

    def __init__(self) -> None:
        self._found: dict[str, Oddity] = {}

    def note(self, kind: str, line: str | bytes, remark: str = "") -> None:
        if kind in self._found:
            self._found[kind].count += 1
        else:
            self._found[kind] = Oddity(1, quote(line), remark)

    def warnings(self) -> list[dict[str, Any]]:
        """As warnings of the results (see `glomers.run.drive.check`)."""
        return [
            {
                "kind": Keyword(kind),
                "text": f"{TEXTS[kind]}{odd.remark and f' ({odd.remark})'}: {odd.line}",
                "count": odd.count,
                "first": {"line": odd.line},
            }
            for kind, odd in self._found.items()
        ]
