"""Verdicts (True, False, or "unknown" if nothing could be proved) and warnings.

A result whose verdict is "unknown" has an `error`, which says why in words for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from glomers.history.edn import Keyword

UNKNOWN = Keyword("unknown")


def merge_valid(verdicts: Iterable[Any]) -> Any:
    """The verdict of several parts together: False beats "unknown", which beats True."""
    merged: Any = True
    for verdict in verdicts:
        if verdict is False:
            return False
        if verdict == UNKNOWN:
            merged = UNKNOWN
    return merged


def warning(kind: str, text: str, cases: Sequence[Any]) -> dict[str, Any]:
    """A warning of what a verdict lets pass: its kind, a text, the number of cases, the first."""
    return {"kind": Keyword(kind), "text": text, "count": len(cases), "first": cases[0]}
