#!/usr/bin/env python3
"""Two requests read a key, and both write their own sum: one add is lost.

While `read` waits for its answer, the node handles other requests. Hold a `threading.Lock` from
the read to the write, or use `cas`, which fails if the value has changed meanwhile.
"""

from maelstrom_node import Node

node = Node()


@node.on("add")
def add(message):
    total = node.lin_kv.read(node.id, 0)
    node.lin_kv.write(node.id, total + message.body["delta"])  # the mistake
    return {"type": "add_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": sum(node.lin_kv.read(id, 0) for id in node.ids)}


if __name__ == "__main__":
    node.run()
