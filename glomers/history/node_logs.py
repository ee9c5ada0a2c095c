"""What a node printed to standard error: its exceptions, the node library's complaints, the rest.

A log is read line by line while it grows, or afterwards. Python's tracebacks are recognised, and
so is what the node library complains of; of other languages the last block of lines that looks
like a panic or an exception is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from glomers.errors import quote

COMPLAINT = "maelstrom_node: "  # how a line begins that the node library prints on its own account

LONGEST_LINE = 1 << 16  # bytes of a line that are looked at
BLOCK = 8  # lines that are kept of what looks like an exception

_TRACEBACK = ("Traceback (most recent call last):", "  + Exception Group Traceback")
_CHAINS = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_FRAME = re.compile(r'^\s*(?:\| )?File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<name>.+))?')
_EXCEPTION = re.compile(r"^(?P<type>[A-Za-z_][\w.<>]*)(?P<rest>:.*)?$")
_ALARM = re.compile(r"panic|exception|error|fatal|traceback|unhandled", re.IGNORECASE)
# Where a frame is none of the node's own code.
_FOREIGN = re.compile(r"maelstrom_node\.py$|[/\\]lib[/\\]python|site-packages|^<")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a log tells.

    `kind` is "exception" or "complaint", `text` goes on from the node's name: "raised KeyError:
    'vals' in gossip (mine.py:44)". Findings with the same `key` are cases of the same thing.
    `line` is the example, "" where the text says it all. `time` is when it was printed, on the
    reader's clock.
    """

    kind: str
    key: str
    text: str
    line: str = ""
    time: int | None = None


class LogReader:
    """Reads a log as it comes; `hear` is told of each finding. `now` tells the time, if any does.

    `lines` counts the lines that are no finding's, `block` is the last of those, or the last that
    look like an exception.
    """

    def __init__(
        self, hear: Callable[[Finding], object], now: Callable[[], int | None] = lambda: None
    ) -> None:
        self.lines = 0
        self.block: list[str] = []
        self.alarm = False  # does `block` look like an exception?
        self._hear = hear
        self._now = now
        self._rest = b""
        self._frames: list[re.Match[str]] | None = None  # of the traceback that is being read
        self._held: Finding | None = None  # until it is known that no other exception follows it

    def feed(self, chunk: bytes) -> None:
        """Read what has been printed since."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[:LONGEST_LINE]
        for line in lines:
            self._read(line[:LONGEST_LINE].decode("utf-8", "backslashreplace").rstrip("\r"))

    def end(self) -> None:
        """No more will come."""
        if self._rest:
            self.feed(b"\n")
        self._tell()

    def _read(self, line: str) -> None:
        if self._frames is not None:
            self._read_traceback(self._frames, line)
        elif line.startswith(_TRACEBACK):
            self._frames = []
        elif line in _CHAINS:
            self._held = None  # the last exception of a chain stands for all of them
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
        if begins or not self.alarm:
            self.alarm = begins
            self.block = [quote(line)]
        elif goes_on and len(self.block) < BLOCK:
            self.block.append(quote(line))


def _complaint(text: str) -> Finding:
    what, _, example = text.partition(": ")
    return Finding("complaint", what, quote(what), quote(example))


def _exception(frames: list[re.Match[str]], line: str) -> Finding:
    match = _EXCEPTION.match(line)
    type, rest = (match["type"], match["rest"] or "") if match else (line, "")
    type = type.rpartition(".")[2]
    own = [frame for frame in frames if not _FOREIGN.search(frame["file"])]
    place = _place((own or frames)[-1]) if frames else ""
    return Finding("exception", f"{type} {place}", f"raised {quote(type + rest)}{place}")


def _place(frame: re.Match[str]) -> str:
    where = f"({Path(frame['file']).name}:{frame['line']})"
    name = frame["name"]
    return f" {where}" if name is None or name.startswith("<") else f" in {name} {where}"


def read_logs(files: Iterable[Path], hear: Callable[[str, Finding], object]) -> None:
    """Read the logs of a test that was kept; each is called after its node."""
    for file in files:
        reader = LogReader(lambda finding, node=file.stem: hear(node, finding))  # type: ignore[misc]
        with file.open("rb") as log:
            while chunk := log.read(1 << 16):
                reader.feed(chunk)
        reader.end()
