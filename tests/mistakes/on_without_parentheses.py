#!/usr/bin/env python3
"""`@node.on` stands without the type of the messages.

The script ends when it is started. Write `@node.on("echo")`.
"""

from maelstrom_node import Node

node = Node()


@node.on  # the mistake
def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]}


if __name__ == "__main__":
    node.run()
