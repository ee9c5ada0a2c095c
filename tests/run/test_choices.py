"""The search through all orders: reduced or not, it comes to the same states and ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from glomers.run.choices import (
    EVERYTHING,
    Choice,
    Job,
    Option,
    Path,
    Report,
    search_all,
)

PLACES = "abc"


@dataclass
class System:
    """Machines that send each other messages: what a message does depends on what has come before.

    `sends` says what a machine sends on its nth input. A state consists of what each machine has
    received, in order. At most `losses` messages may be lost, and time may pass when nothing is
    under way, which sends to each machine.
    """

    sends: dict[tuple[str, int], list[str]]
    first: list[str]
    losses: int = 0
    ticks: int = 0
    received: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def run(self, path: Path) -> tuple | None:
        """Choose until nothing is left; return how the system ended, None if it was stopped."""
        received: dict[str, tuple[str, ...]] = dict.fromkeys(PLACES, ())
        waiting = [f"{place}{number}" for number, place in enumerate(self.first)]
        left, ticks = self.losses, self.ticks
        while True:
            options = [
                Option(Choice("arrive", m[0], m), frozenset((m, f"at {m[0]}"))) for m in waiting
            ]
            if not options:
                options.append(Option(Choice("pass" if ticks else "end"), EVERYTHING))
            if left:
                options += [
                    Option(Choice("lose", m[0], m), frozenset((m, "losses")), is_fault=True)
                    for m in waiting
                ]
            state = tuple(received.items()), tuple(sorted(waiting)), left, ticks
            choice = path.choose(options, lambda state=state: state)
            if choice is None:
                return None
            if choice.kind == "end":
                return state
            if choice.kind == "pass":
                ticks -= 1
                waiting += [f"{place}t{ticks}" for place in PLACES]
                continue
            waiting.remove(choice.detail)
            if choice.kind == "lose":
                left -= 1
                continue
            here = choice.at
            received[here] += (choice.detail,)
            nth = len(received[here])
            # What is sent tells who sent it, when, and on what occasion.
            waiting += [
                f"{to}<{here}{nth}{choice.detail}" for to in self.sends.get((here, nth), [])
            ]


systems = st.builds(
    System,
    st.dictionaries(
        st.tuples(st.sampled_from(PLACES), st.integers(1, 3)),
        st.lists(st.sampled_from(PLACES), max_size=2),
        max_size=4,
    ),
    st.lists(st.sampled_from(PLACES), min_size=1, max_size=3),
    st.integers(0, 1),
    st.integers(0, 1),
)


def explored(system: System, reduced: bool, known: bool = False):
    """All states and ends, and how many runs it took to find them."""
    states, ends, runs = set(), set(), 0
    seen = {} if known else None

    def run(job: Job) -> Report:
        path = Path(job, seen)
        end = system.run(path)
        return Report(tuple(path.points), end)

    for search, _, report in search_all(run, reduced):
        runs += 1
        states = set(search.states)
        ends |= {report.end} - {None}
    return states, ends, runs


def every_order(system: System) -> set:
    """The ends of all runs, found without any reduction: each job tries all options."""
    ends, jobs = set(), [()]
    while jobs:
        prefix = jobs.pop()
        path = Path(Job(prefix))
        ends.add(system.run(path))
        for place, point in enumerate(path.points):
            before = tuple(path.taken[: len(prefix) + place])
            jobs += [
                (*before, o.choice) for o in point.options if o.choice != path.taken[len(before)]
            ]
    return ends


@given(systems)
def test_a_reduced_search_reaches_the_same_states_and_ends(system):
    states, ends, runs = explored(system, reduced=False)
    for known in (False, True):
        fewer = explored(system, reduced=True, known=known)
        assert fewer[:2] == (states, ends)
        assert fewer[2] <= runs


@given(systems.filter(lambda system: len(system.first) <= 2 and len(system.sends) <= 2))
def test_equal_states_hide_no_end(system):
    system.ticks = 0
    assert explored(system, reduced=True)[1] == every_order(system)
