"""Unique ids: what counts as the same id, and which duplicates are shown."""

from __future__ import annotations

from handwritten import fail, history, info, invoke, ok
from hypothesis import given
from hypothesis import strategies as st
from json_values import VALUES

from glomers.checkers import unique_ids
from glomers.history import edn
from glomers.options import Options


def check(*steps):
    return unique_ids.check(history(*steps), Options())


def generated(*ids):
    """The result of a run in which a node gave these ids."""
    return check(*(step for id in ids for step in (invoke(0, "generate"), ok(0, id))))


def test_different_ids():
    assert generated(3, 1, 2) == {
        "valid?": True,
        "attempted-count": 3,
        "acknowledged-count": 3,
        "duplicated-count": 0,
        "duplicated": {},
        "range": [1, 3],
    }


def test_an_id_that_was_given_twice():
    result = generated("a", "b", "a", "c", "a", "b")
    assert result["valid?"] is False
    assert result["duplicated-count"] == 2
    assert result["duplicated"] == {"a": 3, "b": 2}


def test_refused_and_unanswered_requests_are_attempts():
    result = check(
        invoke(0, "generate"), fail(0), invoke(0, "generate"), info(0), invoke(1, "generate")
    )
    assert result["valid?"] is True
    assert (result["attempted-count"], result["acknowledged-count"]) == (3, 0)
    assert result["range"] == [None, None]


def test_ids_of_all_kinds_are_told_apart():
    ids = [1, 1.0, True, "1", None, [1], [1.0], {"a": 1}, {"a": 1.0}, [], {}, "", 0, False]
    result = generated(*ids)
    assert result["valid?"] is True
    assert edn.dumps(result["range"]) == '[0 {"a" 1.0}]'


def test_compound_ids_that_are_equal_are_duplicates():
    result = generated(["n1", 1], {"b": [2], "a": 1}, ["n1", 1], {"a": 1, "b": [2]})
    assert result["duplicated-count"] == 2
    assert edn.dumps(result["duplicated"]) == '{["n1" 1] 2, {"a" 1, "b" [2]} 2}'


def test_string_ids_stay_strings_among_the_results():
    result = generated("a-1", "a-1")
    assert edn.dumps(edn.keywordized(result)["duplicated"]) == '{"a-1" 2}'


def test_of_many_duplicates_the_most_frequent_and_then_the_highest_are_shown():
    ids = [id for id in range(100) for _ in range(3 if id == 7 else 2)]
    result = generated(*ids)
    assert result["duplicated-count"] == 100
    assert result["duplicated"] == {7: 3, **dict.fromkeys(range(53, 100), 2)}
    assert list(result["duplicated"]) == sorted(result["duplicated"])


def test_the_range_leaves_null_out_and_compares_strings_as_text():
    assert generated("n10-2", "n9-1", None)["range"] == ["n10-2", "n9-1"]
    assert generated("a", 5, 17.5)["range"] == [5, "a"]


@given(st.lists(VALUES, max_size=4))
def test_any_json_value_is_an_id(ids):
    once = generated(*ids)
    twice = generated(*ids, *ids)
    assert twice["valid?"] is not bool(ids)
    assert twice["range"] == once["range"]
    assert twice["acknowledged-count"] == 2 * len(ids)
