"""Verdicts: True, False, or "unknown" if nothing could be proved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workbench.edn import Keyword

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
