#!/usr/bin/env python3
"""A counter in one key of seq-kv, to which every node adds: reads it, and writes the sum.

Two nodes that read the same value each write their sum, and one of the adds is gone. What they read
may be old besides.
"""

from maelstrom_node import Node

node = Node()


@node.on("add")
def add(message):
    value = node.seq_kv.read("counter", 0)
    node.seq_kv.write("counter", value + message.body["delta"])
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": node.seq_kv.read("counter", 0)}


if __name__ == "__main__":
    node.run()
