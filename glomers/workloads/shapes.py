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
from collections.abc import Mapping
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
    if shape is Any:
        return ""
    if isinstance(shape, type):
        right = isinstance(value, shape) or (shape is float and isinstance(value, int))
        if right and (shape is bool or not isinstance(value, bool)):
            return ""
        return f"{where or 'it'} should be {NAMES[shape]}, not {_show(value)}"
    if isinstance(shape, OneOf):
        for alternative in shape.shapes:
            if not mismatch(value, alternative):
                return ""
        return f"{where or 'it'} should be {describe(shape)}, not {_show(value)}"
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{where or 'it'} should be an object, not {_show(value)}"
        return _object_mismatch(value, shape, where, optional)
    if isinstance(shape, (list, tuple)):
        if value is None and isinstance(shape, list):
            return ""
        if not isinstance(value, list):
            return f"{where or 'it'} should be an array, not {_show(value)}"
        if isinstance(shape, tuple) and len(value) != len(shape):
            return f"{where or 'it'} should have {len(shape)} elements, not {len(value)}"
        if shape == [Any]:
            return ""
        shapes = shape * len(value) if isinstance(shape, list) else shape
        for index, (element, expected) in enumerate(zip(value, shapes, strict=True)):
            if expected is not Any and mismatch(element, expected):
                return mismatch(element, expected, f"{where}[{index}]")
        return ""
    if value == shape and isinstance(value, bool) == isinstance(shape, bool):
        return ""
    return f"{where or 'it'} should be {_show(shape)}, not {_show(value)}"


def _object_mismatch(
    value: dict[str, Any], shape: dict[Any, Any], where: str, optional: Mapping[str, Any]
) -> str:
    def path(field: str) -> str:
        name = quote(field, LONG)  # a node may name a field as it likes
        return f"{where}.{name}" if where else f"`{name}`"

    for field, expected in shape.items():
        if field is str:
            continue
        if field not in value:
            return f"{path(field)} is missing"
        if problem := mismatch(value[field], expected, path(field)):
            return problem
    for field in value:
        if field in shape:
            continue
        if str in shape:
            expected = shape[str]
        elif field in optional:
            expected = optional[field]
        else:
            return f"{path(field)} is not expected"
        if problem := mismatch(value[field], expected, path(field)):
            return problem
    return ""


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
