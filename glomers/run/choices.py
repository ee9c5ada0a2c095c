"""The search through all orders in which a few things can happen, each state only once.

Theory of operation. A system that waits for a decision has *options*: a message arrives, another is
lost, an operation begins. A *run* takes one option after the other. It is done anew from the
beginning each time: first the choices of its *prefix*, then at each *point* the first option that
is left, which is the natural one. What it reports is taken up by the `Search`, which makes a *job*,
a longer prefix, of each of the other options.

Jobs are run in the order of their cost: those with the fewest faults first, of these the ones that
leave the natural order the fewest times. So the first run that fails is a smallest one.

Three things keep the runs few, without losing a state that can be reached:

- Equal states are gone on from once. A state has a key; two runs whose keys are equal have before
  them the same futures.
- Options that touch nothing in common are *independent*: in either order they lead to the same
  state (such runs are the same Mazurkiewicz trace). *Sleep sets* (P. Godefroid, Partial-Order
  Methods for the Verification of Concurrent Systems, LNCS 1032, Springer 1996, chapter 5) see to it
  that the second order isn't even tried: when the option t has been taken care of, it sleeps in the
  jobs of its siblings until something happens that depends on it. A run doesn't take an option that
  sleeps.
- Both together, as in Godefroid's search with state matching: a state is stored with its sleep set.
  When it is reached again, the options that slept then and are awake now are taken up, and the
  state's sleep set becomes the intersection of both.

What each option touches is its *footprint*, a set of names. That is known before the option is
taken, so persistent sets or dynamic reduction (C. Flanagan and P. Godefroid, Dynamic Partial-Order
Reduction for Model Checking Software, POPL 2005) would save more only where states differ for
good; and equal states are looked for in any case.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Key = Hashable


@dataclass(frozen=True, slots=True)
class Choice:
    """What happens next: its kind, the endpoint at which it happens, and what else tells it apart
    from other choices of that kind."""

    kind: str
    at: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """A choice that can be made now, what it touches, and whether it is a fault."""

    choice: Choice
    footprint: frozenset[str]
    is_fault: bool = False


ALL = "*"
EVERYTHING = frozenset((ALL,))  # the footprint of an option that depends on all others

STAY = Option(Choice("stay"), frozenset())  # to leave out what is on no natural way

Sleepers = Mapping[Choice, frozenset[str]]  # options that sleep, with their footprints
Known = dict[Key, frozenset[Choice]]  # states, with the options that slept there


def awake(sleepers: Sleepers, taken: frozenset[str]) -> dict[Choice, frozenset[str]]:
    """Those that go on sleeping when something with the footprint `taken` happens."""
    if ALL in taken:
        return {}
    return {
        choice: footprint
        for choice, footprint in sleepers.items()
        if ALL not in footprint and footprint.isdisjoint(taken)
    }


@dataclass(frozen=True, slots=True)
class Job:
    """A run that is to be made: its first choices, and what sleeps after them."""

    prefix: tuple[Choice, ...] = ()
    asleep: Sleepers = field(default_factory=dict)
    faults: int = 0
    detours: int = 0  # choices that weren't the natural one

    @property
    def cost(self) -> tuple[int, int, int]:
        return self.faults, self.detours, len(self.prefix)


@dataclass(frozen=True, slots=True)
class Point:
    """A state in which a run had to choose, its options, and the one it took (None: it stopped).

    In the midst of a step there is no key: nobody else comes there.
    """

    key: Key
    options: tuple[Option, ...]
    taken: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a job: its points after the prefix and, if it came to its end, what of."""

    points: tuple[Point, ...]
    end: Any = None


class NotRepeatable(Exception):
    """A run with the same choices as an earlier one came to other options than that."""


