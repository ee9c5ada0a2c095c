"""What a person sees while a test runs: one line that keeps up, or plain lines in a log."""

from __future__ import annotations

from rich.console import Console
from rich.live import Live
from rich.text import Text

from glomers.history.times import NANOS, nanos
from glomers.run.drive import Test

REFRESH = 0.2  # seconds, in a terminal
PLAIN_INTERVAL = 5.0  # seconds between plain lines


class Progress:
    """Shows how a test is doing; to be used as a context around its run."""

    def __init__(self, test: Test, console: Console) -> None:
        self._test = test
        self._console = console
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        self._show()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def _show(self) -> None:
        if self._live:
            self._live.update(Text.from_markup(self._line()), refresh=True)
        elif self._test.phase == "running":
            self._console.print(Text.from_markup(self._line()), highlight=False)
        interval = REFRESH if self._live else PLAIN_INTERVAL
        self._test.loop.call_later(nanos(interval), self._show)

    def _line(self) -> str:
        test = self._test
        if test.phase not in ("running", "waiting for recovery", "done"):
            return f"{test.options.workload}: {test.phase}"
        journal = test.recorder.journal
        messages = journal.servers.messages + journal.clients.messages
        elapsed = test.recorder.elapsed / NANOS
        parts = [
            f"{elapsed:4.1f} s of {test.options.time_limit:g} s"
            if test.phase == "running"
            else f"{elapsed:4.1f} s, {test.phase}",
            f"{test.recorder.invocations:,} operations",
            f"{messages:,} messages",
        ]
        for fault, what in test.nemesis.active.items():
            parts.append(f"[bold red]{fault}: {what}[/]")
        return f"{test.options.workload}: " + " · ".join(parts)
