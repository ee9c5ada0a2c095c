#!/usr/bin/env python3
"""A node for challenge 3a that keeps its values in a file, and has them again after a kill.

With `--no-sync` it doesn't sync the file before it answers, so a kill may lose what it has
acknowledged.
"""

import os
import sys
import threading
from pathlib import Path

from maelstrom_node import Node

SYNCS = "--no-sync" not in sys.argv

node = Node()
lock = threading.Lock()
values = []
file = None


@node.on("init")
def start(message):
    global file
    path = Path("durable-set", node.id)
    path.parent.mkdir(exist_ok=True)
    file = path.open("a+b")
    file.seek(0)
    lines = file.readlines()
    if lines and not lines[-1].endswith(b"\n"):  # it was torn, so nobody has got an answer
        file.truncate(sum(map(len, lines[:-1])))
        del lines[-1]
    values.extend(int(line) for line in lines if b"\0" not in line)


@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}


@node.on("broadcast")
def broadcast(message):
    value = message.body["message"]
    with lock:
        values.append(value)
        file.write(b"%d\n" % value)
        file.flush()
        if SYNCS:
            os.fsync(file.fileno())
    return {"type": "broadcast_ok"}


@node.on("read")
def read(message):
    with lock:
        return {"type": "read_ok", "messages": list(values)}


if __name__ == "__main__":
    node.run()
