"""Draws messages per operation over latency: broadcast.py over its dial, and what was published.

The published figures are those of 25 nodes, 100 ms between them and 100 operations a second, as
far as their authors tell them. A prototype is a bare design, tried on Maelstrom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

Point = tuple[float, float]  # median stable latency in ms, server messages per operation


@dataclass(frozen=True, slots=True)
class Mark:
    """A published design, and where its label goes: points to the right and up."""

    label: str
    at: Point
    kind: str
    offset: Point = (8, 4)


SAFE, UNSAFE, UNKNOWN, PROTOTYPE = "published, safe", "published, unsafe", "published", "prototype"
MARKS = (
    Mark("push, re-sender, state sync", (78, 14.7), SAFE, (9, 4)),
    Mark("push, no repair", (84, 11.8), UNSAFE, (9, -12)),
    Mark("3-ary tree per origin", (203, 11.6), UNSAFE, (9, -4)),
    Mark("10-ary tree, 50 ms batches", (333, 7.75), SAFE),
    Mark("star, 500 ms batches", (764, 1.92), UNKNOWN, (8, 2)),
    Mark("hub 500 ms, spokes 100 ms", (339, 1.99), UNKNOWN, (-6, 9)),
    Mark("star, 1 s batches", (462, 2.0), UNKNOWN, (-4, -14)),
    Mark("push, full-set digests", (73, 12.23), PROTOTYPE, (12, 2)),
    Mark("hub, 0.38 s rounds", (254, 1.37), PROTOTYPE, (8, 3)),
    Mark("hub, 1.55 s rounds", (865, 0.41), PROTOTYPE, (8, 3)),
)
COLOURS = {SAFE: "#b3541e", UNSAFE: "#b3541e", UNKNOWN: "#b3541e", PROTOTYPE: "#6b6b6b"}
SHAPES = {SAFE: "o", UNSAFE: "x", UNKNOWN: "D", PROTOTYPE: "+"}
OURS, LIMIT = "#1857a4", "#3a7d44"

# 2n-2 = 48 messages a round of W seconds, and 100 operations a second. A value takes W/2 + 0.2 s
# in the mean, but the checker reads one hop less: in Maelstrom, a client's request that finds
# a message under way to its node waits for it, and so a read already shows what comes then.
ROUNDS = [second / 100 for second in range(4, 181)]
ROUND_LIMIT = [(1000 * (w / 2 + 0.1), 0.48 / w) for w in ROUNDS]


def draw(ours: Sequence[Point], path: Path) -> None:
    """Draw the picture; the suffix of `path` says in which format.

    `ours` is the curve over the dial. The same points give the same file.
    """
    settings = {"svg.hashsalt": "broadcast", "font.size": 9.5, "font.family": "DejaVu Sans"}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(8.6, 5.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(*zip(*ROUND_LIMIT), "--", color=LIMIT, linewidth=1.2,
                  label="limit of full rounds: 0.48/W, read as W/2 + 0.1 s")  # fmt: skip
        axes.plot(*zip(*ours), "o-", color=OURS, linewidth=2, markersize=5,
                  label="broadcast.py over its dial, 0 … 2 s")  # fmt: skip
        add_marks(axes)
        axes.set_yscale("log")
        axes.set_ylim(0.2, 30)
        axes.set_xlim(0, 1180)
        axes.set_yticks([0.25, 0.5, 1, 2, 4, 8, 16], ["0.25", "0.5", "1", "2", "4", "8", "16"])
        axes.minorticks_off()
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("median stable latency, as the checker reads it (ms)")
        axes.set_ylabel("messages between servers per operation")
        axes.legend(loc="upper right", frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, dpi=110, metadata=metadata)


def add_marks(axes: Any) -> None:
    for kind, shape in SHAPES.items():
        points = [mark.at for mark in MARKS if mark.kind == kind]
        axes.plot(*zip(*points), shape, color=COLOURS[kind], markersize=7, label=kind)
    for mark in MARKS:
        axes.annotate(mark.label, mark.at, mark.offset, textcoords="offset points",
                      color=COLOURS[mark.kind], fontsize=8.5)  # fmt: skip
