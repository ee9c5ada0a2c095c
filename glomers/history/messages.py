"""The messages of a test as they were journalled (messages.jsonl): each with what became of it.

A reason looks for few of them: those that carried a value, or those to a service. So a message is
kept as the text that its sender wrote, and only read as JSON if it can be one that is looked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

MOST_EVENTS = 1_000_000  # that are read of a journal; half of them take about a second

_DEST = re.compile(r'"dest" ?: ?"(\w+)"')
_EVENT = re.compile(
    r'\{"time": (-?\d+), "event": "([a-z]+)", "id": (-?\d+)(?:, "message": (.*))?\}\n?'
)
# Where something is in a body: the type of the body, then the keys of objects, "*" for a list. Keys
# with numbers, such as nodes', count as the same. What is the first of a list may be its number,
# unless some of these lists have no more than one element.
Place = tuple[str, ...]
FIRST = "first"
LOOKED_AT = 1_000  # messages in which lists of one element are looked for
_NUMBERED = re.compile(r".*\d.*", re.DOTALL)
# Parts of a body by which messages are told apart: that they hold a value says nothing.
_ENVELOPE = ("type", "msg_id", "in_reply_to")


class Fate(NamedTuple):
    """What became of a message, by the words of `glomers.world.network.Journal`; when (ns), and
    the place of that among all events."""

    event: str
    time: int
    place: int


@dataclass(slots=True)
class Sent:
    """A message that was sent: when (ns since the load began), as which event, and its text.

    One that was duplicated has several fates; one that was under way at the end has none.
    """

    id: int
    time: int
    place: int
    text: str
    fates: list[Fate] = field(default_factory=list)
    _message: Any = None

    @property
    def message(self) -> dict[str, Any]:
        if self._message is None:
            self._message = json.loads(self.text)
        found: dict[str, Any] = self._message
        return found

    @property
    def src(self) -> str:
        return str(self.message["src"])

    @property
    def dest(self) -> str:
        """It is looked up in the text, as long as that is clear: some messages are long."""
        found = _DEST.findall(self.text) if self._message is None else ()
        return str(found[0] if len(found) == 1 else self.message["dest"])

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = self.message["body"]
        return found

    @property
    def arrival(self) -> Fate | None:
        """When it first arrived, if it did."""
        return next((fate for fate in self.fates if fate.event == "recv"), None)


class Messages:
    """The messages of a test, by their ids, in the order in which they were sent."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._by_id: dict[int, Sent] = {}
        for place, line in enumerate(lines):
            if place >= MOST_EVENTS:
                break
            if found := _EVENT.fullmatch(line):
                self._add(place, *found.groups())

    @classmethod
    def read(cls, file: Path) -> Messages:
        """The messages of a journal; none if there is no such file. What is no event is left out:
        the last line may have been cut off."""
        try:
            with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
                return cls(lines)
        except OSError:
            return cls()

    def _add(self, place: int, time: str, event: str, id: str, text: str | None) -> None:
        if event == "send" and text is not None:
            self._by_id[int(id)] = Sent(int(id), int(time), place, text)
        elif sent := self._by_id.get(int(id)):
            sent.fates.append(Fate(event, int(time), place))

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Sent]:
        return iter(self._by_id.values())

    def naming(self, word: str) -> Iterator[Sent]:
        """Those whose text has `word` as a JSON string."""
        text = json.dumps(word)
        return (sent for sent in self if text in sent.text)

    @cached_property
    def _to_servers(self) -> list[Sent]:
        return [sent for sent in self if sent.dest[:1] != "c"]

    @cached_property
    def short_lists(self) -> set[Place]:
        """Where messages to nodes and services have lists of one element, as far as looked for."""
        return {
            (str(sent.body.get("type")), *place)
            for sent in self._to_servers[:LOOKED_AT]
            for place in _short_lists(sent.body)
        }

    def holding(self, value: Any) -> Iterator[tuple[Sent, set[Place]]]:
        """Those to nodes and services whose body holds this JSON value, in any list or field, and
        where they do."""
        may_hold = _search(value)
        for sent in self._to_servers:
            if may_hold(sent.text):
                type = str(sent.body.get("type"))
                body = {key: part for key, part in sent.body.items() if key not in _ENVELOPE}
                if found := {(type, *place) for place in places(body, value)}:
                    yield sent, found


