"""A network that holds what servers send each other until it is told what becomes of it.

As on every network, messages from and to clients take no time and are never lost, so they aren't
held. `inputs` has a digest of what each endpoint has received so far, and when: nodes and services
are deterministic, so it stands for the endpoint's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from random import Random

from glomers.world.loop import Loop
from glomers.world.network import Inbox, Journal, Latency, Message, Network


class HeldNetwork(Network):
    """Holds messages between servers while `holds` is set; they are in `held`, oldest first."""

    def __init__(
        self, loop: Loop, random: Random, journal: Journal, latency: Latency, *faults: float
    ) -> None:
        self._inputs = Inputs(journal)
        super().__init__(loop, random, self._inputs, latency, *faults)
        self.holds = False
        self.held: list[Message] = []

    @property
    def inputs(self) -> Mapping[str, bytes]:
        """For each endpoint, a digest of what it has received."""
        return self._inputs.digests

    def begin_anew(self, endpoint: str, how: str) -> None:
        """Forget what an endpoint has received; `how` stands for its new state."""
        self._inputs.digests[endpoint] = how.encode()

    def note(self, endpoint: str, what: str) -> None:
        """Note what happens to an endpoint and isn't a message."""
        self._inputs.add(endpoint, what.encode())

    def deliver(self, message: Message, *, again: bool = False) -> None:
        """Let a message that is held arrive; if `again`, hold it for a second time as well."""
        if not again:
            self.held.remove(message)
        super()._enqueue(self._inboxes[message.dest], message, self.loop.now)

    def lose(self, message: Message) -> None:
        """Lose a message that is held."""
        self.held.remove(message)
        self._journal.record("lost", self.loop.now, message)

    def crash(self, endpoint: str) -> None:
        super().crash(endpoint)
        for message in self.held:
            if message.dest == endpoint:
                self._journal.record("drop", self.loop.now, message)
        self.held = [message for message in self.held if message.dest != endpoint]

    def _enqueue(self, inbox: Inbox, message: Message, due: int) -> None:
        if self.holds and not message.of_client:
            self.held.append(message)
        else:
            super()._enqueue(inbox, message, due)


class Inputs:
    """A journal that keeps digests of what endpoints receive, and passes everything on."""

    def __init__(self, journal: Journal) -> None:
        self.digests: dict[str, bytes] = {}
        self._journal = journal

    def record(self, event: str, time: int, message: Message) -> None:
        if event == "recv":
            self.add(message.dest, b"%d " % time + message.line)
        self._journal.record(event, time, message)

    def add(self, endpoint: str, what: bytes) -> None:
        """An endpoint has received this as well."""
        before = self.digests.get(endpoint, b"")
        self.digests[endpoint] = blake2b(before + what, digest_size=16).digest()
