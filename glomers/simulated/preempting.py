"""Turns between lines: before any line of a node's code, its thread may lose its turn.

Where threads change turns only when they block, a lock that was forgotten between two lines does no
harm. A real thread may lose its turn anywhere. So before a line (or a bytecode) of the node's own
code, a `Strategy` may make the running strand wait: for a while of virtual time, or until other
strands of its node have had so many turns. The node's own code is the script, the modules beside
it, and the library's `Replication`.

The strategies, each of which draws from a stream of its own:

- `RandomTurns`: each line is as likely as any other. A strand that loses its turn usually waits for
  the next turns of others, since these are what can do harm; sometimes for a time only.
- `ChangePoints`: few strands lose their turn, for long, as in PCT (Burckhardt, Kothari, Musuvathi,
  Nagarakatte: A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, 2010): d lines
  out of k are *change points*. There the running strand gets the lowest priority, so all others of
  its node go on before it. A fault that needs a switch before each of d given lines out of k is
  found with a probability of at least 1/k^d, in each stretch of k lines. PCT also draws in which
  order threads begin; here that is the order of messages, which the seed draws.

`Told` does what a scenario says instead. Places are named by the file, the line (and the bytecode),
and how often the node has come there, so they mean the same when other switches come or go.

Waiting must not make a right node fail. So a node's strands wait for ALLOWANCE and a part of the
time that has passed, SHARE, all together: the node stays far below the time-outs of its clients and
peers.

`hooks.py` tells when a line begins. A strand that loses its turn switches to another greenlet in
the midst of the interpreter's call of the hook; `sys.call_tracing` lets that greenlet be followed,
too.
"""

from __future__ import annotations

import linecache
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from inspect import unwrap
from itertools import chain
from math import exp, log, log1p
from random import Random
from types import CodeType
from typing import Protocol

from glomers.history.lost_turns import LostTurn
from glomers.history.times import MILLIS
from glomers.options import Options
from glomers.scenario import Scenario, Switch
from glomers.simulated.hooks import Hook, Monitoring, Tracing, all_codes, monitoring
from glomers.simulated.turns import Owner, Strand, TurnLoop
from glomers.world.cluster import stream
from glomers.world.decisions import Clock, Pending
from maelstrom_node import Journal, Replication

SHORTEST, LONGEST = MILLIS // 100, 300 * MILLIS  # nanoseconds of a wait
ALLOWANCE, SHARE = 300 * MILLIS, 0.25  # how long a node's strands may wait, see above
JITTER = 1000  # nanoseconds within which a strand goes on after others have had their turns
ALWAYS = 1 << 30  # turns of others: as many as there are
NEVER = 1e18  # lines, more than any test runs

Note = Callable[[Switch, LostTurn], object]

BYTECODES_PER_LINE = 8  # roughly; a strategy for lines is as rare for bytecodes
STRETCHES = (5, 12)  # a stretch of ChangePoints has 2 to the power of a number of these many lines
MOST_CHANGES = 3  # in a stretch


@dataclass(frozen=True, slots=True)
class Wait:
    """How a strand loses its turn: for `longest` nanoseconds, but no longer than until other
    strands of its node have had `turns` turns."""

    longest: int
    turns: int = ALWAYS


class Strategy(Protocol):
    """Decides where strands lose their turn."""

    by: str  # what it is called

    def countdown(self) -> int:
        """In how many lines, at the earliest, the next strand loses its turn."""

    def wait(self) -> Wait:
        """How the strand loses its turn, now that the countdown is over."""


class RandomTurns:
    """Before every line with the same probability."""

    def __init__(self, random: Random, probability: float, by: str = "lines") -> None:
        self.by = by
        self._random = random
        self._rarity = log1p(-min(probability, 1 - 1e-9))

    def countdown(self) -> int:
        return 1 + int(min(NEVER, log1p(-self._random.random()) / self._rarity))

    def wait(self) -> Wait:
        return Wait(_drawn(self._random), self._random.choice((1, 1, 1, 2, 3, ALWAYS)))


class ChangePoints:
    """Before `depth` lines of each stretch of `length` lines, both drawn."""

    by = "priorities"

    def __init__(self, random: Random) -> None:
        self._random = random
        self.length = 1 << random.randint(*STRETCHES)
        self.depth = random.randint(1, MOST_CHANGES)
        self._points: list[int] = []
        self._at = 0  # the line of the stretch that was last drawn

    def countdown(self) -> int:
        if not self._points:
            points = self._random.sample(range(1, self.length + 1), self.depth)
            self._points = sorted(points, reverse=True)
            self._at -= self.length if self._at else 0
        before, self._at = self._at, self._points.pop()
        return self._at - before

    def wait(self) -> Wait:
        return Wait(_drawn(self._random))


