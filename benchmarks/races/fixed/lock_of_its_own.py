#!/usr/bin/env python3
"""All requests share one adder, and so one lock."""

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


adder = Adder()


@node.on("add")
def add(message):
    adder.add(message.body["delta"])
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": total}


if __name__ == "__main__":
    node.run()
