#!/usr/bin/env python3
"""A handler sends its own node a request and waits for the answer.

In a library with one thread this waits for ever. Here it works: handlers run in threads.
"""

from maelstrom_node import Node

node = Node()


@node.on("echo")
def echo(message):
    answer = node.rpc(node.id, {"type": "repeat", "text": message.body["echo"]})  # no mistake
    return {"type": "echo_ok", "echo": answer["text"]}


@node.on("repeat")
def repeat(message):
    return {"type": "repeat_ok", "text": message.body["text"]}


if __name__ == "__main__":
    node.run()
