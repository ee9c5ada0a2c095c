"""How a page holds a run: numbers in columns, texts in chunks, all of it compressed.

A run of half a million events as JSON objects would be slow to open and large. Here each property
of all messages is a column of 32-bit integers, which a browser takes as they stand, and texts come
in chunks that it only unpacks when somebody wants to read one.
"""

from __future__ import annotations

import base64
import math
import sys
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

LARGEST = 2**31 - 1
CHUNK = 1 << 18  # characters of text that are compressed together


def packed(data: bytes) -> str:
    """Data as it stands in a page: zlib's format (`deflate` to a browser), in base64."""
    return base64.b64encode(zlib.compress(data)).decode("ascii")


def unpacked(text: str) -> bytes:
    """The data that `packed` has packed."""
    return zlib.decompress(base64.b64decode(text))


def column(numbers: Iterable[int]) -> bytes:
    """Numbers as little-endian 32-bit integers; what is too large becomes the largest."""
    listed = list(numbers)
    try:
        return _little_endian(array("i", listed))
    except OverflowError:
        return _little_endian(
            array("i", [max(-LARGEST, min(LARGEST, number)) for number in listed])
        )


def moments(times: Iterable[int | None]) -> bytes:
    """Times in no order as little-endian 64-bit floats; NaN is one that isn't known.

    32 bits would be full after 35 minutes; of times in order only the steps are kept.
    """
    return _little_endian(array("d", [math.nan if time is None else time for time in times]))


def _little_endian(values: array[Any]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def steps(numbers: Iterable[int]) -> Iterable[int]:
    """Each number as its distance from the one before. Times come so: they compress better."""
    last = 0
    for number in numbers:
        yield number - last
        last = number


class Texts:
    """Texts by their numbers, from 0, in chunks. A text is one line."""

    def __init__(self) -> None:
        self.count = 0
        self.chunks: list[str] = []
        self.firsts: list[int] = []  # by chunk: the number of its first text
        self._open: list[str] = []
        self._size = 0

    def add(self, text: str) -> None:
        if not self._open:
            self.firsts.append(self.count)
        self._open.append(text)
        self._size += len(text)
        self.count += 1
        if self._size >= CHUNK:
            self.close()

    def close(self) -> None:
        """Compress what has been added since the last chunk."""
        if self._open:
            self.chunks.append(packed("\n".join(self._open).encode("utf-8", "replace")))
            self._open, self._size = [], 0


class TextReader:
    """Reads texts again; those that are near to each other share the work."""

    def __init__(self, texts: Texts) -> None:
        self._firsts = texts.firsts
        self._chunk = lru_cache(4)(lambda number: _lines(texts.chunks[number]))

    def __getitem__(self, number: int) -> str:
        chunk = bisect_right(self._firsts, number) - 1
        return self._chunk(chunk)[number - self._firsts[chunk]]


def _lines(chunk: str) -> list[str]:
    return unpacked(chunk).decode("utf-8").split("\n")
