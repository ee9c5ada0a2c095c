#!/usr/bin/env python3
"""The script asks for `node.id` when it starts, but a node learns its name with the init message.

The script ends when it is started. Ask in a handler, or in one for "init".
"""

from itertools import count

from maelstrom_node import Node

node = Node()
prefix = node.id  # the mistake
numbers = count()


@node.on("generate")
def generate(message):
    return {"type": "generate_ok", "id": f"{prefix}-{next(numbers)}"}


if __name__ == "__main__":
    node.run()
