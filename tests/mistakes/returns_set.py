#!/usr/bin/env python3
"""A handler returns a set, `{"echo_ok"}`, where an answer is an object with a type.

The client gets an error. Return a dict: `{"type": "echo_ok", "echo": …}`.
"""

from maelstrom_node import Node

node = Node()


@node.on("echo")
def echo(message):
    return {"echo_ok", message.body["echo"]}  # the mistake


if __name__ == "__main__":
    node.run()
