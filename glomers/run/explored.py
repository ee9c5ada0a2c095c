"""One run of an exploration: a simulated test in which each step is chosen.

The nodes are started and initialised as in any test. Then a step is one of these, and nothing else
happens until all that follows from it at the same instant has happened:

- A message between servers arrives; or it is lost; or it arrives and will arrive once more.
- A client begins its next operation. As in any test, its request arrives at once, and so does the
  answer as soon as the node gives one. Operations are as short as they can be then, and whoever
  judges by real time finds most.
- A node crashes, and its disk loses all that wasn't synced. One that has crashed starts anew, and
  gets its `init`.
- A thread of a node loses its turn before a line, and goes on later.
- If nothing of this is left, time passes to the next event: a timer, or a time-out. As a fault it
  passes earlier.
- seq-kv answers from one of the states that it may still show, lww-kv from one of its replicas.

When all operations have ended, no message is under way and all nodes are up, the network works as
usual, and the test ends as any test does: with its final phase, if it has one.

Nodes and services are deterministic: their states are given by what they have received, and when,
because random numbers come from the seed. So the key of a state consists of that, of the messages
under way, of what may still be chosen, and of the history, on which the verdict depends.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import chain
from typing import Any, cast

from glomers.checkers import set_full
from glomers.history.store import Store
from glomers.history.times import NANOS, nanos
from glomers.options import Options
from glomers.run.build import Parts, silent, simulated_test
from glomers.run.choices import EVERYTHING, Choice, Job, Known, Option, Path, Report
from glomers.run.drive import Log, Results
from glomers.run.small import FAULTS, Bounds, operations
from glomers.run.stepwise import StepwiseTest, TooLong, fails
from glomers.run.taken import Taken
from glomers.run.words import ending_in_words, operation_in_words, state_in_words, words
from glomers.scenario import Scenario, Switch
from glomers.simulated.disk import lose_all
from glomers.simulated.nodes import SimulatedCluster
from glomers.simulated.switching import Switcher
from glomers.simulated.turns import TurnLoop
from glomers.workloads.base import Invocation
from glomers.world.held import HeldNetwork
from glomers.world.load import Worker
from glomers.world.network import Body, Message
from glomers.world.services import Service, State

MOST_STEPS = 2_000  # of one run; a correct one has a few for each operation and timer


@dataclass(frozen=True, slots=True)
class Told:
    """A run as it is told: its steps in words, with their times (ns), and its results."""

    steps: tuple[tuple[int, str], ...]
    results: Results
    scenario: Scenario | None = None  # one with which the test fails, too


def explore_run(options: Options, bounds: Bounds, job: Job, known: Known | None = None) -> Report:
    """Make the run of a job; see Path for `known`."""
    path = Path(job, known)
    run = _Run(options, bounds, path)
    error = run.test.drive()
    return Report(tuple(path.points), None if run.stopped else run.test.end(error))


def tell_run(
    options: Options,
    bounds: Bounds,
    choices: Sequence[Choice],
    store: Store | None = None,
    log: Log = silent,
) -> Told:
    """Make the run with these choices once more; tell its steps, and judge it in full."""
    run = _Run(options, bounds, Path(Job(tuple(choices))), store, log)
    results = run.test.run()
    run.tell_operations()
    usual = run.test.scenario
    candidates = run.taken.scenarios(usual) if usual else ()
    scenario = next((each for each in candidates if _replays(options, each)), None)
    return Told(tuple(run.told), results, scenario)


def _replays(options: Options, scenario: Scenario) -> bool:
    """Whether a scenario makes a test fail that isn't explored."""
    results = simulated_test(options, scenario=scenario).run()
    return "error" in results or fails(results, options.strict)


