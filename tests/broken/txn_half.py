#!/usr/bin/env python3
"""Transactions whose writes take effect one by one, on all nodes, as they come.

Another transaction that runs meanwhile sees half of it: a value that is overwritten at the end, or
the first of two writes without the second.
"""

from maelstrom_node import Node

node = Node()
values: dict[object, object] = {}


@node.on("txn")
def txn(message):
    answer = []
    for f, key, value in message.body["txn"]:
        if f == "w":
            values[key] = value
            for peer in node.peers:
                node.rpc(peer, {"type": "write", "key": key, "value": value})
        answer.append([f, key, value if f == "w" else values.get(key)])
    return {"type": "txn_ok", "txn": answer}


@node.on("write")
def write(message):
    values[message.body["key"]] = message.body["value"]
    return {"type": "write_ok"}


if __name__ == "__main__":
    node.run()
