"""Counters: which final reads are acceptable."""

from __future__ import annotations

import itertools

import pytest
from handwritten import fail, history, info, invoke, ok
from hypothesis import given
from hypothesis import strategies as st

from glomers.checkers import counter
from glomers.history.operations import as_map
from glomers.options import Options


def check(*steps):
    return counter.check(history(*steps), Options())


def final_read(process, value):
    return [invoke(process, "read", final=True), ok(process, value)]


def test_final_reads_that_are_the_sum_of_the_adds():
    result = check(
        invoke(0, "add", 3),
        invoke(1, "add", 4),
        ok(1),
        ok(0),
        *final_read(0, 7),
        *final_read(1, 7),
    )
    expected = {"valid?": True, "errors": None, "final-reads": [7, 7], "acceptable": [[7, 7]]}
    assert result == expected


def test_a_final_read_that_is_off_by_one():
    steps = [invoke(0, "add", 3), ok(0), *final_read(0, 3), *final_read(1, 2)]
    result = check(*steps)
    assert result["valid?"] is False
    assert result["errors"] == [as_map(history(*steps)[5])]
    assert result["errors"][0]["process"] == 1
    assert result["errors"][0]["value"] == 2


def test_earlier_reads_may_be_stale():
    steps = [invoke(0, "add", 3), ok(0), invoke(1, "read"), ok(1, 0), *final_read(1, 3)]
    assert check(*steps)["valid?"] is True


def test_a_refused_add_did_not_happen():
    assert check(invoke(0, "add", 3), fail(0), *final_read(0, 3))["valid?"] is False
    assert check(invoke(0, "add", 3), fail(0), *final_read(0, 0))["valid?"] is True


@pytest.mark.parametrize("end", [[info(0)], []], ids=["timed out", "open at the end"])
def test_an_add_of_unknown_outcome_may_have_happened_or_not(end):
    result = check(invoke(0, "add", 5), *end, *final_read(1, 5), *final_read(2, 0))
    assert result["valid?"] is True
    assert result["acceptable"] == [[0, 0], [5, 5]]
    assert check(invoke(0, "add", 5), *end, *final_read(1, 4))["valid?"] is False


def test_sums_that_touch_are_one_range():
    result = check(
        invoke(0, "add", 1), info(0), invoke(1, "add", -1), info(1), invoke(2, "add", 10), info(2)
    )
    assert result["acceptable"] == [[-1, 1], [9, 11]]


@pytest.mark.parametrize("value", [3.0, "3", None, True, [3]])
def test_only_an_integer_can_be_a_sum(value):
    result = check(invoke(0, "add", 3), ok(0), *final_read(0, value))
    assert result["final-reads"] == [value]
    assert result["valid?"] is False


@given(
    st.lists(st.integers(-5, 4), max_size=6),
    st.lists(st.integers(-20, 20), max_size=9),
)
def test_acceptable_is_exactly_what_the_unknown_adds_can_sum_to(certain, unknown):
    adds = [
        *(step for delta in certain for step in (invoke(0, "add", delta), ok(0))),
        *(step for delta in unknown for step in (invoke(1, "add", delta), info(1))),
    ]
    sums = {
        sum(certain) + sum(chosen)
        for size in range(len(unknown) + 1)
        for chosen in itertools.combinations(unknown, size)
    }
    acceptable = check(*adds)["acceptable"]
    assert {n for low, high in acceptable for n in range(low, high + 1)} == sums
    assert all(high + 1 < low for (_, high), (low, _) in itertools.pairwise(acceptable))
