#!/usr/bin/env python3
"""Two threads add to a variable without a lock, and one sum may overwrite the other.

Handlers run in threads. Between the two lines another one may come, though rarely. Hold a
`threading.Lock` from the read to the write.
"""

from maelstrom_node import Node

node = Node()
total = 0


@node.on("add")
def add(message):
    global total
    before = total  # the mistake
    total = before + message.body["delta"]
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": total}


if __name__ == "__main__":
    node.run()
