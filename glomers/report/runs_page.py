"""The pages that `serve` shows beside those of tests: all runs, two side by side, one by itself.

Texts from a run are data: `markup.tag` escapes every one of them, and a Content-Security-Policy
lets nothing run but the server's own script.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from urllib.parse import quote_from_bytes

from glomers.errors import quote
from glomers.report.figures import Figure
from glomers.report.markup import Markup, joined, tag
from glomers.report.page import TEMPLATE
from glomers.report.summary import Row

# What may have become of a run: a verdict, or one of these.
RUNNING, ENDED, UNREADABLE = "running", "ended early", "unreadable"
MARKS = {
    "valid": "✓",
    "invalid": "✗",
    "unknown": "?",
    RUNNING: "▶",
    ENDED: "–",
    UNREADABLE: "–",
}
FIGURES_SHOWN = 6  # of a run in the list
LONG = 300  # characters of a command or a reason in the list

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run as the list shows it.

    `name` is that of its folder in the store, such as "echo/20261124T182818.121". `state` is one of
    MARKS. `figures` and `rows` are the same figures, as numbers and as they are shown.
    """

    name: str
    state: str
    when: datetime
    challenge: str = ""
    command: str = ""
    seed: int | None = None
    engine: str = ""
    figures: Sequence[Figure] = ()
    rows: Sequence[Row] = ()
    reasons: Sequence[str] = ()

    @property
    def workload(self) -> str:
        return self.name.partition("/")[0]


def style() -> str:
    return "".join((TEMPLATE / name).read_text("utf-8") for name in ("page.css", "runs.css"))


def script() -> str:
    return (TEMPLATE / "runs.js").read_text("utf-8")


def address(run: str, *more: str) -> str:
    """The path of a run in an URL, or of something that belongs to it."""
    parts = ["run", *run.split("/"), *more]
    return "".join(
        f"/{quote_from_bytes(part.encode('utf-8', 'surrogateescape'))}" for part in parts
    )


def _compared(runs: Sequence[KeptRun]) -> str:
    names = (
        f"run={quote_from_bytes(run.name.encode('utf-8', 'surrogateescape'), safe='')}"
        for run in runs
    )
    return f"/compare?{'&'.join(names)}"


def _page(title: str, *content: str | None, kind: str) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="stylesheet", href="/style.css"),
        tag("script", src="/script.js", type="module"),
    )
    text = "<!doctype html>\n" + tag("html", head, tag("body", *content, class_=kind), lang="en")
    return text.encode("utf-8", "replace").decode("utf-8")


def _badge(run: KeptRun) -> Markup:
    mark = tag("span", MARKS[run.state], class_="mark", aria_hidden="true")
    return tag("span", mark, f" {run.state}", class_=f"state {run.state.replace(' ', '-')}")


def _moment(run: KeptRun) -> Markup:
    return tag("time", f"{run.when:%Y-%m-%d %H:%M:%S}", datetime=run.when.isoformat())


# All runs

COLUMNS = ("verdict", "test", "when", "seed", "figures", "command")


def all_runs(runs: Sequence[KeptRun], store: str, state: str) -> str:
    """All runs, the latest first. `state` is what `/changes` said before they were read."""
    states = [state for state in MARKS if any(run.state == state for run in runs)]
    options = [tag("option", "all", value=""), *(tag("option", s, value=s) for s in states)]
    names = {figure.name: None for run in runs for figure in run.figures}
    by_figure = [tag("option", "", value=""), *(tag("option", name, value=name) for name in names)]
    tools = tag(
        "div",
        tag("label", "Text ", tag("input", type="search", id="text-filter", spellcheck="false")),
        tag("label", "Verdict ", tag("select", *options, id="state-filter")),
        tag("label", "Sort by ", tag("select", *by_figure, id="figure")),
        tag("output", id="count"),
        tag("button", "compare two", type="submit", id="compare"),
        class_="tools",
    )
    heads = [
        tag("th", tag("button", name, type="button", data_sort=number), scope="col")
        if name != "figures"
        else tag("th", name, scope="col")
        for number, name in enumerate(COLUMNS)
    ]
    table = tag(
        "table",
        tag("thead", tag("tr", tag("th", tag("span", "compare", class_="unseen")), *heads)),
        tag("tbody", *map(_row, runs)),
        class_="runs",
    )
    none = tag("p", "There are no runs yet: each test that is kept appears here.", class_="hint")
    many = "1 run" if len(runs) == 1 else f"{len(runs):,} runs"
    return _page(
        many,
        tag("h1", "Runs"),
        tag("p", f"{many} in {store}", id="subject", data_state=state),
        tag("form", tools, table, action="/compare") if runs else none,
        kind="list",
    )


def _row(run: KeptRun) -> Markup:
    box = tag(
        "input", type="checkbox", name="run", value=run.name, aria_label=f"compare {run.name}"
    )
    test = f"{run.challenge} · {run.workload}" if run.challenge else run.workload
    why = quote("; ".join(run.reasons), LONG)
    what = joined(tag("p", why, class_="why") if why else None, *map(_figure, _telling(run.rows)))
    cells = (
        (_badge(run), list(MARKS).index(run.state)),
        (tag("a", test, href=address(run.name)), test),
        (_moment(run), run.when.timestamp()),
        ("" if run.seed is None else str(run.seed), -1 if run.seed is None else run.seed),
        (what, ""),
        (tag("code", quote(run.command, LONG)), run.command),
    )
    return tag(
        "tr",
        tag("td", box),
        *(
            tag("td", shown, data_value=str(value), class_=name)
            for name, (shown, value) in zip_longest(COLUMNS, cells)
        ),
        data_state=run.state,
        data_figures=json.dumps({f.name: f.value for f in run.figures if f.value is not None}),
    )


