#!/usr/bin/env python3
"""There is no handler for `topology`, which Maelstrom sends before the first broadcast.

The test ends there. Answer `topology_ok`, whether you use the topology or not.
"""

from maelstrom_node import Node

node = Node()
seen = set()


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    return {"type": "broadcast_ok"}


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


if __name__ == "__main__":
    node.run()
