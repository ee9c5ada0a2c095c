"""How values compare and rank: as in Clojure, where 1, 1.0 and true are three different values.

Elements of a set, ids, and the keys and values of a store may be any JSON value. In Python
`1 == 1.0 == True`, and lists and dicts can neither be hashed nor ordered; checkers and services
need both.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def identity(value: Any) -> Any:
    """A hashable value that is equal for equal JSON values and for no others."""
    if type(value) is int or isinstance(value, str):
        return value
    return ("json", as_text(value))


def as_text(value: Any) -> str:
    """A JSON value as text, the same for equal values and for no others."""
    return _SORTED.encode(value)


_SORTED = json.JSONEncoder(sort_keys=True)  # made once: json.dumps would make one for each value


def order(value: Any) -> Any:
    """A sort key for values of all kinds: null < numbers < booleans < strings < lists < the rest.

    Within a kind the order is that of Clojure's `compare`: of two lists the shorter comes first.
    Clojure can't compare values of different kinds, nor maps; here they have an order, too.
    """
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, (int, float)):
        return (1, value)
    if isinstance(value, str):
        return (3, value)
    if isinstance(value, (list, tuple)):
        return (4, len(value), [order(item) for item in value])
    if isinstance(value, dict):
        return (5, len(value), sorted([[order(key), order(item)] for key, item in value.items()]))
    return (6, len(value), sorted([order(item) for item in value]))


def depth(value: Any) -> int:
    """How deep lists and dicts are nested: 0 for 1, 1 for [1], 2 for {"a": [1]}."""
    levels = 0
    level = [value] if isinstance(value, (list, dict)) else []
    while level:
        levels += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if type(inner) is list or type(inner) is dict
        ]
    return levels


def quantile(ranked: Sequence[T], q: float) -> T:
    """Quantile `q` (0 to 1) of sorted values, as Jepsen defines it: that of rank floor(n q)."""
    return ranked[min(len(ranked) - 1, int(len(ranked) * q))]