def _drawn(random: Random) -> int:
    """The length of a wait, in nanoseconds; short ones are as likely as long ones."""
    return int(exp(random.uniform(log(SHORTEST), log(LONGEST))))


def strategy(random: Random, probability: float, by: str) -> Strategy:
    """The strategy of that name; `mixed` draws one of them."""
    if by == "mixed":
        by = random.choice(("lines", "lines", "bytecodes", "priorities"))
    if by == "priorities":
        return ChangePoints(random)
    if by == "bytecodes":
        return RandomTurns(random, probability / BYTECODES_PER_LINE, by)
    return RandomTurns(random, probability)


def drawn(options: Options) -> tuple[Strategy, Random]:
    """The strategy of a test that preempts, and the stream from which it was drawn."""
    random = stream(options.seed, "switches")
    return strategy(random, options.preempt, options.preempt_by), random


class Preempter:
    """Lets the strands of a loop lose their turn, in the code that `watch` is called with."""

    def __init__(self, loop: TurnLoop, strategy: Strategy, random: Random) -> None:
        self.strategy = strategy
        self._loop = loop
        self._random = random
        self._countdown = strategy.countdown()
        self._note: Note | None = None
        self._events: Callable[[], int] = lambda: 0
        self._files: set[str] = set()
        self._places = _Places()
        self._waits = 0
        self._waiting: dict[Owner, dict[Strand, _Waiting]] = {}
        self._spent: Counter[str] = Counter()  # nanoseconds, by node
        hook = Monitoring if monitoring else Tracing
        self._hook: Hook = hook(self._before, loop, strategy.by == "bytecodes")
        loop.turn_taken = self._turn_taken
        for function in chain(vars(Replication).values(), vars(Journal).values()):
            if code := getattr(unwrap(function), "__code__", None):
                self.watch(code)

    def notes(self) -> list[str]:
        """What to tell a person at last."""
        return []

    def record(self, note: Note, events: Callable[[], int]) -> None:
        """Call `note` with each switch, once the strand has its turn again or is no more.

        Times count as those of the loop. `events()` tells how many events of messages there were.
        """
        self._note = note
        self._events = events

    def watch(self, code: CodeType, whole: bool = True) -> None:
        """Let strands lose their turn in this code, if it is the `whole`, and in the functions
        within it. Imports must be spared: nobody else sees a module before it is complete."""
        if code.co_filename not in self._files:
            self._files.add(code.co_filename)
            linecache.checkcache(code.co_filename)
            self.found(code.co_filename)
        for each in all_codes(code):
            # A __del__ may be called in the midst of anything.
            if (whole or each is not code) and each.co_name != "__del__":
                self._hook.add(each)

    def found(self, file: str) -> None:
        """Code of this file is watched from now on."""

    def running(self) -> AbstractContextManager[None]:
        """The context in which the loop runs."""
        return self._hook.running()

    def close(self) -> None:
        """Follow the code no longer."""
        self._hook.close()

    def _before(self, code: CodeType, line: int, offset: int | None = None) -> None:
        """A line, or a bytecode, of the node's code is about to be run. `line` may be 0 for a
        bytecode, if it must be looked up."""
        self._countdown -= 1
        if self._countdown > 0 and self._note is None:
            return
        strand = self._loop.strand
        if strand is None:
            return
        place = self._places.come(strand, code, line, offset) if self._note else None
        if self._countdown > 0:
            return
        self._countdown = self.strategy.countdown()
        wait = self.strategy.wait()
        left = ALLOWANCE + int(SHARE * self._loop.now) - self._spent[strand.node.id]
        if left > SHORTEST:
            longest = min(wait.longest, left)
            sys.call_tracing(self._lose_turn, (strand, longest, wait.turns, code, place))

    def _lose_turn(
        self, strand: Strand, longest: int, turns: int, code: CodeType, where: Switch | None
    ) -> None:
        """Let the running strand wait, at that place of the code."""
        loop, node = self._loop, strand.node
        began, ended = loop.now, None
        place, end_place = self._events(), None
        self._waits += 1
        self._spent[node.id] += longest
        waiting = self._waiting.setdefault(node, {})
        waiting[strand] = mine = _Waiting(self._waits, turns, began + longest)
        loop.call_later(longest, self._go_on, strand, self._waits)
        try:
            loop.park()
            ended, end_place = loop.now, self._events()
        finally:
            del waiting[strand]
            self._spent[node.id] += loop.now - began - longest
            if self._note and where:
                text = _source(code, where)
                told = node.id, where.line, text, code.co_name, began, ended, strand.message
                lost = LostTurn(*told, place, end_place)
                wait = mine.until - began
                self._note(replace(where, wait=wait, text=text, at=began), lost)

    def _turn_taken(self, strand: Strand) -> None:
        """A strand has its turn, for which others of its node may have been waiting."""
        for other, waiting in self._waiting.get(strand.node, {}).items():
            if other is strand:
                continue
            waiting.turns -= 1
            if waiting.turns == 0:
                soon = 1 + self._random.randrange(JITTER)
                self._loop.call_later(soon, self._go_on, other, waiting.number)

    def _go_on(self, strand: Strand, number: int) -> None:
        """Give a strand its turn again, if it is still in this wait."""
        waiting = self._waiting[strand.node].get(strand)
        if waiting is None or waiting.number != number:
            return
        waiting.until = min(waiting.until, self._loop.now)
        if not self._loop.postpone(strand.node, self._go_on, strand, number):
            self._loop.resume(strand)


