#!/usr/bin/env python3
"""A double start: the first two requests each start the thread that makes ids.

The race is between the line that finds no queue and the line that makes one. Then two threads count
from 0 on, and some ids are given twice.
"""

import itertools
import queue

from maelstrom_node import Node

node = Node()
ids = None


def make_ids(ids):
    for number in itertools.count():
        ids.put(f"{node.id}-{number}")


@node.on("generate")
def generate(message):
    global ids
    if ids is None:
        ids = queue.Queue(10)
        node.spawn(make_ids, ids)
    return {"type": "generate_ok", "id": ids.get()}


if __name__ == "__main__":
    node.run()
