#!/usr/bin/env python3
"""An iteration over a set to which another thread adds, which ends with a RuntimeError.

The race is at the loop in `gossip`: an add between two of its steps changes the set's size.
"""

from maelstrom_node import Node

node = Node()
elements: set[int] = set()
told: set[int] = set()  # those that the peers were told of


@node.on("add")
def add(message):
    elements.add(message.body["element"])
    return {"type": "add_ok"}


@node.every(0.2)
def gossip():
    for element in elements:
        if element not in told:
            told.add(element)
            for peer in node.peers:
                node.send(peer, {"type": "gossip", "element": element})


@node.on("gossip")
def learn(message):
    elements.add(message.body["element"])


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": list(elements)}


if __name__ == "__main__":
    node.run()
