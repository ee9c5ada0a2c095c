"""Latency and rate of a test's operations over time as PNG, for a lecture.

They are drawn by matplotlib, which is an extra: `pip install gossip-glomers[png]`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glomers.errors import UsageError
from glomers.history.times import NANOS
from glomers.report.page import Run, written_whole

LATENCY, RATE = "latency-plot.png", "rate-plot.png"
# Okabe and Ito's colours, as on the page; what has no answer is neither.
COLOURS = {"ok": "#0072b2", "info": "#d98b00", "fail": "#c8420a", "no answer": "#8a93a3"}
MARKS = "o^sDvP*X"  # one for each kind of operation
DASHES = ("-", "--", "-.", ":")
BANDS = ("#56b4e9", "#cc79a7", "#009e73", "#f0e442", "#e69f00")  # one for each fault
SIZE, DOTS = (10, 5.2), 150  # inches, and dots in an inch
LINEAR = 0.1  # milliseconds; below it the axis isn't logarithmic: simulated latencies may be 0
WINDOWS = 60  # of which a rate is the mean, over the test


def write(run: Run, folder: Path) -> list[Path]:
    """Draw both pictures; their paths.

    Raises UsageError if matplotlib isn't installed, or the test has no operations, and OSError if
    a file can't be written.
    """
    try:
        import matplotlib
    except ImportError:
        raise UsageError(
            "--png needs matplotlib, which is not installed: pip install 'gossip-glomers[png]'"
        ) from None
    operations = list(_operations(run))
    if not operations:
        raise UsageError(f"{run.workload}/{run.folder} has no operations to draw")
    end = max(at + took for at, took, _, _ in operations)
    settings = {"font.size": 12, "axes.spines.top": False, "axes.spines.right": False}
    paths = [folder / LATENCY, folder / RATE]
    with matplotlib.rc_context(settings):
        with _picture(run, paths[0], "latency (ms)", end) as axes:
            _draw_latency(axes, operations)
        with _picture(run, paths[1], "operations per second", end) as axes:
            _draw_rate(axes, operations, end)
    return paths


# When it was invoked and how long it took (seconds), its name and its outcome.
Drawn = tuple[float, float, str, str]


def _operations(run: Run) -> Iterator[Drawn]:
    last = run.history[-1].time if len(run.history) else 0
    for began, ended in run.history.pairs():
        took = (ended.time if ended else last) - began.time
        yield began.time / NANOS, took / NANOS, began.f, ended.type if ended else "no answer"


@contextmanager
def _picture(run: Run, path: Path, what: str, end: float) -> Iterator[Any]:
    """Axes over time, with the faults shaded; afterwards they are written to the file."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(f"{run.workload} · {run.folder}", loc="left", fontsize=12, parse_math=False)
    axes.set_xlabel("time (s)")
    axes.set_ylabel(what)
    axes.set_xlim(0, 1.01 * end or 1)
    axes.grid(alpha=0.25)
    kinds = sorted({span.name for span in run.faults})
    for span in run.faults:
        until = end if span.end is None else span.end / NANOS
        colour = BANDS[kinds.index(span.name) % len(BANDS)]
        first = span is next(s for s in run.faults if s.name == span.name)
        label = span.name if first else None
        axes.axvspan(span.start / NANOS, until, color=colour, alpha=0.22, lw=0, label=label)
    yield axes
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    with written_whole(path) as out:
        figure.savefig(out.buffer, dpi=DOTS, format="png")


def _kinds(operations: Sequence[Drawn]) -> list[tuple[str, str, int]]:
    """Each name with each of its outcomes, and the number of the name."""
    names = sorted({name for _, _, name, _ in operations})
    found = {(name, outcome) for _, _, name, outcome in operations}
    return [
        (name, outcome, number)
        for number, name in enumerate(names)
        for outcome in COLOURS
        if (name, outcome) in found
    ]


def _draw_latency(axes: Any, operations: Sequence[Drawn]) -> None:
    axes.set_yscale("symlog", linthresh=LINEAR)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for name, outcome, number in _kinds(operations):
        dots = [(at, took) for at, took, *kind in operations if kind == [name, outcome]]
        axes.scatter(
            [at for at, _ in dots],
            [took * 1000 for _, took in dots],
            s=14,
            marker=MARKS[number % len(MARKS)],
            color=COLOURS[outcome],
            alpha=0.7,
            linewidths=0,
            label=f"{name} {outcome}",
        )
    axes.set_ylim(bottom=-LINEAR / 4)


def _draw_rate(axes: Any, operations: Sequence[Drawn], end: float) -> None:
    """How many ended in a second, as the mean of a window."""
    width = max(1, math.ceil(end / WINDOWS))
    windows = max(1, math.ceil(end / width))
    middles = [(number + 0.5) * width for number in range(windows)]
    for name, outcome, number in _kinds(operations):
        ended = Counter(
            min(windows - 1, int((at + took) / width))
            for at, took, *kind in operations
            if kind == [name, outcome]
        )
        # The last window may be shorter.
        lengths = [min(width, end - n * width) or width for n in range(windows)]
        axes.plot(
            middles,
            [ended[n] / lengths[n] for n in range(windows)],
            DASHES[number % len(DASHES)],
            marker=MARKS[number % len(MARKS)],
            markersize=4,
            color=COLOURS[outcome],
            label=f"{name} {outcome}",
        )
    axes.set_ylim(bottom=0)
