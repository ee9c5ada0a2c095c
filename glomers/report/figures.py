"""Figures: the few numbers that sum up a checker's result, and how they are written.

A checker decides which figures its result holds (see checkers/__init__.py); this module has what
they are made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glomers.errors import quote

SHOWN = 20  # values of a list that are written out; the rest is only counted


def number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def milliseconds(value: float) -> str:
    return f"{value:,.0f} ms"


def percent(value: float) -> str:
    """A fraction as a percentage. It is rounded down, so that only all of them make 100 %."""
    return f"{math.floor(round(value * 1e4, 6)) / 100:g} %"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a test: its name, its value (None if unknown) and a remark in words.

    Targets are compared with `value`. `write` formats the value, and the target beside it.
    """

    name: str
    value: float | None
    remark: str = ""
    write: Callable[[float], str] = number


# Remarks


def word(value: Any) -> str:
    """A value in a remark: at most 40 characters, without control characters."""
    return quote(str(value), 40)


def some(values: Iterable[Any] | None) -> str:
    """The first SHOWN of some values, and how many more there are."""
    words = [word(value) for value in values or ()]
    more = len(words) - SHOWN
    return " ".join(words[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def times(counts: Mapping[Any, int] | None) -> str:
    """The first SHOWN of some values, with how often each occurs."""
    return some(f"{word(value)}×{n}" for value, n in (counts or {}).items())


def kinds(names: Iterable[Any], cases: Mapping[str, Any]) -> str:
    """The kinds of errors or anomalies, each with its number of cases if that is known."""
    return ", ".join(f"{word(name)}{_count(cases.get(name))}" for name in names)


def _count(cases: Any) -> str:
    if isinstance(cases, Mapping):
        cases = cases.get("count")
    number = len(cases) if isinstance(cases, Sequence) else cases
    return f"×{number}" if number and not isinstance(number, bool) else ""
