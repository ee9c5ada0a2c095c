#!/usr/bin/env python3
"""A lock for each instance: every request has a lock of its own, which excludes nobody.

The race is between the line that compares and the line that sets, in `Store.cas`.
"""

import threading

from maelstrom_node import Code, Node, RPCError

node = Node()
values: dict[object, object] = {}


class Store:
    """Access to the values."""

    def __init__(self):
        self.lock = threading.Lock()

    def read(self, key):
        with self.lock:
            if key not in values:
                raise RPCError(Code.KEY_DOES_NOT_EXIST, "there is no such key")
            return values[key]

    def write(self, key, value):
        with self.lock:
            values[key] = value

    def cas(self, key, old, new):
        with self.lock:
            if values.get(key) != old:
                raise RPCError(Code.PRECONDITION_FAILED, "the value is another one")
            values[key] = new


@node.on("read")
def read(message):
    return {"type": "read_ok", "value": Store().read(message.body["key"])}


@node.on("write")
def write(message):
    Store().write(message.body["key"], message.body["value"])
    return {"type": "write_ok"}


@node.on("cas")
def cas(message):
    Store().cas(message.body["key"], message.body["from"], message.body["to"])
    return {"type": "cas_ok"}


if __name__ == "__main__":
    node.run()