class Path:
    """The way of one run: the choices of its job, then the natural ones.

    `known` has the states from which runs in this process have gone on, with what slept there; the
    run stops in one from which it has nothing new to do.
    """

    def __init__(self, job: Job, known: Known | None = None) -> None:
        self.points: list[Point] = []
        self.taken: list[Choice] = []
        self._prefix = job.prefix
        self._asleep = dict(job.asleep)
        self._known = known

    def choose(self, options: Sequence[Option], key: Callable[[], Key]) -> Choice | None:
        """The choice to make now; None if the run needn't go on."""
        done = len(self.taken)
        if done < len(self._prefix):
            choice = self._prefix[done]
            if all(option.choice != choice for option in options):
                raise NotRepeatable(f"{choice} isn't among {[o.choice for o in options]}")
        else:
            place = self._next(options, here := key())
            self.points.append(Point(here, tuple(options), place))
            if place is None:
                return None
            choice = options[place].choice
            self._asleep = awake(self._asleep, options[place].footprint)
        self.taken.append(choice)
        return choice

    def leave(self, option: Option) -> bool:
        """Whether to take an option that comes up in the midst of a step, and on no natural way."""
        done = len(self.taken)
        if done >= len(self._prefix):
            self.points.append(Point(None, (STAY, option), 0))
        elif self._prefix[done] == option.choice:
            self.taken.append(option.choice)
            return True
        return False

    def _next(self, options: Sequence[Option], key: Key) -> int | None:
        left = [n for n, option in enumerate(options) if option.choice not in self._asleep]
        if self._known is not None and key is not None:
            before = self._known.get(key)
            if before is not None and before <= self._asleep.keys():
                return None
            asleep = frozenset(self._asleep)
            self._known[key] = asleep if before is None else before & asleep
        return left[0] if left else None


class Search:
    """What has been found so far, and the jobs that are left.

    Without `reduced`, nothing sleeps: each option of each state is tried.
    """

    def __init__(self, reduced: bool = True) -> None:
        self.states: Known = {}  # with what slept there
        self._reduced = reduced
        self._jobs: list[tuple[tuple[int, int, int], int, Job]] = []
        self._numbers = 0
        self._add(Job())

    def __len__(self) -> int:
        """How many jobs are left."""
        return len(self._jobs)

    def next_jobs(self, most: int) -> list[Job]:
        """The next jobs, at most so many; all have as many faults and detours."""
        jobs: list[Job] = []
        while self._jobs and len(jobs) < most:
            if jobs and self._jobs[0][0][:2] != jobs[0].cost[:2]:
                break
            jobs.append(heapq.heappop(self._jobs)[2])
        return jobs

    def merge(self, job: Job, report: Report) -> bool:
        """Take up what a job has found; False if its end has been reached before by another way."""
        prefix, faults, detours = list(job.prefix), job.faults, job.detours
        asleep: Sleepers = job.asleep
        for point in report.points:
            left, asleep = self._arrive(point, asleep)
            natural = None if point.taken is None else point.options[point.taken]
            goes_on = natural in left
            sleeping = dict(asleep)
            if goes_on and natural is not None and natural != STAY:
                sleeping[natural.choice] = natural.footprint
            for option in left:
                if option == natural:
                    continue
                self._add(
                    Job(
                        (*prefix, option.choice),
                        awake(sleeping, option.footprint) if self._reduced else {},
                        faults + option.is_fault,
                        detours + (option != point.options[0]),
                    )
                )
                sleeping[option.choice] = option.footprint
            if not goes_on or natural is None:
                return False
            if natural == STAY:
                continue
            prefix.append(natural.choice)
            faults += natural.is_fault
            detours += natural != point.options[0]
            asleep = awake(asleep, natural.footprint) if self._reduced else {}
        return report.end is not None

    def _arrive(self, point: Point, asleep: Sleepers) -> tuple[list[Option], Sleepers]:
        """What is left to do in a state, and what sleeps there, now that it is reached."""
        if point.key is None:
            return list(point.options), asleep
        before = self.states.get(point.key)
        if before is None:
            self.states[point.key] = frozenset(asleep)
            return [option for option in point.options if option.choice not in asleep], asleep
        left = [o for o in point.options if o.choice in before and o.choice not in asleep]
        self.states[point.key] = before.intersection(asleep)
        return left, {choice: asleep[choice] for choice in asleep if choice in before}

    def _add(self, job: Job) -> None:
        self._numbers += 1
        heapq.heappush(self._jobs, (job.cost, self._numbers, job))


def search_all(
    run: Callable[[Job], Report], reduced: bool = True
) -> Iterator[tuple[Search, Job, Report]]:
    """Make all runs one after the other, here; yield each as soon as it is taken up."""
    search = Search(reduced)
    while jobs := search.next_jobs(1):
        report = run(jobs[0])
        search.merge(jobs[0], report)
        yield search, jobs[0], report
