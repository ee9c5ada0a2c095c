"""Incidents in words, and in their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from glomers.history import edn
from glomers.history.times import NANOS
from glomers.report.incidents import (
    SHOWN,
    first_sentences,
    names,
    of_logs,
    sentences,
    usual_sentences,
    warnings_beside,
)


def incident(kind, text, count=1, nodes=("n1",), line="", time=NANOS // 4):
    first = {"time": time, "line": line}
    counts = {node: count if node == nodes[0] else 0 for node in nodes}
    return {"kind": kind, "text": text, "count": count, "nodes": counts, "first": first}


def told(*incidents, **where):
    return sentences({"incidents": incidents}, **where)


def test_an_exception_is_told_with_its_node_place_count_time_and_log():
    raised = incident("exception", "raised KeyError: 'vals' in gossip (mine.py:44)", 172)
    assert told(raised, folder=Path("store/x")) == [
        "n1 raised KeyError: 'vals' in gossip (mine.py:44), 172 times, first at 0.25 s;"
        " all of it in store/x/node-logs/n1.log"
    ]


def test_what_happened_once_is_not_counted():
    assert told(incident("exception", "raised X")) == ["n1 raised X, at 0.25 s"]
    assert told(incident("exception", "raised X", time=None)) == ["n1 raised X"]


def test_the_likeliest_cause_comes_first_and_of_those_the_most_frequent():
    kinds = ["unanswered", "late", "error", "no-answer", "no-newline", "complaint", "exception"]
    every = [incident(kind, kind) for kind in kinds] + [incident("error", "often", 9)]
    order = [sentence.split()[1].strip(",") for sentence in told(*every)]
    assert order == [
        *("exception", "complaint", "no-newline", "no-answer"),
        *("often", "error", "late", "unanswered"),
    ]


def test_what_is_no_cause_by_itself_is_told_if_nothing_else_is_known():
    arrived, serious = incident("arrived", "sent"), incident("exception", "raised")
    assert told(arrived) == ["n1 sent, at 0.25 s"]
    assert told(serious, arrived) == ["n1 raised, at 0.25 s"]
    assert sentences({"incidents": [arrived], "error": "Node n1 ended"}) == []
    assert sentences({"incidents": [arrived], "valid?": True}) == []


def test_what_came_before_the_first_operation_has_no_negative_time():
    assert told(incident("exception", "raised", time=-5.0)) == ["n1 raised, during set-up"]
    assert told(incident("exception", "raised", 2, time=-5.0)) == [
        "n1 raised, 2 times, first during set-up"
    ]


def test_warnings_about_nodes_are_incidents_and_others_are_not():
    history = {"kind": "silent", "text": "nothing was shown", "count": 1, "first": {}}
    results = {"warnings": [incident("no-newline", "ended"), history]}
    assert sentences(results) == ["n1 ended, at 0.25 s"]


NO_ANSWER = "the handler for 'echo' (echo, m.py:12) returned a set, which is no answer"
CAUSES = {
    "complaint": (incident("complaint", NO_ANSWER, 7), f"{NO_ANSWER}: {{1, 2}}"),
    "exception": (
        incident("exception", "raised KeyError: 'x' in echo (m.py:9)", 7),
        "KeyError('x')",
    ),
}


@pytest.mark.parametrize(("cause", "text"), CAUSES.values(), ids=CAUSES)
def test_an_error_that_says_what_the_log_says_is_not_told_again(cause, text):
    answered = "answered 'echo' with error 13 (crash)"
    assert len(told(incident("error", answered, 7, line=text), cause)) == 1
    elsewhere = incident("error", answered, 7, nodes=["n2"], line=text)
    more, other = incident("error", answered, 8, line=text), incident("error", answered, line="no")
    assert [len(told(each, cause)) for each in (elsewhere, more, other)] == [2, 2, 2]


def nothing_succeeded(error):
    keyword = edn.Keyword("nothing-succeeded")
    return {"kind": keyword, "text": "no echo succeeded", "count": 7, "first": {"error": error}}


@pytest.mark.parametrize(
    ("error", "known"),
    [
        *(([edn.Keyword("crash"), text], cause) for cause, text in CAUSES.values()),
        ([edn.Keyword("abort"), "not today"], incident("error", "answered", line="not today")),
        (edn.Keyword("net-timeout"), incident("no-answer", "never answered 'echo'")),
    ],
    ids=[*CAUSES, "error", "no answer"],
)
def test_why_nothing_succeeded_is_told_once(error, known):
    warning = nothing_succeeded(error)
    assert warnings_beside({"warnings": [warning], "incidents": [known]}) == []
    other = incident("unanswered", "got no answer to 'gossip'")
    assert warnings_beside({"warnings": [warning], "incidents": [other]}) == [warning]


def test_errors_that_are_business_as_usual_say_so_and_come_after_others():
    late = incident("error", "answered 'cas' with error 22 (precondition-failed)", 321, ["seq-kv"])
    other = incident("error", "answered 'cas' with error 11 (temporarily-unavailable)")
    usual = (
        "seq-kv answered 'cas' with error 22 (precondition-failed), 321 times"
        " (usual where several write at once), first at 0.25 s"
    )
    assert told(late, other)[1] == usual
    valid = {"incidents": [late, other], "valid?": True}
    assert usual_sentences(valid) == [usual]
    assert usual not in first_sentences(valid)
    invalid = {**valid, "valid?": False}
    assert usual_sentences(invalid) == []
    assert usual in first_sentences(invalid)


def test_only_so_many_are_shown_and_then_how_many_there_are():
    many = {"incidents": [incident("error", str(number)) for number in range(SHOWN + 5)]}
    shown = first_sentences(many)
    assert len(shown) == SHOWN + 1
    assert shown[-1].startswith("and 5 more kinds of incident")
    assert len(first_sentences({"incidents": many["incidents"][: SHOWN + 1]})) == SHOWN + 1


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (["n1"], "n1"),
        (["n10", "n2"], "n2 and n10"),
        (["a", "b", "c", "d"], "a, b, c and d"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_nodes_are_listed_in_words(nodes, words):
    assert names(nodes) == words


def test_the_logs_of_a_test_that_was_kept_are_read(tmp_path):
    logs = tmp_path / "node-logs"
    logs.mkdir()
    trace = 'Traceback (most recent call last):\n  File "m.py", line 3, in f\nValueError: %d\n'
    (logs / "n1.log").write_text(trace % 1 + trace % 2)
    (logs / "n2.log").write_text("starting\n" + trace % 3 + "maelstrom_node: odd: {}\n")
    found = of_logs(tmp_path)
    assert sentences({"incidents": found}) == [
        "n1 and n2 raised ValueError: 1 in f (m.py:3), 3 times",
        "n2: odd: {}",
    ]
