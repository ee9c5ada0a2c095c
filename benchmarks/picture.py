"""Draws messages per operation over a time: a script over its dial, and what was published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Point = tuple[float, float]  # milliseconds, and server messages per operation


@dataclass(frozen=True, slots=True)
class Mark:
    """A published design, and where its label goes: points to the right and up."""

    label: str
    at: Point
    kind: str
    offset: Point = (8, 4)


@dataclass(frozen=True, slots=True)
class Curve:
    label: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Picture:
    """The axes of a picture, and what it shows beside the curves that are measured.

    `guides` are drawn dashed. `ticks` are those of the axis of messages.
    """

    name: str
    time: str  # what the axis of time says
    marks: Sequence[Mark] = ()
    guides: Sequence[Curve] = ()
    times: Point = (0, 1000)
    messages: Point = (0.1, 10)
    ticks: Sequence[float] = ()
    time_ticks: Sequence[float] = ()  # those of a logarithmic axis of time, if it is one
    legend: str = "upper right"


LAGS = (1, 2000)  # ms


def of_lags(
    name: str, time: str, marks: Sequence[Mark] = (), guides: Sequence[Curve] = ()
) -> Picture:
    """A picture with those axes that pictures over lags have in common."""
    return Picture(
        name,
        time,
        marks,
        guides,
        times=LAGS,
        messages=(0.001, 1000),
        ticks=(0.001, 0.01, 0.1, 1, 10, 100, 1000),
        time_ticks=(1, 3, 10, 30, 100, 300, 1000),
        legend="lower left",
    )


SAFE, UNSAFE, UNKNOWN, PROTOTYPE = "published, safe", "published, unsafe", "published", "prototype"
COLOURS = {SAFE: "#b3541e", UNSAFE: "#b3541e", UNKNOWN: "#b3541e", PROTOTYPE: "#6b6b6b"}
SHAPES = {SAFE: "o", UNSAFE: "x", UNKNOWN: "D", PROTOTYPE: "+"}
OURS, GUIDES = ("#1857a4", "#7b3fa0", "#c2410c"), "#3a7d44"


def draw(picture: Picture, ours: Sequence[Curve], path: Path) -> None:
    """Draw the picture; the suffix of `path` says in which format.

    `ours` are the curves over the dial. The same points give the same file. Raises
    ModuleNotFoundError if there is no matplotlib.
    """
    import matplotlib
    from matplotlib.figure import Figure

    settings = {"svg.hashsalt": picture.name, "font.size": 9.5, "font.family": "DejaVu Sans"}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(8.6, 5.2), layout="constrained")
        axes = figure.add_subplot()
        for guide in picture.guides:
            axes.plot(*zip(*guide.points), "--", color=GUIDES, linewidth=1.2, label=guide.label)
        for curve, colour in zip(ours, OURS):
            axes.plot(*zip(*curve.points), "o-", color=colour, linewidth=2, markersize=5,
                      label=curve.label)  # fmt: skip
        add_marks(axes, picture.marks)
        axes.set_yscale("log")
        axes.set_ylim(*picture.messages)
        if picture.time_ticks:
            axes.set_xscale("log")
            axes.set_xticks(picture.time_ticks, [f"{tick:g}" for tick in picture.time_ticks])
        axes.set_xlim(*picture.times)
        axes.set_yticks(picture.ticks, [f"{tick:g}" for tick in picture.ticks])
        axes.minorticks_off()
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel(picture.time)
        axes.set_ylabel("messages between servers per operation")
        axes.legend(loc=picture.legend, frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, dpi=110, metadata=metadata)


def add_marks(axes: Any, marks: Sequence[Mark]) -> None:
    for kind, shape in SHAPES.items():
        points = [mark.at for mark in marks if mark.kind == kind]
        if points:
            axes.plot(*zip(*points), shape, color=COLOURS[kind], markersize=7, label=kind)
    for mark in marks:
        axes.annotate(mark.label, mark.at, mark.offset, textcoords="offset points",
                      color=COLOURS[mark.kind], fontsize=8.5)  # fmt: skip
