"""Draws what the pages explain: a round of the hub, a stale read, a stable prefix.

    python -m benchmarks.drawings

writes the SVG files in docs/images. They follow the reader's light or dark mode, and the same
script gives the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"

STYLE = """
    text { font: 13px "DejaVu Sans", Verdana, sans-serif; fill: #24292f; }
    .small { font-size: 11.5px; }
    .middle { text-anchor: middle; }
    .end { text-anchor: end; }
    .line { stroke: #8c959f; fill: none; }
    .arrow { stroke: #1857a4; stroke-width: 1.5; fill: none; }
    .late { stroke: #b3541e; stroke-width: 1.5; fill: none; }
    .head { fill: #1857a4; }
    .late-head { fill: #b3541e; }
    .box { stroke: #8c959f; fill: #f6f8fa; }
    .full { stroke: #1857a4; fill: #cfe2f7; }
    .warn { fill: #b3541e; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .arrow { stroke: #6cb0ff; }
      .late { stroke: #f0883e; }
      .head { fill: #6cb0ff; }
      .late-head, .warn { fill: #f0883e; }
      .box { fill: #161b22; }
      .full { stroke: #6cb0ff; fill: #1d3b5c; }
    }
"""


class Drawing:
    """Lines, arrows, boxes and words, in pixels from the upper left corner."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._size = (width, height)
        self._parts = [f"<title>{escape(title)}</title>"]

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str = "line") -> None:
        path = f'<path class="{style}" d="M{x1:g} {y1:g} L{x2:g} {y2:g}"/>'
        self._parts.append(path)

    def arrow(self, x1: float, y1: float, x2: float, y2: float, late: bool = False) -> None:
        """A message, from where and when it is sent to where and when it arrives."""
        style, head = ("late", "late-head") if late else ("arrow", "head")
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        bx, by = x2 - 8 * ux, y2 - 8 * uy
        self.line(x1, y1, bx, by, style)
        points = [(x2, y2), (bx - 4 * uy, by + 4 * ux), (bx + 4 * uy, by - 4 * ux)]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polygon class="{head}" points="{corners}"/>')

    def text(self, x: float, y: float, words: str, style: str = "") -> None:
        attribute = f' class="{style}"' if style else ""
        self._parts.append(f'<text x="{x:g}" y="{y:g}"{attribute}>{escape(words)}</text>')

    def dot(self, x: float, y: float) -> None:
        self._parts.append(f'<circle class="head" cx="{x:g}" cy="{y:g}" r="4"/>')

    def box(self, x: float, y: float, width: float, height: float, style: str = "box") -> None:
        size = f'width="{width:g}" height="{height:g}" rx="3"'
        self._parts.append(f'<rect class="{style}" x="{x:g}" y="{y:g}" {size}/>')

    def __str__(self) -> str:
        width, height = self._size
        parts = "\n  ".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">\n'
            f"  <style>{STYLE}  </style>\n  {parts}\n</svg>\n"
        )


def lanes(drawing: Drawing, names: Sequence[str], ys: Sequence[float], end: float) -> None:
    """A line for each participant, along which time passes to the right."""
    for name, y in zip(names, ys):
        drawing.text(92, y + 4, name, "end")
        drawing.line(104, y, end, y)
    drawing.text(end, ys[-1] + 40, "time →", "small end")


def hub_round() -> Drawing:
    """Spokes gather what is new and send it so that it arrives just before the hub sends."""
    drawing = Drawing(760, 300, "A round of the hub")
    ys = (70, 130, 190, 250)
    lanes(drawing, ("hub n0", "spoke n1", "spoke n2", "spoke n3"), ys, 730)
    hop, margin, first, second = 64, 16, 160, 480  # in pixels; the hub sends at the last two
    for sent in (first, second):
        for y in ys[1:]:
            drawing.arrow(sent, ys[0], sent + hop, y)
    drawing.line(first, 44, second, 44)
    for x in (first, second):
        drawing.line(x, 38, x, 62)
    drawing.text((first + second) / 2, 34, "round = latency budget − round trip − margin", "middle")
    for x, y, value in ((250, ys[1], "a"), (330, ys[1], "b"), (300, ys[2], "c")):
        drawing.dot(x, y)
        drawing.text(x, y - 10, value, "middle")
    for y, batch in ((ys[1], "a b"), (ys[2], "c")):
        drawing.arrow(second - margin - hop, y, second - margin, ys[0])
        drawing.text(second - margin - hop - 8, y - 6, batch, "small end")
    drawing.text(second + 10, ys[0] - 8, "a b c, to everybody", "small")
    drawing.text(second + hop + 8, ys[2] - 10, "a, b and c are everywhere", "small")
    return drawing


def stale_read() -> Drawing:
    """A node that only reads seq-kv may be shown the past; one that has just written is not."""
    drawing = Drawing(760, 236, "A stale read in seq-kv")
    ys = (56, 120, 184)
    lanes(drawing, ("n0", "seq-kv", "n1"), ys, 730)
    drawing.arrow(186, ys[0], 216, ys[1])
    drawing.text(186, ys[0] - 10, "write n0 = 5", "small middle")
    drawing.arrow(220, ys[1], 250, ys[0])
    drawing.text(250, ys[0] - 10, "ok", "small middle")
    for x, answer, late in ((310, "3", True), (600, "5", False)):
        drawing.arrow(x, ys[2], x + 30, ys[1])
        drawing.arrow(x + 36, ys[1], x + 66, ys[2], late)
        drawing.text(x, ys[2] + 20, "read n0", "small middle")
        drawing.text(x + 66, ys[2] + 20, answer, "small middle warn" if late else "small middle")
    drawing.text(280, ys[2] + 40, "a stale read: 5 was acknowledged before", "small warn")
    drawing.arrow(450, ys[2], 480, ys[1])
    drawing.arrow(486, ys[1], 516, ys[2])
    drawing.text(450, ys[2] + 20, "write n1 = 2", "small middle")
    drawing.text(516, ys[2] + 20, "ok", "small middle")
    for x, state, style in ((116, "n0 = 3", "box"), (232, "n0 = 5", "full")):
        drawing.box(x, ys[1] - 11, 52, 22, style)
        drawing.text(x + 26, ys[1] + 4, state, "small middle")
    drawing.text(362, ys[1] - 10, "may show an old state", "small middle")
    drawing.text(580, ys[1] - 10, "whoever changed something sees the newest", "small middle")
    return drawing


def stable_prefix() -> Drawing:
    """Each node has the beginning of a log; the part that all nodes have is stable."""
    drawing = Drawing(760, 236, "A stable prefix")
    lengths = {"n0": 6, "n1": 5, "n2": 3}
    stable = min(lengths.values())
    left, size, top = 250, 44, 58
    for row, (node, length) in enumerate(lengths.items()):
        y = top + row * 54
        drawing.text(left - 20, y + 22, f"the log of n0, on {node}", "end")
        for place in range(length):
            drawing.box(left + place * size, y, 34, 34, "full" if place < stable else "box")
            drawing.text(left + place * size + 17, y + 22, "abcdef"[place], "middle")
        drawing.text(left + 6 * size + 24, y + 22, f"{node} says: {length} of n0", "small")
    edge = left + stable * size - 5
    drawing.line(edge, top - 14, edge, top + 156, "late")
    drawing.text(edge - 6, top - 20, "stable prefix: every node has it", "end")
    drawing.text(edge + 6, top - 20, "to be sent again, if it was lost")
    return drawing


DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "hub.svg": hub_round,
    "stale-read.svg": stale_read,
    "prefix.svg": stable_prefix,
}


def files() -> Iterator[tuple[Path, str]]:
    for name, draw in DRAWINGS.items():
        yield IMAGES / name, str(draw())


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text, "utf-8")
