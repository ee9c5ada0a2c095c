"""Is the history of one register linearizable?

It is if the operations can be put into one order, each somewhere between its invocation and its
completion, that a single register would give the same answers in. An operation that failed did not
happen. One whose outcome is unknown may happen at any time after its invocation, or never; an
unknown read says nothing.

The search goes through the completions in order. What explains the history up to one of them is a
*configuration*: the register's value, which of the calls that are open have taken effect already,
and how many calls of unknown outcome were used up. Calls take effect just in time (Lowe, "Testing
for linearizability"): when one completes it must have taken effect, perhaps after others that are
open. The search goes depth first and looks at no configuration twice. What keeps them few:

- A read takes effect as soon as it can: it changes nothing.
- Of calls that do the same the one that completes first takes effect first, and those of unknown
  outcome are interchangeable: only their number counts.
- Of two configurations that differ only in these numbers, one that used less replaces the other.
- A call of unknown outcome takes effect only if another call then needs the value.

A right history is mostly explained at the first try. To be sure of a wrong one, with p calls open
at once and v values, up to 2^p · v configurations are looked at for a completion, times the ways to
have used up calls of unknown outcome, which are exponentially many at worst (the problem is
NP-complete). So the search has a budget; a history that exceeds it is neither right nor wrong.

As in Knossos (`knossos.model/cas-register`), a register holds nil at first, and a read that answers
nil says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import le
from typing import Any

from workbench.history import Operation
from workbench.values import identity

Used = tuple[int, ...]  # of each kind of operation of unknown outcome, how many took effect
Effect = tuple[Any, int, Used]
Found = dict[tuple[Any, int], list[Used]]
IMPOSSIBLE = object()


@dataclass(frozen=True, slots=True)
class Call:
    """An operation on the register. `completion` is None if its outcome is unknown."""

    invocation: Operation
    completion: Operation | None
    f: str
    argument: Any  # comparable; of a read what it answered, of a cas (from, to)

    def apply(self, value: Any) -> Any:
        """What the register holds after this, or IMPOSSIBLE if it could not have succeeded."""
        if self.f == "write":
            return self.argument
        if self.f == "cas":
            return self.argument[1] if self.argument[0] == value else IMPOSSIBLE
        return value if self.argument in (None, value) else IMPOSSIBLE

    def needs(self) -> Any:
        """The value that the register must hold before it; IMPOSSIBLE if any value will do."""
        if self.f == "write" or self.argument is None:
            return IMPOSSIBLE
        return self.argument[0] if self.f == "cas" else self.argument


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to explain a history: the value that the register holds, and what is still open."""

    value: Any
    open: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """`valid` is None if the budget did not suffice.

    `call` is the first that nothing explains (or at which the search gave up), `previous` the one
    that completed before it, `configurations` what the history may have come to before `call`, or
    in the end.
    """

    valid: bool | None
    configurations: tuple[Configuration, ...]
    call: Call | None = None
    previous: Call | None = None


def call_of(invocation: Operation, completion: Operation | None) -> Call | None:
    """The call that this operation was; None if it certainly had no effect and told nothing."""
    certain = completion is not None and completion.type == "ok"
    if (completion is not None and completion.type == "fail") or (
        invocation.f == "read" and not certain
    ):
        return None
    value = (completion or invocation).value
    if invocation.f == "cas":
        argument: Any = (_comparable(value[0]), _comparable(value[1]))
    else:
        argument = _comparable(value)
    return Call(invocation, completion if certain else None, invocation.f, argument)


def _comparable(value: Any) -> Any:
    return None if value is None else identity(value)


def check(pairs: Iterable[tuple[Operation, Operation | None]], budget: int | None = None) -> Result:
    """Whether a register may have had these operations, given as invocations and completions.

    Values are those of the register, [from, to] for a cas. `budget` is how many configurations to
    look at before giving up; None for no limit.
    """
    calls = [call for pair in pairs if (call := call_of(*pair)) is not None]
    search = _Search(calls)
    valid = search.run(budget)
    if valid:
        return Result(True, search.configurations())
    step = search.steps[search.furthest]
    previous = search.steps[search.furthest - 1].call if search.furthest else None
    return Result(valid, search.configurations(), step.call, previous)


@dataclass(frozen=True, slots=True)
class Step:
    """The completion of a call; what was open then, each call with a bit of its own."""

    call: Call
    bit: int
    reads: tuple[tuple[int, Call], ...]
    changes: tuple[tuple[int, Call], ...]  # writes and cas; what completes first is first
    begun: tuple[int, ...]  # of each kind of unknown outcome, how many calls


