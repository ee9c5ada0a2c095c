"""Fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from workbench.testing import simulate

__all__ = ["simulate"]

# The same examples each time, however busy the machine is.
settings.register_profile("deterministic", deadline=None, derandomize=True, database=None)
settings.load_profile("deterministic")

ROOT = Path(__file__).parent.parent


@pytest.fixture
def script(tmp_path):
    """Write a script of a node and return its path: `script('''...''')`."""

    def write(source: str, name: str = "node.py") -> Path:
        path = tmp_path / name
        path.write_text(source)
        return path

    return write
