#!/usr/bin/env python3
"""A handler computes for ever.

It never answers, and its node has no time for others. Let a loop wait for something: `node.sleep`.
"""

from maelstrom_node import Node

node = Node()
done = False


@node.on("echo")
def echo(message):
    while not done:  # the mistake
        pass
    return {"type": "echo_ok", "echo": message.body["echo"]}


if __name__ == "__main__":
    node.run()
