"""The screen, or whatever the output goes to."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console


class Screen(Console):
    """A console that raises BrokenPipeError if nobody reads it; rich would end with status 1.

    The console keeps the `sys.stdout` that was there when it was made, because `sys.stdout` belongs
    to the node while a simulated node runs.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(file=sys.stdout, **settings)

    def on_broken_pipe(self) -> None:
        raise  # rich calls this method while it handles the error
