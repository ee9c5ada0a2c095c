"""Checks whether the history of one register is linearizable.

A history is linearizable if its operations can be put into one order, each somewhere between its
invocation and its completion, in which a single register would give the same answers. A failed
operation did not happen. An operation of unknown outcome may happen at any time after its
invocation, or never; a read of unknown outcome says nothing.

The search goes through the completions in order. A *configuration* explains the history up to one
of them: the register's value, which of the open calls have taken effect already, and how many calls
of unknown outcome were used up. Calls take effect just in time (Lowe, "Testing for
linearizability"): a call that completes must have taken effect, perhaps after other open calls. The
search goes depth first and looks at no configuration twice. These rules keep configurations few:

- A read takes effect as soon as it can, because it changes nothing.
- Among calls that do the same, the one that completes first takes effect first. Those of unknown
  outcome are interchangeable: only their number counts.
- Of two configurations that differ only in these numbers, the one that used less replaces the
  other.
- A write that doesn't complete yet, and a call of unknown outcome, take effect only if another call
  then needs the value. The order of other writes doesn't matter: a write may have overwritten,
  unseen, any write that was open when it took effect. The overwritten write is *free*: when it
  completes, it may have taken effect already.
- A configuration is given up if an open call needs a value that no call can make any more. If no
  call could ever make it, the history isn't linearizable, and the search ends soon.

A linearizable history is mostly explained at the first try. For a history of sequential writes and
reads that isn't linearizable, the search takes about as many configurations as there are calls. The
worst case are calls that need each other's values: if p such calls are open at once, each subset
may have taken effect, and any number of those of unknown outcome (the problem is NP-complete). So
the search has a budget; it gives no verdict on a history that exceeds the budget.

As in Knossos (`knossos.model/cas-register`), a register holds nil at first, and a read that answers
nil says nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice
from operator import le
from typing import Any

from glomers.history.operations import Operation
from glomers.history.values import identity

Used = tuple[int, ...]  # how many calls of unknown outcome took effect, for each kind of call
State = tuple[Any, int, int]  # the register's value, and the bits of `done` and `free` calls
Effect = tuple[Any, int, int, Used]
Position = tuple[int, Any, int, int, Used]
Found = dict[State, list[Used]]
IMPOSSIBLE = object()
SHOWN = 10  # configurations in a result
ENOUGH = 1_000  # configurations to look at when a history is known not to be linearizable
MANY = 1 << 62


@dataclass(frozen=True, slots=True)
class Call:
    """An operation on the register. `completion` is None if its outcome is unknown."""

    invocation: Operation
    completion: Operation | None
    f: str
    argument: Any  # comparable: a read's answer, the value of a write, (from, to) of a cas

    def apply(self, value: Any) -> Any:
        """The register's value after this call, or IMPOSSIBLE if the call can't succeed then."""
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

    def makes(self) -> Any:
        """The value that the register holds after it; IMPOSSIBLE if it changes nothing."""
        if self.f == "read":
            return IMPOSSIBLE
        return self.argument[1] if self.f == "cas" else self.argument


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to explain a history: the register's value, and the calls that are still open."""

    value: Any
    open: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a check; `valid` is None if the budget did not suffice.

    `call` is the first call that no configuration explains (or at which the search gave up), and
    `previous` the call that completed before it. `configurations` are possible states before
    `call`, or at the end of a linearizable history.
    """

    valid: bool | None
    configurations: tuple[Configuration, ...]
    call: Call | None = None
    previous: Call | None = None


def call_of(invocation: Operation, completion: Operation | None) -> Call | None:
    """The call that an operation was; None if it had no effect and tells nothing."""
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
    """Check whether these operations, given as (invocation, completion), are linearizable.

    Values of operations are values of the register, [from, to] for a cas. `budget` is how many
    configurations to look at before giving up; None for no limit.
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
    """The completion of a call, and the calls that were open then, each with a bit of its own."""

    call: Call
    bit: int
    reads: tuple[tuple[int, Call], ...]
    changes: tuple[tuple[int, Call], ...]  # writes and cas, in the order of their completions
    writes: int  # the bits of those that are writes
    begun: tuple[int, ...]  # how many calls of unknown outcome have begun, for each kind of call
    # Open calls that need a value which no later call makes: (step, bit, value).
    last_chances: tuple[tuple[int, int, Any], ...]
    possible: bool  # whether a call that makes the value which this call needs had begun


