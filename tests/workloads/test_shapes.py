"""Shapes: what passes for an answer."""

from __future__ import annotations

from typing import Any

import pytest

from glomers.workloads import WORKLOADS, shapes
from glomers.workloads.shapes import OneOf, describe, mismatch


@pytest.mark.parametrize("shape", [[Any], [int], [(int, Any)], [[int]], OneOf([Any], str)])
def test_null_passes_for_a_list_of_any_length(shape):
    assert mismatch(None, shape) == ""


def test_and_within_others():
    assert mismatch({"a": None, "b": [[1, 2], None]}, {"a": [Any], "b": [[int]]}) == ""
    assert mismatch({"x": None}, {str: [int]}) == ""


@pytest.mark.parametrize("shape", [{}, {str: Any}, (int, Any), list, dict, str, int, float, bool])
def test_but_for_nothing_else(shape):
    assert mismatch(None, shape).endswith(", not null")


def test_fields_beside_which_there_may_be_others():
    shape = {"type": "init_ok", str: Any}
    assert mismatch({"type": "init_ok", "version": "1.2", "msg_id": None}, shape) == ""
    assert mismatch({"version": "1.2"}, shape) == "`type` is missing"
    assert mismatch({"type": "x"}, shape) == '`type` should be "init_ok", not "x"'
    assert mismatch({"type": "x", "n": "1"}, {"type": "x", str: int}) == (
        '`n` should be an integer, not "1"'
    )
    assert describe(shape) == '{"type": "init_ok", string: anything}'


def test_fields_that_may_be_left_out():
    shape, optional = {"type": "x"}, {"msg_id": int}
    assert mismatch({"type": "x", "msg_id": 1}, shape, optional=optional) == ""
    assert mismatch({"type": "x"}, shape, optional=optional) == ""
    assert mismatch({"type": "x", "msg_id": None}, shape, optional=optional) == (
        "`msg_id` should be an integer, not null"
    )
    assert mismatch({"type": "x", "b": 1}, shape, optional=optional) == "`b` is not expected"


@pytest.mark.parametrize(
    ("workload", "request_", "answer", "problem"),
    [
        ("broadcast", "read", {"messages": None}, ""),
        ("broadcast", "read", {"messages": {}}, "`messages` should be an array, not {}"),
        ("g-set", "read", {"value": None}, ""),
        ("kafka", "poll", {"msgs": {"0": None, "1": [[0, None]]}}, ""),
        ("kafka", "poll", {"msgs": None}, "`msgs` should be an object, not null"),
        ("kafka", "poll", {"msgs": {"0": [None]}}, "`msgs`.0[0] should be an array, not null"),
        ("kafka", "poll", {"msgs": {"0": [[None, 1]]}}, "should be an integer, not null"),
        ("kafka", "list_committed_offsets", {"offsets": None}, "should be an object, not null"),
        ("kafka", "list_committed_offsets", {"offsets": {"0": None}}, "an integer, not null"),
        ("kafka", "send", {"offset": None}, "`offset` should be an integer, not null"),
        ("txn-list-append", "txn", {"txn": None}, ""),
        ("txn-list-append", "txn", {"txn": [["r", 1, None]]}, ""),
        ("txn-list-append", "txn", {"txn": [None]}, "not null"),
        ("txn-rw-register", "txn", {"txn": None}, ""),
        ("pn-counter", "read", {"value": None}, "`value` should be an integer, not null"),
        ("pn-counter", "read", {"value": 1.0}, "`value` should be an integer, not 1.0"),
        ("lin-kv", "read", {"value": None}, ""),
        ("echo", "echo", {"echo": None}, ""),
        ("unique-ids", "generate", {"id": None}, ""),
    ],
)
def test_null_in_an_answer_is_judged_as_by_maelstroms_schema(workload, request_, answer, problem):
    _, fields = WORKLOADS[workload].answers[request_]
    assert mismatch(answer, fields).endswith(problem) if problem else not mismatch(answer, fields)


def test_the_name_of_a_field_is_printable():
    problem = mismatch({"\x1b[31m\u202e": 1}, {})
    assert problem == "`\\x1b[31m\\u202e` is not expected"
    assert mismatch({"a": {"\n": 1}}, {"a": {}}) == "`a`.\\n is not expected"


def test_nothing_is_put_into_words_as_long_as_a_value_is_right(monkeypatch):
    monkeypatch.setattr(shapes, "_show", lambda value: pytest.fail("this need not be shown"))
    shape = {"txn": [OneOf(("r", int, Any), ("w", int, int))], str: {str: int}}
    assert mismatch({"txn": [["r", 1, None], ["w", 1, 2]], "others": {"a": 1}}, shape) == ""
