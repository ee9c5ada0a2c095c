#!/usr/bin/env python3
"""The lock is held from the look at the value until it is replaced."""

import threading

from maelstrom_node import Code, Node, RPCError

node = Node()
lock = threading.Lock()  # held by who changes the values
values: dict[object, object] = {}


@node.on("read")
def read(message):
    key = message.body["key"]
    if key not in values:
        raise RPCError(Code.KEY_DOES_NOT_EXIST, "there is no such key")
    return {"type": "read_ok", "value": values[key]}


@node.on("write")
def write(message):
    with lock:
        values[message.body["key"]] = message.body["value"]
    return {"type": "write_ok"}


@node.on("cas")
def cas(message):
    key, old, new = message.body["key"], message.body["from"], message.body["to"]
    with lock:
        if values.get(key) != old:
            raise RPCError(Code.PRECONDITION_FAILED, "the value is another one")
        values[key] = new
    return {"type": "cas_ok"}


if __name__ == "__main__":
    node.run()