class _Search:
    """Configurations are (step, value, done, used): before that step; `done` is a set of bits."""

    def __init__(self, calls: Sequence[Call]) -> None:
        unknown = {(call.f, call.argument): call for call in calls if call.completion is None}
        self._kinds = list(unknown.values())
        self.steps = list(_steps(calls, list(unknown)))
        self.furthest = 0
        # The values and bits with which the furthest step was reached, in order.
        self._reached: dict[tuple[Any, int], None] = {(None, 0): None}
        self._nothing_used = (0,) * len(unknown)
        # By step, then by (value, done): the ways to have used up calls of unknown outcome, of
        # which none uses at least as many of every kind as another.
        self._seen: list[Found] = [{} for _ in self.steps]

    def run(self, budget: int | None) -> bool | None:
        """True or False, or None if the budget was too small."""
        stack = [(0, None, 0, self._nothing_used)]
        looked_at = 0
        while stack:
            at, value, done, used = stack.pop()
            if at == len(self.steps):
                return True
            if not _keep(self._seen[at], (value, done), used):
                continue
            looked_at += 1
            if budget is not None and looked_at > budget:
                return None
            step = self.steps[at]
            for bit, read in step.reads:
                if read.argument in (None, value):
                    done |= bit
            if done & step.bit:
                done ^= step.bit
                self._reach(at + 1, value, done)
                stack.append((at + 1, value, done, used))
            else:
                stack.extend((at, *after) for after in self._effects(step, value, done, used))
        return False

    def _reach(self, step: int, value: Any, done: int) -> None:
        if step > self.furthest:
            self.furthest = step
            self._reached = {}
        if step == self.furthest:
            self._reached[value, done] = None

    def _effects(self, step: Step, value: Any, done: int, used: Used) -> list[Effect]:
        """What may happen next to the register; the most promising is last."""
        effects = []
        alike = set()
        for bit, call in step.changes:  # what completes first is first
            if done & bit or (call.f, call.argument) in alike:
                continue
            alike.add((call.f, call.argument))
            after = call.apply(value)
            if after is not IMPOSSIBLE:
                effects.append((after, done | bit, used))
        effects.reverse()
        lacking = [
            (after, done, (*used[:kind], used[kind] + 1, *used[kind + 1 :]))
            for kind, call in enumerate(self._kinds)
            if used[kind] < step.begun[kind]
            for after in [call.apply(value)]
            if after is not IMPOSSIBLE and self._needed(after, step, done, used)
        ]
        needed = step.call.needs()
        return sorted(lacking + effects, key=lambda effect: effect[0] == needed)

    def _needed(self, value: Any, step: Step, done: int, used: Used) -> bool:
        """Could any call make something of this value now? If not, it can come about later."""
        return any(
            not done & bit and call.needs() == value for bit, call in (*step.reads, *step.changes)
        ) or any(
            used[kind] < step.begun[kind] and call.needs() == value
            for kind, call in enumerate(self._kinds)
        )

    def configurations(self) -> tuple[Configuration, ...]:
        """Those with which the furthest step was reached, or the end."""
        still_open: tuple[tuple[int, Call], ...] = ()
        if self.furthest < len(self.steps):
            step = self.steps[self.furthest]
            still_open = (*step.reads, *step.changes)
        return tuple(
            Configuration(value, tuple(call for bit, call in still_open if not done & bit))
            for value, done in self._reached
        )


def _steps(calls: Sequence[Call], kinds: Sequence[tuple[str, Any]]) -> Iterator[Step]:
    """A step for each completion, in order."""
    begun = [0] * len(kinds)
    kind = {name: number for number, name in enumerate(kinds)}
    still_open: dict[int, Call] = {}
    for began, call in _moments(calls):
        if began and call.completion is None:
            begun[kind[call.f, call.argument]] += 1
        elif began:
            bit = 1
            while bit in still_open:
                bit <<= 1
            still_open[bit] = call
        else:
            ends = sorted(still_open.items(), key=lambda item: _end(item[1]))
            bit = ends[0][0]
            reads = tuple(item for item in ends if item[1].f == "read")
            changes = tuple(item for item in ends if item[1].f != "read")
            yield Step(call, bit, reads, changes, tuple(begun))
            del still_open[bit]


def _moments(calls: Sequence[Call]) -> Iterator[tuple[bool, Call]]:
    """When each call began (True) and ended (False), in order."""
    moments = [(call.invocation.index, True, call) for call in calls]
    moments += [(_end(call), False, call) for call in calls if call.completion]
    moments.sort(key=lambda moment: moment[0])
    return ((began, call) for _, began, call in moments)


def _end(call: Call) -> int:
    return call.completion.index if call.completion else -1


def _keep(found: Found, key: tuple[Any, int], used: Used) -> bool:
    """Add a way to have used calls up; False if there is one already that used no more."""
    ways = found.setdefault(key, [])
    if any(all(map(le, way, used)) for way in ways):
        return False
    ways[:] = [way for way in ways if not all(map(le, used, way))]
    ways.append(used)
    return True
