"""How a page holds a run: numbers in columns, texts in chunks, all of it compressed.

A run of half a million events as JSON objects would be slow to open and large. Here each property
of all messages is a column of 32-bit integers, which a browser takes as they stand, and texts come
in chunks that it only unpacks when somebody wants to read one.
"""

from __future__ import annotations

import base64
import sys
import zlib
from array import array
from collections.abc import Iterable

LARGEST = 2**31 - 1
CHUNK = 1 << 18  # characters of text that are compressed together


def packed(data: bytes) -> str:
    """Data as it stands in a page: zlib's format (`deflate` to a browser), in base64."""
    return base64.b64encode(zlib.compress(data)).decode("ascii")


def column(numbers: Iterable[int]) -> bytes:
    """Numbers as little-endian 32-bit integers; what is too large becomes the largest."""
    listed = list(numbers)
    try:
        values = array("i", listed)
    except OverflowError:
        values = array("i", [max(-LARGEST, min(LARGEST, number)) for number in listed])
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
