#!/usr/bin/env python3
"""A bracket is never closed, so this is no Python.

The script ends when it is started. The traceback shows the line, or the one after it.
"""

from maelstrom_node import Node

node = Node()


@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]  # the mistake


if __name__ == "__main__":
    node.run()
