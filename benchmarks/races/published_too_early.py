#!/usr/bin/env python3
"""An object is published before it is initialised, so another thread meets one that is unfinished.

The race is between the line that lets `generator` be this object and the one that sets `numbers`.
"""

import itertools
import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # held while the generator is made
generator = None


class Generator:
    """Makes the ids of this node."""

    def __init__(self):
        global generator
        generator = self
        self.numbers = itertools.count()

    def new_id(self):
        return f"{node.id}-{next(self.numbers)}"


@node.on("generate")
def generate(message):
    if generator is None:
        with lock:
            if generator is None:
                Generator()
    return {"type": "generate_ok", "id": generator.new_id()}


if __name__ == "__main__":
    node.run()
