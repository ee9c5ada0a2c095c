#!/usr/bin/env python3
"""Each value is sent once, and a partition loses it.

All is well until the network isn't (3c). Send until there is an acknowledgement, with `node.rpc`
in a loop, or leave it to a `Replication`.
"""

from maelstrom_node import Node

node = Node()
seen = set()


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    for peer in node.peers:
        node.send(peer, {"type": "gossip", "value": message.body["message"]})  # the mistake
    return {"type": "broadcast_ok"}


@node.on("gossip")
def gossip(message):
    seen.add(message.body["value"])


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