def _telling(rows: Sequence[Row]) -> list[Row]:
    """The figures that the list has room for: those with a target first."""
    valued = [row for row in rows if row.value]
    return sorted(valued, key=lambda row: row.reached is None)[:FIGURES_SHOWN]


def _figure(row: Row) -> Markup:
    return tag("span", f"{row.figure} ", tag("b", row.value), _target(row), class_="figure")


def _target(row: Row) -> Markup | None:
    if row.reached is None:
        return None
    mark, reached = ("✓", "reached") if row.reached else ("✗", "missed")
    return tag("span", f" {mark} {row.target}", class_=reached)


# Two runs


def compared(one: KeptRun, other: KeptRun) -> str:
    """Two runs side by side; where they differ is marked."""
    both = (one, other)
    figures = {name: None for run in both for name in (figure.name for figure in run.figures)}
    texts: list[tuple[str, Sequence[str]]] = [
        ("verdict", [_badge(run) for run in both]),
        ("workload", [run.workload for run in both]),
        ("challenge", [run.challenge for run in both]),
        ("seed", ["" if run.seed is None else str(run.seed) for run in both]),
        ("engine", [run.engine for run in both]),
        ("command", [tag("code", run.command) for run in both]),
        ("why", ["; ".join(run.reasons) for run in both]),
    ]
    lines = [_line(name, shown[0], shown[1]) for name, shown in texts]
    lines += [_compared_figure(name, *both) for name in figures]
    head = tag(
        "tr",
        tag("td"),
        *(tag("th", tag("a", run.name, href=address(run.name)), scope="col") for run in both),
        tag("th", "change", scope="col"),
    )
    return _page(
        f"{one.name} and {other.name}",
        _way_back(tag("a", "the other way round", href=_compared((other, one)))),
        tag("h1", "Two runs"),
        tag("table", tag("thead", head), tag("tbody", *lines), class_="two"),
        kind="compare",
    )


def _line(name: str, one: str, other: str, difference: str = "") -> Markup:
    differs = one != other
    cells = (tag("td", text) for text in (one, other, difference or ("≠" if differs else "")))
    return tag("tr", tag("th", name, scope="row"), *cells, class_="differs" if differs else None)


def _compared_figure(name: str, *both: KeptRun) -> Markup:
    shown = [next((_of_row(r) for r in run.rows if r.figure == name), Markup()) for run in both]
    one, other = (next((f.value for f in run.figures if f.name == name), None) for run in both)
    return _line(name, shown[0], shown[1], _difference(one, other))


def _of_row(row: Row) -> Markup:
    remark = tag("span", f" {row.remark}", class_="remark") if row.remark else None
    return joined(row.value, _target(row), remark)


def _difference(one: float | None, other: float | None) -> str:
    """How much more the second is than the first, in percent where that says something."""
    if one is None or other is None or one == other:
        return ""
    if not one:
        return f"{other - one:+,.4g}"
    return f"{(other - one) / abs(one):+,.1%}".replace("%", " %")


# One run


def one_run(run: KeptRun, files: Sequence[str]) -> str:
    """A run: what is known of it, its page, and its files. While it goes on, how far it is."""
    page = address(run.name, "report.html")
    facts = [
        ("when", _moment(run)),
        ("challenge", run.challenge),
        ("seed", "" if run.seed is None else str(run.seed)),
        ("engine", run.engine),
        ("command", tag("code", run.command) if run.command else ""),
        *((row.figure, _of_row(row)) for row in run.rows),
    ]
    known = [tag("tr", tag("th", name, scope="row"), tag("td", it)) for name, it in facts if it]
    return _page(
        f"{MARKS[run.state]} {run.name}",
        _way_back(),
        tag("h1", run.name),
        tag("p", _badge(run), class_="large"),
        tag("ul", *(tag("li", reason) for reason in run.reasons)) if run.reasons else None,
        _growing(run, page) if run.state == RUNNING else tag("p", tag("a", "its page", href=page)),
        tag("table", tag("tbody", *known), class_="facts"),
        tag("h2", "Files"),
        tag("ul", *(_file(run, name) for name in files), class_="files"),
        kind="run",
    )


def _growing(run: KeptRun, page: str) -> Markup:
    """How far a run is, its page, and its log; the script renews them."""
    box = tag("input", type="checkbox", id="keep-up", checked=True)
    frame = tag("iframe", title="What the run has done so far", src=page, id="so-far")
    return tag(
        "section",
        tag("p", tag("output", id="progress", data_progress=address(run.name, "progress"))),
        tag("p", tag("label", box, " renew the page "), tag("a", "the page alone", href=page)),
        tag("div", frame, class_="frames"),
        tag("h2", "run.log"),
        tag("pre", id="log"),
    )


def _file(run: KeptRun, name: str) -> Markup:
    return tag("li", tag("a", name, href=address(run.name, "file", *name.split("/"))))


def _way_back(*more: str) -> Markup:
    return tag("nav", tag("a", "← all runs", href="/"), *(joined(" · ", link) for link in more))


def problem(title: str, text: str) -> str:
    """What is said instead of a page."""
    return _page(title, _way_back(), tag("h1", title), tag("p", quote(text, 1000)), kind="problem")