class _Run:
    """Makes the choices of one run."""

    def __init__(
        self,
        options: Options,
        bounds: Bounds,
        path: Path,
        store: Store | None = None,
        log: Log = silent,
    ) -> None:
        self.stopped = False
        self.told: list[tuple[int, str]] = []
        self._path = path
        self._bounds = bounds
        self._left = {name: getattr(bounds, name) for name in FAULTS.values()}
        make_switcher = self._make_switcher if bounds.switches else None
        parts = Parts(HeldNetwork, StepwiseTest, make_switcher)
        self._switcher: Switcher | None = None
        self.test = cast(StepwiseTest, simulated_test(options, store, log, parts=parts))
        self.test.run_load = self._begin
        world = self.test.world
        for name, service in world.services.items():
            service.look = partial(self._choose_state, name, service)
        self._loop = world.loop
        self.taken = Taken(world.loop)
        world.network.fate = self.taken.fate
        self._network = cast(HeldNetwork, world.network)
        self._cluster = cast(SimulatedCluster, world.cluster)
        # All nodes are there at once, so their timers go off together.
        self._cluster.soonest_start, self._cluster.start_spread = 0, 1
        self._cluster.disk.decide = lose_all
        self._step = Option(Choice("start"), frozenset())  # the present one
        self._to_do: dict[Worker, list[Invocation]] = {}
        self._down: list[str] = []
        self._starting: set[str] = set()
        self._lives = 0  # of nodes that have started anew
        self._ended: int | None = None  # when the last operation did
        self._seen = 0  # operations of the history that have been told
        self._then: Callable[[], object] = self._stop

    # Choosing

    def _begin(self, then: Callable[[], object]) -> None:
        load = self.test.load
        load.generator = self.test.workload.generator()
        self._to_do = {worker: [] for worker in load.workers}
        drawn = operations(self.test.options, self._bounds.operations, load.generator)
        for place, invocation in enumerate(drawn):
            if place not in self._bounds.left_out:
                self._to_do[load.workers[place % len(load.workers)]].append(invocation)
        self._then = then
        self.taken.begin()
        self._network.holds = True
        self._look_at(self._loop.now)

    def _look_at(self, when: int) -> None:
        self._loop.call_at(when, self._look)

    def _look(self) -> None:
        """Choose the next step, if all that follows from the last one has happened."""
        now = self._loop.now
        if self._loop.due == now:
            self._look_at(now)
            return
        if len(self._path.taken) >= MOST_STEPS:
            raise TooLong(
                f"a run has more than {MOST_STEPS:,} steps, and goes on at {now / NANOS:g} s"
            )
        self.tell_operations()
        natural = list(self._natural())
        choice = self._choose([*natural, *self._faults(natural)], self._key)
        if choice is not None:
            self._take(choice)

    def _choose(self, options: Sequence[Option], key: Callable[[], Any]) -> Choice | None:
        choice = self._path.choose(options, key)
        if choice is None:
            self._stop()
            return None
        if text := words(choice):
            self.told.append((self._loop.now, text))
        self._step = next(option for option in options if option.choice == choice)
        return choice

    def _choose_state(
        self, name: str, service: Service, caller: str, body: Body, count: int
    ) -> State:
        """The state that a service shows to a request, in the midst of a step."""
        state = self._one_of(name, service.states(caller, body))
        self.taken.shows(name, caller, body, state)
        return state

    def _one_of(self, service: str, states: Sequence[State]) -> State:
        chooses = self._network.holds or self.test.is_final
        if len(states) == 1 or not chooses or self.stopped:
            return states[0]
        step = self._step
        options = [
            Option(Choice("answer", service, state_in_words(s)), step.footprint) for s in states
        ]
        choice = self._choose(options, lambda: None)
        self._step = step
        if choice is None:
            return states[0]
        self._network.note(service, choice.detail)
        return next(state for state in states if state_in_words(state) == choice.detail)

    def _make_switcher(self, loop: TurnLoop) -> Switcher:
        self._switcher = Switcher(loop, self._loses_turn)
        return self._switcher

    def _loses_turn(self, place: Switch, file: str) -> bool:
        """Whether the running thread of a node loses its turn at this place."""
        if not self._left["switches"] or not self._network.holds or self.stopped:
            return False
        choice = Choice("switch", place.node, Switcher.name(place))
        option = Option(choice, self._step.footprint | {"switches"}, is_fault=True)
        if not self._path.leave(option):
            return False
        self._left["switches"] -= 1
        self._network.note(place.node, choice.detail)
        self.taken.loses_turn(choice.at, choice.detail, place)
        number = int(place.line.rpartition(":")[2])
        source = linecache.getline(file, number).strip()
        told = (
            f"{place.node} is about to run {place.line}, `{source}`, and its thread loses its turn"
        )
        self.told.append((self._loop.now, told))
        return True

    def _stop(self) -> None:
        self.stopped = True
        self._loop.stop()

    def _key(self) -> bytes:
        """The key of the present state, between two steps."""
        network = self._network
        state = (
            self._loop.now,
            sorted(network.inputs.items()),
            sorted(message.line for message in network.held),
            sorted(self._down),
            self._left,
            [len(rest) for rest in self._to_do.values()],
            [(op.type, op.process, op.f, op.value, op.error) for op in self.test.history],
        )
        return blake2b(repr(state).encode(), digest_size=16).digest()

    # What can be chosen

    def _natural(self) -> Iterator[Option]:
        """The steps that are no faults, in their natural order."""
        found = False
        pending = self._arrivals("arrive"), self._starts(), self._beginnings(), self._resumptions()
        for option in chain.from_iterable(pending):
            found = True
            yield option
        if not found and not self._is_over():
            yield Option(Choice("pass"), EVERYTHING)
        elif not found:
            yield from (Option(Choice("end", node), EVERYTHING) for node in self._last_read())

    def _last_read(self) -> Sequence[str]:
        """The nodes that may be the last to be read: of some verdicts, only that read decides."""
        if self.test.workload.checker is set_full.CHECKER:
            return self.test.options.nodes[::-1]
        return self.test.options.nodes[-1:]

    def _faults(self, natural: Sequence[Option]) -> Iterator[Option]:
        left = self._left
        if left["early_timers"] and natural[0].choice.kind not in ("pass", "end"):
            yield Option(Choice("early"), EVERYTHING, is_fault=True)
        if left["losses"]:
            for message in self._different():
                touched = {_about(message), f"to {message.dest}", "losses"}
                yield Option(_choice("lose", message), frozenset(touched), is_fault=True)
        if left["duplicates"]:
            yield from self._arrivals("duplicate", "duplicates")
        if left["crashes"]:
            for node in self.test.options.nodes:
                if node not in self._down and node not in self._starting:
                    touched = {f"at {node}", f"to {node}", "crashes"}
                    yield Option(Choice("crash", node), frozenset(touched), is_fault=True)

    def _arrivals(self, kind: str, fault: str = "") -> Iterator[Option]:
        busy = {worker.node for worker in self.test.load.workers if worker.busy}
        for message in self._different():
            touched = {_about(message), f"at {message.dest}"}
            if message.dest in busy:
                touched.add("history")  # the node may answer its client
            if fault:
                touched.add(fault)
            yield Option(_choice(kind, message), frozenset(touched), bool(fault))

    def _different(self) -> list[Message]:
        """The messages under way, the oldest first, and of equal ones only the first."""
        return list({message.line: message for message in reversed(self._network.held)}.values())[
            ::-1
        ]

    def _starts(self) -> Iterator[Option]:
        for node in self._down:
            # Messages to a node that is down are dropped, so this depends on whatever may send one.
            yield Option(Choice("start", node), EVERYTHING)

    def _beginnings(self) -> Iterator[Option]:
        for worker, rest in self._to_do.items():
            if rest and not worker.busy:
                what = f"{worker.number} {operation_in_words(rest[0].f, rest[0].value)}"
                touched = frozenset((f"at {worker.node}", "history"))
                yield Option(Choice("begin", worker.node, what), touched)

    def _resumptions(self) -> Iterator[Option]:
        for node, which in self._switcher.waiting if self._switcher else ():
            touched = frozenset((f"at {node}", "history"))
            yield Option(Choice("resume", node, which), touched)

    def _is_over(self) -> bool:
        """Whether all operations have ended, and the horizon after them is reached."""
        if self._starting or any(worker.busy or self._to_do[worker] for worker in self._to_do):
            return False
        if self._ended is None:
            self._ended = self._loop.now
        due = self._loop.due
        return due is None or due > self._ended + nanos(self._bounds.horizon)

    # What is chosen

    def _take(self, choice: Choice) -> None:
        """Let happen what has been chosen."""
        network, taken, node = self._network, self.taken, choice.at
        taken.step()
        if choice.kind in FAULTS:
            self._left[FAULTS[choice.kind]] -= 1
        if choice.kind in ("arrive", "duplicate", "lose"):
            line = choice.detail.encode("utf-8", "surrogatepass")
            message = next(message for message in network.held if message.line == line)
            if choice.kind == "lose":
                taken.loses(message)
                network.lose(message)
            else:
                taken.arrives(message)
                network.deliver(message, again=choice.kind == "duplicate")
        elif choice.kind == "begin":
            worker = next(w for w in self._to_do if choice.detail.startswith(f"{w.number} "))
            invocation = self._to_do[worker].pop(0)
            taken.begins(worker, invocation)
            worker.invoke(invocation)
        elif choice.kind == "crash":
            taken.crashes()
            self._down.append(node)
            self._cluster.kill_nodes([node])
            network.begin_anew(node, f"crashed{self._cluster.disk.digest()}")
            if self._switcher:
                self._switcher.forget(node)
        elif choice.kind == "start":
            self._lives += 1
            self._down.remove(node)
            self._starting.add(node)
            self._cluster.start_node(node)
            network.begin_anew(node, f"life {self._lives}{self._cluster.disk.digest()}")
            self.test.setup.initialise(node, self._starting.remove)
        elif choice.kind == "resume" and self._switcher:
            network.note(node, choice.detail)
            taken.goes_on(node, choice.detail)
            self._switcher.go_on(node, choice.detail)
        elif choice.kind == "end":
            network.holds = False
            self.test.last_read = node
            self._then()
            return
        passes = choice.kind in ("pass", "early") and self._loop.due is not None
        self._look_at(cast(int, self._loop.due) if passes else self._loop.now)

    # Words

    def tell_operations(self) -> None:
        """Tell how operations ended."""
        operations = self.test.recorder.operations
        for operation in operations[self._seen :]:
            if operation.is_client and operation.type != "invoke":
                self.told.append(
                    (self.test.recorder.origin + operation.time, ending_in_words(operation))
                )
        self._seen = len(operations)


def _choice(kind: str, message: Message) -> Choice:
    return Choice(kind, message.dest, message.line.decode("utf-8", "surrogatepass"))


def _about(message: Message) -> str:
    return f"message {message.line!r}"
