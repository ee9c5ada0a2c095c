"""The outcomes of a sweep, summed up as they come, so that a million seeds need little memory.

Of each seed its figures and verdict count; only of the first failing ones is told what happened.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glomers.checkers.verdict import merge_valid
from glomers.history.values import quantile
from glomers.report.figures import Figure

FAILING_SHOWN = 10

# Lines of files, by the path of the file.
Lines = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class SeedResult:
    """The outcome of one seed: the verdict, the figures, and what there is to tell.

    `told` says why the test isn't valid, or, of a valid test, which mistakes its nodes made.
    `lines` are those of the nodes' own code that were run; None if nobody watched. `preempted_by`
    is how threads lost their turn, if they did.
    """

    seed: int
    valid: Any
    figures: dict[str, Figure] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    lines: Lines | None = None
    preempted_by: str = ""


class Spread:
    """The values of one figure over all seeds."""

    def __init__(self, figure: Figure) -> None:
        self.write = figure.write
        self.first: tuple[int, int] = (1 << 64, 0)  # the first seed with it, and its place there
        self._values = array("d")
        self._is_whole = True

    def add(self, value: float, seed: int, place: int) -> None:
        self._values.append(value)
        self._is_whole = self._is_whole and isinstance(value, int)
        self.first = min(self.first, (seed, place))

    def quantiles(self, *shares: float) -> list[str]:
        values = sorted(self._values)
        found = [quantile(values, share) for share in shares]
        return [self.write(int(value) if self._is_whole else value) for value in found]


class Tally:
    """What is known of all seeds that have been judged so far."""

    def __init__(self) -> None:
        self.verdicts: Counter[Any] = Counter()
        self.preempted: dict[str, Counter[bool]] = {}  # how many were valid, and not, by strategy
        self.failing: list[SeedResult] = []  # the first FAILING_SHOWN, by seed
        self.further = array("q")  # the seeds of the other failing ones
        self.doubtful: SeedResult | None = None  # the first valid one of which there is to tell
        self.doubts = 0
        self.reached: dict[str, set[int]] = {}  # lines that were run, by file
        self.unwatched = 0  # seeds of which nobody knows which lines they ran
        self._spreads: dict[str, Spread] = {}

    @property
    def judged(self) -> int:
        """How many seeds there were."""
        return self.verdicts.total()

    @property
    def valid(self) -> Any:
        """The verdict of all together."""
        return merge_valid(self.verdicts)

    @property
    def spreads(self) -> Iterator[tuple[str, Spread]]:
        """The figures, in the order in which the first seeds have them."""
        yield from sorted(self._spreads.items(), key=lambda item: item[1].first)

    def add(self, outcome: SeedResult) -> None:
        self.verdicts[outcome.valid] += 1
        if outcome.preempted_by:
            verdicts = self.preempted.setdefault(outcome.preempted_by, Counter())
            verdicts[outcome.valid is True] += 1
        for place, (name, figure) in enumerate(outcome.figures.items()):
            if figure.value is not None:
                spread = self._spreads.setdefault(name, Spread(figure))
                spread.add(figure.value, outcome.seed, place)
        if outcome.valid is not True:
            insort(self.failing, outcome, key=lambda each: each.seed)
            self.further.extend(each.seed for each in self.failing[FAILING_SHOWN:])
            del self.failing[FAILING_SHOWN:]
        elif outcome.told:
            self.doubts += 1
            if self.doubtful is None or outcome.seed < self.doubtful.seed:
                self.doubtful = outcome
        for file, lines in (outcome.lines or {}).items():
            self.reached.setdefault(file, set()).update(lines)
        self.unwatched += outcome.lines is None

    def news(self, lines: Lines | None) -> Lines | None:
        """The lines that no seed has run until now."""
        if lines is None:
            return None
        unknown = {
            file: sorted(set(ran) - self.reached.get(file, set())) for file, ran in lines.items()
        }
        return {file: ran for file, ran in unknown.items() if ran}
