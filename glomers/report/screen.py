"""The screen, or whatever the output goes to."""

from __future__ import annotations

import sys
import textwrap
from typing import Any

from rich.console import Console
from rich.text import Text


class Screen(Console):
    """A console that raises BrokenPipeError if nobody reads it; rich would end with status 1.

    The console keeps the `sys.stdout` that was there when it was made, because `sys.stdout` belongs
    to the node while a simulated node runs.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(file=sys.stdout, **settings)

    def on_broken_pipe(self) -> None:
        raise  # rich calls this method while it handles the error


def say(console: Console, text: str, style: str = "", indent: int = 0) -> None:
    """Print a sentence: in a terminal broken between words, with a hanging indent; elsewhere on a
    line of its own, so that it can be searched for."""
    lines = [" " * indent + text]
    if console.is_terminal:
        lines = textwrap.wrap(
            text,
            max(20, console.width),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + 2),
            break_on_hyphens=False,
        )
    for line in lines:
        console.print(Text(line, style), soft_wrap=True)
