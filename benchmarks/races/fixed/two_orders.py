#!/usr/bin/env python3
"""All transactions take their locks in the same order."""

import threading
from collections import defaultdict
from contextlib import ExitStack

from maelstrom_node import Node

node = Node()
values = {}
locks = defaultdict(threading.Lock)  # key -> guards its value


@node.on("txn")
def txn(message):
    operations = message.body["txn"]
    keys = dict.fromkeys(key for _, key, _ in operations)
    with ExitStack() as held:
        for key in sorted(keys):
            held.enter_context(locks[key])
        answer = [execute(*operation) for operation in operations]
    return {"type": "txn_ok", "txn": answer}


def execute(f, key, value):
    if f == "w":
        values[key] = value
    return [f, key, values.get(key)]


if __name__ == "__main__":
    node.run()
