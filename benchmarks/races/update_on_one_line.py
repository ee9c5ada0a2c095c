#!/usr/bin/env python3
"""An update on one line, which is no single step: Python reads `total`, calls `int`, then writes.

The race is within the line with `+=`. After a call another thread may have its turn, so only turns
between bytecodes show it.
"""

from maelstrom_node import Node

node = Node()
total = 0


@node.on("add")
def add(message):
    global total
    total += int(message.body["delta"])
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": total}


if __name__ == "__main__":
    node.run()
