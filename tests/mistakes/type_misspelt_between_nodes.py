#!/usr/bin/env python3
"""Two nodes disagree on the name of a type: one sends "gosip", the other handles "gossip".

Nobody waits for an answer, so no request fails; the values are lost. Keep the name in a constant,
or send a request, whose error comes back.
"""

from maelstrom_node import Node

node = Node()
seen = set()


@node.on("broadcast")
def broadcast(message):
    seen.add(message.body["message"])
    for peer in node.peers:
        node.send(peer, {"type": "gosip", "value": message.body["message"]})  # the mistake
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
