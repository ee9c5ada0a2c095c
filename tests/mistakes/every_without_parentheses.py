#!/usr/bin/env python3
"""`@node.every` stands without its seconds.

The script ends when it is started. Write `@node.every(0.5)`.
"""

from maelstrom_node import Node

node = Node()


@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]}


@node.every  # the mistake
def tick():
    node.log("still here")


if __name__ == "__main__":
    node.run()
