#!/usr/bin/env python3
"""Challenge 2, unique ids: nobody ever gets an id twice, and nodes need not talk about it.

An id consists of the node's name, a mark of its start, and a counter. The name tells nodes apart.
The counter tells apart the ids of one life of a node. The mark tells apart the lives of a node
that is started again and remembers nothing. It is the time on a clock that counts from the start of
the machine and that nobody can set back, with 64 random bits beside it, since a node may be started
again on another machine, or after its machine was.
"""

import itertools

from maelstrom_node import Node

node = Node()
counter = itertools.count()  # next() needs no lock
life = ""  # the name and the mark, from init on


@node.on("init")
def init(message):
    global life
    life = f"{node.id}-{node.now():.9f}-{node.random.getrandbits(64):016x}"


@node.on("generate")
def generate(message):
    return {"type": "generate_ok", "id": f"{life}-{next(counter)}"}


if __name__ == "__main__":
    node.run()