def _search(value: Any) -> Any:
    """A quick look at a text: may it hold that value? A value can be written in several ways."""
    if type(value) is int:
        digits, alone = str(value), re.compile(rf"(?<![\w.\-+]){value}(?![\w.])").search
        return lambda text: digits in text and alone(text)
    if isinstance(value, str) and value.isascii() and value.isalnum():
        return re.compile(f'"{value}"').search
    return lambda text: True


def places(whole: Any, value: Any) -> Iterator[Place]:
    """Where this JSON value is in another one. As always in JSON, 1 is neither 1.0 nor true.

    A list may begin with names, and what comes after them is a first element, too.
    """
    waiting: list[tuple[Any, Place]] = [(whole, ())]
    while waiting:
        part, place = waiting.pop()
        outer = _anywhere(place)
        if type(part) is type(value) and part == value:
            yield place
        elif type(part) is dict:
            waiting += [(inner, (*outer, _NUMBERED.sub("*", key))) for key, inner in part.items()]
        elif type(part) is list:
            kinds = set(map(type, part))
            if (type(value) in kinds and value in part) or list in kinds or dict in kinds:
                head = next((i for i, inner in enumerate(part) if type(inner) is not str), 0)
                waiting += [
                    (inner, (*outer, FIRST if i <= head else "*")) for i, inner in enumerate(part)
                ]


def _short_lists(whole: Any) -> Iterator[Place]:
    """The places of what stands alone in a list."""
    waiting: list[tuple[Any, Place]] = [(whole, ())]
    while waiting:
        part, place = waiting.pop()
        if type(part) is dict:
            waiting += [(inner, (*place, _NUMBERED.sub("*", key))) for key, inner in part.items()]
        elif type(part) is list:
            if len(part) == 1:
                yield (*place, "*")
            waiting += [(inner, (*place, "*")) for inner in part if type(inner) in (list, dict)]


def _anywhere(place: Place) -> Place:
    """A place, but if it is the first of a list, any of it."""
    return (*place[:-1], "*") if place[-1:] == (FIRST,) else place


# How a value spread


@dataclass(frozen=True, slots=True)
class Spread:
    """How a value went from node to node.

    `had` has for each endpoint the time (ns) since when it had the value, `carriers` the messages
    by which those that had it sent it on, `places` where in these it was.
    """

    had: dict[str, int]
    carriers: list[Sent]
    places: set[Place]


def spread(
    messages: Messages,
    value: Any,
    requests: Collection[str],
    carried: Collection[Place] | None = None,
) -> Spread:
    """How a value that clients give to nodes, in one of these types of requests, came to others.

    A number may mean many things. So a message only counts as carrying the value if its sender had
    it at the time: from a client, or by such a message; and if it has it at one of the places
    `carried`, as far as they are known.
    """
    where: dict[int, set[Place]] = {}
    moments: list[tuple[int, Sent, Fate | None]] = []
    for sent, found in messages.holding(value):
        if carried is not None and found.isdisjoint(carried) and sent.src[:1] != "c":
            continue
        where[sent.id] = found
        moments.append((sent.place, sent, None))
        if arrival := sent.arrival:
            moments.append((arrival.place, sent, arrival))
    moments.sort(key=lambda moment: moment[0])
    had: dict[str, int] = {}
    carriers: dict[int, Sent] = {}
    for _, sent, arrival in moments:
        if arrival is None:
            is_request = sent.src[:1] == "c" and sent.body.get("type") in requests
            if is_request or sent.src in had:
                carriers[sent.id] = sent
        elif sent.id in carriers:
            had.setdefault(sent.dest, arrival.time)
    return Spread(had, [*carriers.values()], set().union(*(where[id] for id in carriers)))


def carrying_places(
    messages: Messages, values: Iterable[Any], requests: Collection[str]
) -> set[Place]:
    """Where messages have these values, when those who have them send them on.

    Asked for values that hardly mean anything else (the highest numbers), it tells where others
    are to be looked for.
    """
    found: set[Place] = set()
    for value in values:
        for place in spread(messages, value, requests).places:
            found |= {place, _anywhere(place)}
    return found | {(*place[:-1], FIRST) for place in found & messages.short_lists}
