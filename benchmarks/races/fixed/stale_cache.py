#!/usr/bin/env python3
"""Who reads lin-kv for the cache, or changes lin-kv, holds the lock until the cache is right."""

import threading

from maelstrom_node import Node

node = Node()
lock = threading.Lock()  # guards the cache, and holds up what would change lin-kv
cache: dict[object, object] = {}


@node.on("read")
def read(message):
    key = message.body["key"]
    with lock:
        value = cache.get(key)
        if value is None:
            value = node.lin_kv.read(key)
            cache[key] = value
    return {"type": "read_ok", "value": value}


@node.on("write")
def write(message):
    key = message.body["key"]
    with lock:
        node.lin_kv.write(key, message.body["value"])
        cache.pop(key, None)
    return {"type": "write_ok"}


@node.on("cas")
def cas(message):
    key = message.body["key"]
    with lock:
        node.lin_kv.cas(key, message.body["from"], message.body["to"])
        cache.pop(key, None)
    return {"type": "cas_ok"}


if __name__ == "__main__":
    node.run()
