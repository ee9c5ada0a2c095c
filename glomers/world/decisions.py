"""The decisions of a run: told by a scenario, or recorded as one.

What decides is either drawn from the seed, by the network, the load and the nemesis themselves, or
told by a scenario. `ToldFates` says what becomes of messages, `tell_services` which states services
show; load and nemesis are given their parts of a scenario. `Recording` takes down what was decided,
by whomever.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

from glomers.errors import UsageError, quote
from glomers.history.operations import Operation
from glomers.history.times import MILLIS, NANOS
from glomers.history.values import as_text
from glomers.options import SERVICES, Options
from glomers.scenario import Action, Fate, Invoke, Name, Scenario, Switch, Unsynced, View
from glomers.workloads.base import FINAL, Invocation, Workload
from glomers.world.network import Body, Message
from glomers.world.services import NEWEST, Service, State

MOST_DECISIONS = 200_000  # that are recorded; their file has some 20 MB

FINAL_PHASE = 1 << 60  # nanoseconds, longer than any test

Decide = Callable[[Message], Sequence[int]]


class Clock:
    """Tells when decisions are made, in nanoseconds, so that it means the same in a shorter run: in
    the load since that began, in the final phase since that began, and FINAL_PHASE on top."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._began: list[int] = []  # the load, and the final phase

    def begin(self) -> None:
        """A phase begins."""
        self._began.append(self._now())

    def of(self, time: int) -> int:
        """When something happened at that time of the loop."""
        for phase in reversed(range(len(self._began))):
            if time >= self._began[phase]:
                return time - self._began[phase] + phase * FINAL_PHASE
        return time - (self._began[0] if self._began else FINAL_PHASE)

    @property
    def now(self) -> int:
        return self.of(self._now())


E = TypeVar("E", Fate, View, Switch, Unsynced)


class Pending(Generic[E]):
    """Entries of a scenario that haven't come to pass. Each is the nth of its `kind`, or if `nth`
    is 0, the first from the time `at` on."""

    def __init__(self, entries: Iterable[E], kind: Callable[[E], Any], clock: Clock) -> None:
        self._clock = clock
        self._numbered: dict[tuple[Any, int], E] = {}
        self._timed: dict[Any, deque[E]] = {}
        for entry in sorted(entries, key=lambda entry: entry.at or 0):
            if entry.nth:
                self._numbered[kind(entry), entry.nth] = entry
            else:
                self._timed.setdefault(kind(entry), deque()).append(entry)

    def take(self, kind: Any, nth: int) -> E | None:
        """The entry of the nth of a kind, which comes now; it is pending no more."""
        timed = self._timed.get(kind)
        if timed and (timed[0].at or 0) <= self._clock.now:
            return timed.popleft()
        return self._numbered.pop((kind, nth), None)

    @property
    def left(self) -> list[E]:
        """Those that are still pending, except those that were named by a time."""
        return list(self._numbered.values())


class _Numbers:
    """Names messages as scenarios do: by sender, receiver, type, and the how manieth of these."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()

    def name(self, src: str, dest: str, body: Body) -> Name:
        type = body.get("type")
        kind = src, dest, type if isinstance(type, str) else as_text(type)
        self.counts[kind] = count = self.counts[kind] + 1
        return (*kind, count)


def usual_delays(scenario: Scenario | None, options: Options) -> tuple[int, ...]:
    """The delays of messages of which a scenario says nothing."""
    told = None if scenario is None else scenario.latency
    return (options.latency * MILLIS if told is None else told,)


class ToldFates:
    """What a scenario says of messages.

    Raises UsageError if it names a node that the test doesn't have.
    """

    def __init__(self, scenario: Scenario, options: Options, clock: Clock) -> None:
        known = (*options.nodes, *SERVICES)
        for fate in scenario.messages:
            for end in (fate.src, fate.dest):
                if end not in known:
                    expected = f"expected one of {', '.join(known)}"
                    raise scenario.refusal(fate, f"unknown node {end!r}; {expected}")
        self._scenario = scenario
        self._usual = usual_delays(scenario, options)
        self._numbers = _Numbers()
        self._pending = Pending(scenario.messages, lambda fate: fate.message[:3], clock)

    def decide(self, message: Message) -> Sequence[int]:
        *kind, nth = self._numbers.name(message.src, message.dest, message.body)
        fate = self._pending.take(tuple(kind), nth)
        return self._usual if fate is None else fate.delays

    def notes(self) -> list[str]:
        """What to tell a person of messages that were never sent."""
        return [
            self._scenario.remark(fate, f"this message was never sent; {self._sent(fate)}")
            for fate in self._pending.left
        ]

    def _sent(self, fate: Fate) -> str:
        counts = [
            f"{count:,} of {quote(type, 40)}"
            for (src, dest, type), count in self._numbers.counts.items()
            if (src, dest) == (fate.src, fate.dest)
        ]
        return f"{fate.src} sent {fate.dest} {', '.join(counts) or 'nothing'}"


def tell_services(services: Mapping[str, Service], scenario: Scenario, clock: Clock) -> None:
    """Let a scenario say which states services show.

    Raises UsageError if it names another service.
    """
    pending = Pending(scenario.views, lambda view: view.message[:3], clock)
    for view in scenario.views:
        if view.service not in services:
            expected = f"expected one of {', '.join(services)}"
            raise scenario.refusal(view, f"unknown service {view.service!r}; {expected}")
    numbers = _Numbers()

    def look(service: str, caller: str, body: Body, count: int) -> State:
        *kind, nth = numbers.name(caller, service, body)
        view = pending.take(tuple(kind), nth)
        return NEWEST if view is None else State(view.behind, view.replica, view.learner)

    for name, service in services.items():
        service.look = partial(look, name)


class ToldLosses:
    """What a scenario says of what kills lose that wasn't synced. The rest is kept.

    Raises UsageError if it names a node that the test doesn't have.
    """

    def __init__(self, scenario: Scenario, nodes: Sequence[str], clock: Clock) -> None:
        for entry in scenario.unsynced:
            if entry.node not in nodes:
                expected = f"expected one of {', '.join(nodes)}"
                raise scenario.refusal(entry, f"unknown node {entry.node!r}; {expected}")
        self._scenario = scenario
        self._pending = Pending(scenario.unsynced, lambda entry: entry.node, clock)

    def decide(self, node: str, nth: int, steps: int) -> tuple[int, int]:
        """Which of the steps that a node hasn't synced its nth kill loses: from, and up to."""
        told = self._pending.take(node, nth)
        if told is None:
            return 0, 0
        return told.begin, steps if told.end is None else told.end

    def notes(self) -> list[str]:
        """What to tell a person of kills that never came."""
        text = "there was no such kill, or all was synced"
        return [self._scenario.remark(entry, text) for entry in self._pending.left]


