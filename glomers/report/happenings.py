"""What happened in a run, each thing as a sentence: the material of its story (story.py).

Only what can matter is there: operations, messages between nodes and services, what became of
them, turns that threads lost, faults, and what nodes complained of. Starting the nodes (`init`,
`topology`) is left out, unless the test came no further.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glomers.errors import quote
from glomers.history.evidence import Evidence
from glomers.history.lost_turns import LostTurn
from glomers.history.messages import Sent
from glomers.history.node_logs import Finding, LogReader
from glomers.history.operations import Operation
from glomers.history.times import MILLIS
from glomers.options import SERVICES
from glomers.report.page import Log, Span
from glomers.report.reasons import Reason, listed
from glomers.scenario import View

MOST_VALUE = 60  # characters of a value
MOST_SOURCE = 80  # characters of a line of a script
ENVELOPE = ("type", "msg_id", "in_reply_to")
STARTING = ("init", "init_ok", "topology", "topology_ok")
# How much something matters: what matters least is left out first.
REPEATED, USUAL, OPERATION, UNUSUAL, GRAVE = range(5)
GONE = {"lost": "is lost", "drop": "finds nobody, because the receiver is down"}


@dataclass(frozen=True)
class Account:
    """All that is known of a run that was kept."""

    evidence: Evidence
    results: Mapping[str, Any]
    reasons: Sequence[Reason] = ()
    lost_turns: Sequence[LostTurn] = ()
    views: Sequence[View] = ()
    faults: Sequence[Span] = ()
    logs: Mapping[str, Log] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """How what ends something is told in the same sentence: `before`, how long it took, `behind`.

    `word` comes before the time that it took. Where that is 0, neither is told; `at_once` then
    stands in the place of `behind`. `whole`: it may be told so although other things happened in
    between.
    """

    before: str
    word: str = "after"
    behind: str = ""
    at_once: str = ""
    whole: bool = True


@dataclass(frozen=True)
class Happening:
    """Something that happened: `head`, the `names` that it is true of, and `tail` (or `tails`, if
    there are several names).

    `keys` say which it is, `after` which of others it ends, and `ending` how it is told together
    with these. `sort` counts it among others that are not told. It `divides` if the order matters:
    nothing that comes after it in the same nanosecond is told before it.
    """

    time: int
    head: str
    names: tuple[str, ...] = ()
    tail: str = ""
    tails: str = ""
    rank: int = USUAL
    keys: frozenset[Any] = frozenset()
    after: frozenset[Any] = frozenset()
    ending: Ending | None = None
    sort: str = ""
    divides: bool = False

    @property
    def text(self) -> str:
        tail = self.tails if self.tails and len(self.names) > 1 else self.tail
        return f"{self.head}{listed(self.names)}{tail}"


def milliseconds(time: int) -> str:
    """A duration in nanoseconds, as a person reads it."""
    number = time / MILLIS
    return f"{number:,.0f} ms" if number >= 100 else f"{number:.3g} ms"


def happenings(account: Account) -> list[Happening]:
    """What happened, in the order of time."""
    teller = _Teller(account)
    parts = teller.messages(), teller.silences(), teller.turns(), teller.faults(), teller.findings()
    found = [placed for part in parts for placed in part]
    found.sort(key=lambda placed: placed[:2])
    return [happening for _, _, happening in found]


Placed = tuple[int, float, Happening]  # with its time, and its place among others of that time
FIRST, LAST = -1.0, float("inf")
BEFORE = 0.5  # what has this place comes just before the event of a message that is at it


class _Teller:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._evidence = evidence = account.evidence
        self._sent = {sent.id: sent for sent in evidence.messages}
        self._operations = dict(_matched(evidence))
        self._by_client = {
            (self._sent[id].src, json.dumps(self._sent[id].body.get("msg_id"))): id
            for id in self._operations
        }
        self._requests = {
            (sent.src, sent.dest, json.dumps(sent.body["msg_id"])): sent
            for sent in self._sent.values()
            if "msg_id" in sent.body
        }
        self._grave = {id for reason in account.reasons for id in reason.messages}
        self._graver = {index for reason in account.reasons for index in reason.operations}
        self._told: set[str] = set()
        self._old = dict(_views(account, evidence))
        times = [0, *(operation.time for operation in evidence.history[-1:])]
        times += [fate.time for sent in self._sent.values() for fate in sent.fates]
        times += [lost.ended for lost in account.lost_turns if lost.ended is not None]
        self._end = max([*times, *(sent.time for sent in self._sent.values())])
        self._starts_only = not any(operation.is_client for operation in evidence.history)

    # Messages

    def messages(self) -> Iterator[Placed]:
        for sent in self._sent.values():
            if self._is_told(sent):
                yield from self._message(sent)

    def _is_told(self, sent: Sent) -> bool:
        of_client = sent.src[:1] == "c" or sent.dest[:1] == "c"
        return not of_client or sent.body.get("type") not in STARTING or self._starts_only

    def _message(self, sent: Sent) -> Iterator[Placed]:
        arrivals = [fate for fate in sent.fates if fate.event == "recv"]
        began = self._request(sent)
        told = described(sent.body)
        fate, unusual = self._fate(sent)
        operation = self._operation(sent, began)
        rank = self._rank(sent, operation, f"{sent.src} {sent.dest} {told}", unusual)
        after: frozenset[Any] = frozenset()
        ending = None
        tails = ""
        to_service = sent.dest in SERVICES
        if began is not None:
            after = frozenset([began.id])
            old = self._old.get(began.id, "")
            said = f"{told}{fate}"
            at_once = f": {said}" if old else f" {said}"
            ending = Ending(f"; it answers{old}", "after", f": {said}", at_once, whole=False)
            head, names = "", (self._name(sent.src),)
            behind = f" {self._name(sent.dest, sent)}{old}: {told}{fate}"
            tail, tails = f" answers{behind}", f" answer{behind}"
            rank = max(rank, UNUSUAL) if old else rank
        elif sent.src[:1] == "c" or to_service:
            final = " (final)" if operation and operation.final else ""
            head, names = f"{self._name(sent.src, sent)} asks ", (sent.dest,)
            tail = f": {told}{final}{fate}"
        else:
            head, names = f"{sent.src} sends ", (self._name(sent.dest),)
            tail = f" {told}{fate}"
        sort = f"{quote(str(sent.body.get('type')), MOST_VALUE)} message"
        keys: frozenset[Any] = frozenset([sent.id])
        yield (
            sent.time,
            sent.place,
            Happening(
                sent.time, head, names, tail, tails, rank, keys, after, ending, sort, to_service
            ),
        )
        for number, arrival in enumerate(arrivals):
            if (arrival.time > sent.time or number) and not to_service:
                again = " again" if number else ""
                tail = f" reaches {sent.dest}{again}"
                yield (
                    arrival.time,
                    arrival.place,
                    Happening(
                        arrival.time,
                        f"{self._name(sent.src, sent)}'s {told} reaches ",
                        (self._name(sent.dest, sent),),
                        again,
                        rank=rank,
                        keys=frozenset([(sent.id, number)]),
                        after=keys,
                        ending=Ending("," if len(arrivals) > 1 else ", which arrives"),
                        sort="arrival",
                    ),
                )

    def _request(self, sent: Sent) -> Sent | None:
        """The request that a message answers."""
        key = sent.dest, sent.src, json.dumps(sent.body.get("in_reply_to"))
        return self._requests.get(key)

    def _operation(self, sent: Sent, began: Sent | None) -> Operation | None:
        pair = self._operations.get(began.id if began else sent.id)
        return None if pair is None else pair[1] if began else pair[0]

    def _rank(self, sent: Sent, operation: Operation | None, told: str, unusual: bool) -> int:
        known = told in self._told
        self._told.add(told)
        if sent.id in self._grave or (operation and operation.index in self._graver):
            return GRAVE
        if unusual:
            return UNUSUAL
        if operation is not None:
            return OPERATION
        is_receipt = sent.body.keys() <= {*ENVELOPE} and "in_reply_to" in sent.body
        return REPEATED if known or is_receipt or sent.time < 0 else USUAL

    def _fate(self, sent: Sent) -> tuple[str, bool]:
        """What became of a message, if that is worth a word, and whether it is unusual."""
        arrivals = sum(fate.event == "recv" for fate in sent.fates)
        if arrivals > 1:
            return f", which arrives {'twice' if arrivals == 2 else f'{arrivals} times'}", True
        if arrivals:
            return "", False
        if not sent.fates:
            return ", which is still under way at the end", False
        fate = sent.fates[0]
        if fate.event == "cut":
            return f", which {self._evidence.cut(fate.time, sent.src, sent.dest)} cuts off", True
        return f", which {GONE.get(fate.event, fate.event)}", True

    def _name(self, endpoint: str, sent: Sent | None = None) -> str:
        """What an endpoint is called: a client by the process whose operation it carries out."""
        if endpoint[:1] != "c" or sent is None:
            return self._process_of.get(endpoint, endpoint)
        id = "msg_id" if endpoint == sent.src else "in_reply_to"
        request = self._by_client.get((endpoint, json.dumps(sent.body.get(id))))
        if request is None:
            return self._process_of.get(endpoint, endpoint)
        return f"process {self._operations[request][0].process}"

    @property
    def _process_of(self) -> dict[str, str]:
        return {
            self._sent[id].src: f"process {began.process}"
            for id, (began, _) in self._operations.items()
        }

    # Operations that nobody answered

    def silences(self) -> Iterator[Placed]:
        answered = {request.id for sent in self._sent.values() if (request := self._request(sent))}
        for id, (began, ended) in self._operations.items():
            is_cut_off = ended is None and "error" in self._account.results
            if id in answered or is_cut_off:
                continue
            time = self._end if ended is None else ended.time
            rank = GRAVE if ended and ended.index in self._graver else UNUSUAL
            head = f"process {began.process} gets no answer"
            keys = frozenset([("silence", id)])
            ending = Ending("; there is no answer", "within")
            yield (
                time,
                LAST,
                Happening(time, head, rank=rank, keys=keys, after=frozenset([id]), ending=ending),
            )

    # Turns, faults, logs

    def turns(self) -> Iterator[Placed]:
        for number, lost in enumerate(self._account.lost_turns):
            place, source = lost.line, quote(lost.text, MOST_SOURCE)
            where = "" if lost.function.startswith("<") else f" in {lost.function}"
            text = (
                f"{lost.node} loses its turn{where}{self._cause(lost)} before {place}: `{source}`"
            )
            keys: frozenset[Any] = frozenset([("turn", number)])
            yield (
                lost.began,
                lost.place - BEFORE,
                Happening(lost.began, text, rank=GRAVE, keys=keys, sort="lost turn", divides=True),
            )
            if lost.ended is not None and lost.end_place is not None:
                again = Happening(
                    lost.ended,
                    f"{lost.node} goes on with {place}",
                    rank=UNUSUAL,
                    keys=frozenset([("turn", number, "end")]),
                    after=keys,
                    ending=Ending(",", "for"),
                    divides=True,
                )
                yield lost.ended, lost.end_place - BEFORE, again

    def _cause(self, lost: LostTurn) -> str:
        """On whose behalf it ran, if that is known."""
        sent = None if lost.message is None else self._sent.get(lost.message)
        return f" (for {self._name(sent.src, sent)})" if sent else ""

    def faults(self) -> Iterator[Placed]:
        for span in self._account.faults:
            begun, ended = _of_fault(span)
            yield span.start, FIRST, Happening(span.start, begun, rank=GRAVE, sort="fault")
            if span.end is not None:
                over = Happening(span.end, ended, rank=UNUSUAL, sort="end of fault")
                yield span.end, FIRST, over

    def findings(self) -> Iterator[Placed]:
        for node, log in self._account.logs.items():
            for finding in _findings(log):
                if finding.kind == "late":
                    continue
                words = finding.text.replace("raised", "raises", 1)
                words = f"complains: {words}" if finding.kind == "complaint" else words
                text = f"{node} {words}" + (f": {finding.line}" if finding.line else "")
                time = 0 if finding.time is None else finding.time
                yield time, LAST, Happening(time, text, rank=GRAVE, sort="complaint")


def described(body: Mapping[str, Any]) -> str:
    """A message in a few words: its type, and what it says."""
    type = body.get("type")
    words = quote(type if isinstance(type, str) else json.dumps(type), MOST_VALUE)
    said = {name: value for name, value in body.items() if name not in ENVELOPE}
    texts = {name: quote(json.dumps(value), MOST_VALUE) for name, value in said.items()}
    if len(texts) == 1:
        return f"{words} {next(iter(texts.values()))}"
    parts = ", ".join(f"{quote(name, MOST_VALUE)} {text}" for name, text in texts.items())
    return f"{words} ({parts})" if parts else words


def _matched(
    evidence: Evidence,
) -> Iterator[tuple[int, tuple[Operation, Operation | None]]]:
    """The operations, by the id of the request that each led to: a request has its operation's name
    and follows it at once."""
    requests = [sent for sent in evidence.messages if sent.src[:1] == "c"]
    taken: set[int] = set()
    first = 0
    for began, ended in evidence.history.pairs():
        while first < len(requests) and requests[first].time < began.time:
            first += 1
        for sent in requests[first:]:
            if sent.time > began.time + MILLIS:
                break
            if sent.id not in taken and sent.body.get("type") == began.f:
                taken.add(sent.id)
                yield sent.id, (began, ended)
                break


def _views(account: Account, evidence: Evidence) -> Iterator[tuple[int, str]]:
    """What there is to say of the answers that services gave from old states, by requests' ids."""
    views = {view.message: view for view in account.views}
    if not views:
        return
    counts: Counter[tuple[str, str, str]] = Counter()
    moments = [(sent.arrival.place, sent) for sent in evidence.messages if sent.arrival]
    for _, sent in sorted(moments, key=lambda moment: moment[0]):
        kind = sent.src, sent.dest, str(sent.body.get("type"))
        counts[kind] += 1
        if view := views.get((*kind, counts[kind])):
            if view.behind:
                changes = "change" if view.behind == 1 else "changes"
                yield sent.id, f" from an old state ({view.behind} {changes} ago)"
            elif view.learner is None:
                yield sent.id, f" from replica {view.replica}"


def _of_fault(span: Span) -> tuple[str, str]:
    """How a fault begins, and how it ends."""
    who, several = listed(span.nodes), len(span.nodes) > 1
    be = "are" if several else "is"
    if span.name == "kill":
        return f"{who} {be} killed", f"{who} {'start' if several else 'starts'} again"
    if span.name == "pause":
        return f"{who} {be} paused", f"{who} {'go' if several else 'goes'} on"
    name = {"partition": "partition", "one-way": "one-way partition"}.get(span.name, span.name)
    if span.cut:
        deaf = [f"{node} no longer hears {listed(cut)}" for node, cut in span.cut.items() if cut]
        return f"a {name} begins: {listed(deaf)}", f"the {name} ends"
    on = f" on {who}" if who else ""
    return f"the fault {name} begins{on}", f"the fault {name} ends{on}"


def _findings(log: Log) -> Iterator[Finding]:
    found: list[Finding] = []
    time: int | None = None
    reader = LogReader(found.append, lambda: time)
    for line, time in zip(log.lines, log.times):  # noqa: B007 - the reader looks at the time
        reader.feed(f"{line}\n".encode("utf-8", "replace"))
    reader.end()
    yield from found
