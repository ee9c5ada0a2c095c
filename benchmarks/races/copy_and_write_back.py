#!/usr/bin/env python3
"""A copy is changed and written back: what another thread has written back meanwhile is lost.

The race is between the line that copies the elements and the line that replaces them.
"""

from maelstrom_node import Node

node = Node()
elements: list[int] = []


def add_all(new):
    global elements
    merged = list(elements)
    merged += [element for element in new if element not in merged]
    elements = merged


@node.on("add")
def add(message):
    add_all([message.body["element"]])
    return {"type": "add_ok"}


@node.every(0.2)
def gossip():
    for peer in node.peers:
        node.send(peer, {"type": "gossip", "elements": elements})


@node.on("gossip")
def learn(message):
    add_all(message.body["elements"])


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": elements}


if __name__ == "__main__":
    node.run()
