"""Simulated clusters for your tests: `cluster = simulate("broadcast.py", nodes=5, seed=1)`.

    def test_a_value_reaches_everybody(simulate):
        cluster = simulate("broadcast.py", nodes=5)
        cluster.request("n0", "broadcast", message=7)
        cluster.advance(1)
        assert cluster.request("n4", "read")["messages"] == [7]

`simulate` is a fixture: pytest has it where the package is installed; in a checkout,
`from glomers.testing import simulate` brings it.

Time is virtual: it passes only in `advance` and while `request` waits. Nodes named in `played`
are played by the test: they run no script, and what the others send them waits until the test
says that it was expected, with `assert_sent`. When the fixture ends, a message that nobody
expected fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from glomers.history.times import NANOS, nanos
from glomers.options import Options
from glomers.plugin import simulate as simulate
from glomers.run.build import make_world, scripts
from glomers.simulated.turns import TurnLoop
from glomers.world.error_codes import error_code
from glomers.world.network import Body, Message


class RequestError(Exception):
    """A node answered with an error."""

    def __init__(self, body: Body) -> None:
        self.code: int = body["code"]
        self.text: str = body.get("text", "")
        super().__init__(f"error {self.code} ({error_code(self.code).name}): {self.text}")


@dataclass(frozen=True)
class Pattern:
    """Which messages are meant: None matches anything."""

    src: str | None = None
    dest: str | None = None
    type: str | None = None

    def matches(self, message: Message) -> bool:
        return (
            self.src in (None, message.src)
            and self.dest in (None, message.dest)
            and self.type in (None, message.body.get("type"))
        )


class Simulation:
    """A cluster of simulated nodes, held by a test. Use `simulate` to make one.

    `latency` is in milliseconds, between servers. All nodes have been initialised.
    """

    def __init__(
        self,
        script: str | Path,
        nodes: int | Sequence[str] = 1,
        *,
        seed: int = 0,
        args: Sequence[str] = (),
        latency: int = 0,
        latency_dist: str = "constant",
        p_loss: float = 0.0,
        p_duplicate: float = 0.0,
        played: Sequence[str] = (),
    ) -> None:
        self.nodes = [f"n{i}" for i in range(nodes)] if isinstance(nodes, int) else list(nodes)
        self.messages: list[Message] = []  # all that were ever sent, in order
        self._unexpected: list[Message] = []
        self._clients = count()
        self._drops: list[Pattern] = []
        self._grudge: dict[str, frozenset[str]] = {}
        running = [node for node in self.nodes if node not in played]
        options = Options(
            bin=str(script),
            args=tuple(args),
            nodes=tuple(running),
            latency=latency,
            latency_dist=latency_dist,
            seed=seed,
            p_loss=p_loss,
            p_duplicate=p_duplicate,
        )
        self._loop = TurnLoop()
        world = make_world(options, self._loop, scripts, journal=self)
        self._network, self._cluster = world.network, world.cluster
        self._network.filter = self._is_dropped
        for node in played:
            self._network.join(node, self._unexpected.append)
        self._network.join("c9", self._unexpected.append)
        try:
            self._cluster.start()
            for node in running:
                self.request(node, "init", node_id=node, node_ids=self.nodes)
        except BaseException:
            self._cluster.stop()
            raise

    # Time

    @property
    def watchdog(self) -> float:
        """Seconds of real time that a node's code may run without coming back."""
        return self._loop.watchdog

    @watchdog.setter
    def watchdog(self, seconds: float) -> None:
        self._loop.watchdog = seconds

    @property
    def now(self) -> float:
        """Virtual seconds since the start."""
        return self._loop.now / NANOS

    def advance(self, seconds: float) -> None:
        """Let virtual time pass. Raises NodeError if a node breaks the protocol meanwhile."""
        self._loop.call_later(nanos(seconds), self._loop.stop)
        self._loop.run()

    # Messages

    def request(self, node: str, type: str, *, timeout: float = 5.0, **fields: Any) -> Body:
        """Send a request as a client; return the body of the answer.

        Raises RequestError for an error answer, TimeoutError after `timeout` virtual seconds.
        """
        client = f"c{next(self._clients)}"
        answers: list[Body] = []

        def receive(message: Message) -> None:
            if answers or message.body.get("in_reply_to") != 1:
                self._unexpected.append(message)
            else:
                answers.append(message.body)
                self._loop.stop()

        self._network.join(client, receive)
        self.deliver(client, node, type, msg_id=1, **fields)
        self._loop.call_later(nanos(timeout), self._end_wait, answers)
        self._loop.run()
        if not answers:
            strays = [_show(message) for message in self._unexpected if message.dest == client]
            instead = f"; what came instead: {strays[0]}" if strays else ""
            raise TimeoutError(f"{node} did not answer {type!r} within {timeout:g} s{instead}")
        if answers[0].get("type") == "error":
            raise RequestError(answers[0])
        return answers[0]

    def _end_wait(self, answers: list[Body]) -> None:
        if not answers:
            self._loop.stop()

    def deliver(self, src: str, dest: str, type: str, **fields: Any) -> None:
        """Send a message as `src`. It arrives when time passes."""
        body = {"type": type, **fields}
        line = json.dumps({"src": src, "dest": dest, "body": body}).encode()
        self._network.send(src, dest, body, line)

    def sent(
        self, src: str | None = None, dest: str | None = None, type: str | None = None
    ) -> list[Message]:
        """The messages that were sent so far, those that match."""
        pattern = Pattern(src, dest, type)
        return [message for message in self.messages if pattern.matches(message)]

    def forget(self) -> None:
        """Let `sent` begin anew."""
        self.messages.clear()

    # Assertions

    def assert_sent(
        self,
        src: str | None = None,
        dest: str | None = None,
        type: str | None = None,
        **fields: Any,
    ) -> Message:
        """A played node has been sent such a message, which is hereby expected. Returns it."""
        pattern = Pattern(src, dest, type)
        for message in self._unexpected:
            if pattern.matches(message) and fields.items() <= message.body.items():
                self._unexpected.remove(message)
                return message
        waiting = "\n".join(f"  {_show(message)}" for message in self._unexpected) or "  nothing"
        raise AssertionError(f"no message matches {pattern} with {fields}; there is\n{waiting}")

    def assert_silent(self, seconds: float = 0.0) -> None:
        """No played node has been sent anything else, nor is for `seconds`."""
        if seconds:
            self.advance(seconds)
        if self._unexpected:
            lines = "\n".join(f"  {_show(message)}" for message in self._unexpected)
            raise AssertionError(f"nobody expected\n{lines}")

    def ignore_the_rest(self) -> None:
        """Whatever played nodes have been sent so far was expected."""
        self._unexpected.clear()

    # Faults

    def cut(self, a: str, b: str) -> None:
        """Cut the link between two nodes, both ways."""
        for one, other in ((a, b), (b, a)):
            self._grudge[one] = self._grudge.get(one, frozenset()) | {other}
        self._network.partition(dict(self._grudge))

    def partition(self, *groups: Sequence[str]) -> None:
        """Cut all links between groups of nodes."""
        for group in groups:
            for other in groups:
                if other is not group:
                    for a in group:
                        for b in other:
                            self.cut(a, b)

    def isolate(self, node: str) -> None:
        """Cut a node off from all others."""
        self.partition([node], [other for other in self.nodes if other != node])

    def heal(self) -> None:
        """Mend all links."""
        self._grudge.clear()
        self._network.heal()

    def drop_next(
        self, src: str | None = None, dest: str | None = None, type: str | None = None
    ) -> None:
        """Lose the next message that matches."""
        self._drops.append(Pattern(src, dest, type))

    def lose(self, probability: float) -> None:
        """From now on, lose messages between servers with this probability."""
        self._network.p_loss = probability

    def pause(self, node: str) -> None:
        """Let a node stand still; its messages wait."""
        self._cluster.pause_node(node)

    def resume(self, node: str) -> None:
        """Let a paused node go on."""
        self._cluster.resume_node(node)

    def restart(self, node: str) -> None:
        """Kill a node and start it anew: it has lost its state."""
        self._cluster.kill_nodes([node])
        self._cluster.start_node(node)
        self.request(node, "init", node_id=node, node_ids=self.nodes)

    def _is_dropped(self, message: Message) -> bool:
        for pattern in self._drops:
            if pattern.matches(message):
                self._drops.remove(pattern)
                return True
        return False

    # The end

    def close(self) -> None:
        """End the simulation; raises AssertionError for a message that nobody expected."""
        self._cluster.stop()
        self.assert_silent()

    def abandon(self) -> None:
        """End the simulation without complaints."""
        self._cluster.stop()

    def record(self, event: str, time: int, message: Message) -> None:
        """Hear of a message, as the network's journal."""
        if event == "send":
            self.messages.append(message)


@contextmanager
def simulated(*args: Any, **kwargs: Any) -> Iterator[Simulation]:
    """A simulated cluster for a `with` statement, where a fixture is no use."""
    simulation = Simulation(*args, **kwargs)
    try:
        yield simulation
    except BaseException:
        simulation.abandon()
        raise
    simulation.close()


def _show(message: Message) -> str:
    return f"{message.src} -> {message.dest}: {json.dumps(message.body)}"
