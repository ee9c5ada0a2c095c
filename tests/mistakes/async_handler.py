#!/usr/bin/env python3
"""A handler is an `async def`.

The script ends when it is started. Nothing here is asynchronous: write `def`; handlers run in
threads and may block.
"""

from maelstrom_node import Node

node = Node()


@node.on("echo")  # the mistake
async def echo(message):
    return {"type": "echo_ok", "echo": message.body["echo"]}


if __name__ == "__main__":
    node.run()
