#!/usr/bin/env python3
"""Check, then act: two threads find the value that they expect, and both replace it.

The race in `cas` is between the line that compares the value and the line that sets it.
"""

from maelstrom_node import Code, Node, RPCError

node = Node()
values: dict[object, object] = {}


@node.on("read")
def read(message):
    key = message.body["key"]
    if key not in values:
        raise RPCError(Code.KEY_DOES_NOT_EXIST, "there is no such key")
    return {"type": "read_ok", "value": values[key]}


@node.on("write")
def write(message):
    values[message.body["key"]] = message.body["value"]
    return {"type": "write_ok"}


@node.on("cas")
def cas(message):
    key, old, new = message.body["key"], message.body["from"], message.body["to"]
    if values.get(key) != old:
        raise RPCError(Code.PRECONDITION_FAILED, "the value is another one")
    values[key] = new
    return {"type": "cas_ok"}


if __name__ == "__main__":
    node.run()
