"""ddmin, the delta debugging of Zeller and Hildebrandt, *Simplifying and Isolating Failure-Inducing
Input* (IEEE Transactions on Software Engineering 28, 2002).

The result is 1-minimal: without any single one of its items, the test fails no longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")

# Tries some parts of the items, in their order. Returns the place of the first one with which the
# test fails, and the items that the test really used; None if it fails with none of them.
FirstFailing = Callable[[Sequence[Sequence[T]]], tuple[int, Sequence[T]] | None]


def ddmin(items: Sequence[T], first_failing: FirstFailing[T]) -> Sequence[T]:
    """A minimal part of the `items` with which a test still fails, as it fails with all of them.

    All parts of one size are tried together, so that they can run at the same time.
    """
    if not items:
        return items
    if found := first_failing([()]):
        return found[1]
    pieces = 2
    while len(items) > 1:
        chunks = list(_chunks(items, pieces))
        # With two chunks, the complements are these two.
        complements = [_without(items, chunk) for chunk in chunks] if pieces > 2 else []
        parts = [items[chunk] for chunk in chunks] + complements
        found = first_failing(parts)
        if found is not None:
            place, items = found
            pieces = 2 if place < len(chunks) else max(2, pieces - 1)
        elif pieces >= len(items):
            break
        else:
            pieces *= 2
        pieces = min(pieces, max(2, len(items)))
    return items


def _chunks(items: Sequence[T], pieces: int) -> Iterator[slice]:
    """The items in so many pieces of nearly the same length."""
    bounds = [len(items) * piece // pieces for piece in range(pieces + 1)]
    return (slice(low, high) for low, high in pairwise(bounds) if low < high)


def _without(items: Sequence[T], chunk: slice) -> Sequence[T]:
    return [*items[: chunk.start], *items[chunk.stop :]]
