#!/usr/bin/env python3
"""A lock for each instance: every request has a lock of its own, which excludes nobody.

The race is between the line that reads `total` and the line that writes it, in `Adder.add`.
"""

import threading

from maelstrom_node import Node

node = Node()
total = 0


class Adder:
    """Changes the total."""

    def __init__(self):
        self.lock = threading.Lock()

    def add(self, delta):
        global total
        with self.lock:
            before = total
            total = before + delta


@node.on("add")
def add(message):
    Adder().add(message.body["delta"])
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": total}


if __name__ == "__main__":
    node.run()
