"""The screen, or whatever the output goes to."""

from __future__ import annotations

from rich.console import Console


class Screen(Console):
    """A console that raises BrokenPipeError if nobody reads it; rich would end with status 1."""

    def on_broken_pipe(self) -> None:
        raise  # it is called while the error is being handled
