#!/usr/bin/env python3
"""Check, then act, across an RPC: two adds read the same sum from lin-kv, and one write is lost.

The race is between the read and the write. The lock is missing as well as a compare-and-set: each
node writes its own key only, but has several threads.
"""

from maelstrom_node import Node

node = Node()


@node.on("add")
def add(message):
    total = node.lin_kv.read(node.id, 0)
    node.lin_kv.write(node.id, total + message.body["delta"])
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": sum(node.lin_kv.read(id, 0) for id in node.ids)}


if __name__ == "__main__":
    node.run()
