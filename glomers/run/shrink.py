"""Shrinks a failing run: the smallest scenario that still fails for the same reason.

Smaller runs are proposed by smaller.py, for one kind of decision after the other: big chunks first,
by ddmin (ddmin.py), until nothing gets smaller any more. Each is run, in processes on all cores,
and the first in order that fails for the same reason is taken, whichever is done first. So the
result is the same on any number of cores, unless time runs out. The search goes on from the
decisions that this run has really made: what was never reached is gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from glomers.errors import UsageError
from glomers.run import smaller
from glomers.run.build import simulated_test
from glomers.run.ddmin import ddmin
from glomers.run.failure import Failure, failure
from glomers.run.hard import harder
from glomers.run.recorder import HistoryFull
from glomers.run.smaller import Candidate
from glomers.scenario import Scenario
from glomers.world.network import Message

LOOK = 0.1  # seconds between looks at the clock and at Ctrl-C
MORE = 2  # times as many messages as before may a run have, and
AT_LEAST = 1000  # so many in any case

T = TypeVar("T")


# One run


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run: the verdict, what it fails for, and the decisions that it made.

    `problem` tells why there was no run.
    """

    valid: Any
    failure: Failure | None = None
    scenario: Scenario | None = None
    messages: int = 0
    problem: str = ""


def attempt(candidate: Candidate, most_messages: int | None = None) -> Outcome:
    """Run a candidate. It proves nothing if it doesn't fit together, or grows too large."""
    try:
        told = candidate.told if candidate.scenario is not None else None
        test = simulated_test(candidate.options, scenario=told, records=True)
        network, journal = test.world.network, test.recorder.journal
        decide = network.fate

        def counted(message: Message) -> Sequence[int]:
            if most_messages is not None and journal.servers.messages > most_messages:
                test.world.loop.call_at(test.world.loop.now, _end)
            return decide(message)

        network.fate = counted
        results = test.run()
    except UsageError as error:
        return Outcome("unknown", problem=str(error))
    except MemoryError:
        return Outcome("unknown")
    why = failure(results, test.history, candidate.options.workload)
    messages = results["net"]["servers"]["msg-count"]
    return Outcome(results["valid?"], why, test.scenario, messages)


def _end() -> None:
    raise HistoryFull("the run has many more messages than the one that is to be shrunk")


# Many runs


class Stopped(Exception):
    """Time is up, or a person doesn't want to wait any longer."""


class Runner:
    """Runs candidates in a pool, `at_once` at the same time.

    `stops()` says when to stop, by Stopped; `report()` is called now and then. `runs` counts them.
    """

    def __init__(
        self,
        pool: Executor,
        at_once: int = 2,
        stops: Callable[[], bool] = lambda: False,
        report: Callable[[], object] = lambda: None,
    ) -> None:
        self.runs = 0
        self._pool = pool
        self._at_once = at_once
        self._stops = stops
        self._report = report

    def first(
        self,
        candidates: Iterable[Candidate | None],
        accept: Callable[[Candidate, Outcome], T | None],
        most_messages: int | None = None,
    ) -> tuple[int, T] | None:
        """The place of the first candidate in order that is accepted, and what it is accepted as.

        Those that come after it have run in vain. None stands for a place without a candidate.
        """
        coming = ((n, candidate) for n, candidate in enumerate(candidates) if candidate)
        running: deque[tuple[int, Candidate, Future[Outcome]]] = deque()
        try:
            while True:
                for place, candidate in islice(coming, self._at_once - len(running)):
                    future = self._pool.submit(attempt, candidate, most_messages)
                    running.append((place, candidate, future))
                if not running:
                    return None
                place, candidate, future = running.popleft()
                accepted = accept(candidate, self._wait(future))
                if accepted is not None:
                    return place, accepted
        finally:
            for _, _, future in running:
                future.cancel()

    def _wait(self, future: Future[Outcome]) -> Outcome:
        while True:
            self._report()
            if self._stops():
                raise Stopped
            try:
                outcome = future.result(LOOK)
            except StillRunning:
                continue
            except BrokenExecutor as error:
                raise ChildProcessError(
                    "a process ended while it ran a smaller scenario, perhaps because there was "
                    f"not enough memory: {error}"
                ) from None
            self.runs += 1
            return outcome


# The search

Naming = Callable[[Candidate], Candidate]
# How messages, views and switches are named in candidates: first by their time, then by numbers.
NAMINGS: tuple[Naming, ...] = (smaller.by_time, lambda candidate: candidate)


