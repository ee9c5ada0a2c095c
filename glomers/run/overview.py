"""What the list of all runs shows of one, and how far one is that still goes on."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from glomers import challenges
from glomers.challenges import Challenge
from glomers.errors import UsageError
from glomers.history.command import FILE, Command, parse_command
from glomers.history.kept_runs import RESULTS, is_running, name_of, open_within
from glomers.history.times import NANOS
from glomers.report.runs_page import ENDED, RUNNING, UNREADABLE, KeptRun
from glomers.report.summary import kept_results, rows
from glomers.run.figures import of_kept

STATES = {True: "valid", False: "invalid", "unknown": "unknown"}
LOG_SHOWN = 1 << 14  # bytes of the end of run.log

# What may be wrong with a folder that somebody or something has changed.
BROKEN = (UsageError, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def state_of(run: Path) -> tuple[Any, ...]:
    """Something that is another when there is something else to show of a run."""
    stats = []
    for name in (FILE, RESULTS):
        try:
            stat = (run / name).stat()
            stats.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            stats.append((0, 0))
    return (*stats, not stats[1][1] and is_running(run))


def overview(run: Path) -> KeptRun:
    """What the list shows of a run."""
    command = _command(run)
    known = _challenge(command)
    shown: dict[str, Any] = {
        "name": name_of(run),
        "when": _when(run),
        "challenge": known.name if known else "",
        "command": f"{command.program} {shlex.join(command.words)}" if command else "",
        "seed": command.seed if command else None,
        "engine": command.engine if command else "",
    }
    if not (run / RESULTS).is_file():
        return KeptRun(state=RUNNING if is_running(run) else ENDED, **shown)
    try:
        results = kept_results(run)
        figures, reasons = of_kept(results, run)
        why = [reason.text for reason in reasons if reason.summary]
        if "error" in results:
            why = [str(results["error"]).partition("\n")[0], *why]
        targets = None if "error" in results else known
        return KeptRun(
            state=STATES[results["valid?"]],
            figures=figures,
            rows=rows(figures, targets),
            reasons=why,
            **shown,
        )
    except BROKEN as error:
        return KeptRun(state=UNREADABLE, reasons=[str(error)], **shown)


def _command(run: Path) -> Command | None:
    try:
        return parse_command((run / FILE).read_text("utf-8", "surrogatepass"))
    except (OSError, ValueError):
        return None


def _challenge(command: Command | None) -> Challenge | None:
    """The challenge that a command ran: by its name, as `./run.sh 3c`, or with --challenge."""
    words = command.words if command else ()
    named = [word for word in words[:1] if challenges.is_number(word)]
    named += [after for word, after in pairwise(words) if word == "--challenge"]
    try:
        return challenges.find(named[-1]) if named else None
    except UsageError:
        return None


def challenge_of(run: Path) -> str | None:
    """The name of the challenge that was run."""
    known = _challenge(_command(run))
    return known.name if known else None


def _when(run: Path) -> datetime:
    """When a run began: its folder is named after that, or else has a time of its own."""
    try:
        return datetime.strptime(run.name[:19], "%Y%m%dT%H%M%S.%f")
    except ValueError:
        return datetime.fromtimestamp(run.stat().st_mtime)


class Growth:
    """Follows the files of a run that goes on: each look reads what has come since the last."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._places: Counter[str] = Counter()  # by file: how much of it has been read
        self._operations: Counter[str] = Counter()  # by type
        self._messages = 0
        self._elapsed = 0

    def look(self) -> dict[str, Any]:
        """How far the run is, in words, and the end of its log."""
        self._read("history.jsonl", self._operation)
        self._read("messages.jsonl", self._message)
        counts = self._operations
        ended = ", ".join(f"{counts[type]:,} {type}" for type in ("ok", "fail", "info"))
        return {
            "words": f"{self._elapsed / NANOS:.1f} s · {counts['invoke']:,} operations ({ended})"
            f" · {self._messages:,} messages",
            "log": self._log(),
        }

    def _operation(self, line: bytes) -> None:
        try:
            operation = json.loads(line)
            type, process, time = operation["type"], operation["process"], operation["time"]
            self._elapsed = max(self._elapsed, time)
            if process != "nemesis":
                self._operations[str(type)] += 1
        except BROKEN:
            pass  # the page says what is wrong with it

    def _message(self, line: bytes) -> None:
        self._messages += b'"event": "send"' in line[:80]

    def _read(self, name: str, take: Callable[[bytes], object]) -> None:
        try:
            with open_within(self._run, name) as file:
                file.seek(self._places[name])
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._places[name] += len(line)
                    take(line)
        except FileNotFoundError:
            pass

    def _log(self) -> str:
        try:
            with open_within(self._run, "run.log") as file:
                file.seek(max(0, file.seek(0, 2) - LOG_SHOWN))
                return file.read(LOG_SHOWN).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
