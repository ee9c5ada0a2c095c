#!/usr/bin/env python3
"""One branch of a handler has no answer: to add nothing needs no work, but the client still waits.

One request in five times out. Each way through a handler ends with an answer.
"""

from maelstrom_node import Node

node = Node()
total = 0


@node.on("add")
def add(message):
    global total
    if message.body["delta"]:  # the mistake: no else
        total += message.body["delta"]
        return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": total}


if __name__ == "__main__":
    node.run()
