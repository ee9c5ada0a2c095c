"""The page of a test: what is in it, what is not, and how large it is."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import textwrap
from pathlib import Path

import pytest

from glomers import cli
from glomers.errors import UsageError
from glomers.history.command import Command
from glomers.history.lost_turns import LostTurn
from glomers.history.operations import History, read_history
from glomers.invocation import Invocation, shown
from glomers.report import page
from glomers.report.journal import NONE
from glomers.report.page import Problem, Span
from glomers.report.reasons import Reason
from glomers.report.story import FILE
from glomers.run.kept import write_page
from glomers.world.faults import FAULTS
from tests.report.pages import (
    about,
    became,
    block,
    column,
    kept,
    lose_turns,
    sent,
    written,
)

HISTORIES = Path(__file__).parents[1] / "histories"
MIB = 1 << 20
PARTS_OF_FAULTS = {name: fault.f for name, fault in FAULTS.items()}


def operation(index, time, type, process, f, value=None, **more):
    fields = {"index": index, "time": time, "type": type, "process": process, "f": f}
    return json.dumps({**fields, "value": value, **more}) + "\n"


def text_of(folder):
    return write_page(folder).read_text("utf-8")


def recorded(case, folder):
    """Put a test that real Maelstrom kept into a folder."""
    shutil.copytree(HISTORIES / case, folder)
    packed = folder / "results.edn.gz"
    if packed.exists():
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))


# Size


def test_the_page_of_challenge_3c_takes_less_than_a_mebibyte(tmp_path):
    assert (kept(tmp_path, "3c") / "report.html").stat().st_size < MIB


def test_the_page_of_challenge_3d_pushed_takes_less_than_five_mebibytes(tmp_path):
    folder = kept(tmp_path, "3d", seed=1, args=("--max-latency", "0"))
    events = (folder / "messages.jsonl").read_text().count("\n")
    assert events > 50_000
    assert (folder / "report.html").stat().st_size < 5 * MIB


# What is in it


def test_operations_know_their_requests(tmp_path):
    folder = kept(tmp_path, "3b", time_limit=3)
    found = text_of(folder)
    requests = column(found, "operation-message")
    sources, types = column(found, "message-src"), column(found, "message-type")
    names, kinds = about(found)["endpoints"], about(found)["types"]
    fs = [about(found)["f"][number] for number in column(found, "operation-f")]
    assert requests
    assert len(set(requests)) == len(requests)
    assert all(names[sources[row]].startswith("c") for row in requests)
    assert [kinds[types[row]] for row in requests] == fs


def test_times_are_in_microseconds_and_stand_as_steps(tmp_path):
    folder = written(
        tmp_path / "echo" / "1",
        [sent(-5_000, 0, "c0", "n0", type="init"), sent(7_000, 1, "n0", "c0", type="init_ok")],
    )
    assert column(text_of(folder), "message-at") == [-5, 12]


def test_values_of_a_set_have_the_latencies_that_the_checker_found(tmp_path):
    folder = written(
        tmp_path / "broadcast" / "1",
        [],
        operation(0, 0, "invoke", 0, "broadcast", 5)
        + operation(1, 1_000_000, "ok", 0, "broadcast", 5)
        + operation(2, 41_000_000, "invoke", 1, "read")
        + operation(3, 42_000_000, "ok", 1, "read", [])
        + operation(4, 90_000_000, "invoke", 1, "read")
        + operation(5, 91_000_000, "ok", 1, "read", [5]),
    )
    found = text_of(folder)
    assert about(found)["stable"] == [5]
    assert (column(found, "stable-known", "d"), column(found, "stable-latency")) == ([1000], [40])


def test_lost_turns_have_their_time_their_place_and_the_message_that_was_handled(tmp_path):
    folder = written(
        tmp_path / "echo" / "1",
        [sent(0, 4, "c0", "n0", type="echo", msg_id=1), sent(0, 7, "c1", "n0", type="echo")],
    )
    place = ("n0", "node.py:11", "last = value + 1", "generate")
    lose_turns(
        folder,
        LostTurn(*place, 3_000_999, 5_001_000, 7, 2, 2),
        LostTurn("n1", "node.py:3", "wait()", "<module>", 4_000_000, None, None, 2, None),
        LostTurn(*place, 6_000_000, 6_000_500, 9, 2, 2),
    )
    found = text_of(folder)
    assert about(found)["places"] == [
        {"node": "n0", "function": "generate", "line": "node.py:11", "text": "last = value + 1"},
        {"node": "n1", "function": "<module>", "line": "node.py:3", "text": "wait()"},
    ]
    assert column(found, "turn-at") == [3000, 1000, 2000]
    assert column(found, "turn-took") == [2001, NONE, 0]
    assert column(found, "turn-place") == [0, 1, 0]
    assert column(found, "turn-message") == [1, NONE, NONE]


def test_the_page_of_a_small_run_has_its_story(tmp_path):
    folder = written(tmp_path / "echo" / "1", [])
    assert about(text_of(folder))["story"] == []
    (folder / FILE).write_text("0.0 ms  process 0 asks n0: echo 1\nSo the test is invalid: ö\n")
    assert about(text_of(folder))["story"] == [
        "0.0 ms  process 0 asks n0: echo 1",
        "So the test is invalid: ö",
    ]


def test_a_test_that_ended_before_its_first_operation_has_a_page(tmp_path):
    folder = written(
        tmp_path / "echo" / "1",
        [sent(0, 0, "c0", "n0", type="init", msg_id=1)],
        **{"valid?": False, "error": "Node n0 did not answer init within 10 s."},
    )
    found = about(text_of(folder))
    assert found["problems"][0]["text"] == "Node n0 did not answer init within 10 s."


def test_a_test_that_maelstrom_kept_has_a_page_without_messages(tmp_path):
    folder = tmp_path / "broadcast" / "latest"
    recorded("bcast-lossy-part", folder)
    found = about(text_of(folder))
    assert found["endpoints"] == []
    assert any("24 values were lost" in problem["text"] for problem in found["problems"])


def test_a_node_has_its_log_and_a_long_one_its_beginning_and_its_end(tmp_path):
    folder = tmp_path / "node-logs"
    folder.mkdir()
    (folder / "n0.log").write_text("begin\n" + "123456789\n" * 52_428 + "end\n")
    (folder / "n1.log").write_text("")
    (folder / "n10.log").write_text("ten")
    (folder / "n2.log").write_text("two")
    logs = page.logs(tmp_path)
    assert list(logs) == ["n0", "n2", "n10"]
    assert logs["n2"].lines == ["two"]
    first, *_, last = lines = logs["n0"].lines
    assert (first, last) == ("begin", "end")
    assert "[… 26,215 lines …]" in lines


def test_each_line_of_a_log_has_the_time_at_which_it_was_printed(tmp_path):
    (tmp_path / "node-logs").mkdir()
    (tmp_path / "node-logs" / "n0.log").write_text("set-up\none\ntwo\nlate\n")
    times = [("n0", 0, -5_000), ("n1", 2, 1), ("n0", 7, 80_000), ("n0", 15, 90_000)]
    (tmp_path / "log-times.jsonl").write_text(
        "".join(
            json.dumps({"time": time, "node": node, "byte": byte}) + "\n"
            for node, byte, time in times
        )
    )
    assert page.logs(tmp_path)["n0"].times == [-5_000, 80_000, 80_000, 90_000]


def test_the_times_of_logs_are_kept(tmp_path, script):
    source = """
        import sys
        from maelstrom_node import Node

        node = Node()

        @node.on("echo")
        def echo(message):
            print(message.body["echo"], file=sys.stderr)
            return {"type": "echo_ok", "echo": message.body["echo"]}

        node.run()
    """
    bin = str(script(textwrap.dedent(source)))
    folder = kept(tmp_path, "1", bin=bin, time_limit=2)
    invoked = [
        operation.time
        for operation in read_history(folder).client_operations()
        if operation.type == "invoke"
    ]
    assert len(invoked) > 3
    assert page.logs(folder)["n0"].times == invoked


# Faults


def faults_of(tmp_path, *lines):
    (tmp_path / "history.jsonl").write_text("".join(lines))
    return page.spans(read_history(tmp_path), PARTS_OF_FAULTS)


def nemesis(index, time, f, value):
    return operation(index, time, "info", "nemesis", f, value)


def test_a_partition_lasts_from_its_completion_to_the_beginning_of_its_end(tmp_path):
    cut = {"n0": ["n1"], "n1": ["n0"]}
    found = faults_of(
        tmp_path,
        nemesis(0, 10, "start-partition", "one"),
        nemesis(1, 20, "start-partition", ["isolated", cut]),
        nemesis(2, 30, "stop-partition", None),
        nemesis(3, 40, "stop-partition", "network-healed"),
        nemesis(4, 50, "stop-partition", None),
        nemesis(5, 60, "stop-partition", "network-healed"),
    )
    assert found == [Span("partition", "one", 20, 30, cut=cut)]


def test_a_fault_that_nothing_ended_has_no_end(tmp_path):
    found = faults_of(
        tmp_path,
        nemesis(0, 10, "kill", None),
        nemesis(1, 20, "kill", {"n0": "killed", "n1": "not-running"}),
    )
    assert found == [Span("kill", "some", 20, None, nodes=["n0"])]


def test_a_history_without_faults_has_none():
    assert page.spans(History([]), PARTS_OF_FAULTS) == []


# What went wrong


def test_an_error_stands_before_everything_else():
    results = {"valid?": False, "error": "Node n0 ended.", "workload": {"valid?": True}}
    assert page.problems(results, [Reason("stats", "no echo succeeded", 5)]) == [
        Problem("Node n0 ended.")
    ]


def test_values_that_were_lost_can_be_followed():
    results = {"valid?": False, "workload": {"valid?": False, "lost": [3, 8]}}
    assert page.problems(results, []) == [Problem("2 lost", values=[3, 8])]


def test_what_happened_to_nodes_is_told_with_its_time():
    incident = {
        "kind": "exception",
        "text": "raised KeyError",
        "count": 3,
        "nodes": {"n1": 3},
        "first": {"time": 500_000_000, "line": "…"},
    }
    found = page.problems({"valid?": True, "incidents": [incident]}, [])
    text = "n1 raised KeyError, 3 times, first at 0.50 s: …"
    assert found == [Problem(text, "warning", 500_000_000)]


@pytest.mark.parametrize(
    ("case", "workload", "start", "form", "followed"),
    [
        ("kafka-dup", "kafka", "message 4 of key 28 is at offsets 3 4", "log", ["28", 4]),
        (
            "txn-g1a-rc",
            "txn-rw-register",
            "T1 (the node of process 2 at 0.29 s) read 3 of key 10",
            None,
            None,
        ),
        (
            "gc-local",
            "g-counter",
            "the node of process 1's final read at 15.01 s is 21",
            None,
            None,
        ),
        ("lin-lww", "lin-kv", "read of key 0 by process 0 returned 3", "order", None),
        (
            "bcast-lossy-part",
            "broadcast",
            "value 4: the node of process 4 acknowledged it",
            None,
            4,
        ),
    ],
)
def test_each_reason_stands_once_and_has_its_place(tmp_path, case, workload, start, form, followed):
    folder = tmp_path / workload / case
    recorded(case, folder)
    problems = about(text_of(folder))["problems"]
    found = next(problem for problem in problems if problem["text"].startswith(start))
    assert found["values"] == ([] if followed is None else [followed])
    assert found["picture"].get("form") == form
    assert found["time"] > 0
    assert found["operations"]
    # A summary, reasons, and what else happened; no case of the results by itself.
    assert not [problem for problem in problems if '{"' in problem["text"]]


def test_a_problem_refers_to_the_rows_of_its_operations_and_messages(tmp_path):
    picture = {
        "form": "spread",
        "messages": [[8, "n0", "n1", 5, "cut"], [99, "n0", "n2", 5, "cut"]],
    }
    order = {
        "form": "order",
        "order": [[3, 1, "read", 2, 0, 1]],
        "misfit": [77, 1, "read", 2, 0, 1],
    }
    reasons = [
        Reason("lost", "value 1", 5, (3, 1, 0, 77), (8, 99, 7), ("n0",), picture),
        Reason("not-linearizable", "read", 5, (), (), (), order),
    ]
    folder = written(
        tmp_path / "broadcast" / "1",
        [sent(0, 7, "c0", "n0", type="read"), sent(1, 8, "n0", "n1", type="gossip")],
        operation(0, 0, "invoke", 0, "read")
        + operation(1, 5, "ok", 0, "read", [])
        + operation(2, 6, "invoke", 0, "read")
        + operation(3, 7, "ok", 0, "read", []),
        **{"valid?": False, "reasons": [reason.as_result() for reason in reasons]},
    )
    lost, order = about(text_of(folder))["problems"]
    assert (lost["operations"], lost["messages"], lost["nodes"]) == ([1, 0], [1, 0], ["n0"])
    assert [sent[0] for sent in lost["picture"]["messages"]] == [1, -1]
    assert order["picture"]["order"][0][0] == 1
    assert order["picture"]["misfit"][0] == -1


def test_a_kind_of_which_reasons_explain_cases_has_no_others():
    judged = {
        "valid?": False,
        "lost": [3, 8],
        "bad-error-types": ["unseen", "duplicate"],
        "unseen": {"errs": [{"key": "1"}]},
        "duplicate": {"errs": [{"key": "2"}]},
    }
    whole = Reason("lost", "2 values were lost", summary=True)
    results = {"valid?": False, "workload": judged}
    explained = [whole, Reason("lost", "value 3"), Reason("unseen", "message 1")]
    texts = [problem.text for problem in page.problems(results, explained)]
    assert texts == [
        "Not valid: 2 values were lost", "value 3", "message 1", 'duplicate: {"key": "2"}'
    ]  # fmt: skip
    assert "2 lost" in [problem.text for problem in page.problems(results, [whole])]


def test_of_many_cases_of_a_kind_only_the_first_are_told():
    errs = [{"key": "1", "value": n} for n in range(50)]
    judged = {"valid?": False, "bad-error-types": ["unseen"], "unseen": {"errs": errs}}
    found = page.problems({"valid?": False, "workload": judged}, [])
    assert len(found) == page.SHOWN + 1
    assert found[-1].text == "unseen: 30 more"


# Content is data

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=2'>{{style}}"


def hostile_folder(tmp_path):
    folder = written(
        tmp_path / "echo" / "1",
        [
            sent(0, 0, "c0", "n0", type=HOSTILE, msg_id=1, echo=HOSTILE),
            became("recv", 0, 0),
            sent(0, 1, "n0", "c0", type=f"{HOSTILE}_ok", in_reply_to=1, **{HOSTILE: HOSTILE}),
        ],
        operation(0, 0, "invoke", 0, HOSTILE, HOSTILE)
        + operation(1, 9, "fail", 0, HOSTILE, HOSTILE, error=HOSTILE),
        **{"valid?": False, "error": HOSTILE},
    )
    (folder / "node-logs").mkdir()
    (folder / "node-logs" / "n0.log").write_text(f"{HOSTILE}\x1b]0;title\x07\n")
    lose_turns(folder, LostTurn("n0", HOSTILE, f"{HOSTILE}\u202e", HOSTILE, 0, 0, 0, 2, 2))
    (folder / FILE).write_text(HOSTILE)
    (folder / "command.json").write_text(
        Command(HOSTILE, (HOSTILE,), Path(HOSTILE), 1, HOSTILE, HOSTILE).as_json()
    )
    return folder


def test_nothing_that_a_node_says_stands_in_the_page_as_it_is(tmp_path):
    assert "hacked" not in text_of(hostile_folder(tmp_path))


def test_the_name_of_the_folder_is_no_markup(tmp_path):
    folder = written(tmp_path / "echo" / "<b>{{script}}&", [])
    assert "<title>echo · &lt;b&gt;{{script}}&amp;</title>" in text_of(folder)


def test_the_policy_lets_run_the_script_of_the_page_and_nothing_else(tmp_path):
    found = text_of(written(tmp_path / "echo" / "1", []))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', found)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for rule, pattern in (
        ("script-src", r'<script type="module">(.*?)</script>'),
        ("style-src", r"<style>(.*?)</style>"),
    ):
        (text,) = re.findall(pattern, found, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_the_page_names_no_address_to_fetch_from(tmp_path):
    found = text_of(written(tmp_path / "echo" / "1", []))
    assert not re.search(r"https?://|\bfetch\(|XMLHttpRequest|innerHTML|\beval\(", found)


# The command


def test_report_names_the_page_that_it_made(tmp_path, capsys):
    folder = kept(tmp_path, "1", time_limit=1)
    page = folder / "report.html"
    page.unlink()
    assert cli.main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"{shown(page)}\n"
    assert b"echo" in block(page.read_text(), "about")


def test_the_command_that_brings_a_test_back_is_shown(tmp_path):
    folder = written(tmp_path / "echo" / "1", [])
    words = ("test", "-w", "echo", "--bin", "my node.py", "--seed", "7")
    command = Command("glomers", words, Path("/my folder"), 7, "workbench", "echo/1")
    (folder / "command.json").write_text(command.as_json())
    assert about(text_of(folder))["command"] == (
        "cd '/my folder' && glomers test -w echo --bin 'my node.py' --seed 7"
    )


def test_targets_of_a_challenge_are_shown_if_it_is_named(tmp_path):
    folder = kept(tmp_path, "2", time_limit=1)
    rows = about(write_page(folder, "2").read_text("utf-8"))["rows"]
    assert [row["target"] for row in rows if row["target"]] == ["= 100 %", "= 0"]


def test_a_folder_without_a_test_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"can't read .*results.edn"):
        write_page(tmp_path)


def test_a_page_that_is_made_again_has_the_targets_of_the_challenge_that_was_run(tmp_path, capsys):
    folder = kept(tmp_path, "3d", time_limit=2)
    called = Invocation("./run.sh", Path("/home/me"), ("3d",))
    command = Command.of(called, 0, "workbench, simulated", folder)
    (folder / "command.json").write_text(command.as_json())
    assert cli.main(["report", str(folder)]) == 0
    rows = about((folder / "report.html").read_text("utf-8"))["rows"]
    assert any(row["reached"] is not None for row in rows)


def test_a_test_that_was_killed_has_a_page_of_what_it_did(tmp_path, capsys):
    history = operation(0, 0, "invoke", 0, "echo", 1) + operation(1, 5, "ok", 0, "echo", 1)
    folder = written(tmp_path / "echo" / "1", [], history + '{"index": 2, "ti')
    (folder / "results.edn").unlink()
    called = Invocation("./run.sh", Path("/home/me"), ("1",))
    (folder / "command.json").write_text(Command.of(called, 0, "workbench", folder).as_json())
    assert cli.main(["report", str(folder)]) == 0
    text = (folder / "report.html").read_text("utf-8")
    assert about(text)["lastLine"].startswith("There are no results")
    assert column(text, "operation-took") == [0]


def test_the_name_of_a_folder_may_be_no_text(tmp_path):
    folder = written(tmp_path / "echo" / os.fsdecode(b"\xff\xfe"), [])
    assert about(text_of(folder))["folder"] == r"\udcff\udcfe"


def test_each_process_writes_a_page_of_its_own_before_it_is_put_in_place(tmp_path, monkeypatch):
    file = tmp_path / "report.html"
    with page.written_whole(file) as mine:
        mine.write("mine")
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with page.written_whole(file) as others:
            others.write("theirs")
        assert file.read_text() == "theirs"
    assert file.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [file]


def test_what_an_operation_said_stands_as_it_was(tmp_path):
    large = 12345678901234567890
    history = operation(0, 0, "invoke", 0, "echo", large)
    history += operation(1, 5, "ok", 0, "echo", [large, float("nan")])
    page_text = text_of(written(tmp_path / "echo" / "1", [], history))
    [text] = block(page_text, "operation-text-0").decode().split("\n")
    assert json.loads(text) == {"asked": str(large), "answered": f"[{large}, NaN]"}


def test_a_page_that_can_not_be_written_is_named_and_the_old_one_stays(tmp_path):
    file = tmp_path / "report.html"
    file.write_text("old")

    def write():
        with page.written_whole(file) as out:
            out.write("new")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space") as caught:
        write()
    assert caught.value.filename == str(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_test_may_go_on_for_hours(tmp_path):
    hour = 3600 * 10**9
    history = operation(0, hour, "invoke", 0, "broadcast", 7)
    history += operation(1, hour, "ok", 0, "broadcast", 7)
    history += operation(2, hour, "invoke", 0, "read") + operation(3, hour, "ok", 0, "read", [7])
    folder = written(tmp_path / "broadcast" / "1", [sent(hour, 0, "n0", "n1", type="x")], history)
    (folder / "node-logs").mkdir()
    (folder / "node-logs" / "n0.log").write_text("late\n")
    (folder / "log-times.jsonl").write_text(json.dumps({"time": hour, "node": "n0", "byte": 0}))
    found = text_of(folder)
    assert column(found, "stable-known", "d") == [hour / 1000]
    assert column(found, "log-time-0", "d") == [hour / 1000]
