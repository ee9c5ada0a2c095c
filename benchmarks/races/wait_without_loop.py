#!/usr/bin/env python3
"""A wait without a loop: who is woken finds that another thread was quicker.

The race is between the end of `wait` and the line after it, although both have the lock: between
the notification and the end of the wait, a request that has not waited may take the id.
"""

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
        if not ids:
            changed.wait()
        new = ids.pop()
        changed.notify_all()
    return {"type": "generate_ok", "id": new}


if __name__ == "__main__":
    node.run()
