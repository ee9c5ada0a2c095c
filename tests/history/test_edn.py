"""EDN: what is read as what, what is written how, and which errors tell where."""

from __future__ import annotations

import json
import math
import pickle
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_values import TEXTS, VALUES

from glomers.history import edn
from glomers.history.edn import EDNError, FrozenMap, Keyword, Record, Symbol

# Reading


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("5N", 5),
        ("1.5", 1.5),
        ("-1.0E10", -1e10),
        ("1e-3", 0.001),
        ("2.50M", 2.5),
        ("1/4", 0.25),
        ("##Inf", math.inf),
        ("##-Inf", -math.inf),
        ('"a b"', "a b"),
        ('""', ""),
        (r'"\"\\\n\t\u00e9\ud83d\ude00"', '"\\\n\té😀'),
        ('"two\nlines"', "two\nlines"),
        (":ok", Keyword("ok")),
        (":final?", Keyword("final?")),
        (":a/b", Keyword("a/b")),
        ("foo.Bar", Symbol("foo.Bar")),
        ("-", Symbol("-")),
        (r"\a", "a"),
        (r"\newline", "\n"),
        (r"\u0041", "A"),
        (r"\(", "("),
        ("[1 [2] []]", [1, [2], []]),
        ("(1, 2)", [1, 2]),
        ("{}", {}),
        ('{:a 1, "b" {2 nil}}', {"a": 1, "b": {2: None}}),
        ("#{1 2}", frozenset({1, 2})),
        ('#inst "2026-01-01"', "2026-01-01"),
        ("; a comment\n1 ; another", 1),
        ("[1 #_ 2 3]", [1, 3]),
        ("[#_ #_ 1 2 3]", [3]),
        ("[#_ #a {} 1]", [1]),
        ("[#_ [1 2] #_3]", []),
        (" ,\n1,", 1),
    ],
)
def test_reading(text, value):
    found = edn.loads(text)
    assert found == value
    assert type(found) is type(value)


def test_a_keyword_is_equal_to_its_name():
    results = edn.loads('{:valid? true, :f :read, "key" :other}')
    assert results["valid?"] is True
    assert results["f"] == "read"
    assert results == {"valid?": True, "f": "read", "key": "other"}


def test_keywords_stay_keywords():
    (key, value), *_ = edn.loads("{:a :b}").items()
    assert type(key) is type(value) is Keyword
    assert type(edn.loads('"a"')) is str


def test_a_tagged_map_is_equal_to_the_map_and_knows_its_tag():
    operation = edn.loads("#jepsen.history.Op{:index 0, :value #{}}")
    assert operation == {"index": 0, "value": frozenset()}
    assert operation.tag == "jepsen.history.Op"
    assert edn.dumps(operation) == "#jepsen.history.Op{:index 0, :value #{}}"


def test_collections_serve_as_keys_and_elements_of_sets():
    value = edn.loads('{[1 [2]] :a, {"k" [3]} :b, #{4} :c}')
    assert value[(1, (2,))] == "a"
    assert value[FrozenMap({"k": (3,)})] == "b"
    assert value[frozenset({4})] == "c"
    assert edn.loads("#{[1] {:a [2]}}") == {(1,), FrozenMap({"a": (2,)})}
    assert edn.dumps(value) == '{[1 [2]] :a, {"k" [3]} :b, #{4} :c}'


def test_several_values_one_after_the_other():
    assert edn.load_all("{:a 1}\n\n{:a 2} 3") == [{"a": 1}, {"a": 2}, 3]
    assert edn.load_all(" ; nothing") == []


def test_nesting_may_be_deep():
    assert edn.dumps(edn.loads("[" * 100 + "]" * 100)) == "[" * 100 + "]" * 100
    assert edn.loads("[" * 50_000 + "]" * 50_000)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no value at line 1, column 1: the end"),
        ("1 2", "more than one value at line 1, column 1: 1 2"),
        ("[1\n 2", "'[' without an end at line 2, column 3: the end"),
        ("[1}", "unexpected bracket at line 1, column 3: }"),
        (")", "unexpected bracket at line 1, column 1: )"),
        ("{:a}", "a map with a key that has no value at line 1, column 4: }"),
        ('[1 "abc', 'a string without an end or with a wrong escape at line 1, column 4: "abc'),
        (r'"\q"', r"a string without an end or with a wrong escape at line 1, column 1: "),
        ("[\n\n  1x]", "not a value at line 3, column 3: 1x]"),
        (": 1", "not a value at line 1, column 1: : 1"),
        ('{"index": 0}', "not a value at line 1, column 9: : 0}"),
        ("##Nope", "not a value at line 1, column 1: ##Nope"),
        (r"\abc", "not a character at line 1, column 1: "),
        ("[#foo]", "nothing follows #foo at line 1, column 6: ]"),
        ("#_", "nothing follows #_ at line 1, column 3: the end"),
        ("# {}", "not a tag at line 1, column 1: # {}"),
        ("1/0", "division by zero"),
        ("-1x", "not a value at line 1, column 1: -1x"),
    ],
)
def test_errors_say_what_and_where(text, problem):
    with pytest.raises(EDNError) as raised:
        edn.loads(text)
    assert str(raised.value).startswith(problem)


