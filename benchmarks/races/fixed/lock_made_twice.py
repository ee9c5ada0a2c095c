#!/usr/bin/env python3
"""Locks are made with another lock held."""

import threading
from contextlib import ExitStack

from maelstrom_node import Node

node = Node()
making = threading.Lock()  # guards the locks
values = {}
locks = {}  # key -> guards its value


def lock_of(key):
    with making:
        if key not in locks:
            locks[key] = threading.Lock()
        return locks[key]


@node.on("txn")
def txn(message):
    operations = message.body["txn"]
    with ExitStack() as held:
        for key in sorted({key for _, key, _ in operations}):
            held.enter_context(lock_of(key))
        answer = [execute(*operation) for operation in operations]
    return {"type": "txn_ok", "txn": answer}


def execute(f, key, value):
    if f == "w":
        values[key] = value
    return [f, key, values.get(key)]


if __name__ == "__main__":
    node.run()
