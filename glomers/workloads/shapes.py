"""Shapes of JSON values: a small notation for what an answer must look like.

    int, float, str, …   a value of that type (also bool, list and dict)
    Any                  any value
    a plain value        that value
    [shape]              an array of any length, whose elements have that shape
    (shape, shape)       an array of exactly these elements
    {"field": shape}     an object with exactly these fields
    {str: shape}         an object with any keys; beside fields, with any other keys
    OneOf(shape, shape)  a value that has one of these shapes

As in Maelstrom's schemas, null passes for an array of any length, which is then empty: some
languages write an empty list as null. Null passes for no other shape.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any

from glomers.errors import quote

LONG = 80  # characters of what a node sent

NAMES = {
    int: "an integer",
    float: "a number",
    str: "a string",
    bool: "true or false",
    list: "an array",
    dict: "an object",
}


class OneOf:
    """The shape of a value that has one of these shapes."""

    __slots__ = ("shapes",)

    def __init__(self, *shapes: Any) -> None:
        self.shapes = shapes


def mismatch(value: Any, shape: Any, where: str = "", optional: Mapping[str, Any] = {}) -> str:
    """What is wrong with `value`, and where, in a few words; "" if it has the shape."""
    problem = _problem(value, shape, optional)
    if problem is None:
        return ""
    steps, text = problem
    for step in reversed(steps):
        if isinstance(step, int):
            where += f"[{step}]"
        else:
            name = quote(step, LONG)  # a node may name a field as it likes
            where = f"{where}.{name}" if where else f"`{name}`"
    return f"{where or 'it'} {text()}"


# The way to what is wrong (fields and indices, the innermost first), and what is wrong there. The
# text is only made when it is shown, because most values are right.
Problem = tuple[list[Any], Callable[[], str]]


def _problem(value: Any, shape: Any, optional: Mapping[str, Any] = {}) -> Problem | None:
    """What is wrong with `value`; None if it has the shape."""
    if shape is Any:
        return None
    if isinstance(shape, type):
        right = isinstance(value, shape) or (shape is float and isinstance(value, int))
        if right and (shape is bool or not isinstance(value, bool)):
            return None
        return [], lambda: f"should be {NAMES[shape]}, not {_show(value)}"
    if isinstance(shape, (list, tuple)):
        return _array_problem(value, shape)
    if isinstance(shape, dict):
        return _object_problem(value, shape, optional)
    if isinstance(shape, OneOf):
        for alternative in shape.shapes:
            if _problem(value, alternative) is None:
                return None
        return [], lambda: f"should be {describe(shape)}, not {_show(value)}"
    if value == shape and isinstance(value, bool) == isinstance(shape, bool):
        return None
    return [], lambda: f"should be {_show(shape)}, not {_show(value)}"


def _array_problem(value: Any, shape: list[Any] | tuple[Any, ...]) -> Problem | None:
    if value is None and isinstance(shape, list):
        return None
    if not isinstance(value, list):
        return [], lambda: f"should be an array, not {_show(value)}"
    if isinstance(shape, tuple) and len(value) != len(shape):
        return [], lambda: f"should have {len(shape)} elements, not {len(value)}"
    if shape == [Any]:
        return None
    shapes = repeat(shape[0]) if isinstance(shape, list) else shape
    for index, (element, expected) in enumerate(zip(value, shapes)):
        if expected is not Any and (problem := _problem(element, expected)):
            problem[0].append(index)
            return problem
    return None


def _object_problem(
    value: Any, shape: dict[Any, Any], optional: Mapping[str, Any]
) -> Problem | None:
    if not isinstance(value, dict):
        return [], lambda: f"should be an object, not {_show(value)}"
    for field, expected in shape.items():
        if field is str:
            continue
        if field not in value:
            return [field], lambda: "is missing"
        if problem := _problem(value[field], expected):
            problem[0].append(field)
            return problem
    for field, element in value.items():
        if field in shape:
            continue
        if str in shape:
            expected = shape[str]
        elif field in optional:
            expected = optional[field]
        else:
            return [field], lambda: "is not expected"
        if problem := _problem(element, expected):
            problem[0].append(field)
            return problem
    return None


def describe(shape: Any) -> str:
    """A shape as error messages show it, in the style of JSON."""
    if shape is Any:
        return "anything"
    if isinstance(shape, type):
        return NAMES[shape].split()[-1] if shape is not bool else "true or false"
    if isinstance(shape, OneOf):
        return " or ".join(map(describe, shape.shapes))
    if isinstance(shape, dict):
        fields = (
            f"{'string' if key is str else json.dumps(key)}: {describe(element)}"
            for key, element in shape.items()
        )
        return "{" + ", ".join(fields) + "}"
    if isinstance(shape, list):
        return f"[{describe(shape[0])}, …]"
    if isinstance(shape, tuple):
        return "[" + ", ".join(map(describe, shape)) + "]"
    return json.dumps(shape)


def _show(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= LONG else text[:LONG] + "…"
