#!/usr/bin/env python3
"""A loop tries `cas` until it succeeds, on a key that nobody has ever written.

Each attempt fails with error 20, at once, so the loop never ends and, without latency, no time
passes. Write the key first, or say `create_if_not_exists=True`; and don't retry any error.
"""

from maelstrom_node import Node, RPCError

node = Node()


@node.on("add")
def add(message):
    while True:
        before = node.seq_kv.read("total", 0)
        try:
            node.seq_kv.cas("total", before, before + message.body["delta"])  # the mistake
            return {"type": "add_ok"}
        except RPCError:
            pass


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": node.seq_kv.read("total", 0)}


if __name__ == "__main__":
    node.run()
