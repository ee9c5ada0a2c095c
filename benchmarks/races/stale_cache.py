#!/usr/bin/env python3
"""A stale cache: a value that was read before a write gets into the cache after the write.

The race is between the line that reads lin-kv and the line that puts the value into the cache: a
write that comes meanwhile finds nothing to remove.
"""

from maelstrom_node import Node

node = Node()
cache: dict[object, object] = {}


@node.on("read")
def read(message):
    key = message.body["key"]
    value = cache.get(key)
    if value is None:
        value = node.lin_kv.read(key)
        cache[key] = value
    return {"type": "read_ok", "value": value}


@node.on("write")
def write(message):
    key = message.body["key"]
    node.lin_kv.write(key, message.body["value"])
    cache.pop(key, None)
    return {"type": "write_ok"}


@node.on("cas")
def cas(message):
    key = message.body["key"]
    node.lin_kv.cas(key, message.body["from"], message.body["to"])
    cache.pop(key, None)
    return {"type": "cas_ok"}


if __name__ == "__main__":
    node.run()
