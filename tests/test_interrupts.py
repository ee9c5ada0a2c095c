"""When Ctrl-C and the like take effect."""

from __future__ import annotations

import signal

import pytest

from glomers.interrupts import INTERRUPTS, handled, terminable, uninterrupted

every_interrupt = pytest.mark.parametrize("number", INTERRUPTS, ids=lambda number: number.name)


@pytest.fixture
def done():
    return []


def interrupted(number, done, fails=False):
    """Let a signal come in the midst of what must not be interrupted, and something follow it."""
    with terminable():
        with uninterrupted():
            signal.raise_signal(number)
            done.append("the rest of it")
            if fails:
                raise OSError
        done.append("what follows")


def terminated(number, done):
    with terminable():
        signal.raise_signal(number)
        done.append("the rest of it")


@every_interrupt
def test_each_ends_what_is_terminable(number, done):
    with pytest.raises(KeyboardInterrupt):
        terminated(number, done)
    assert done == []


@every_interrupt
def test_it_waits_for_the_end_of_what_must_not_be_interrupted(number, done):
    with pytest.raises(KeyboardInterrupt):
        interrupted(number, done)
    assert done == ["the rest of it"]


def test_it_is_not_lost_if_that_fails(done):
    with pytest.raises(KeyboardInterrupt) as raised:
        interrupted(signal.SIGINT, done, fails=True)
    assert isinstance(raised.value.__context__, OSError)


def test_what_is_ignored_stays_ignored():
    with handled(signal.SIG_IGN, [signal.SIGHUP]), terminable(), uninterrupted():
        signal.raise_signal(signal.SIGHUP)


@every_interrupt
def test_afterwards_all_is_as_it_was(number):
    before = signal.getsignal(number)
    with terminable(), uninterrupted():
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before
