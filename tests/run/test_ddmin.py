"""ddmin: what remains is enough to fail, and nothing of it can be left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from glomers.run.ddmin import ddmin


def shrink(items, fails):
    """What ddmin leaves of the items, and how many parts it tried."""
    tried = []

    def first_failing(parts):
        for place, part in enumerate(parts):
            tried.append(list(part))
            if fails(part):
                return place, part
        return None

    return list(ddmin(items, first_failing)), len(tried)


@given(st.sets(st.integers(0, 40)), st.integers(1, 41))
def test_what_must_all_be_there_remains_and_nothing_else(needed, count):
    needed = sorted(item for item in needed if item < count)
    assert shrink(range(count), lambda part: set(needed) <= set(part))[0] == needed


@given(st.lists(st.sets(st.integers(0, 15), min_size=1), min_size=1, max_size=4))
def test_nothing_of_what_remains_can_be_left_out(causes):
    def fails(part):
        return any(cause <= set(part) for cause in causes)

    left, _ = shrink(range(16), fails)
    assert fails(left)
    for place in range(len(left)):
        assert not fails([*left[:place], *left[place + 1 :]])


@given(st.functions(like=lambda number: False, returns=st.booleans(), pure=True))
def test_a_test_that_fails_at_random_comes_to_an_end_with_a_part_that_fails(flaky):
    left, _ = shrink(range(12), lambda part: len(part) == 12 or flaky(hash(tuple(part))))
    assert len(left) == 12 or flaky(hash(tuple(left)))


def test_a_single_cause_is_found_by_halving():
    left, tried = shrink(range(1024), lambda part: 700 in part)
    assert left == [700]
    assert tried <= 1 + 2 * 10


def test_what_fails_without_anything_needs_nothing():
    assert shrink(range(100), lambda part: True) == ([], 1)
    assert shrink([], lambda part: True) == ([], 0)


def test_the_search_goes_on_with_what_was_really_used():
    def first_failing(parts):
        for place, part in enumerate(parts):
            if 3 in part:
                return place, [item for item in part if item < 5]  # the others were never reached
        return None

    assert list(ddmin(range(64), first_failing)) == [3]
