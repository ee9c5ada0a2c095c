#!/usr/bin/env python3
"""Challenge 1, echo: a node answers with what it was sent."""

from maelstrom_node import Node

node = Node()


@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]}


if __name__ == "__main__":
    node.run()
