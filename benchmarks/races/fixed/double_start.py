#!/usr/bin/env python3
"""The thread is started once, when the node is, and before any request."""

import itertools
import queue

from maelstrom_node import Node

node = Node()
ids: queue.Queue[str] = queue.Queue(10)


def make_ids():
    for number in itertools.count():
        ids.put(f"{node.id}-{number}")


@node.on("init")
def init(message):
    node.spawn(make_ids)


@node.on("generate")
def generate(message):
    return {"type": "generate_ok", "id": ids.get()}


if __name__ == "__main__":
    node.run()