class _Search:
    """The search. A configuration is (step, value, done, free, used), before that step.

    `done` and `free` are sets of bits: the calls that took effect, and the writes that may have
    taken effect unseen.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        unknown = {(call.f, call.argument): call for call in calls if call.completion is None}
        self._kinds = list(unknown.values())
        self.steps = list(_steps(calls, list(unknown)))
        self.furthest = 0
        # The states in which the search reached the furthest step, in order.
        self._reached: dict[State, None] = {(None, 0, 0): None}
        self._nothing_used = (0,) * len(unknown)
        # For each step and (value, done, free): the ways to have used up calls of unknown outcome.
        # A way that uses at least as many calls of every kind as another is left out.
        self._seen: list[Found] = [{} for _ in self.steps]

    def run(self, budget: int | None) -> bool | None:
        """Whether the history is linearizable; None if the budget was too small."""
        stack: list[Position] = [(0, None, 0, 0, self._nothing_used)]
        hopeless: list[Position] = []
        limit = MANY if budget is None else budget
        looked_at = 0
        explains = True
        while stack or hopeless:
            if not stack:
                # Nothing explains the history. These positions may explain more of it than others.
                stack, hopeless, explains = hopeless, [], False
                self._seen = [{} for _ in self.steps]
            at, value, done, free, used = stack.pop()
            if at == len(self.steps):
                return True
            step = self.steps[at]
            if not step.possible:
                limit = min(limit, looked_at + ENOUGH)
            for bit, read in step.reads:
                if read.argument in (None, value):
                    done |= bit
            if not _keep(self._seen[at], (value, done, free), used):
                continue
            end = self._dead_end(step, value, done, used)
            if end == at or end < self.furthest:
                continue
            if explains and end < len(self.steps):
                hopeless.append((at, value, done, free, used))
                continue
            looked_at += 1
            if looked_at > limit:
                return self._give_up()
            if not done & step.bit:
                effects = self._effects(step, value, done, free, used)
                stack.extend((at, *after) for after in effects)
            if (done | free) & step.bit:
                done, free = done & ~step.bit, free & ~step.bit
                self._reach(at + 1, (value, done, free))
                stack.append((at + 1, value, done, free, used))
        return False

    def _give_up(self) -> bool | None:
        """The verdict when the budget is used up: False if the history can't be right, or None."""
        last = len(self.steps) - 1
        if self.steps[last].possible:
            return None
        if self.furthest < last:
            self.furthest, self._reached = last, {}
        return False

    def _reach(self, step: int, state: State) -> None:
        if step > self.furthest:
            self.furthest = step
            self._reached = {}
        if step == self.furthest:
            self._reached[state] = None

    def _effects(self, step: Step, value: Any, done: int, free: int, used: Used) -> list[Effect]:
        """The next states of the register and its calls; the most promising is last."""
        effects = []
        alike = set()
        # The completing call hasn't taken effect before the calls that are tried here: if it had,
        # those could take effect after this step.
        unseen = {"cas": free & ~step.bit, "write": step.writes & ~step.bit}
        for bit, call in step.changes:  # in the order of their completions
            if done & bit or (call.f, call.argument) in alike:
                continue
            alike.add((call.f, call.argument))
            after = call.apply(value)
            if after is IMPOSSIBLE:
                continue
            if call.f == "cas" or call is step.call or self._needed(after, step, done, used):
                effects.append((after, done | bit, unseen[call.f] & ~(done | bit), used))
        effects.reverse()
        lacking = [
            (after, done, unseen[call.f] & ~done, (*used[:kind], used[kind] + 1, *used[kind + 1 :]))
            for kind, call in enumerate(self._kinds)
            if used[kind] < step.begun[kind]
            for after in [call.apply(value)]
            if after is not IMPOSSIBLE and self._needed(after, step, done, used)
        ]
        needed = step.call.needs()
        return sorted(lacking + effects, key=lambda effect: effect[0] == needed)

    def _needed(self, value: Any, step: Step, done: int, used: Used) -> bool:
        """Whether a call needs this value now. If not, the call that makes it can come later."""
        return any(
            not done & bit and call.needs() == value for bit, call in (*step.reads, *step.changes)
        ) or any(
            used[kind] < step.begun[kind] and call.needs() == value
            for kind, call in enumerate(self._kinds)
        )

    def _dead_end(self, step: Step, value: Any, done: int, used: Used) -> int:
        """The first step that can't be passed, because no call makes the value that it needs."""
        needs = [item for item in step.last_chances if not done & item[1] and item[2] != value]
        if not needs:
            return len(self.steps)
        makes = {call.makes() for bit, call in step.changes if not done & bit}
        makes.update(
            call.makes() for kind, call in enumerate(self._kinds) if used[kind] < step.begun[kind]
        )
        return min((end for end, _, need in needs if need not in makes), default=len(self.steps))

    def configurations(self) -> tuple[Configuration, ...]:
        """At most SHOWN configurations that reached the furthest step, or the end.

        A write that is free may have taken effect or not.
        """
        still_open: tuple[tuple[int, Call], ...] = ()
        if self.furthest < len(self.steps):
            step = self.steps[self.furthest]
            still_open = (*step.reads, *step.changes)
        plain = ((value, done) for value, done, _ in self._reached)
        more = (
            (value, done | unseen)
            for value, done, free in self._reached
            for unseen in _subsets(free)
        )
        states = dict.fromkeys(islice(chain(plain, more), SHOWN * SHOWN))
        return tuple(
            Configuration(value, tuple(call for bit, call in still_open if not done & bit))
            for value, done in islice(states, SHOWN)
        )


