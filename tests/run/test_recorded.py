"""What `check` judges, what it refuses and in which words, and what it warns of."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from challenge_runs import options
from handwritten import fail, history, info, invoke, nemesis, ok

from glomers.checkers import Checker, echo
from glomers.cli import main
from glomers.history.edn import Keyword
from glomers.history.operations import History, HistoryError, read_history, to_edn_line
from glomers.options import Options
from glomers.run.build import simulated_test
from glomers.run.recorded import cut_off, judge, look_alikes, read
from glomers.workloads import WORKLOADS
from glomers.workloads.echo import EchoWorkload

HISTORIES = Path(__file__).parents[1] / "histories"
CASES = sorted(HISTORIES.iterdir())
COUNTERS = ["g-counter", "pn-counter"]


def workload(case: Path) -> str:
    words = (case / "command").read_text().split()
    return words[words.index("-w") + 1]


recorded = cache(read_history)


@pytest.fixture
def written(tmp_path):
    """Write a history to a file and return its path."""

    def write(*steps) -> Path:
        path = tmp_path / "history.edn"
        path.write_text("".join(f"{to_edn_line(o)}\n" for o in history(*steps)), "utf-8")
        return path

    return write


# Which workload it is


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_maelstrom_recorded_is_told_by_its_operations(case):
    name = workload(case)
    assert look_alikes(recorded(case)) == (COUNTERS if name in COUNTERS else [name])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_maelstrom_recorded_is_whole(case):
    assert cut_off(recorded(case), WORKLOADS[workload(case)]) == []


RUNS = {"1": "echo", "2": "unique-ids", "3b": "broadcast", "4": "g-counter", "5b": "kafka",
        "6b": "txn-rw-register"}  # fmt: skip


@pytest.mark.parametrize("challenge", RUNS)
def test_so_is_what_the_workbench_records(challenge):
    test = simulated_test(options(challenge, time_limit=2, rate=50))
    assert test.run()["valid?"] is True
    ours = History(test.recorder.operations)
    assert RUNS[challenge] in look_alikes(ours)
    assert cut_off(ours, WORKLOADS[RUNS[challenge]]) == []


def test_every_workload_says_what_its_operations_are():
    for name, known in WORKLOADS.items():
        assert known.name == name
        assert known.operations


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_history_of_another_workload_is_refused_with_the_one_that_it_looks_like(name, capsys):
    others = {workload(case): case for case in CASES if workload(case) != name}
    for other, case in others.items():
        if {name, other} == set(COUNTERS):
            continue
        assert main(["check", str(case), "-w", name]) == 254
        error = capsys.readouterr().err
        assert f"{case / 'history.edn.gz'}, line " in error
        assert ": {:index " in error
        assert "\nExpected " in error
        looks_like = " or ".join(COUNTERS) if other in COUNTERS else other
        assert error.endswith(f"\nThis looks like a history of {looks_like}\n")


def test_a_history_of_which_the_nodes_answers_were_wrong_is_judged():
    wrong = [case for case in CASES if ":valid? false" in _results(case)]
    assert len(wrong) > 10
    for case in wrong:
        read(case, WORKLOADS[workload(case)])


def _results(case: Path) -> str:
    file = case / "results.edn"
    return file.read_text("utf-8") if file.exists() else ""


# What is refused

SENDING, SENT = [["send", "k", 1]], [["send", "k", [0, 1]]]
POLLING = [["poll"]]
MISFITS = {
    "another operation": (
        "broadcast",
        [invoke(0, "broadcast", 1), ok(0), invoke(0, "send", SENDING)],
        "line 3: broadcast has no operation :send, only :broadcast, :read: {:index 2",
        "Expected the operations of broadcast: :broadcast, :read",
    ),
    "a read that isn't a list": (
        "broadcast",
        [invoke(0, "read"), ok(0, 7)],
        "line 2: the :value should be [anything, …] or null, not 7 (of an :ok of :read): {:index 1",
        "Expected :value null where a :read begins, and [anything, …] or null where it is :ok",
    ),
    "a read that asks for something": (
        "g-set",
        [invoke(0, "read", [0, None])],
        "line 1: the :value should be null, not [0, null] (of an :invoke of :read)",
        "Expected :value null where a :read begins",
    ),
    "a sum that isn't a number": (
        "g-counter",
        [invoke(0, "read"), ok(0, [1])],
        "line 2: the :value should be an integer, not [1]",
        "Expected :value null where a :read begins, and integer where it is :ok",
    ),
    "an answer that isn't a message": (
        "echo",
        [invoke(0, "echo", "x"), ok(0, "x")],
        'line 2: the :value should be an object, not "x"',
        "Expected :value anything where a :echo begins",
    ),
    "a register without its key": (
        "lin-kv",
        [invoke(0, "write", 3)],
        "line 1: the :value should be an array, not 3",
        "Expected :value [anything, anything] where a :write begins",
    ),
    "a kafka value in a transaction": (
        "txn-list-append",
        [invoke(0, "txn", SENDING)],
        'line 1: the :value[0] should be ["r", anything, null] or ["append", anything, anything],'
        ' not ["send", "k", 1]',
        'Expected :value [["r", anything, null] or ["append"',
    ),
    "an append to a register": (
        "txn-rw-register",
        [invoke(0, "txn", [["append", 1, 2]])],
        'line 1: the :value[0] should be ["r", anything, null] or ["w"',
        "looks like a history of txn-list-append",
    ),
    "a sent message without its offset": (
        "kafka",
        [invoke(0, "send", SENDING), ok(0)],
        "line 2: the :value[0][2] should be an array, not 1",
        'Expected :value [["send", string, anything], …] where a :send begins',
    ),
    "a poll without an answer": (
        "kafka",
        [invoke(0, "poll", POLLING), ok(0)],
        "line 2: the :value[0] should have 2 elements, not 1",
        'and [["poll", {string: [[integer, anything], …] or null}], …] where it is :ok',
    ),
    "an id that was asked for": (
        "unique-ids",
        [invoke(0, "generate", 7)],
        "line 1: the :value should be null, not 7",
        "Expected :value null where a :generate begins, and anything where it is :ok",
    ),
}


@pytest.mark.parametrize(("name", "steps", "problem", "expected"), MISFITS.values(), ids=MISFITS)
def test_a_value_of_the_wrong_shape_is_refused(written, name, steps, problem, expected):
    path = written(*steps)
    with pytest.raises(HistoryError) as raised:
        read(path, WORKLOADS[name])
    assert str(raised.value).startswith(f"{path}, {problem}")
    assert expected in str(raised.value)


def test_a_history_of_faults_alone_is_refused(written):
    path = written(nemesis("start-partition"), nemesis("stop-partition"))
    with pytest.raises(HistoryError, match="holds no operation of a client: there is nothing to"):
        read(path, WORKLOADS["echo"])


# What is not

ACCEPTED = {
    "null for a list": ("broadcast", [invoke(0, "read"), ok(0, None)]),
    "null for a set": ("g-set", [invoke(0, "read"), ok(0, None)]),
    "null for what a key holds": (
        "kafka",
        [invoke(0, "poll", POLLING), ok(0, [["poll", {"k": None}]])],
    ),
    "null for a transaction": ("txn-list-append", [invoke(0, "txn", []), ok(0, None)]),
    "null for a list in a transaction": (
        "txn-list-append",
        [invoke(0, "txn", [["r", 1, None]]), ok(0, [["r", 1, None]])],
    ),
    "a failed read": ("lin-kv", [invoke(0, "read", [0, None]), fail(0, "key-does-not-exist")]),
    "a send of unknown outcome": ("kafka", [invoke(0, "send", SENDING), info(0)]),
    "a poll that broke off": (
        "kafka",
        [
            invoke(0, "poll", POLLING),
            lambda before: replace(ok(0, [["poll", {"k": [[0, 1]]}]])(before), type="info"),
        ],
    ),
    "elements of any kind": ("g-set", [invoke(0, "add", {"a": [1.5]}), ok(0)]),
}


@pytest.mark.parametrize(("name", "steps"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_maelstrom_lets_a_node_or_a_client_do_is_judged(written, name, steps):
    path = written(*steps)
    assert len(read(path, WORKLOADS[name])) == len(steps)
    results = judge(path, Options(workload=name))
    assert "mistake of the workbench" not in str(results)


# What ends too soon


def kinds(name: str, *steps) -> list[str]:
    return [str(warning["kind"]) for warning in cut_off(history(*steps), WORKLOADS[name])]


def test_operations_that_are_open_at_the_end_are_a_warning():
    whole = [invoke(0, "echo", "x"), ok(0, {Keyword("echo"): "x"})]
    assert kinds("echo", *whole) == []
    assert kinds("echo", *whole, invoke(0, "echo", "y")) == ["open-operations"]
    [warning] = cut_off(history(invoke(0, "echo", "y"), invoke(1, "echo", "z")), WORKLOADS["echo"])
    assert (warning["count"], warning["first"]["op"]["index"]) == (2, 0)


@pytest.mark.parametrize("name", ["broadcast", "g-counter", "pn-counter"])
def test_a_history_without_final_reads_is_a_warning(name):
    assert kinds(name, invoke(0, "read"), ok(0, [])) == ["no-final-reads"]
    assert kinds(name, invoke(0, "read", final=True), ok(0, [])) == []


def test_final_reads_of_a_set_are_those_after_the_last_add():
    add, see = [invoke(0, "add", 1), ok(0)], [invoke(0, "read"), ok(0, [1])]
    assert kinds("g-set", *see, *add) == ["no-final-reads"]
    assert kinds("g-set", *add, *see) == []


def test_final_polls_of_kafka_begin_with_an_assign_from_the_beginning():
    sends = [invoke(0, "send", SENDING), ok(0, SENT)]
    assert kinds("kafka", *sends) == ["no-final-reads"]
    seek = (("seek-to-beginning?", True),)
    assign = [lambda b: replace(invoke(1, "assign", ["k"])(b), extra=seek), ok(1)]
    assert kinds("kafka", *sends, *assign) == []
    assert kinds("kafka", invoke(0, "poll", POLLING), ok(0, [["poll", {}]])) == []


def test_a_history_that_was_cut_off_is_judged_with_a_warning(written, capsys):
    steps = [invoke(0, "broadcast", 1), ok(0), invoke(0, "read"), ok(0, [1]), invoke(0, "read")]
    path = written(*steps)
    results = judge(path, Options(workload="broadcast"))
    assert results["valid?"] is True
    assert [str(w["kind"]) for w in results["warnings"]] == ["open-operations", "no-final-reads"]
    assert main(["check", str(path), "-w", "broadcast"]) == 0
    printed = capsys.readouterr().out
    assert "Warning (open-operations, 1×): operations were still open at the end" in printed
    assert judge(path, Options(workload="broadcast", strict=True))["valid?"] is False


# Why a verdict is open

UNKNOWN = {
    "nothing was added": (
        "broadcast",
        [invoke(0, "read"), ok(0, [])],
        "workload (no value was added, so there was none to be read)",
    ),
    "nothing was read": (
        "g-set",
        [invoke(0, "add", 1), ok(0)],
        "workload (without a read nobody knows what became of the values)",
    ),
    "no value was read": (
        "g-set",
        [invoke(0, "read"), ok(0, []), invoke(0, "add", 1), ok(0)],
        "workload (no read shows any of the values that were added)",
    ),
    "nothing ended": (
        "echo",
        [invoke(0, "echo", "x")],
        "stats (no operation ended, so the run proves nothing)",
    ),
    "nothing depends on anything": (
        "txn-rw-register",
        [invoke(0, "txn", [["r", 1, None]]), ok(0)],
        "workload (no transaction is known to depend on another: none that succeeded shows or"
        " replaces what another wrote)",
    ),
    "a value was written twice": (
        "txn-list-append",
        [invoke(0, "txn", [["append", 1, 2]]), ok(0), invoke(0, "txn", [["append", 1, 2]]), ok(0)],
        "workload (2 was appended to key 1 twice)",
    ),
    "nobody sent it": (
        "kafka",
        [invoke(0, "poll", POLLING), ok(0, [["poll", {"k": [[0, 1]]}]])],
        "workload (A poll shows a message that nobody sent: process 0 polled message 1 of key",
    ),
}


@pytest.mark.parametrize(("name", "steps", "reason"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_verdict_that_stays_open_says_why_on_the_screen(written, capsys, name, steps, reason):
    assert main(["check", str(written(*steps)), "-w", name]) == 2
    assert f"\nNot valid: {reason}" in capsys.readouterr().out


def test_if_nothing_succeeded_the_first_error_is_shown(written, capsys):
    steps = [invoke(0, "echo", "x"), fail(0, [Keyword("abort"), "not today"])]
    steps += [invoke(0, "echo", "y"), info(0), invoke(5, "echo", "z")]
    assert main(["check", str(written(*steps)), "-w", "echo"]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "nothing-succ" in line]
    assert line == (
        "Warning (nothing-succeeded, 2×): no echo succeeded; "
        "the first to fail ended with abort: not today"
    )


@pytest.mark.parametrize("part", ["stats", "availability"])
def test_a_checker_that_raises_is_named_as_a_mistake_of_the_workbench(part, written, monkeypatch):
    def broken(history, options):
        raise KeyError("x")

    monkeypatch.setattr(f"glomers.run.drive.{part}.check", broken)
    path = written(invoke(0, "echo", "x"), ok(0, {Keyword("echo"): "x"}))
    results = judge(path, Options(workload="echo"))
    assert results["valid?"] == "unknown"
    assert results[part]["error"].startswith(
        f"the checker of {part} broke off, which is a mistake of the workbench, not of the node"
        " (KeyError in test_recorded.py, line "
    )


def test_so_is_the_checker_of_a_workload(written, monkeypatch, capsys):
    def broken(history, options):
        raise KeyError("x")

    monkeypatch.setattr(EchoWorkload, "checker", Checker(broken, echo.figures))
    path = written(invoke(0, "echo", "x"), ok(0, {Keyword("echo"): "x"}))
    assert main(["check", str(path), "-w", "echo"]) == 2
    reason = "workload (the checker of echo broke off, which is a mistake of the workbench"
    assert reason in capsys.readouterr().out
