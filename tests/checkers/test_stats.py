"""Statistics and availability: what is counted, and what makes a run invalid."""

from __future__ import annotations

import pytest
from handwritten import fail, history, info, invoke, nemesis, ok

from glomers.checkers import availability, stats
from glomers.checkers.verdict import merge_valid
from glomers.options import Options


def test_operations_are_counted_as_they_ended_in_all_and_of_each_kind():
    result = stats.check(
        history(
            nemesis("start-partition"),
            invoke(0, "add", 1),
            ok(0),
            invoke(0, "read"),
            fail(0),
            invoke(0, "read"),
            ok(0, []),
            invoke(0, "add", 2),
            info(0),
            invoke(1, "add", 3),  # still open at the end
        ),
        Options(),
    )
    assert result == {
        "valid?": True,
        "count": 4,
        "ok-count": 2,
        "fail-count": 1,
        "info-count": 1,
        "by-f": {
            "add": {
                "valid?": True,
                "count": 2,
                "ok-count": 1,
                "fail-count": 0,
                "info-count": 1,
            },
            "read": {
                "valid?": True,
                "count": 2,
                "ok-count": 1,
                "fail-count": 1,
                "info-count": 0,
            },
        },
    }


def test_every_kind_of_operation_must_succeed_once():
    steps = [invoke(0, "add", 1), ok(0), invoke(0, "read"), fail(0)]
    result = stats.check(history(*steps), Options())
    assert result["valid?"] is False
    assert result["by-f"]["add"]["valid?"] is True
    assert result["by-f"]["read"]["valid?"] is False


@pytest.mark.parametrize("f", ["crash", "debug-topic-partitions"])
def test_but_for_those_that_are_there_to_crash(f):
    result = stats.check(history(invoke(0, "poll"), ok(0), invoke(0, f), info(0)), Options())
    assert result["valid?"] is True
    assert result["by-f"][f]["valid?"] is False


def available(expected, *steps):
    return availability.check(history(*steps), Options(availability=expected))


HALF = [
    nemesis("start-partition"),
    invoke(0, "read"),
    ok(0),
    invoke(0, "read"),
    fail(0),
    invoke(0, "read"),
    info(0),
    invoke(1, "read"),
    ok(1),
]


def test_availability_is_the_fraction_of_the_invoked_operations_that_succeeded():
    assert available(None, *HALF) == {"valid?": True, "ok-fraction": 0.5}


def test_an_operation_that_never_ended_did_not_succeed():
    assert available(None, *HALF, invoke(2, "read"))["ok-fraction"] == 0.4


@pytest.mark.parametrize(
    ("expected", "valid"), [(None, True), ("total", False), (0.5, True), (0.51, False), (0, True)]
)
def test_availability_is_judged_by_what_was_asked_for(expected, valid):
    assert available(expected, *HALF)["valid?"] is valid


def test_total_availability():
    assert available("total", invoke(0, "read"), ok(0)) == {"valid?": True, "ok-fraction": 1.0}


def test_a_run_without_operations_has_not_failed_any():
    assert available("total") == {"valid?": True, "ok-fraction": 1}


def test_the_fraction_has_single_precision():
    steps = [step for _ in range(3) for step in (invoke(0, "read"), ok(0))]
    assert available(0.75, *steps, invoke(0, "read"))["ok-fraction"] == 0.75
    assert available(None, *steps[:4], invoke(0, "read"))["ok-fraction"] == 0.6666667


@pytest.mark.parametrize(
    ("verdicts", "merged"),
    [
        ([], True),
        ([True, True], True),
        ([True, "unknown", True], "unknown"),
        (["unknown", False, True], False),
    ],
)
def test_false_beats_unknown_beats_true(verdicts, merged):
    assert merge_valid(verdicts) == merged
