"""The choices of an explored run as a scenario, which `glomers test --scenario` replays.

In an exploration, steps follow each other at one instant. In the scenario each comes GAP after the
one before it, and what lies between two steps becomes a delay. That isn't quite the same: timers
may go off in between, and a node's inbox delivers one message after the other. So a scenario is
only as good as its replay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from glomers.history.times import MILLIS
from glomers.history.values import as_text
from glomers.scenario import Fate, Invoke, Name, Scenario, Switch, View
from glomers.workloads.base import Invocation
from glomers.world.load import Worker
from glomers.world.loop import Loop
from glomers.world.network import Body, Message
from glomers.world.services import State

GAP = MILLIS


@dataclass
class _Sent:
    name: Name
    time: int
    arrivals: list[int] = field(default_factory=list)
    lost: bool = False

    @property
    def fate(self) -> Fate:
        return Fate(*self.name, tuple(arrival - self.time for arrival in self.arrivals))


class Taken:
    """Takes down what is chosen in a run. Only crashes have no place in it."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._steps = 0
        self._origin = 0
        self._names: Counter[tuple[str, str, str]] = Counter()
        self._sent: dict[int, _Sent] = {}
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._operations: list[Invoke] = []
        self._views: list[View] = []
        self._waiting: dict[tuple[str, str], tuple[Switch, int]] = {}
        self._switches: list[Switch] = []
        self._complete = True

    @property
    def _now(self) -> int:
        return self._loop.now - self._origin + self._steps * GAP

    def begin(self) -> None:
        """The load begins."""
        self._origin = self._loop.now

    def step(self) -> None:
        """Another step comes."""
        self._steps += 1

    def fate(self, message: Message) -> Sequence[int]:
        """A message is sent between servers. It takes no time, unless it is held."""
        name = _name(self._names, message.src, message.dest, message.body)
        self._sent[message.id] = _Sent(name, self._now)
        return (0,)

    def arrives(self, message: Message) -> None:
        self._sent[message.id].arrivals.append(self._now)

    def loses(self, message: Message) -> None:
        self._sent[message.id].lost = True

    def begins(self, worker: Worker, what: Invocation) -> None:
        self._operations.append(Invoke(what.f, what.value, self._now, worker.number, 0, what.extra))

    def shows(self, service: str, caller: str, body: Body, state: State) -> None:
        """A service shows a state to a request."""
        *_, type, nth = _name(self._requests, caller, service, body)
        if state != State():
            view = View(service, caller, type, nth, state.behind, state.replica, state.learner)
            self._views.append(view)

    def loses_turn(self, node: str, which: str, place: Switch) -> None:
        self._waiting[node, which] = place, self._now

    def goes_on(self, node: str, which: str) -> None:
        place, began = self._waiting.pop((node, which))
        self._switches.append(replace(place, wait=self._now - began))

    def crashes(self) -> None:
        self._complete = False

    def scenarios(self, usual: Scenario) -> Iterator[Scenario]:
        """Scenarios of the run, the simplest first; `usual` has what isn't chosen.

        In the first one, messages arrive at once unless they are lost.
        """
        if not self._complete:
            return
        chosen = replace(
            usual,
            operations=tuple(self._operations),
            views=tuple(self._views),
            switches=tuple(self._switches),
            faults=(),
        )
        fates = [sent.fate for sent in self._sent.values() if sent.lost or sent.arrivals]
        at_once = [
            replace(fate, delays=tuple(delay - fate.delays[0] for delay in fate.delays))
            for fate in fates
        ]
        yield replace(chosen, messages=tuple(fate for fate in at_once if fate.delays != (0,)))
        late = tuple(fate for fate in fates if fate.delays != (GAP,))
        yield replace(chosen, latency=GAP, messages=late)


def _name(counts: Counter[tuple[str, str, str]], src: str, dest: str, body: Body) -> Name:
    """The name of a message in a scenario."""
    type = body.get("type")
    kind = src, dest, type if isinstance(type, str) else as_text(type)
    counts[kind] += 1
    return (*kind, counts[kind])
