"""Histories: who completes what, both notations, and which files are refused, in which words."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from handwritten import fail, history, info, invoke, nemesis, ok
from hypothesis import given
from hypothesis import strategies as st
from json_values import VALUES

from glomers.history import edn
from glomers.history.edn import Keyword
from glomers.history.operations import (
    History,
    HistoryError,
    Operation,
    as_map,
    read_history,
    to_edn_line,
    to_json_line,
)

HISTORIES = Path(__file__).parents[1] / "histories"
CASES = sorted(HISTORIES.iterdir())

ECHO = '{:index 0, :time 1, :type :invoke, :process 0, :f :echo, :value "x"}'
ECHO_OK = '{:index 1, :time 2, :type :ok, :process 0, :f :echo, :value {:echo "x"}}'


@pytest.fixture
def file(tmp_path):
    """Write a file and return its path: `file("history.edn", content)`."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


# Pairs


def test_an_operation_is_completed_by_what_its_process_does_next():
    recorded = history(
        invoke(0, "read"),
        nemesis("start-partition"),
        invoke(1, "add", 1),
        fail(1),
        ok(0, []),
        invoke(0, "read"),
        info(0),
        invoke(2, "read"),
    )
    pairs = [(began.index, ended and ended.index) for began, ended in recorded.pairs()]
    assert pairs == [(0, 4), (2, 3), (5, 6), (7, None)]
    assert recorded.completion(recorded[0]) is recorded[4]
    assert recorded.invocation(recorded[4]) is recorded[0]
    assert recorded.completion(recorded[7]) is None
    assert recorded.invocation(recorded[1]) is None
    assert [operation.index for operation in recorded.client_operations()] == [0, 2, 3, 4, 5, 6, 7]


def test_an_operation_is_known_by_its_index_even_if_some_are_left_out():
    whole = history(invoke(0, "read"), invoke(1, "add", 1), ok(1), ok(0, []))
    part = History([whole[0], whole[3]])
    assert list(part.pairs()) == [(whole[0], whole[3])]
    assert part.completion(whole[0]) is whole[3]
    assert part.invocation(whole[3]) is whole[0]
    assert part.completion(whole[1]) is None
    assert History(list(whole)[:2]).invocation(whole[3]) is None


def test_what_is_derived_from_a_history_is_made_once_and_belongs_to_it():
    made = []

    def length(of: History) -> int:
        made.append(of)
        return len(of)

    one, other = history(invoke(0, "a"), ok(0, "a")), history(invoke(0, "a"))
    assert [one.derived(length), one.derived(length), other.derived(length)] == [2, 2, 1]
    assert made == [one, other]


# Writing


@pytest.mark.parametrize(
    ("operation", "line"),
    [
        (
            Operation(0, 22712901, "invoke", 0, "echo", "Please echo"),
            '{:index 0, :time 22712901, :type :invoke, :process 0, :f :echo, :value "Please echo"}',
        ),
        (
            Operation(9, 7, "fail", 3, "read", [0, None], [Keyword("abort"), "no"]),
            "{:index 9, :time 7, :type :fail, :process 3, :f :read, :value [0 nil], "
            ':error [:abort "no"]}',
        ),
        (
            Operation(1, 2, "ok", 1, "read", [1, 2], final=True),
            "{:index 1, :time 2, :type :ok, :process 1, :f :read, :value [1 2], :final? true}",
        ),
        (
            Operation(4, 5, "invoke", 1, "assign", ["1"], extra=(("seek-to-beginning?", True),)),
            '{:index 4, :time 5, :type :invoke, :process 1, :f :assign, :value ["1"], '
            ":seek-to-beginning? true}",
        ),
        (
            Operation(
                1,
                2,
                "info",
                "nemesis",
                "start-partition",
                [Keyword("isolated"), {"n1": frozenset({"n2", "n0"})}],
            ),
            "{:index 1, :time 2, :type :info, :process :nemesis, :f :start-partition, "
            ':value [:isolated {"n1" #{"n0" "n2"}}]}',
        ),
    ],
)
def test_a_line_is_written_as_maelstrom_writes_it(operation, line):
    assert to_edn_line(operation) == line
    assert edn.loads(line) == as_map(operation)
    assert edn.dumps(as_map(operation)) == f"#jepsen.history.Op{line}"


