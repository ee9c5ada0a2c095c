#!/usr/bin/env python3
"""The object is published when it is complete."""

import itertools
import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # held while the generator is made
generator = None


class Generator:
    """Makes the ids of this node."""

    def __init__(self):
        self.numbers = itertools.count()

    def new_id(self):
        return f"{node.id}-{next(self.numbers)}"


@node.on("generate")
def generate(message):
    global generator
    if generator is None:
        with lock:
            if generator is None:
                generator = Generator()
    return {"type": "generate_ok", "id": generator.new_id()}


if __name__ == "__main__":
    node.run()
