#!/usr/bin/env python3
"""A torn read: writes are made with a lock, but a reader without it sees only some of them.

The race is in the line that reads: another transaction may write between two of its reads.
"""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # guards the values
values = {}


@node.on("txn")
def txn(message):
    operations = message.body["txn"]
    if any(f == "w" for f, _, _ in operations):
        with lock:
            answer = [execute(*operation) for operation in operations]
    else:
        answer = [execute(*operation) for operation in operations]  # it changes nothing
    return {"type": "txn_ok", "txn": answer}


def execute(f, key, value):
    if f == "w":
        values[key] = value
    return [f, key, values.get(key)]


if __name__ == "__main__":
    node.run()
