#!/usr/bin/env python3
"""A lost update: two adds read the same sum, and the later write undoes the earlier one.

The race is between the line that reads `total` and the line that writes it.
"""

from maelstrom_node import Node

node = Node()
total = 0


@node.on("add")
def add(message):
    global total
    before = total
    total = before + message.body["delta"]
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": total}


if __name__ == "__main__":
    node.run()
