"""The messages of a test as they were journalled (messages.jsonl), in columns for its page.

Each message is a row, in the order of sending: who sent it to whom, when, and what became of it.
An answer knows the row of the request that it answers. Times are in microseconds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glomers.errors import UsageError, quote
from glomers.report.columns import Texts, column, steps

# What can become of a message. A page shows each by a mark of its own.
FATES = ("arrived", "lost", "cut", "dropped", "late", "under way")
ARRIVED, LOST, CUT, DROPPED, LATE, UNDER_WAY = range(len(FATES))
# What the journal says of it; journals once had "drop" for the three ways to get lost.
EVENTS = {"recv": ARRIVED, "lost": LOST, "cut": CUT, "drop": DROPPED, "late": LATE}
NONE = -1  # no row, no duration


class Messages:
    """All messages of a test."""

    def __init__(self) -> None:
        self.endpoints: dict[str, int] = {}  # names, with their numbers
        self.types: dict[str, int] = {}
        self.at: list[int] = []
        self.took: list[int] = []
        self.src: list[int] = []
        self.dest: list[int] = []
        self.type: list[int] = []
        self.fate: list[int] = []
        self.request: list[int] = []  # the row that a message answers
        self.copies: list[tuple[int, int, int]] = []  # row, duration and fate of duplicates
        self.texts = Texts()
        self.end = 0
        self.rows: dict[int, int] = {}  # by id
        self._requests: dict[tuple[str, Any], int] = {}  # who asked, with which msg_id
        self._latest: dict[int, int] = {}  # by endpoint: its last request
        self._clients: list[bool] = []  # by endpoint: is it a client?

    def __len__(self) -> int:
        return len(self.at)

    def send(self, time: int, id: int, message: Any, text: str) -> None:
        """A message is sent."""
        src, dest, body = str(message["src"]), str(message["dest"]), message["body"]
        row = self.rows[id] = len(self)
        self.at.append(time)
        self.took.append(NONE)
        self.src.append(self._endpoint(src))
        self.dest.append(self._endpoint(dest))
        type, msg_id, reply_to = (body.get(key) for key in ("type", "msg_id", "in_reply_to"))
        self.type.append(_number(self.types, type if isinstance(type, str) else json.dumps(type)))
        self.fate.append(UNDER_WAY)
        self.request.append(self._requests.get((dest, _id(reply_to)), NONE))
        self.texts.add(text)
        if msg_id is not None:
            self._requests[src, _id(msg_id)] = row
            self._latest[self.src[row]] = row
        self.end = max(self.end, time)

    def end_of(self, time: int, id: int, fate: int) -> None:
        """Something becomes of a message; if that isn't the first time, of a copy of it."""
        row = self.rows.get(id)
        if row is None:
            return
        if fate == ARRIVED and self._comes_late(row):
            fate = LATE
        took = time - self.at[row]
        if self.fate[row] == UNDER_WAY:
            self.took[row], self.fate[row] = took, fate
        else:
            self.copies.append((row, took, fate))
        self.end = max(self.end, time)

    def _comes_late(self, row: int) -> bool:
        """Is it an answer to a client that has asked for something else since?"""
        request = self.request[row]
        if request == NONE:
            return False
        asker = self.src[request]
        return self._clients[asker] and self._latest[asker] != request

    def _endpoint(self, name: str) -> int:
        number = _number(self.endpoints, name)
        if number == len(self._clients):
            self._clients.append(name[:1] == "c")
        return number

    def columns(self) -> dict[str, bytes]:
        """The columns, by name; those of copies begin with `copy`."""
        return {
            "at": column(steps(self.at)),
            "took": column(self.took),
            "src": column(self.src),
            "dest": column(self.dest),
            "type": column(self.type),
            "fate": column(self.fate),
            "request": column(
                NONE if asked == NONE else row - asked for row, asked in enumerate(self.request)
            ),
            "copy-row": column(row for row, _, _ in self.copies),
            "copy-took": column(took for _, took, _ in self.copies),
            "copy-fate": column(fate for _, _, fate in self.copies),
        }


def read(file: Path) -> Messages:
    """The messages of a journal; none if there is no such file.

    A last line that is cut off is passed over: a test may have been ended by force. Raises
    UsageError for what is no journal.
    """
    messages = Messages()
    if not file.is_file():
        return messages
    with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            try:
                _take(messages, line)
            except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
                if line.endswith("\n"):
                    raise UsageError(
                        f"{file}, line {number}: this is no event of a message: {quote(line[:-1])}"
                    ) from None
    messages.texts.close()
    return messages


def _take(messages: Messages, line: str) -> None:
    event = json.loads(line)
    time, id, what = event["time"] // 1000, event["id"], event["event"]
    if "message" in event:
        messages.send(time, id, event["message"], _text(event, line))
    if what in EVENTS:
        messages.end_of(time, id, EVENTS[what])


def _text(event: dict[str, Any], line: str) -> str:
    """The message as its sender wrote it, which is how the journal has it."""
    head = f'"event": "{event["event"]}", "id": {event["id"]}, "message": '
    _, found, rest = line.partition(head)
    return rest.rstrip()[:-1] if found else json.dumps(event["message"])


def _number(numbers: dict[str, int], name: str) -> int:
    """The number of a name; a new name gets the next one."""
    return numbers.setdefault(name, len(numbers))


def _id(value: Any) -> Any:
    """A message's id as something that can be looked up; ids may be any JSON value."""
    return value if type(value) is int else json.dumps(value)
