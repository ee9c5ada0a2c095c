"""The function `hash` of a simulated node: as in real processes, nodes hash text differently.

Python hashes str and bytes with a key that each process draws for itself (PYTHONHASHSEED). The key
also affects tuples, frozensets and dataclasses that contain them. So nodes that shard by
`hash(key)` disagree. A simulation shows that, too: each node's key comes from the seed, whatever
the key of this process is. An object that hashes by its identity gets a number of its own, the
same in every run.

Only the function `hash` is a node's own. Dicts and sets hash with this process's key, which only
shows in the order of a set.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from enum import Enum
from hashlib import blake2b
from itertools import count
from pathlib import PurePath
from typing import Any
from weakref import WeakKeyDictionary

NONE = 0xFCA86420  # hash(None) from Python 3.12 on; before, it depended on an address


def virtual_hash(key: bytes) -> Callable[[Any], int]:
    """The `hash` of a process with this key. Values of other types are hashed as Python does."""
    numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
    counter = count()

    def hash(value: Any) -> int:
        method = type(value).__hash__
        known = ways.get(method)
        if known is None and getattr(method, "__qualname__", "") == "PurePath.__hash__":
            known = of_path  # of the node's own pathlib
        return builtins.hash(value) if known is None else known(value)

    def of_bytes(value: bytes) -> int:
        if not value:
            return 0
        digest = blake2b(value, digest_size=8, key=key).digest()
        number = int.from_bytes(digest, "little", signed=True)
        return -2 if number == -1 else number  # no hash is -1 in Python

    def of_text(value: str) -> int:
        return of_bytes(str.encode(value, "utf-8", "surrogatepass"))

    def of_identity(value: object) -> int:
        if value is None:
            return NONE
        try:
            if value not in numbers:
                numbers[value] = of_bytes(b"object %d" % next(counter))
            return numbers[value]
        except TypeError:  # the value can't have weak references
            return builtins.hash(value)

    def of_path(value: object) -> int:
        return of_text(str(value))

    # By the method that Python would call, so a class that defines __hash__ is hashed by that.
    ways: dict[Any, Callable[[Any], int]] = {
        bytes.__hash__: of_bytes,
        str.__hash__: of_text,
        tuple.__hash__: lambda value: builtins.hash(tuple(map(hash, value))),
        frozenset.__hash__: lambda value: builtins.hash(frozenset(map(hash, value))),
        Enum.__hash__: lambda value: of_text(value.name),
        PurePath.__hash__: of_path,
        object.__hash__: of_identity,
    }
    return hash
