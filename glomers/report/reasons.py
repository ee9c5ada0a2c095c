"""Why a test isn't valid: each reason a sentence that names the culprit, and data for a picture.

The checkers make them (`Checker.explain`), of their result and of the evidence. They stand among
the results of a test, so that its summary, its page and a program see the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Any, TypeVar

from glomers.errors import quote
from glomers.history import edn
from glomers.history.edn import Keyword
from glomers.history.operations import Operation
from glomers.history.times import NANOS

CASES = 3  # of one anomaly that are explained
LINES = 2  # on the screen, so that the likeliest cause stands among the first five as well
LONGEST = 600  # characters of a line on the screen

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a test isn't valid.

    `kind` is the anomaly's name, `time` that of the place (ns since the load began), `operations`
    are indices in the history and `messages` ids in the journal that it concerns, the most telling
    first. `picture` is data for a drawing, by its `form`. A `summary` says what is wrong as a
    whole, others explain one case.
    """

    kind: str
    text: str
    time: int | None = None
    operations: tuple[int, ...] = ()
    messages: tuple[int, ...] = ()
    nodes: tuple[str, ...] = ()
    picture: Mapping[str, Any] = field(default_factory=dict)
    summary: bool = False

    def as_result(self) -> dict[str, Any]:
        return {
            "kind": Keyword(self.kind),
            "text": self.text,
            "time": self.time,
            "operations": list(self.operations),
            "messages": list(self.messages),
            "nodes": list(self.nodes),
            "picture": dict(self.picture),
            "summary": self.summary,
        }

    @classmethod
    def of_result(cls, result: Mapping[str, Any]) -> Reason:
        """The reason that stands so among results."""
        plain = edn.to_json(result)
        return cls(
            plain["kind"],
            plain["text"],
            plain["time"],
            tuple(plain["operations"]),
            tuple(plain["messages"]),
            tuple(plain["nodes"]),
            plain["picture"],
            plain["summary"],
        )


def summary(kind: str, text: str) -> Reason:
    """What is wrong as a whole."""
    return Reason(kind, text, summary=True)


# On the screen


def headline(reasons: Iterable[Reason]) -> str:
    """What is wrong as a whole, harmless to print."""
    return _line("; ".join(reason.text for reason in reasons if reason.summary))


def details(reasons: Iterable[Reason], most: int = LINES) -> list[str]:
    """The first cases, a line each, harmless to print."""
    return [_line(reason.text) for reason in reasons if not reason.summary][:most]


def _line(text: str) -> str:
    return quote(text, LONGEST)


# Words for sentences


def at(time: int) -> str:
    """When, in nanoseconds since the load began."""
    return f"at {time / NANOS:.2f} s"


def listed(words: Iterable[str], most: int = 4) -> str:
    """Some words in a sentence, and how many more there are."""
    known = list(words)
    if len(known) > most:
        return f"{', '.join(known[: most - 1])} and {len(known) - most + 1:,} more"
    return " and ".join([", ".join(known[:-1]), known[-1]]) if len(known) > 1 else "".join(known)


def indices(operations: Iterable[Operation | None]) -> tuple[int, ...]:
    return tuple(operation.index for operation in operations if operation)


def in_turn(groups: Sequence[Iterable[Reason]]) -> Iterator[Reason]:
    """The first case of each group, then the second of each: as many as are explained, but one of
    each group."""
    rounds = (reason for turn in zip_longest(*groups) for reason in turn if reason)
    return islice(rounds, max(CASES, len(groups)))


def first(cases: Iterable[T]) -> Iterator[T]:
    """As many cases as are explained."""
    return islice(cases, CASES)
