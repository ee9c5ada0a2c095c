"""What a person sees while a test runs: events around the test, and its progress.

Progress is one line that is updated in a terminal, or else a plain line every few seconds. So is
the progress of reading and judging a history, which may take long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from glomers.history.times import NANOS, nanos
from glomers.run.drive import Phase, Test

REFRESH = 0.2  # seconds, in a terminal
PLAIN_INTERVAL = 5.0  # seconds between plain lines


class RunLog:
    """`run.log`: events around the test. A call keeps the line and shows it; `keep` only keeps."""

    def __init__(self, out: TextIO, console: Console) -> None:
        self._out = out
        self.console = console

    def keep(self, line: str) -> None:
        self._out.write(line + "\n")

    def __call__(self, line: str) -> None:
        self.keep(line)
        self.console.print(line, markup=False, highlight=False)


class Progress:
    """A context manager that shows the progress of the test that runs in it."""

    def __init__(self, test: Test, console: Console) -> None:
        self._test = test
        self._console = console
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(
                console=console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,  # a simulated node has a standard output of its own
                redirect_stderr=False,
            )

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        self._show()
        self._test.world.loop.repeat(nanos(REFRESH if self._live else PLAIN_INTERVAL), self._show)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def judging(self) -> AbstractContextManager[None]:
        """The run is over: from now on the time that it takes to judge it is shown."""
        self.__exit__()
        return analysis(f"checking: {self._test.options.workload}", self._console)

    def _show(self) -> None:
        if self._live:
            self._live.update(Text.from_markup(self._line()), refresh=True)
        elif self._test.phase is Phase.RUNNING:
            self._console.print(Text.from_markup(self._line()), highlight=False)

    def _line(self) -> str:
        test = self._test
        if test.phase not in (Phase.RUNNING, Phase.RECOVERING, Phase.DONE):
            return f"{test.options.workload}: {test.phase.value}"
        journal = test.recorder.journal
        messages = journal.servers.messages + journal.clients.messages
        elapsed = test.recorder.elapsed / NANOS
        limit = test.options.time_limit
        late = test.phase is Phase.RUNNING and elapsed > limit
        doing = "waiting for the last answers" if late else test.phase.value
        parts = [
            f"{elapsed:4.1f} s of {limit:g} s"
            if test.phase is Phase.RUNNING and not late
            else f"{elapsed:4.1f} s, {doing}",
            f"{test.recorder.invocations:,} operations",
            f"{messages:,} messages",
        ]
        for fault, what in list(test.nemesis.active.items()):
            parts.append(f"[bold red]{fault}: {what}[/]")
        return f"{test.options.workload}: " + " · ".join(parts)


@contextmanager
def analysis(what: str, console: Console) -> Iterator[None]:
    """Show for how long this has been going on: "checking: lin-kv, 12 s".

    In a terminal it is one line that keeps up and disappears; elsewhere a plain line every
    PLAIN_INTERVAL. A thread of its own does it, which costs the checkers nothing.
    """
    ended = threading.Event()
    began = time.monotonic()

    def line() -> Text:
        return Text(f"{what}, {time.monotonic() - began:.0f} s")

    def keep_up() -> None:
        if not console.is_terminal:
            while not ended.wait(PLAIN_INTERVAL):
                console.print(line(), highlight=False)
        elif not ended.wait(REFRESH):  # nothing flickers for what is quick
            with Live(line(), console=console, auto_refresh=False, transient=True) as live:
                while not ended.wait(REFRESH):
                    live.update(line(), refresh=True)

    thread = threading.Thread(target=keep_up, name="analysis", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
