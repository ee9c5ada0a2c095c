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
- A write that doesn't complete yet, and a call of unknown outcome, take effect only if another call
  then needs the value. Of other writes the order doesn't matter: whatever was open when a write
  took effect may have been overwritten by it, unseen. Such a write is *free*: when it completes it
  may have taken effect already.
- A configuration is given up when a call that is open needs a value that nothing makes any more. If
  nothing ever did, the history is wrong, and the search ends soon.

A right history is mostly explained at the first try. A wrong one of writes and reads, one after
another, takes about as many configurations as there are calls. The worst are calls that need each
other's values: of p such calls open at once each subset may have taken effect, and of those of
unknown outcome each number (the problem is NP-complete). So the search has a budget; a history that
exceeds it is neither right nor wrong.

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

Used = tuple[int, ...]  # of each kind of operation of unknown outcome, how many took effect
State = tuple[Any, int, int]  # the value, and what is done and free
Effect = tuple[Any, int, int, Used]
Position = tuple[int, Any, int, int, Used]
Found = dict[State, list[Used]]
IMPOSSIBLE = object()
SHOWN = 10  # configurations of a result
ENOUGH = 1_000  # configurations to look at once a history is known to be wrong
MANY = 1 << 62


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

    def makes(self) -> Any:
        """The value that the register holds after it; IMPOSSIBLE if it changes nothing."""
        if self.f == "read":
            return IMPOSSIBLE
        return self.argument[1] if self.f == "cas" else self.argument


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
    writes: int  # the bits of those that are writes
    begun: tuple[int, ...]  # of each kind of unknown outcome, how many calls
    # The calls that need a value which no call makes that is yet to begin: (step, bit, value).
    last_chances: tuple[tuple[int, int, Any], ...]
    possible: bool  # had a call begun that makes the value which this one needs?


class _Search:
    """Configurations are (step, value, done, free, used): before that step.

    `done` and `free` are sets of bits: the calls that took effect, and the writes that may take
    effect unseen, or already did.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        unknown = {(call.f, call.argument): call for call in calls if call.completion is None}
        self._kinds = list(unknown.values())
        self.steps = list(_steps(calls, list(unknown)))
        self.furthest = 0
        # The values and bits with which the furthest step was reached, in order.
        self._reached: dict[State, None] = {(None, 0, 0): None}
        self._nothing_used = (0,) * len(unknown)
        # By step, then by (value, done, free): the ways to have used up calls of unknown outcome,
        # of which none uses at least as many of every kind as another.
        self._seen: list[Found] = [{} for _ in self.steps]

    def run(self, budget: int | None) -> bool | None:
        """True or False, or None if the budget was too small."""
        stack: list[Position] = [(0, None, 0, 0, self._nothing_used)]
        hopeless: list[Position] = []
        limit = MANY if budget is None else budget
        looked_at = 0
        explains = True
        while stack or hopeless:
            if not stack:
                # Nothing explains the history, but these may explain more of it than the others.
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
        """Out of budget; False if the history is wrong all the same."""
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
        """What may happen next to the register; the most promising is last."""
        effects = []
        alike = set()
        # The call that completes didn't take effect before what happens now: if it had, that could
        # come about later.
        unseen = {"cas": free & ~step.bit, "write": step.writes & ~step.bit}
        for bit, call in step.changes:  # what completes first is first
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
        """Could any call make something of this value now? If not, it can come about later."""
        return any(
            not done & bit and call.needs() == value for bit, call in (*step.reads, *step.changes)
        ) or any(
            used[kind] < step.begun[kind] and call.needs() == value
            for kind, call in enumerate(self._kinds)
        )

    def _dead_end(self, step: Step, value: Any, done: int, used: Used) -> int:
        """The first step that can't be passed, because nothing makes the value which is needed."""
        needs = [item for item in step.last_chances if not done & item[1] and item[2] != value]
        if not needs:
            return len(self.steps)
        makes = {call.makes() for bit, call in step.changes if not done & bit}
        makes.update(
            call.makes() for kind, call in enumerate(self._kinds) if used[kind] < step.begun[kind]
        )
        return min((end for end, _, need in needs if need not in makes), default=len(self.steps))

    def configurations(self) -> tuple[Configuration, ...]:
        """Those with which the furthest step was reached, or the end; at most SHOWN of them.

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
    """Some subsets of a set of bits, the smallest first: as many as are shown."""
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
    makers: dict[Any, list[int]] = defaultdict(list)  # value -> when calls that make it begin
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
    """Is there one between the two? `numbers` are sorted."""
    place = bisect_right(numbers, low)
    return place < len(numbers) and numbers[place] < high


def _moments(calls: Sequence[Call]) -> Iterator[tuple[bool, Call]]:
    """When each call began (True) and ended (False), in order."""
    moments = [(call.invocation.index, True, call) for call in calls]
    moments += [(_end(call), False, call) for call in calls if call.completion]
    moments.sort(key=lambda moment: moment[0])
    return ((began, call) for _, began, call in moments)


def _end(call: Call) -> int:
    return call.completion.index if call.completion else -1


def _keep(found: Found, key: State, used: Used) -> bool:
    """Add a way to have used calls up; False if there is one already that used no more."""
    ways = found.setdefault(key, [])
    if any(all(map(le, way, used)) for way in ways):
        return False
    ways[:] = [way for way in ways if not all(map(le, used, way))]
    ways.append(used)
    return True
