#!/usr/bin/env python3
"""A handler changes a message that it has sent already, and one that it was sent.

Where nodes share memory, others would see the change. Here it does no harm: what is sent is a copy,
in simulation as in reality.
"""

from maelstrom_node import Node

node = Node()
seen = set()


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    gossip = {"type": "gossip", "value": message.body["message"]}
    for peer in node.peers:
        gossip["to"] = peer  # no mistake
        node.send(peer, gossip)
    gossip["value"] = None
    message.body.clear()
    return {"type": "broadcast_ok"}


@node.on("gossip")
def receive(message):
    assert message.body.pop("to") == node.id
    seen.add(message.body.pop("value"))


@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


if __name__ == "__main__":
    node.run()
