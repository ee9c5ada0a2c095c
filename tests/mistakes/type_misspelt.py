#!/usr/bin/env python3
"""A handler's type is misspelt, so nobody handles what clients send.

They get error 10, not-supported. The types are those of the workload: "broadcast".
"""

from maelstrom_node import Node

node = Node()
seen = set()


@node.on("brodcast")  # the mistake
def broadcast(message):
    seen.add(message.body["message"])
    return {"type": "broadcast_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
