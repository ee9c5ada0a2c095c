"""Goals, columns and rows of the benchmarks, and which commands their rows run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import broadcast, kafka, txn
from benchmarks.measuring import (
    HEAL,
    SOUND,
    Case,
    Column,
    Figures,
    Goal,
    command,
    dialled,
    over_dial,
    show,
    summarise,
)
from maelstrom_node import _seconds as seconds

MESSAGES = Column("messages", "messages/op", "{:.2f}")
LOST = Column("lost", "lost", "{:g}", max)
BENCHMARKS = (broadcast.BENCHMARK, kafka.BENCHMARK, txn.BENCHMARK)


@pytest.mark.parametrize(
    ("relation", "value", "reached"),
    [("<=", 2.0, True), ("<=", 2.1, False), ("<", 2.0, False), ("<", 1.9, True)],
)
def test_a_goal_is_a_limit_that_may_or_may_not_be_touched(relation, value, reached):
    assert Goal(relation, 2).reached(value) is reached


def test_a_missed_goal_says_what_the_figure_is_and_what_it_should_be():
    case = Case("3c", "", {"messages": Goal("<=", 2), "lost": Goal("<", 1)})
    assert case.missed({"messages": 2.25, "lost": 0}) == ["messages is 2.25, not <= 2"]


def test_a_goal_whose_figure_was_not_measured_is_missed():
    assert Case("3c", "", {"heal": Goal("<=", 1)}).missed({}) == ["heal was not measured"]


def test_the_median_of_the_seeds_is_shown_but_the_worst_of_what_must_not_happen():
    runs: list[Figures] = [{"messages": 1, "lost": 0}, {"messages": 9, "lost": 3}, {"messages": 2}]
    assert summarise([MESSAGES, LOST], runs) == {"messages": 2, "lost": 3}


def test_a_figure_that_no_seed_measured_is_missing():
    assert summarise([MESSAGES, HEAL], [{"messages": 1}]) == {"messages": 1}
    assert HEAL.cell({"messages": 1}) == ""


def test_a_value_that_never_shows_is_written_as_a_word():
    assert HEAL.cell({"heal": math.inf}) == "never"
    assert HEAL.cell({"heal": 1.057}) == "1.06 s"


def shown(*cases: Case) -> list[list[str]]:
    """The cells of a table in which every case has 1.5 messages, and loses nothing."""
    console = Console(width=200, soft_wrap=True)
    table = show([MESSAGES, LOST], cases, [{"messages": 1.5, "lost": 0}] * len(cases), "a figure")
    with console.capture() as capture:
        console.print(table)
    rows = [line for line in capture.get().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_a_table_has_a_row_for_each_case_and_says_whether_its_goals_are_reached():
    cheap, dear = {"messages": Goal("<=", 2)}, {"messages": Goal("<=", 1)}
    header, _, *rows = shown(Case("a", "", cheap, "3"), Case("b", "", dear), Case("c", ""))
    assert header == ["", "messages/op", "lost", "goals", "published: a figure"]
    assert rows == [
        ["a", "1.50", "0", "reached", "3"],
        ["b", "1.50", "0", "MISSED", ""],
        ["c", "1.50", "0", "", ""],
    ]


def test_a_table_without_published_figures_has_no_column_for_them():
    header, *_ = shown(Case("a", ""))
    assert header == ["", "messages/op", "lost", "goals"]


def test_a_command_is_a_challenges_own_with_flags_of_its_own_and_other_arguments():
    flags = command("3d", "--p-loss", "0.1", node=("--max-latency", "1s"))
    assert flags.endswith("--rate 100 --latency 100 --p-loss 0.1 -- --max-latency 1s")
    assert dialled("3d", "1s", "--p-loss", "0.1") == flags


def test_a_row_for_each_place_of_a_dial_permits_no_longer_lag_than_the_dial():
    goals, published = {"100ms": {"messages": Goal("<=", 0.08)}}, {"0": "1.37"}
    pushed, batched, *_ = over_dial("5c", "5c", "--rate", "10", goals=goals, published=published)
    assert (pushed.name, pushed.published) == ("5c, dial 0", "1.37")
    assert pushed.goals == SOUND
    assert (batched.name, batched.published) == ("5c, dial 100ms", "")
    assert batched.flags.endswith("--rate 1000 --rate 10 -- --max-latency 100ms")
    assert batched.goals == {**SOUND, "max_lag": Goal("<=", 100), "messages": Goal("<=", 0.08)}


@pytest.mark.parametrize(("dial", "time"), [("0", 0), ("600ms", 0.6), ("2s", 2), ("1.5s", 1.5)])
def test_a_dial_says_a_time(dial, time):
    assert seconds(dial) == time


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_every_row_runs_a_script_that_is_there_and_has_goals_that_are_measured(benchmark):
    names = {column.name for column in benchmark.columns}
    drawn = [case for curve in benchmark.curves.values() for case in curve]
    for case in (*benchmark.cases, *benchmark.ladder, *drawn):
        assert Path(case.options().bin).is_file(), case.name
        assert case.goals.keys() <= names, case.name


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_every_row_of_a_table_has_a_name_of_its_own(benchmark):
    for cases in (benchmark.cases, benchmark.ladder):
        names = [case.name for case in cases]
        assert len(set(names)) == len(names)
