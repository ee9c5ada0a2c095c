"""The load: how many operations come, when, and from whom."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from glomers.history.operations import Operation
from glomers.history.times import NANOS, nanos
from glomers.options import Options
from glomers.run.recorder import MessageJournal
from glomers.workloads.base import Invocation, OncePerWorker
from glomers.workloads.echo import EchoWorkload
from glomers.world.load import Load
from glomers.world.loop import Loop
from glomers.world.network import Network


class Played:
    """A load of echoes on nodes that answer after `delay(now)` seconds; None for no answer."""

    def __init__(self, delay=lambda now: 0.0, *, nodes: int = 1, workers: int = 1, seed: int = 1):
        self.history: list[Operation] = []
        self.asked: list[tuple[str, str]] = []  # client and node
        self.ended_at: float | None = None
        self.loop = Loop()
        self._delay = delay
        self._network = Network(self.loop, Random(1), MessageJournal(None))
        names = tuple(f"n{number}" for number in range(nodes))
        for name in names:
            self._network.join(name, self._answer)
        options = Options(workload="echo", nodes=names, concurrency=workers)
        self.workload = EchoWorkload(options, Random(1))
        self._load = Load(self.loop, self._network, self.workload, Random(seed), self._record)
        self._load.open_clients()

    def run(self, rate: float | None, time_limit: float | None, generator=None) -> Played:
        def then() -> None:
            self.ended_at = self.loop.now / NANOS

        self._load.run(generator or self.workload.generator(), rate, time_limit, then)
        self.loop.run()
        return self

    def _record(self, type: str, process: int, what: Invocation, error=None) -> Operation:
        operation = Operation(
            len(self.history), self.loop.now, type, process, what.f, what.value, error, what.final
        )
        self.history.append(operation)
        return operation

    def _answer(self, message) -> None:
        self.asked.append((message.src, message.dest))
        delay = self._delay(self.loop.now / NANOS)
        if delay is not None:
            body = {"type": "echo_ok", "in_reply_to": message.body["msg_id"], "echo": ""}
            send = self._network.send
            self.loop.call_later(nanos(delay), send, message.dest, message.src, body, b"")

    def invoked_at(self) -> list[float]:
        return [o.time / NANOS for o in self.history if o.type == "invoke"]


@pytest.mark.parametrize("rate", [1, 100])
@pytest.mark.parametrize("workers", [1, 7])
def test_there_are_about_rate_times_time_operations(rate, workers):
    played = Played(workers=workers).run(rate, 4000 / rate)
    assert len(played.invoked_at()) == pytest.approx(4000, rel=0.03)


def test_gaps_are_uniform_from_0_to_twice_the_mean():
    times = Played(workers=3).run(10, 400).invoked_at()
    gaps = sorted(after - before for before, after in pairwise(times))
    assert gaps[0] < 0.001
    assert 0.199 < gaps[-1] <= 0.2
    assert gaps[len(gaps) // 2] == pytest.approx(0.1, rel=0.05)


def test_small_delays_do_not_lower_the_rate():
    """A single worker is often busy when an operation is due, but never for long."""
    played = Played(lambda now: 0.05).run(10, 400)
    assert len(played.invoked_at()) == pytest.approx(4000, rel=0.03)


def test_after_a_stall_there_is_no_burst():
    """Nobody is free from 10 s to 14 s; what was due then is not made up for."""
    played = Played(lambda now: max(0.0, 14 - now) if now > 10 else 0.0).run(10, 20)
    times = played.invoked_at()
    during = [time for time in times if 10.2 < time < 14]
    after = [time for time in times if 14 <= time < 15]
    assert during == []
    assert len(after) <= 15
    assert len(times) == pytest.approx(160, rel=0.15)


def test_a_rate_of_0_is_no_operation_at_all_but_takes_its_time():
    played = Played().run(0, 5)
    assert played.history == []
    assert played.ended_at == 5


def test_a_phase_ends_when_the_last_operation_has_ended():
    played = Played(lambda now: 3.0).run(10, 5)
    assert played.invoked_at()[-1] < 5
    assert 5 < played.ended_at < 8
    assert played.history[-1].time == nanos(played.ended_at)


def test_without_a_rate_workers_are_as_fast_as_they_can_until_there_is_nothing_to_do():
    once = OncePerWorker(Invocation("echo", "", final=True))
    played = Played(lambda now: 1.0, workers=3).run(None, None, once)
    assert played.invoked_at() == [0, 0, 0]
    assert sorted(o.process for o in played.history if o.type == "ok") == [0, 1, 2]
    assert played.ended_at == 1


def test_a_worker_talks_to_its_own_node():
    played = Played(nodes=3, workers=6).run(50, 10)
    assert set(played.asked) == {(f"c{number}", f"n{number % 3}") for number in range(6)}


def test_any_free_worker_may_be_next():
    processes = [o.process for o in Played(workers=4).run(10, 40).history if o.type == "invoke"]
    for number in range(4):
        assert processes.count(number) == pytest.approx(100, rel=0.3)


def test_after_an_unknown_outcome_a_worker_is_a_new_process_with_a_new_client():
    played = Played(lambda now: None if now < 1 else 0.0, workers=2).run(2, 30)
    outcomes = {o.process: o.type for o in played.history if o.type != "invoke"}
    assert outcomes == {0: "info", 1: "info", 2: "ok", 3: "ok"}
    assert {client for client, _ in played.asked} == {"c0", "c1", "c2", "c3"}


def test_an_operation_waits_as_long_as_it_says_and_is_not_begun_after_the_end():
    late = Invocation("echo", "", wait=2.0)
    assert Played().run(1, 5, OncePerWorker(late)).invoked_at() == [2]
    too_late = Played().run(1, 1.5, OncePerWorker(late))
    assert too_late.history == []
    assert too_late.ended_at == 2