# Writing


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nil"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        (math.inf, "##Inf"),
        (-math.inf, "##-Inf"),
        (math.nan, "##NaN"),
        ("a", '"a"'),
        (Keyword("a"), ":a"),
        (Keyword("final?"), ":final?"),
        (Keyword("not a keyword"), '"not a keyword"'),
        (Keyword(""), '""'),
        (Keyword("1a"), '"1a"'),
        (Symbol("a.B"), "a.B"),
        ('"\\\n\r\t\b\f', r'"\"\\\n\r\t\b\f"'),
        ("\x00\x1b\x7f\ud800", r'"\u0000\u001b\u007f\ud800"'),
        ("é😀", '"é😀"'),
        ([1, [2, "x"], []], '[1 [2 "x"] []]'),
        ([1, 2, 3], "[1 2 3]"),
        ([1, True, None], "[1 true nil]"),
        ((1, 2), "[1 2]"),
        ({"a": 1, Keyword("b"): {}}, '{"a" 1, :b {}}'),
        ({0: 1, 0.5: 2, (1, 2): 3}, "{0 1, 0.5 2, [1 2] 3}"),
        (frozenset({10, 9, "b", "a"}), '#{9 10 "a" "b"}'),
        (Record({"a": 1}, "some.Tag"), '#some.Tag{"a" 1}'),
    ],
)
def test_writing(value, text):
    assert edn.dumps(value) == text


def test_one_value_is_one_line():
    assert "\n" not in edn.dumps({"a\nb": ["\n", "x" * 1000]})


@given(VALUES)
def test_what_json_can_carry_survives(value):
    assert json.dumps(edn.loads(edn.dumps(value))) == json.dumps(value)
    assert json.dumps(edn.loads(edn.pretty(value))) == json.dumps(value)


@given(VALUES)
def test_shared_vectors_hold_what_others_hold(value):
    text = edn.dumps([value, value])
    shared = edn.loads(text, shared=True)
    assert repr(shared) == repr(edn.loads(text))


def test_short_vectors_that_are_alike_are_shared_where_they_may_be():
    first, second, longer = edn.loads("[[:r 1 nil] [:r 1 nil] [1.0 2/4 -3 ##Inf]]", shared=True)
    assert first is second
    assert longer == [1.0, 0.5, -3, float("inf")]
    first, second = edn.loads("[[:r 1 nil] [:r 1 nil]]")
    assert first == second
    assert first is not second


@given(TEXTS.map(Keyword))
def test_any_name_of_a_keyword_survives(keyword):
    assert edn.loads(edn.dumps(keyword)) == keyword


@given(st.text())
def test_any_text_is_read_or_refused(text):
    with suppress(EDNError):
        values = edn.load_all(text)
        assert repr(edn.load_all(text, shared=True)) == repr(values)


def test_results_get_keywords_for_keys_but_records_keep_theirs():
    results = {"valid?": False, "cases": [{"key": "k1"}], "duplicated": Record({"id-1": 2})}
    written = edn.dumps(edn.keywordized(results))
    assert written == '{:valid? false, :cases [{:key "k1"}], :duplicated {"id-1" 2}}'
    assert edn.loads(written) == results


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: [1, v], lambda v: {"a": v}])
def test_deep_results_are_not_written_again_for_every_level(wrap, monkeypatch):
    written = []
    dumps = edn.dumps
    monkeypatch.setattr(edn, "dumps", lambda value: [written.append(value), dumps(value)][1])

    def work(depth):
        value = 7
        for _ in range(depth):
            value = wrap(value)
        written.clear()
        assert edn.loads(edn.pretty(value)) == value
        return len(written)

    assert work(210) - work(160) == work(160) - work(110)


def test_pretty_results_are_indented_where_they_do_not_fit():
    x = "x" * 60
    results = {
        "valid?": True,
        "stats": {"count": 3, "by-f": {}},
        "workload": {
            "lost": list(range(1000, 1012)),
            "op": [Record({"value": "x" * 60}, "Op")] * 2,
        },
    }
    assert edn.pretty(edn.keywordized(results)) == "\n".join(
        [
            "{:valid? true,",
            " :stats {:count 3, :by-f {}},",
            " :workload {:lost [1000 1001 1002 1003 1004 1005 1006 1007 1008 1009 1010 1011],",
            f'            :op [#Op{{"value" "{x}"}}',
            f'                 #Op{{"value" "{x}"}}]}}}}',
        ]
    )


def test_json_has_strings_for_keys_and_lists_for_sets():
    value = {Keyword("a"): frozenset({2, 1}), 0.5: (1, 2), None: {3: Keyword("b")}, (1, "x"): 4}
    assert edn.to_json(value) == {"a": [1, 2], "0.5": [1, 2], "nil": {"3": "b"}, '[1 "x"]': 4}
    json.dumps(edn.to_json(value))


def test_values_travel_between_processes():
    value = edn.loads('#some.Tag{:a [foo {{"k" 1} 2}]}')
    again = pickle.loads(pickle.dumps(value))
    assert edn.dumps(again) == edn.dumps(value)
