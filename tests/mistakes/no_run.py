#!/usr/bin/env python3
"""The last lines are missing, the ones that let the node run: `node.run()`.

The script defines a node and ends. A node that ends before its test does is an error.
"""

from maelstrom_node import Node

node = Node()


@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]}
