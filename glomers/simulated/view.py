"""What a check can see of a simulated cluster, in a test or while a run goes on.

A check is called when an event of the simulation is over, and only looks: nothing that it calls
lets time pass. Besides messages, links and logs it sees the nodes' own objects, which are here as
well: `cluster["n1"].values` is the global variable `values` of the script that n1 runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

from glomers.errors import did_you_mean
from glomers.options import SERVICES
from glomers.simulated.nodes import Host, SimulatedCluster
from glomers.simulated.turns import Strand
from glomers.world.network import Message, Network

# pytest leaves these lines out of tracebacks: a failure is shown at the test's own line.
__tracebackhide__ = True


class LogLine(NamedTuple):
    """A line that a node printed: the time in virtual seconds, the node, and the text."""

    time: float
    node: str
    text: str

    def __str__(self) -> str:
        return f"{self.time:.3f} {self.node} | {self.text}"


@dataclass(frozen=True)
class Pattern:
    """A pattern of messages, in which None matches anything."""

    src: str | None = None
    dest: str | None = None
    type: str | None = None

    def matches(self, message: Message) -> bool:
        return (
            self.src in (None, message.src)
            and self.dest in (None, message.dest)
            and self.type in (None, message.body.get("type"))
        )

    def __str__(self) -> str:
        given = {name: value for name, value in vars(self).items() if value is not None}
        return ", ".join(f"{name}={value!r}" for name, value in given.items())


class View(ABC):
    """A simulated cluster, to look at.

    `nodes` holds the names of all nodes, `messages` all messages that were sent, in order; each has
    a `src`, a `dest` and a `body`. The view is the journal of the cluster's network.
    """

    nodes: list[str]
    _network: Network
    _cluster: SimulatedCluster

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._in_flight: dict[int, Message] = {}
        self._log: list[LogLine] = []

    @property
    @abstractmethod
    def now(self) -> float:
        """The time, in virtual seconds."""

    # Nodes

    @property
    def alive(self) -> list[str]:
        """The nodes that run their script, even if paused; not those that have been killed."""
        return [node for node in self.nodes if self._script(node) is not None]

    def __getitem__(self, node: str) -> Any:
        """The script of a node, as the module that the node runs: its globals are attributes.

        Only to be looked at. Raises ValueError if there is no such node, or if it isn't `alive`.
        """
        self._check_node(node)
        script = self._script(node)
        if script is None:
            raise ValueError(f"{node} runs no script now; the nodes that do are in `alive`")
        return script

    def _script(self, node: str) -> ModuleType | None:
        host = self._cluster.host(node)
        return host.script if host is not None and host.alive else None

    def logs(self, node: str | None = None) -> str:
        """What a node has printed so far, to standard error or by `node.log` and `print`.

        Without a name, it is what all nodes have printed, each line as `1.234 n0 | text`, with the
        time in virtual seconds. Raises ValueError if there is no such node.
        """
        if node is None:
            return "".join(f"{line}\n" for line in self._log)
        self._check_running(node)
        return "".join(f"{line.text}\n" for line in self._log if line.node == node)

    # Messages

    def sent(
        self, src: str | None = None, dest: str | None = None, type: str | None = None
    ) -> list[Message]:
        """The messages sent so far that match, in order.

        Raises ValueError if `src` or `dest` doesn't exist in the cluster.
        """
        pattern = self._pattern(src, dest, type)
        return [message for message in self.messages if pattern.matches(message)]

    def in_flight(
        self, src: str | None = None, dest: str | None = None, type: str | None = None
    ) -> list[Message]:
        """The messages that match and have neither arrived nor been lost, in order of sending.

        One that the network doubles is in flight until it arrives for the first time.
        Raises ValueError if `src` or `dest` doesn't exist in the cluster.
        """
        pattern = self._pattern(src, dest, type)
        return [message for message in self._in_flight.values() if pattern.matches(message)]

    def is_cut(self, src: str, dest: str) -> bool:
        """Whether a partition keeps messages of `src` from `dest`.

        Raises ValueError if there is no such node.
        """
        self._check_node(src)
        self._check_node(dest)
        return self._network.is_cut(src, dest)

    def record(self, event: str, time: int, message: Message) -> None:
        """Note what becomes of a message: the network calls this as its journal."""
        if event == "send":
            self.messages.append(message)
            self._in_flight[message.id] = message
        else:
            self._in_flight.pop(message.id, None)

    # Names

    def _pattern(self, src: str | None, dest: str | None, type: str | None) -> Pattern:
        for what, name in (("src", src), ("dest", dest)):
            if name is not None:
                self._check_known(what, name)
        return Pattern(src, dest, type)

    def _check_known(self, what: str, name: str) -> None:
        """Raise ValueError unless it is a node, a service, or a client that has been used."""
        if not self._network.knows(name):
            raise unknown(what, name, [*self.nodes, *SERVICES])

    def _check_node(self, name: str) -> None:
        if name not in self.nodes:
            raise unknown("node", name, self.nodes)

    def _check_running(self, name: str) -> None:
        """Raise ValueError unless it is a node that runs the script."""
        self._check_node(name)


def unknown(what: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for a name that doesn't exist."""
    names = list(known)
    hint = did_you_mean(str(name), names)
    return ValueError(f"there is no {what} {name!r}: {hint}expected one of {', '.join(names)}")


def told(function: Callable[..., object], args: Sequence[Any]) -> str:
    """An event of the simulation in words: "n0 → n1 gossip", "n0 went on (every)"."""
    if message := message_of(args):
        return f"{message.src} → {message.dest} {message.body.get('type')}"
    for arg in args:
        if isinstance(arg, Strand):
            return f"{arg.node.id} went on ({arg.name})"
    owner = getattr(function, "__self__", None)
    if isinstance(owner, Host):
        return f"{owner.id} ran ({args[0]})"
    return "an event of the " + (type(owner).__name__.lower() if owner is not None else "test")


def message_of(args: Sequence[Any]) -> Message | None:
    """The message that an event with these arguments delivers; None if it is another event."""
    return next((arg for arg in args if isinstance(arg, Message)), None)
