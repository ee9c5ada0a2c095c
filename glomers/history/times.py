"""Times are integers, in nanoseconds, so that rounding can't make two machines differ."""

from __future__ import annotations

NANOS = 1_000_000_000
MILLIS = 1_000_000  # nanoseconds in a millisecond


def nanos(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * NANOS)