def check_switches(scenario: Scenario, nodes: Sequence[str]) -> None:
    """Raise UsageError if a scenario's switches can't be those of a test with these nodes."""
    for switch in scenario.switches:
        if switch.node not in nodes:
            expected = f"expected one of {', '.join(nodes)}"
            raise scenario.refusal(switch, f"unknown node {switch.node!r}; {expected}")
        if (switch.offset is None) != (scenario.switches[0].offset is None):
            raise scenario.refusal(switch, "expected an `offset` in all switches, or in none")


def check_operations(scenario: Scenario | None, workload: Workload) -> None:
    """Raise UsageError if a scenario has operations that the workload or its options don't fit."""
    if scenario is None:
        return
    if scenario.final is not None and workload.final_generator() is None:
        raise UsageError(f"{scenario.name}: `final`: {workload.name} has no final phase")
    workers = workload.options.concurrency
    for invoke in (*(scenario.operations or ()), *(scenario.final or ())):
        operation = Operation(0, invoke.time, "invoke", 0, invoke.f, invoke.value)
        if problem := workload.misfit(operation):
            raise scenario.refusal(invoke, problem)
        if invoke.worker >= workers:
            raise scenario.refusal(invoke, f"expected a `worker` from 0 to {workers - 1}")


class Recording:
    """Takes down the decisions of a run. `usual` are the delays that aren't worth a word."""

    def __init__(self, usual: tuple[int, ...], clock: Clock) -> None:
        self._usual = usual
        self._clock = clock
        self._numbers = _Numbers()
        self._phases: list[list[Invoke]] = []  # operations of the load, and of the final phase
        self._fates: list[tuple[Name, tuple[int, ...], int]] = []
        self._requests = _Numbers()
        self._views: list[View] = []
        self._faults: list[Action] = []
        self._unsynced: list[Unsynced] = []
        self._switches: list[Switch] = []
        self._room = MOST_DECISIONS

    def of_messages(self, decide: Decide) -> Decide:
        """What `decide` says, while it is taken down."""

        def decided(message: Message) -> Sequence[int]:
            delays = decide(message)
            name = self._numbers.name(message.src, message.dest, message.body)
            if delays != self._usual and self._room:
                self._room -= 1
                self._fates.append((name, tuple(delays), self._clock.now))
            return delays

        return decided

    def of_service(self, name: str, service: Service) -> None:
        """Take down which states a service shows."""
        look = service.look
        request: Name = ("", "", "", 0)

        def looked(caller: str, body: Body, count: int) -> State:
            nonlocal request
            request = self._requests.name(caller, name, body)
            return look(caller, body, count)

        def seen(state: State) -> None:
            if state != NEWEST and self._room:
                self._room -= 1
                caller, _, type, nth = request
                shown = state.behind, state.replica, state.learner
                self._views.append(View(name, caller, type, nth, *shown, self._clock.now))

        service.look, service.seen = looked, seen

    def begin(self) -> None:
        """A phase begins: the load, or the final one."""
        self._phases.append([])
        self._clock.begin()

    def operation(self, due: int, worker: int, invocation: Invocation) -> None:
        if self._room:
            self._room -= 1
            final = ((FINAL, True),) if invocation.final else ()
            wait = round(invocation.wait * NANOS)
            marks = (*final, *invocation.extra)
            told = Invoke(invocation.f, invocation.value, due, worker, wait, marks)
            self._phases[-1].append(told)

    def fault(self, action: Action) -> None:
        self._faults.append(action)

    def unsynced(self, entry: Unsynced) -> None:
        self._unsynced.append(replace(entry, at=self._clock.now))

    def switch(self, switch: Switch) -> None:
        if self._room:
            self._room -= 1
            at = None if switch.at is None else self._clock.of(switch.at)
            self._switches.append(replace(switch, at=at))

    def scenario(self, told: Scenario) -> Scenario | None:
        """What was decided; None if that was too much. The rest is as in the scenario `told`."""
        if not self._room:
            return None
        return replace(
            told,
            operations=tuple(self._phases[0]) if self._phases else told.operations,
            final=tuple(self._phases[1]) if len(self._phases) > 1 else told.final,
            messages=tuple(Fate(*name, delays, at) for name, delays, at in self._fates),
            views=tuple(self._views),
            faults=tuple(self._faults),
            unsynced=tuple(self._unsynced),
            switches=tuple(self._switches),
        )
