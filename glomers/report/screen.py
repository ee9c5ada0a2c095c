"""The screen, or whatever the output goes to."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console


class Screen(Console):
    """A console that raises BrokenPipeError if nobody reads it; rich would end with status 1.

    It writes to the `sys.stdout` of the moment at which it is made: while a simulated node runs,
    that of the moment is the node's.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(file=sys.stdout, **settings)

    def on_broken_pipe(self) -> None:
        raise  # it is called while the error is being handled