def _subsets(bits: int) -> Iterator[int]:
    """The first SHOWN subsets of a set of bits, the smallest first."""
    each = [1 << i for i in range(bits.bit_length()) if bits >> i & 1]
    sizes = (combinations(each, size) for size in range(len(each) + 1))
    return map(sum, islice(chain.from_iterable(sizes), SHOWN))


def _steps(calls: Sequence[Call], kinds: Sequence[tuple[str, Any]]) -> Iterator[Step]:
    """A step for each completion, in order, up to the first that isn't possible."""
    begun = [0] * len(kinds)
    kind = {name: number for number, name in enumerate(kinds)}
    still_open: dict[int, Call] = {}
    moments = list(_moments(calls))
    number = {id(call): i for i, call in enumerate(call for began, call in moments if not began)}
    makers: dict[Any, list[int]] = defaultdict(list)  # value -> when the calls that make it begin
    for began, call in moments:
        if began:
            makers[call.makes()].append(call.invocation.index)
    for began, call in moments:
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
            last_chances = tuple(
                (number[id(other)], bit, other.needs())
                for bit, other in ends
                if other.needs() is not IMPOSSIBLE
                and not _any_between(makers[other.needs()], _end(call), _end(other))
            )
            possible = call.needs() in (IMPOSSIBLE, None) or _any_between(
                makers[call.needs()], -1, _end(call)
            )
            yield Step(
                call=call,
                bit=bit,
                reads=reads,
                changes=changes,
                writes=sum(bit for bit, call in changes if call.f == "write"),
                begun=tuple(begun),
                last_chances=last_chances,
                possible=possible,
            )
            if not possible:
                return
            del still_open[bit]


def _any_between(numbers: Sequence[int], low: int, high: int) -> bool:
    """Whether one of the sorted `numbers` is between `low` and `high`."""
    place = bisect_right(numbers, low)
    return place < len(numbers) and numbers[place] < high


def _moments(calls: Sequence[Call]) -> Iterator[tuple[bool, Call]]:
    """The beginning (True) and the end (False) of each call, in order."""
    moments = [(call.invocation.index, True, call) for call in calls]
    moments += [(_end(call), False, call) for call in calls if call.completion]
    moments.sort(key=lambda moment: moment[0])
    return ((began, call) for _, began, call in moments)


def _end(call: Call) -> int:
    return call.completion.index if call.completion else -1


def _keep(found: Found, key: State, used: Used) -> bool:
    """Add a way to have used calls up; False if a known one used no more of any kind."""
    ways = found.setdefault(key, [])
    if any(all(map(le, way, used)) for way in ways):
        return False
    ways[:] = [way for way in ways if not all(map(le, used, way))]
    ways.append(used)
    return True
