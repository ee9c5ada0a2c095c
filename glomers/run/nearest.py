"""The nearest passing run: which one decision makes the difference between failing and passing?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from glomers.history.times import NANOS
from glomers.run import smaller
from glomers.run.shrink import Outcome, Runner, Stopped
from glomers.run.smaller import Candidate
from glomers.scenario import Action, Fate, Invoke, Switch, Unsynced, View
from glomers.world.faults import FAULTS

LATER = NANOS  # by how much later an operation comes, so that it meets others no more

Decision = Switch | Unsynced | Fate | View | Action | Invoke


@dataclass(frozen=True)
class Nearest:
    """A run that passes, one decision away from one that fails.

    The passing `candidate` lacks the `decision` of the failing run, or has `instead` of it.
    """

    decision: Decision
    candidate: Candidate
    instead: Decision | None = None


def nearest_passing(failing: Candidate, runner: Runner) -> Nearest | None:
    """The most telling run that is valid, of those that are one decision away; None if there is
    none, or the runner is stopped.

    The most telling is a switch, then a kill that lost what wasn't synced, a lost message, one that
    comes twice, a latency, an old state of a service, a fault, the time of an operation, and at
    last an operation.
    """
    neighbours = list(_neighbours(failing))

    def passes(candidate: Candidate, outcome: Outcome) -> Candidate | None:
        return candidate if outcome.valid is True else None

    try:
        found = runner.first((near.candidate for near in neighbours), passes)
    except Stopped:
        return None
    return None if found is None else neighbours[found[0]]


def _neighbours(failing: Candidate) -> Iterator[Nearest]:
    yield from _without(failing, "switches", failing.part("switches"))
    yield from _without(failing, "unsynced", failing.part("unsynced"))
    fates: tuple[Fate, ...] = failing.part("messages")
    for arrivals in (0, 2, 1):
        of_kind = [fate for fate in fates if min(len(fate.delays), 2) == arrivals]
        yield from _without(failing, "messages", of_kind)
    yield from _without(failing, "views", failing.part("views"))
    starts = {fault.f[0] for fault in FAULTS.values()}
    faults = [action for action in failing.part("faults") if action.f in starts]
    yield from _without(failing, "faults", faults)
    for place, invoke in enumerate(failing.part("operations")):
        later = replace(invoke, time=invoke.time + LATER)
        moved = smaller.with_entry(failing, "operations", place, later)
        limit = failing.options.time_limit + LATER / NANOS
        yield Nearest(invoke, moved.with_options(time_limit=limit), later)
    yield from _without(failing, "operations", failing.part("operations"))
    yield from _without(failing, "final", failing.part("final"))


def _without(failing: Candidate, part: str, decisions: Iterable[Decision]) -> Iterator[Nearest]:
    """The run without each of these decisions alone."""
    entries = failing.part(part)
    for decision in decisions:
        others = tuple(entry for entry in entries if entry is not decision)
        yield Nearest(decision, failing.with_(**{part: others}))
