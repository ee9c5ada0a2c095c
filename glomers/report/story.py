"""The story of a small run that failed: what happened, a line each, and why that is wrong.

Lines are in the order of time, with their times in milliseconds since the load began. What ends
something is told in the same line, if nothing happened in between. A story that would be too long
is condensed: first all messages are told in one line each, then what matters least is only
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from glomers.history.times import MILLIS
from glomers.report.happenings import (
    GRAVE,
    Account,
    Ending,
    Happening,
    happenings,
    milliseconds,
)
from glomers.report.reasons import details, headline, listed

FILE = "story.txt"
MOST = 20  # lines
REASONS = 2  # cases at the end
MOST_ERROR = 4  # lines of what a node did wrong


def story(account: Account, most: int = MOST) -> list[str]:
    """The story of a run, in at most so many lines."""
    ends = _moral(account)
    told = _lines(happenings(account), most - len(ends))
    times = [f"{line.time / MILLIS:,.1f} ms" if line.time is not None else "" for line in told]
    width = max(map(len, times), default=0)
    return [*(f"{time:>{width}}  {line.text}" for time, line in zip(times, told)), *ends]


def _moral(account: Account) -> list[str]:
    """Why the run failed, in the words of the checker; or what a node did wrong."""
    if "error" in account.results:
        first, *evidence = str(account.results["error"]).split("\n")
        return [f"So the test ends: {first}", *evidence[: MOST_ERROR - 1]]
    if account.results["valid?"] is not False:
        return [f"So the test is {'valid' if account.results['valid?'] is True else 'unknown'}"]
    cases = list(dict.fromkeys(details(account.reasons, REASONS)))
    cases = cases or [headline(account.reasons) or "the options are strict about its warnings"]
    return [f"So the test is invalid: {cases[0]}", *cases[1:]]


# Lines


@dataclass
class _Line:
    """Happenings that are told together; `left_out` are those that are only counted."""

    parts: list[Happening] = field(default_factory=list)
    left_out: list[Happening] = field(default_factory=list)

    @property
    def time(self) -> int | None:
        return self.parts[0].time if self.parts else None

    @property
    def rank(self) -> int:
        return max(part.rank for part in self.parts)

    @property
    def text(self) -> str:
        if not self.parts:
            counts: Counter[str] = Counter()
            for part in self.left_out:
                counts[part.sort or "event"] += len(part.names) or 1
            counted = counts.most_common()
            kinds = [f"{n:,} more {sort}{'s' if n > 1 else ''}" for sort, n in counted]
            return f"… {listed(kinds)}"
        first, *rest = self.parts
        text = first.text
        times = {key: part.time for part in self.parts for key in part.keys}
        delays: dict[Ending, list[int]] = {}
        for part in rest:
            assert part.ending is not None
            since = max((times[key] for key in part.after if key in times), default=part.time)
            delays.setdefault(part.ending, []).append(part.time - since)
        for end, took in delays.items():
            known = [milliseconds(time) for time in dict.fromkeys(took)]
            known = [each.removesuffix(" ms") for each in known[:-1]] + known[-1:]
            text += end.before
            text += f" {end.word} {listed(known)}{end.behind}" if any(took) else end.at_once
        return text


def _lines(found: Sequence[Happening], most: int) -> list[_Line]:
    grouped = list(_grouped(found))
    lines = _joined(grouped, lambda ending: False)
    if len(lines) > most:
        lines = _joined(grouped, lambda ending: ending.whole)
    if len(lines) > most:
        lines = _joined(grouped, lambda ending: True)
    rank = 0
    whole = lines
    while len(lines) > most and rank < GRAVE:
        rank += 1
        lines = list(_condensed(whole, rank))
    if len(lines) > most:  # only grave ones are left: the first and the last of them
        head = (most - 1) // 2
        tail = most - 1 - head
        middle = _Line(left_out=[part for line in lines[head:-tail] for part in _all(line)])
        lines = [*lines[:head], middle, *lines[-tail:]]
    return lines


def _all(line: _Line) -> Iterable[Happening]:
    return line.parts[:1] or line.left_out


def _grouped(found: Iterable[Happening]) -> Iterator[Happening]:
    """What is true of several at the same time becomes one."""
    last: Happening | None = None
    for each in found:
        if last is not None and _are_alike(last, each):
            last = replace(
                last,
                names=(*last.names, *each.names),
                rank=max(last.rank, each.rank),
                keys=last.keys | each.keys,
                after=last.after | each.after,
            )
            continue
        if last is not None:
            yield last
        last = each
    if last is not None:
        yield last


def _are_alike(one: Happening, other: Happening) -> bool:
    """Whether both are the same but for a name. An answer stands by its own."""
    same = (one.time, one.head, one.tail) == (other.time, other.head, other.tail)
    return (
        same
        and bool(one.names)
        and one.names != other.names
        and not set(one.names) & set(other.names)
    )


def _joined(found: Iterable[Happening], fits: Callable[[Ending], bool]) -> list[_Line]:
    """What ends something stands in its line, if nothing happened in between, or if it fits."""
    lines: list[_Line] = []
    where: dict[object, tuple[int, _Line]] = {}
    divided = -1  # the place of the last that divides
    for place, each in enumerate(found):
        begun = [where[key] for key in each.after if key in where]
        homes = {id(line): line for _, line in begun}
        if each.ending and len(homes) == 1:
            (line,) = homes.values()
            at_once = each.time == max(p.time for p in line.parts if p.keys & each.after)
            joins = at_once or line is lines[-1] or fits(each.ending)
            if at_once and divided > max(number for number, _ in begun):
                joins = False
        else:
            joins = False
        if joins:
            line.parts.append(each)
        else:
            line = _Line([each])
            lines.append(line)
        where.update(dict.fromkeys(each.keys, (place, line)))
        divided = place if each.divides else divided
    return lines


def _condensed(lines: Iterable[_Line], rank: int) -> Iterator[_Line]:
    """Lines of a lower rank are only counted."""
    counted = _Line()
    for line in lines:
        if line.rank < rank:
            counted.left_out.append(line.parts[0])
            continue
        if counted.left_out:
            yield counted
            counted = _Line()
        yield line
    if counted.left_out:
        yield counted
