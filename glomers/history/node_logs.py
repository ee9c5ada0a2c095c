"""Reads the logs of nodes, their standard error: exceptions, complaints of the node library, rest.

A log is read line by line while it grows, or afterwards. Python's tracebacks and the node library's
complaints are recognised. For other languages, the last block of lines that looks like a panic or
an exception is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from glomers.errors import quote

COMPLAINT = "maelstrom_node: "  # the beginning of a line that the node library prints itself
LATE = "dropped an answer that came late or twice"  # a complaint that the network may be cause of

LONGEST_LINE = 1 << 16  # bytes of a line that are looked at
BLOCK = 8  # lines that are kept of a block that looks like an exception
LONGEST_NAME = 100  # characters of a file's or a function's name

_TRACEBACK = ("Traceback (most recent call last):", "  + Exception Group Traceback")
_CHAINS = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_FRAME = re.compile(r'^\s*(?:\| )?File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<name>.+))?')
_EXCEPTION = re.compile(r"^(?P<type>[A-Za-z_][\w.<>]*)(?P<rest>:.*)?$")
_SYNTAX_ERROR = re.compile(r"(Syntax|Indentation|Tab)Error: ")
_ALARM = re.compile(r"panic|exception|error|fatal|traceback|unhandled", re.IGNORECASE)
# Files whose frames are not the node's own code.
_FOREIGN = re.compile(
    r"maelstrom_node\.py$|[/\\]glomers[/\\]simulated[/\\]|[/\\]lib[/\\]python|site-packages|^<"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """An exception or a complaint that was found in a log.

    `kind` is "exception", "complaint" or "late", `text` goes on from the node's name: "raised
    KeyError: 'vals' in gossip (mine.py:44)". Findings with the same `key` are cases of the same
    thing. `line` is the example, "" where the text says it all. `time` is when it was printed, on
    the reader's clock.
    """

    kind: str
    key: str
    text: str
    line: str = ""
    time: int | None = None


class LogReader:
    """Reads a log as it comes; `hear` is told of each finding. `now` tells the time, if any does.

    `lines` counts the lines that belong to no finding, `alarms` those of them that look like the
    beginning of an exception. `block` is the last such exception, or else the last line.
    """

    def __init__(
        self, hear: Callable[[Finding], object], now: Callable[[], int | None] = lambda: None
    ) -> None:
        self.lines = 0
        self.block: list[str] = []
        self.alarms = 0
        self._hear = hear
        self._now = now
        self._rest = b""
        self._frames: list[re.Match[str]] | None = None  # those of the traceback being read
        self._last_frame: re.Match[str] | None = None  # that stands outside of a traceback
        self._held: Finding | None = None  # held back until no other exception of a chain follows

    def feed(self, chunk: bytes) -> None:
        """Read the next part of the log."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[:LONGEST_LINE]
        for line in lines:
            self._read(line[:LONGEST_LINE].decode("utf-8", "backslashreplace").rstrip("\r"))

    def end(self) -> None:
        """End the log: no more will come."""
        if self._rest:
            self.feed(b"\n")
        self._tell()

    def _read(self, line: str) -> None:
        if self._frames is not None:
            self._read_traceback(self._frames, line)
        elif line.startswith(_TRACEBACK):
            self._frames = []
        elif frame := _FRAME.match(line):
            self._last_frame = frame
        elif line in _CHAINS:
            self._held = None  # the last exception of a chain stands for all of them
        elif self._last_frame and _SYNTAX_ERROR.match(line):  # Python prints no head for it
            self._tell()
            self._held = replace(_exception([self._last_frame], line), time=self._now())
        elif line.strip():
            self._tell()
            if line.startswith(COMPLAINT):
                self._hear(replace(_complaint(line.removeprefix(COMPLAINT)), time=self._now()))
            else:
                self._read_other(line)

    def _read_traceback(self, frames: list[re.Match[str]], line: str) -> None:
        if frame := _FRAME.match(line):
            frames.append(frame)
        elif line[:1] not in (" ", "|", ""):
            self._frames = None
            self._tell()
            self._held = replace(_exception(frames, line), time=self._now())

    def _tell(self) -> None:
        if self._held:
            self._hear(self._held)
            self._held = None

    def _read_other(self, line: str) -> None:
        self.lines += 1
        begins = bool(_ALARM.search(line)) and not line[0].isspace()
        goes_on = line[0].isspace() or line.startswith(("goroutine ", "note: "))
        self.alarms += begins
        if begins or not self.alarms:
            self.block = [quote(line)]
        elif goes_on and len(self.block) < BLOCK:
            self.block.append(quote(line))


def _complaint(text: str) -> Finding:
    what, _, example = text.partition(": ")
    kind = "late" if what.startswith(LATE) else "complaint"
    return Finding(kind, what, quote(what), quote(example))


def _exception(frames: list[re.Match[str]], line: str) -> Finding:
    match = _EXCEPTION.match(line)
    type, rest = (match["type"], match["rest"] or "") if match else (line, "")
    type = type.rpartition(".")[2]
    own = [frame for frame in frames if not _FOREIGN.search(frame["file"])]
    place = _place((own or frames)[-1]) if frames else ""
    return Finding("exception", f"{type} {place}", f"raised {quote(type + rest)}{place}")


def _place(frame: re.Match[str]) -> str:
    where = f"({quote(Path(frame['file']).name, LONGEST_NAME)}:{frame['line']})"
    name = frame["name"]
    in_name = name is not None and not name.startswith("<")
    return f" in {quote(name, LONGEST_NAME)} {where}" if in_name else f" {where}"


def read_logs(files: Iterable[Path], hear: Callable[[str, Finding], object]) -> None:
    """Read the logs of a kept test, named after their nodes; call `hear(node, finding)`."""
    for file in files:
        reader = LogReader(lambda finding, node=file.stem: hear(node, finding))  # type: ignore[misc]
        with file.open("rb") as log:
            while chunk := log.read(1 << 16):
                reader.feed(chunk)
        reader.end()
