#!/usr/bin/env python3
"""A transaction that only reads holds the lock, too."""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # guards the values
values = {}


@node.on("txn")
def txn(message):
    with lock:
        answer = [execute(*operation) for operation in message.body["txn"]]
    return {"type": "txn_ok", "txn": answer}


def execute(f, key, value):
    if f == "w":
        values[key] = value
    return [f, key, values.get(key)]


if __name__ == "__main__":
    node.run()