def test_a_json_line_has_the_same_keys():
    operation = Operation(1, 2, "ok", 3, "read", [1], "e", True, (("poll-ms", 4),))
    assert json.loads(to_json_line(operation)) == {
        "index": 1,
        "time": 2,
        "type": "ok",
        "process": 3,
        "f": "read",
        "value": [1],
        "error": "e",
        "final?": True,
        "poll-ms": 4,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_maelstrom_wrote_is_written_again_byte_for_byte(case):
    with gzip.open(case / "history.edn.gz", "rt", encoding="utf-8") as file:
        lines = file.read().splitlines()
    again = [to_edn_line(operation) for operation in read_history(case)]
    # Reading turns sets into lists, and keys that are numbers (of :unseen) into strings.
    kept = [n for n, line in enumerate(lines) if "#{" not in line and ":unseen" not in line]
    assert len(kept) > 0.9 * len(lines)
    assert [again[number] for number in kept] == [lines[number] for number in kept]


# Reading


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_notations_give_the_same_operations(case, tmp_path):
    recorded = read_history(case)
    (tmp_path / "history.jsonl").write_text("\n".join(map(to_json_line, recorded)), "utf-8")
    assert list(read_history(tmp_path / "history.jsonl")) == list(recorded)
    (tmp_path / "history.edn").write_text("\n".join(map(to_edn_line, recorded)), "utf-8")
    assert list(read_history(tmp_path / "history.edn")) == list(recorded)


KEYWORDS = st.sampled_from(["poll", "r", "isolated", "net-timeout"]).map(Keyword)
SETS = st.frozensets(st.sampled_from(["n0", "n1", "n2"]))
OPERATION_VALUES = st.recursive(
    VALUES | KEYWORDS | SETS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


@given(
    OPERATION_VALUES,
    OPERATION_VALUES,
    st.booleans(),
    st.sampled_from([0, 17, "nemesis"]),
    st.dictionaries(st.sampled_from(["poll-ms", "unseen"]), OPERATION_VALUES),
)
def test_any_operation_survives_in_both_notations(
    tmp_path_factory, value, error, final, process, extra
):
    operation = Operation(
        5, -6, "invoke", process, "f", value, error, final, extra=tuple(extra.items())
    )
    folder = tmp_path_factory.getbasetemp()
    (folder / "one.edn").write_text(to_edn_line(operation), "utf-8")
    (folder / "one.jsonl").write_text(to_json_line(operation), "utf-8")
    [from_edn], [from_json] = read_history(folder / "one.edn"), read_history(folder / "one.jsonl")
    assert from_edn == from_json
    assert edn.to_json(as_map(from_edn)) == edn.to_json(as_map(operation))
    written = json.dumps(as_map(operation), default=edn.to_json)
    assert to_json_line(operation) == written, "it is only put together faster"


NOTATIONS = {
    "EDN": f"{ECHO}\n{ECHO_OK}\n",
    "EDN without the last line end": f"{ECHO}\n{ECHO_OK}",
    "EDN with blank lines and comments": f"; a comment\n\n{ECHO}\r\n\n{ECHO_OK}\n",
    "a vector of EDN": f"[{ECHO} {ECHO_OK}]",
    "a vector of EDN over lines": f"[{ECHO.replace(' ', chr(10))}\n {ECHO_OK}]\n",
    "tagged EDN": f"#jepsen.history.Op{ECHO}\n#jepsen.history.Op{ECHO_OK}\n",
    "JSON": '{"index":0,"time":1,"type":"invoke","process":0,"f":"echo","value":"x"}\n'
    ' { "f":"echo","index":1,"time":2,"type":"ok","process":0,"value":{"echo":"x"}}\n',
    "an array of JSON": '[{"index":0,"time":1,"type":"invoke","process":0,"f":"echo","value":"x"}'
    ', {"f":"echo","index":1,"time":2,"type":"ok","process":0,"value":{"echo":"x"}}]',
}


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("text", NOTATIONS.values(), ids=NOTATIONS)
def test_a_file_is_read_by_what_it_holds_and_not_by_its_name(file, text, zipped):
    content = gzip.compress(text.encode()) if zipped else text.encode()
    assert list(read_history(file("some.file", content))) == [
        Operation(0, 1, "invoke", 0, "echo", "x"),
        Operation(1, 2, "ok", 0, "echo", {"echo": "x"}),
    ]


@pytest.mark.parametrize("name", ["history.edn", "history.edn.gz", "history.jsonl"])
def test_a_folder_stands_for_the_history_in_it(file, name):
    text = NOTATIONS["JSON" if name.endswith("jsonl") else "EDN"].encode()
    path = file(name, gzip.compress(text) if name.endswith("gz") else text)
    file("results.edn", "{}")
    assert len(read_history(path.parent)) == 2


def test_keys_that_json_lacks_become_strings_and_sets_become_sorted_lists(file):
    path = file("a.edn", ECHO[:-4] + '#{"b" "a"}, :unseen {7 #{2 10}}}')
    [operation] = read_history(path)
    assert operation.value == ["a", "b"]
    assert operation.extra == (("unseen", {"7": [2, 10]}),)


def test_a_missing_value_is_nil(file):
    path = file("a.edn", "{:index 0, :time 1, :type :invoke, :process 0, :f :read}")
    assert read_history(path)[0].value is None


def test_what_did_not_succeed_and_has_no_value_keeps_the_one_that_it_began_with(file):
    began = "{:index 0, :time 1, :type :invoke, :process 0, :f :add, :value 7}"
    for type, value in (("fail", 7), ("info", 7), ("ok", None)):
        ended = f"{{:index 1, :time 1, :type :{type}, :process 0, :f :add, :value nil}}"
        assert read_history(file("a.edn", f"{began}\n{ended}"))[1].value == value


# Errors


REFUSED = {
    "prose": ("hello\n", ", line 1: not an operation: hello"),
    "binary": (b"\x00\xff\n", ", line 1: this is no text (not UTF-8)"),
    "empty": ("", " is empty"),
    "blank": ("\n\n", " is empty"),
    "cut off": (f"{ECHO}\n{ECHO_OK[:30]}", ", line 2, column 31: this is no EDN, '{' without an"),
    "cut off JSON": ('{"index": 0, "ti', ", line 1, column 14: this is no JSON, Unterminated"),
    "cut off vector": (f"[{ECHO}\n{ECHO_OK}", ", line 2, column 73: this is no EDN, '[' without"),
    "results": ("{:valid? true}", ", line 1: an operation without :index and :time and :type"),
    "no process": (ECHO.replace(":process 0, ", ""), ", line 1: an operation without :process: {"),
    "unknown type": (ECHO.replace(":invoke", ":begin"), ", line 1: unknown :type, none of invoke"),
    "no time": (ECHO.replace(":time 1", ":time nil"), ", line 1: :index and :time must be integ"),
    "odd process": (ECHO.replace("process 0", 'process "a"'), ", line 1: :process must be an int"),
    "odd f": (ECHO.replace(":echo", "3"), ", line 1: :f must be a keyword"),
    "vector of numbers": ("[1 2]", ", operation 1: not an operation: 1"),
    "index falls": (f"{ECHO_OK}\n".replace(":ok", ":invoke") + ECHO, ", line 2: :index must rise"),
    "busy process": (
        f"{ECHO}\n{ECHO_OK.replace(':ok', ':invoke')}",
        ", line 2: process 0 still does what it began at line 1: {:index 1",
    ),
    "time goes back": (
        f"{ECHO}\n{ECHO_OK.replace(':time 2', ':time 0')}",
        ", line 2: :time must not go back, but an earlier one is 1: {:index 1",
    ),
    "another f at the end": (
        f"{ECHO}\n{ECHO_OK.replace(':f :echo', ':f :read')}",
        ", line 2: process 0 ends :read, but what it began at line 1 is :echo: {:index 1",
    ),
    "nothing to complete": (ECHO_OK, ", line 1: process 0 ends what it never began: {:index 1"),
    "cut off gzip": (gzip.compress(ECHO.encode())[:-10], ": gzip says that it is damaged or cut"),
    "damaged gzip": (b"\x1f\x8b" + b"x" * 50, ": gzip says that it is damaged or cut off"),
    "nested too deeply": (ECHO[:-4] + "[" * 9999 + "]" * 9999 + "}", " holds a value that is nes"),
}


@pytest.mark.parametrize(("content", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_file_without_a_history_is_refused_with_its_name_the_place_and_a_reason(
    file, content, problem
):
    path = file("some.file", content)
    with pytest.raises(HistoryError) as raised:
        read_history(path)
    assert str(raised.value).startswith(f"{path}{problem}")
    assert len(str(raised.value)) < 700


def test_a_refused_operation_is_quoted_and_a_good_one_shown(file):
    with pytest.raises(HistoryError) as raised:
        read_history(file("a.edn", ECHO.replace(":invoke", ":begin")))
    assert f"{ECHO.replace(':invoke', ':begin')}\nExpected operations like {{:index 0" in str(
        raised.value
    )


def test_a_missing_file_and_a_folder_without_a_history(tmp_path):
    with pytest.raises(HistoryError, match=r"^can't read .*none\.edn: No such file or directory"):
        read_history(tmp_path / "none.edn")
    with pytest.raises(HistoryError, match=r"holds no history; expected one of history\.jsonl, "):
        read_history(tmp_path)


def test_a_history_is_a_sequence():
    operations = [Operation(0, 1, "invoke", 0, "read"), Operation(1, 2, "ok", 0, "read", [])]
    recorded = History(iter(operations))
    assert len(recorded) == 2
    assert list(recorded) == operations
    assert recorded[1] is operations[1]
    assert recorded[:1] == operations[:1]
