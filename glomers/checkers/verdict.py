"""Verdicts: True, False, or "unknown" if nothing could be proved; and what stands beside them.

A result that is "unknown" has an `error`, which says why in words that a person understands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from glomers.history.edn import Keyword

UNKNOWN = Keyword("unknown")


def merge_valid(verdicts: Iterable[Any]) -> Any:
    """The verdict of several together: False beats "unknown" beats True."""
    merged: Any = True
    for verdict in verdicts:
        if verdict is False:
            return False
        if verdict == UNKNOWN:
            merged = UNKNOWN
    return merged


def warning(kind: str, text: str, cases: Sequence[Any]) -> dict[str, Any]:
    """What a verdict lets pass: what it is, how many cases there are, and the first of them."""
    return {"kind": Keyword(kind), "text": text, "count": len(cases), "first": cases[0]}
