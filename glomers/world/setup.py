"""The requests to nodes before the load: `init`, and the workload's set-up request.

As in Maelstrom, each node is asked by a client of its own. A node that doesn't answer as it should
ends the test. A node that the nemesis has started anew gets `init` again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from glomers.errors import NodeError
from glomers.options import Options
from glomers.workloads.base import Conversation, Workload
from glomers.world.client import Answers, Client, Outcome
from glomers.world.world import World

INIT_TIMEOUT = 10.0  # seconds


class Setup:
    """Sends nodes the requests before the load. `names` yields names for its clients.

    `then(node)` is called when the node has answered. If it doesn't answer as it should, the event
    of the loop raises NodeError.
    """

    def __init__(
        self, options: Options, world: World[Any], workload: Workload, names: Iterator[str]
    ) -> None:
        self._nodes = options.nodes
        self._world = world
        self._workload = workload
        self._names = names

    def initialise(self, node: str, then: Callable[[str], object]) -> None:
        """Send `init` to a node that has been started, for the first time or anew."""
        expected = '{"type": "init_ok", "in_reply_to": …}'
        self._ask(node, "init", self._init(node), INIT_TIMEOUT, expected, then)

    def prepare(self, node: str, then: Callable[[str], object]) -> None:
        """Send a node the workload's set-up request, if there is one."""
        conversation, timeout = self._workload.setup(node), self._workload.request_timeout
        expected = "an `…_ok` answer"
        self._ask(node, "the set-up request", conversation, timeout, expected, then)

    def _init(self, node: str) -> Conversation:
        yield {"type": "init", "node_id": node, "node_ids": list(self._nodes)}

    def _ask(
        self,
        node: str,
        request: str,
        conversation: Conversation,
        timeout: float,
        expected: str,
        then: Callable[[str], object],
    ) -> None:
        """Hold a conversation with a node. Errors show `request` and what was `expected`."""
        # As in Maelstrom, only the type of the answer to init is checked.
        answers: Answers = {"init": ("init_ok", {str: Any}), **self._workload.answers}
        world = self._world
        client = Client(world.loop, world.network, next(self._names), answers, world.incidents)

        def done(outcome: Outcome) -> None:
            client.close()
            if outcome.type == "ok":
                then(node)
                return
            if outcome.error == "net-timeout":
                problem = f"did not answer {request} within {timeout:g} s."
            else:
                problem = f"answered {request} with an error: {json.dumps(outcome.error)}."
            evidence = world.cluster.evidence(node)
            raise NodeError(node, problem, evidence=evidence, expected=expected)

        client.converse(node, conversation, timeout, done)
