"""What is read out of a node's log: exceptions and complaints, each with its place."""

from __future__ import annotations

import traceback

import pytest

from glomers.history.node_logs import BLOCK, LogReader


def read(text, size=None):
    """What a log tells, fed in pieces of `size` bytes; and the reader."""
    found = []
    reader = LogReader(found.append)
    data = text.encode()
    for start in range(0, len(data), size or len(data) or 1):
        reader.feed(data[start : start + (size or len(data))])
    reader.end()
    return found, reader


def texts(text):
    return [(finding.kind, finding.text) for finding in read(text)[0]]


KEY_ERROR = """\
Traceback (most recent call last):
  File "/home/me/maelstrom_node.py", line 370, in handle
    reply = handler(message)
            ^^^^^^^^^^^^^^^^
  File "/home/me/my nodes/mine.py", line 44, in gossip
    for value in message.body["vals"]:
                 ~~~~~~~~~~~~^^^^^^^^
KeyError: 'vals'
"""


@pytest.mark.parametrize("size", [None, 1, 7])
def test_an_exception_is_told_with_the_line_of_the_nodes_own_code(size):
    [finding], reader = read(KEY_ERROR, size)
    assert finding.kind == "exception"
    assert finding.text == "raised KeyError: 'vals' in gossip (mine.py:44)"
    assert reader.lines == 0


def test_exceptions_of_one_place_and_type_are_one_thing_whatever_they_say():
    keys = {finding.key for finding in read(KEY_ERROR + KEY_ERROR.replace("vals", "x"))[0]}
    assert len(keys) == 1
    elsewhere = read(KEY_ERROR + KEY_ERROR.replace("line 44", "line 45"))[0]
    assert len({finding.key for finding in elsewhere}) == 2


def test_code_that_is_not_the_nodes_own_is_named_where_there_is_no_other():
    inside = KEY_ERROR.replace("/home/me/my nodes/mine.py", "/usr/lib/python3.11/json/decoder.py")
    assert texts(inside) == [("exception", "raised KeyError: 'vals' in gossip (decoder.py:44)")]


def test_the_last_exception_of_a_chain_stands_for_all(capsys):
    def fall(error):
        try:
            raise KeyError(1)
        except KeyError as first:
            raise ValueError("second") from (first if error else None)

    for error in (True, False):
        try:
            fall(error)
        except ValueError:
            told = texts(traceback.format_exc())
        [(kind, text)] = told
        assert kind == "exception"
        assert text.startswith("raised ValueError: second in fall (test_node_logs.py:")


def test_the_type_of_an_exception_is_told_without_its_module():
    text = 'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n'
    assert texts(text + "maelstrom_node.RPCTimeout: timeout (0): no answer\n") == [
        ("exception", "raised RPCTimeout: timeout (0): no answer (a.py:3)")
    ]
    assert texts(text + "mine.f.<locals>.Mine: a.b\n") == [
        ("exception", "raised Mine: a.b (a.py:3)")
    ]
    assert texts(text + "StopIteration\n") == [("exception", "raised StopIteration (a.py:3)")]


def test_a_syntax_error_has_a_place():
    with pytest.raises(SyntaxError) as caught:
        compile("def f(:\n", "mine.py", "exec")
    text = "".join(traceback.format_exception(None, caught.value, None))
    log = f"Traceback (most recent call last):\n{text}"
    [(_, told)] = texts(log)
    assert told == "raised SyntaxError: invalid syntax (mine.py:1)"


def test_an_exception_has_the_time_at_which_it_was_printed():
    clock, found = [5], []
    reader = LogReader(found.append, lambda: clock[0])
    reader.feed(KEY_ERROR.encode())
    assert found == []  # another exception may follow from it
    clock[0] = 9
    reader.feed(b"maelstrom_node: odd: x\n")
    assert [finding.time for finding in found] == [5, 9]


def test_a_syntax_error_of_the_script_itself_has_no_first_line_and_yet_a_place():
    log = (
        '  File "/home/me/mine.py", line 20\n    def read(message)\n                     ^\n'
        "SyntaxError: expected ':'\n"
    )
    found, reader = read(log)
    assert [finding.text for finding in found] == ["raised SyntaxError: expected ':' (mine.py:20)"]
    assert reader.alarms == 0


def test_a_stack_that_is_printed_is_no_exception():
    found, _ = read('  File "/home/me/mine.py", line 20, in <module>\n    print_stack()\nhello\n')
    assert found == []


def test_the_place_of_a_failed_import_is_in_the_script_and_not_in_the_simulation():
    log = (
        'Traceback (most recent call last):\n  File "/home/me/mine.py", line 1, in <module>\n'
        '    import numpyy\n  File "/glomers/simulated/imports.py", line 116, in load\n'
        "    raise ModuleNotFoundError(text)\n"
        "ModuleNotFoundError: No module named 'numpyy'\n"
    )
    [finding], _ = read(log)
    assert finding.text == "raised ModuleNotFoundError: No module named 'numpyy' (mine.py:1)"


def test_lines_that_look_like_the_beginning_of_an_exception_are_counted():
    _, reader = read("TypeError: x\n    at y (z.js:1:2)\n" * 3)
    assert (reader.alarms, reader.lines) == (3, 6)


def test_what_the_library_complains_of_is_counted_by_what_does_not_vary():
    log = "maelstrom_node: no handler takes 'gosip': {'type': 'gosip', 'value': %d}\n"
    found, _ = read(log % 1 + log % 2)
    assert {(f.kind, f.key, f.text) for f in found} == {
        ("complaint", "no handler takes 'gosip'", "no handler takes 'gosip'")
    }
    assert found[0].line == "{'type': 'gosip', 'value': 1}"


def test_an_answer_that_came_late_or_twice_is_a_kind_of_its_own():
    text = "dropped an answer that came late or twice, of type 'gossip_ok'"
    [finding], _ = read(f'maelstrom_node: {text}: {{"src":"n3"}}\n')
    assert (finding.kind, finding.text, finding.line) == ("late", text, '{"src":"n3"}')


def test_other_lines_are_counted_and_the_last_that_look_like_an_error_are_kept():
    go = (
        "listening\npanic: assignment to entry in nil map\n\ngoroutine 1 [running]:\n"
        "\t/home/me/main.go:17 +0x1d\n"
    )
    found, reader = read("starting\n" + go)
    assert found == []
    assert reader.lines == 5
    assert reader.alarms == 1
    assert reader.block == [
        "panic: assignment to entry in nil map",
        "goroutine 1 [running]:",
        "\\t/home/me/main.go:17 +0x1d",
    ]


def test_a_log_without_alarms_keeps_its_last_line():
    _, reader = read("one\ntwo\n")
    assert (reader.alarms, reader.block, reader.lines) == (0, ["two"], 2)


def test_of_a_long_block_only_the_beginning_is_kept():
    _, reader = read("Error: x\n" + "    at y (z.js:1:2)\n" * 99)
    assert len(reader.block) == BLOCK


def test_a_log_may_hold_anything():
    assert len(read("Traceback (most recent call last):\n\xff\0\n")[0]) == 1
    assert read("\0" * 200_000)[1].lines == 1


def test_what_a_terminal_would_obey_is_quoted():
    text = KEY_ERROR.replace("mine.py", "\x1b[2J.py").replace("gossip", "a\x1b[2J")
    assert texts(text) == [("exception", r"raised KeyError: 'vals' in a\x1b[2J (\x1b[2J.py:44)")]
    long = KEY_ERROR.replace("mine.py", "m" * 10_000).replace("gossip", "g" * 10_000)
    assert len(texts(long)[0][1]) < 350
