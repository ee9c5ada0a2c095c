"""The decisions of a run: told by a scenario, or recorded as one.

What decides is either drawn from the seed, by the network, the load and the nemesis themselves, or
told by a scenario. `ToldFates` says what becomes of messages; load and nemesis are given their
parts of a scenario. `Recording` takes down what was decided, by whomever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from glomers.errors import UsageError, quote
from glomers.history.operations import Operation
from glomers.history.times import MILLIS, NANOS
from glomers.history.values import as_text
from glomers.options import SERVICES, Options
from glomers.scenario import Action, Fate, Invoke, Scenario
from glomers.workloads.base import FINAL, Invocation, Workload
from glomers.world.network import Message

MOST_DECISIONS = 200_000  # that are recorded; their file has some 20 MB

Decide = Callable[[Message], Sequence[int]]
Name = tuple[str, str, str, int]


class _Numbers:
    """Names messages as scenarios do: by sender, receiver, type, and the how manieth of these."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()

    def name(self, message: Message) -> Name:
        type = message.body.get("type")
        kind = message.src, message.dest, type if isinstance(type, str) else as_text(type)
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

    def __init__(self, scenario: Scenario, options: Options) -> None:
        known = (*options.nodes, *SERVICES)
        for fate in scenario.messages:
            for end in (fate.src, fate.dest):
                if end not in known:
                    expected = f"expected one of {', '.join(known)}"
                    raise scenario.refusal(fate, f"unknown node {end!r}; {expected}")
        self._scenario = scenario
        self._usual = usual_delays(scenario, options)
        self._numbers = _Numbers()
        self._left: dict[Name, Fate] = {  # of messages that weren't sent yet
            (fate.src, fate.dest, fate.type, fate.nth): fate for fate in scenario.messages
        }

    def decide(self, message: Message) -> Sequence[int]:
        fate = self._left.pop(self._numbers.name(message), None)
        return self._usual if fate is None else fate.delays

    def notes(self) -> list[str]:
        """What to tell a person of messages that were never sent."""
        return [
            self._scenario.remark(fate, f"this message was never sent; {self._sent(fate)}")
            for fate in self._left.values()
        ]

    def _sent(self, fate: Fate) -> str:
        counts = [
            f"{count:,} of {quote(type, 40)}"
            for (src, dest, type), count in self._numbers.counts.items()
            if (src, dest) == (fate.src, fate.dest)
        ]
        return f"{fate.src} sent {fate.dest} {', '.join(counts) or 'nothing'}"


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

    def __init__(self, usual: tuple[int, ...]) -> None:
        self._usual = usual
        self._numbers = _Numbers()
        self._phases: list[list[Invoke]] = [[]]  # operations of the load, and of the final phase
        self._fates: list[tuple[Name, tuple[int, ...]]] = []
        self._faults: list[Action] = []
        self._room = MOST_DECISIONS

    def of_messages(self, decide: Decide) -> Decide:
        """What `decide` says, while it is taken down."""

        def decided(message: Message) -> Sequence[int]:
            delays = decide(message)
            name = self._numbers.name(message)
            if delays != self._usual and self._room:
                self._room -= 1
                self._fates.append((name, tuple(delays)))
            return delays

        return decided

    def begin_final(self) -> None:
        """The final phase begins."""
        self._phases.append([])

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

    def scenario(self, told: Scenario) -> Scenario | None:
        """What was decided; None if that was too much. The rest is as in the scenario `told`."""
        if not self._room:
            return None
        return replace(
            told,
            operations=tuple(self._phases[0]),
            final=tuple(self._phases[1]) if len(self._phases) > 1 else told.final,
            messages=tuple(Fate(*name, delays) for name, delays in self._fates),
            faults=tuple(self._faults),
        )
