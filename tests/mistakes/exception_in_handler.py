#!/usr/bin/env python3
"""The handler for a peer's message raises an exception: it reads a field that the sender left out.

Nobody waits for an answer to `gossip`, so no request fails. The values just don't arrive.
Write the field's name once, or test the two sides against each other.
"""

from maelstrom_node import Node

node = Node()
seen = set()


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    for peer in node.peers:
        node.send(peer, {"type": "gossip", "values": sorted(seen)})
    return {"type": "broadcast_ok"}


@node.on("gossip")
def gossip(message):
    seen.update(message.body["vals"])  # the mistake


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