class Told(Preempter):
    """Lets strands lose their turn where and as long as a scenario says.

    Either all switches have an offset, or none has.
    """

    def __init__(self, loop: TurnLoop, scenario: Scenario, clock: Clock) -> None:
        self._scenario = scenario
        self._pending = Pending(scenario.switches, _kind, clock)
        self._lines = {switch.line: switch.line for switch in scenario.switches}  # as they are told
        bytecodes = any(switch.offset is not None for switch in scenario.switches)
        super().__init__(loop, Nowhere("bytecodes" if bytecodes else "lines"), Random(0))

    def _before(self, code: CodeType, line: int, offset: int | None = None) -> None:
        strand = self._loop.strand
        told = self._lines.get(self._places.line(code, line, offset))
        if strand is None or told is None:
            return
        place = self._places.come(strand, code, line, offset)
        switch = self._pending.take(_kind(replace(place, line=told)), place.nth)
        if switch is not None:
            sys.call_tracing(self._lose_turn, (strand, switch.wait, ALWAYS, code, place))

    def found(self, file: str) -> None:
        """Find the lines of which a scenario tells, if the file has changed since."""
        lines = [line.strip() for line in linecache.getlines(file)]
        name = file.rpartition("/")[2]
        here = [each for each in self._scenario.switches if each.line.rpartition(":")[0] == name]
        others = self._lines.items() - {(each.line, each.line) for each in here}
        self._lines = {**dict(others), **{_present(each, lines): each.line for each in here}}

    def notes(self) -> list[str]:
        """What to tell a person of places to which no strand came."""
        text = "the node did not come there so often"
        return [self._scenario.remark(switch, text) for switch in self._pending.left]


def _kind(switch: Switch) -> tuple[str, str, int | None]:
    """What is counted of the places of switches."""
    return switch.node, switch.line, switch.offset


def _source(code: CodeType, place: Switch) -> str:
    """The source of the line at that place of the code."""
    return linecache.getline(code.co_filename, int(place.line.rpartition(":")[2])).strip()


def _present(switch: Switch, lines: Sequence[str]) -> str:
    """The line of a file that a switch means: the nearest with the same text, or if there is none,
    that of the same number."""
    name, _, number = switch.line.rpartition(":")
    same = [n for n, text in enumerate(lines, 1) if switch.text and text == switch.text]
    return f"{name}:{min(same, key=lambda n: abs(n - int(number)), default=number)}"


@dataclass
class Nowhere:
    """The strategy with which no strand loses its turn."""

    by: str

    def countdown(self) -> int:
        return ALWAYS

    def wait(self) -> Wait:
        raise AssertionError("there is no such place")


class _Places:
    """Names the places to which strands come, as scenarios do."""

    def __init__(self) -> None:
        self._times: Counter[tuple[str, str, int | None]] = Counter()
        self._lines: dict[int, dict[int | None, int]] = {}  # of bytecodes, by the code's id

    def come(self, strand: Strand, code: CodeType, line: int, offset: int | None) -> Switch:
        """The place to which a strand comes now."""
        key = node, name, _ = strand.node.id, self.line(code, line, offset), offset
        self._times[key] = times = self._times[key] + 1
        return Switch(node, name, times, 0, offset)

    def line(self, code: CodeType, line: int | None, offset: int | None) -> str:
        """The name of a line. It is looked up if it is 0, or None because the bytecode has none."""
        if not line:
            line = (self._lines.get(id(code)) or self._look_up(code)).get(offset, 0)
        return f"{code.co_filename.rpartition('/')[2]}:{line}"

    def _look_up(self, code: CodeType) -> dict[int | None, int]:
        lines: dict[int | None, int] = {
            offset: line or code.co_firstlineno  # some have none
            for begin, end, line in code.co_lines()
            for offset in range(begin, end)
        }
        self._lines[id(code)] = lines  # the code is kept by the hook, so the id stays its own
        return lines


@dataclass(slots=True)
class _Waiting:
    number: int  # of the wait, in the order in which they begin
    turns: int  # that others may still have
    until: int  # nanoseconds of the loop's time
