"""Checkers: pure functions from a history to a result, with the keys that Maelstrom uses.

Each checker has a module of its own. The module also makes the figures that a person looks for in
its result; that result may come from Maelstrom's checker, too.
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
    """The functions that judge one kind of history.

    - `check` returns the result. Its `valid?` is True, False or "unknown"; if it is "unknown", an
      `error` says why.
    - `figures` makes figures of a result, unless that consists of a verdict and an error only. It
      raises LookupError for the result of another checker.
    - `explain` says why a result isn't valid: first what is wrong as a whole, for which the result
      suffices, then the first cases, as far as there is evidence of them.
    - `warnings` finds mistakes that Maelstrom lets pass. Each warning has its `kind`, a `text`, a
      `count` and the `first` case.
    """

    check: Callable[[History, Options], Result]
    figures: Callable[[Mapping[str, Any]], Iterator[Figure]]
    explain: Callable[[Mapping[str, Any], Evidence], Iterator[Reason]] = no_reasons
    warnings: Callable[[History, Options], list[Result]] = no_warnings
