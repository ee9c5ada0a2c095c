"""Checkers: pure functions from a history to a result, with the keys that Maelstrom uses.

A module for each, which also says which figures a person looks for in its result; for that, the
result may come from Maelstrom's checker as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from glomers.history.evidence import Evidence
from glomers.history.operations import History
from glomers.options import Options
from glomers.report.figures import Figure
from glomers.report.reasons import Reason

Result = dict[str, Any]


def no_reasons(result: Mapping[str, Any], evidence: Evidence) -> Iterator[Reason]:
    yield from ()


def no_warnings(history: History, options: Options) -> list[Result]:
    return []


@dataclass(frozen=True, slots=True)
class Checker:
    """What one kind of history is judged by.

    `check` gives the verdict: `valid?` is True, False or "unknown", then with an `error` that says
    why. `figures` reads a result, except one that consists of a verdict and an error only; it
    raises LookupError for that of another checker. `explain` says why a result isn't valid: first
    what is wrong as a whole, for which the result suffices, then the first cases, as far as there
    is evidence of them. `warnings` are what Maelstrom lets pass, each with its `kind`, a `text`, a
    `count` and the `first` case.
    """

    check: Callable[[History, Options], Result]
    figures: Callable[[Mapping[str, Any]], Iterator[Figure]]
    explain: Callable[[Mapping[str, Any], Evidence], Iterator[Reason]] = no_reasons
    warnings: Callable[[History, Options], list[Result]] = no_warnings
