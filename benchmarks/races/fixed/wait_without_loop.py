#!/usr/bin/env python3
"""Who is woken looks again, and waits again if need be."""

import itertools
import threading

from maelstrom_node import Node

node = Node()
ids: list[str] = []
changed = threading.Condition()  # its lock guards the ids


@node.on("init")
def init(message):
    node.spawn(make_ids)


def make_ids():
    for number in itertools.count():
        with changed:
            while ids:
                changed.wait()
            ids.append(f"{node.id}-{number}")
            changed.notify_all()


@node.on("generate")
def generate(message):
    with changed:
        while not ids:
            changed.wait()
        new = ids.pop()
        changed.notify_all()
    return {"type": "generate_ok", "id": new}


if __name__ == "__main__":
    node.run()