class Search:
    """Looks for the smallest run that fails for the same reason as the `first`.

    `found` is the smallest so far, `wanted` the reason. Raises UsageError if the first run doesn't
    fail.
    """

    def __init__(self, first: Candidate, runner: Runner) -> None:
        self._runner = runner
        self._known: set[Any] = set()
        began = runner.first([first], lambda _, outcome: outcome)
        assert began is not None
        outcome = began[1]
        if outcome.failure is None:
            raise UsageError(_why_not(first, outcome))
        if outcome.scenario is None:
            raise UsageError("the run has too many decisions to be shrunk; try a --time-limit")
        self.wanted = outcome.failure
        self.first = self.found = replace(first, scenario=outcome.scenario)
        self._messages = outcome.messages
        if first.options.hard:
            self._draw_no_more()

    def run(self) -> bool:
        """Search until nothing gets smaller. Returns whether it came to that."""
        try:
            self._shrink()
        except Stopped:
            return False
        return True

    def _shrink(self) -> None:
        for naming in NAMINGS:
            self._shortest_prefix(naming)
        before = None
        while before != (before := self.found.measure):
            self._take_all(smaller.plainer_messages)
            self._take_all(smaller.plainer_options)
            for part in smaller.NUMBERED:
                self._try([self.found.with_(**{part: ()})])
            for naming in NAMINGS:
                self._fewest_nodes(naming)
            for part in smaller.LISTS:
                for naming in NAMINGS:
                    self._fewest_entries(part, naming)
            for name, place in list(smaller.of_parts(self.found)):
                self._fewest_steps(name, place)
            for move in smaller.MOVES:
                self._take_all(move)

    def _draw_no_more(self) -> None:
        """Give the command what --hard has drawn for it, if that fails as well. What --hard draws
        depends on the flags that are to become simpler."""
        options = replace(harder(self.found.options), hard=False)
        plain = replace(self.found, options=options)
        taken = self._runner.first([plain], self._fails)
        if taken is not None:
            self.found, self._messages = taken[1]

    def _take_all(self, move: smaller.Move) -> None:
        """Take what a move proposes, as long as something still fails and is smaller."""
        while self._try(move(self.found)) is not None:
            pass

    def _try(self, candidates: Iterable[Candidate | None]) -> int | None:
        """Take the first candidate that is smaller and fails for the same reason, as it really was.

        Returns its place.
        """
        bound = MORE * self._messages + AT_LEAST
        fresh = (candidate if self._is_new(candidate) else None for candidate in candidates)
        taken = self._runner.first(fresh, self._accept, bound)
        if taken is None:
            return None
        place, (self.found, messages) = taken
        self._messages = min(self._messages, messages)
        return place

    def _is_new(self, candidate: Candidate | None) -> bool:
        if candidate is None or candidate.measure >= self.found.measure:
            return False
        return candidate.key not in self._known

    def _accept(self, candidate: Candidate, outcome: Outcome) -> tuple[Candidate, int] | None:
        self._known.add(candidate.key)
        taken = self._fails(candidate, outcome)
        return taken if taken and taken[0].measure < self.found.measure else None

    def _fails(self, candidate: Candidate, outcome: Outcome) -> tuple[Candidate, int] | None:
        """A run as it really was, and its messages, if it fails for the same reason."""
        if outcome.scenario is None or not self.wanted.is_shown_by(outcome.failure):
            return None
        return replace(candidate, scenario=outcome.scenario), outcome.messages

    # One kind after the other

    def _shortest_prefix(self, naming: Naming) -> None:
        """Cut off what comes after the failure: the first 1, 2, 4 … operations are tried, then by
        bisection."""
        whole, count = naming(self.found), len(self.found.part("operations"))
        place = self._try(smaller.prefixes(whole))
        low, high = (0, count) if place is None else ((1 << place) // 2, 1 << place)
        while high - low > 1:
            middle = (low + high) // 2
            if self._try([smaller.prefix(whole, middle)]) is None:
                low = middle
            else:
                high = middle

    def _fewest_nodes(self, naming: Naming) -> None:
        self._fewest(
            lambda found: found.options.nodes,
            lambda found, kept: smaller.of_nodes(naming(found), kept) if kept else None,
        )

    def _fewest_entries(self, part: str, naming: Naming) -> None:
        self._fewest(
            lambda found: naming(found).part(part),
            lambda found, kept: naming(found).with_(**{part: tuple(kept)}),
        )

    def _fewest_steps(self, name: str, place: int) -> None:
        """Leave out what can be left out of an operation's value, such as steps of transactions."""
        self._fewest(
            lambda found: found.part(name)[place].value,
            lambda found, kept: smaller.with_value(found, name, place, kept) if kept else None,
        )

    def _fewest(
        self,
        items: Callable[[Candidate], Sequence[T]],
        with_only: Callable[[Candidate, Sequence[T]], Candidate | None],
    ) -> None:
        """Leave out what can be left out of the `items` of a run."""

        def first_failing(parts: Sequence[Sequence[T]]) -> tuple[int, Sequence[T]] | None:
            place = self._try(with_only(self.found, part) for part in parts)
            return None if place is None else (place, items(self.found))

        ddmin(items(self.found), first_failing)


def _why_not(candidate: Candidate, outcome: Outcome) -> str:
    """Why there is nothing to shrink."""
    if outcome.problem:
        return outcome.problem
    told = candidate.scenario
    what = told.name if told else f"the run with --seed {candidate.options.seed}"
    if outcome.valid is True:
        return f"{what} is valid, so there is nothing to shrink; `sweep` finds seeds that are not"
    return f"{what} proves nothing (its verdict is unknown), so there is nothing to shrink"
