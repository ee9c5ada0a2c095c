#!/usr/bin/env python3
"""The lock is held from the read to the write, by RPCs."""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # held by the thread that changes this node's key


@node.on("add")
def add(message):
    with lock:
        total = node.lin_kv.read(node.id, 0)
        node.lin_kv.write(node.id, total + message.body["delta"])
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": sum(node.lin_kv.read(id, 0) for id in node.ids)}


if __name__ == "__main__":
    node.run()
