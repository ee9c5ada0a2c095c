"""Fixtures for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from glomers.testing import simulate

__all__ = ["simulate"]

# The same examples each time, however busy the machine is.
settings.register_profile("deterministic", deadline=None, derandomize=True, database=None)
settings.load_profile("deterministic")

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True, scope="session")
def interrupts_are_heard() -> Iterator[None]:
    """Let signals interrupt, and what tests start as well, even if who started pytest ignores them.

    nohup does, for example, and a shell does for what it starts in the background.
    """
    handlers = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def script(tmp_path):
    """Write a script of a node and return its path: `script('''...''')`."""

    def write(source: str, name: str = "node.py") -> Path:
        path = tmp_path / name
        path.write_text(source)
        return path

    return write
