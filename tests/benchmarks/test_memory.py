"""What nodes keep: the data grow, the logs don't, and nothing else does."""

from __future__ import annotations

import math

import pytest

from benchmarks.memory import NODES, Row, measure, per_day

HOURS = 0.02
KEPT = 100  # of each log, and as many again until they are dropped


@pytest.mark.parametrize("script", NODES)
def test_logs_do_not_grow_but_data_do(script):
    rows = list(measure(script, HOURS, KEPT))

    half, last = rows[len(rows) // 2 - 1], rows[-1]
    assert last.entries <= 2.5 * KEPT * NODES[script]
    assert last.other <= 1.1 * half.other
    assert last.data > 1.5 * half.data


def test_what_is_never_dropped_is_kept_on_every_node():
    rows = list(measure("txn.py", HOURS, math.inf))

    writes = round(HOURS * 3600 * 100)
    assert [row.entries for row in rows] == [writes * tenth // 10 for tenth in range(1, 11)]


def test_a_day_is_the_growth_of_the_second_half_in_a_straight_line():
    growths = [0, 500, 900, 1000]
    rows = [Row(1 + hour, 0, 0, 0, 0, growth) for hour, growth in enumerate(growths)]

    assert per_day(rows) == 24 * (1000 - 500) / 2
