"""What a person sees while a test runs."""

from __future__ import annotations

import threading
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from glomers.history.times import NANOS, nanos
from glomers.run import progress
from glomers.run.drive import Phase
from glomers.run.progress import Progress
from glomers.simulated.turns import TurnLoop
from glomers.world.loop import Loop

PHASES = [(0, Phase.INITIALISING), (1, Phase.RUNNING), (27, Phase.RECOVERING), (37, Phase.DONE)]


def shown(*, terminal: bool) -> str:
    """What is shown of a test with these phases, whose network is cut from 8 s on."""
    out, loop = StringIO(), Loop()
    traffic = SimpleNamespace(messages=1000)
    test = SimpleNamespace(
        world=SimpleNamespace(loop=loop),
        phase=Phase.STARTING,
        options=SimpleNamespace(workload="echo", time_limit=20),
        recorder=SimpleNamespace(
            journal=SimpleNamespace(servers=traffic, clients=traffic), invocations=5000, elapsed=0
        ),
        nemesis=SimpleNamespace(active={}),
    )

    def enter(phase: Phase) -> None:
        test.phase = phase

    for second, phase in PHASES:
        loop.call_at(nanos(second), enter, phase)
    for second in range(1, 32):
        loop.call_at(nanos(second), setattr, test.recorder, "elapsed", nanos(second) - NANOS)
    loop.call_at(nanos(8), test.nemesis.active.update, {"partition": "one"})
    loop.call_at(nanos(31.5), loop.stop)
    console = Console(file=out, force_terminal=terminal, width=200, color_system=None)
    with Progress(test, console):
        loop.run()
    return out.getvalue()


def test_in_a_log_there_is_a_line_every_five_seconds_while_the_load_runs():
    assert shown(terminal=False).splitlines() == [
        "echo:  4.0 s of 20 s · 5,000 operations · 2,000 messages",
        "echo:  9.0 s of 20 s · 5,000 operations · 2,000 messages · partition: one",
        "echo: 14.0 s of 20 s · 5,000 operations · 2,000 messages · partition: one",
        "echo: 19.0 s of 20 s · 5,000 operations · 2,000 messages · partition: one",
        "echo: 24.0 s, waiting for the last answers · 5,000 operations · 2,000 messages"
        " · partition: one",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "echo: starting",
        "echo: initialising",
        "echo:  4.0 s of 20 s · 5,000 operations · 2,000 messages",
        "echo:  9.0 s of 20 s · 5,000 operations · 2,000 messages · partition: one",
        "echo: 24.0 s, waiting for the last answers · 5,000 operations",
        "echo: 28.0 s, waiting for recovery · 5,000 operations",
    ],
)
def test_in_a_terminal_one_line_keeps_up(line):
    assert line in shown(terminal=True)


def test_a_simulation_shows_itself_in_real_time():
    loop = TurnLoop()
    shows = []

    def show() -> None:
        shows.append(loop.now)
        loop.stop()

    def go_on() -> None:
        loop.call_later(NANOS, go_on)

    go_on()
    loop.repeat(nanos(0.01), show)
    loop.run()
    assert shows


@pytest.mark.parametrize("terminal", [True, False])
def test_an_analysis_shows_how_long_it_has_been_going_on(terminal, monkeypatch):
    monkeypatch.setattr(progress, "REFRESH", 0.001)
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.001)
    shown = threading.Event()

    class Out(StringIO):
        def write(self, text):
            if "checking: echo, 0 s" in text:
                shown.set()
            return super().write(text)

    console = Console(file=Out(), force_terminal=terminal, color_system=None)
    with progress.analysis("checking: echo", console):
        assert shown.wait(10)
    assert "analysis" not in [thread.name for thread in threading.enumerate()]


def test_of_an_analysis_that_is_quick_nothing_is_shown():
    out = StringIO()
    with progress.analysis("checking: echo", Console(file=out, force_terminal=True)):
        pass
    assert out.getvalue() == ""


def test_an_interrupt_ends_an_analysis():
    with pytest.raises(KeyboardInterrupt), progress.analysis("x", Console(file=StringIO())):
        raise KeyboardInterrupt
    assert "analysis" not in [thread.name for thread in threading.enumerate()]
