"""`--check FILE`: a person's own checks of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glomers.cli import main
from glomers.errors import UsageError
from glomers.history.operations import History, Operation
from glomers.options import Options
from glomers.run import checks
from glomers.run.build import simulated_test
from glomers.run.kept import collected
from glomers.run.reasons import reasons
from glomers.run.sweep import run_seed

ROOT = Path(__file__).parents[2]

NODE = """
from maelstrom_node import Node
node = Node()
echoed = []
ticks = 0

@node.on("echo")
def echo(message):
    echoed.append(message.body["echo"])
    node.log("echoed")
    for peer in node.peers:
        node.send(peer, {"type": "heard"})
    return {"type": "echo_ok", "echo": message.body["echo"]}

@node.on("heard")
def heard(message):
    pass

@node.every(1)
def tick():
    global ticks
    ticks += 1

node.run()
"""


@pytest.fixture
def judged(script, tmp_path):
    """The results of a short simulated run with the given file of checks."""

    def run(source: str, **settings) -> dict:
        file = tmp_path / "mine.py"
        file.write_text(source)
        node = str(script(NODE))
        usual = {"workload": "echo", "bin": node, "nodes": ("n0", "n1"), "concurrency": 2}
        usual |= {"time_limit": 2.0, "latency": 50}
        options = Options(check=str(file), **{**usual, **settings})
        return simulated_test(options).run()

    return run


def told(results: dict) -> list[str]:
    return [reason.text for reason in reasons(results, "echo")]


def test_checks_that_hold_are_among_the_results(judged):
    results = judged("""
def always_few(cluster):
    return len(cluster.in_flight()) < 9

def eventually(cluster):
    return all(cluster[node].echoed for node in cluster.alive)

def check(history):
    return all(operation.f == "echo" for operation in history)
""")
    assert results["valid?"] is True
    assert results["check"] == {
        "valid?": True,
        "file": "mine.py",
        "asked": ["always_few", "eventually", "check"],
        "failures": [],
    }


def test_what_is_not_always_so_makes_a_run_invalid_with_time_event_and_place(judged):
    results = judged("""
def always(cluster):
    return sum(len(cluster[node].echoed) for node in cluster.nodes) < 3
""")
    assert results["valid?"] is False
    assert results["workload"]["valid?"] is True
    whole, case = reasons(results, "echo")
    assert whole.text == "always of mine.py does not hold"
    assert whole.summary
    began, ended = case.text.split(", after ")
    assert began.startswith("always (mine.py:2) returned False at 0.")
    assert ended.split(" → ")[1] in ("n0 echo", "n1 echo")
    assert 0 < case.time < 2e9
    assert case.nodes in (("n0",), ("n1",))
    assert len(case.messages) == 1


def test_a_failed_check_is_asked_no_more_and_the_run_goes_on(judged):
    results = judged("""
asked = []

def always(cluster):
    asked.append(cluster.now)
    return len(asked) < 7

def check(history):
    assert len(asked) == 7, len(asked)
    return history[-1].time > 1e9
""")
    assert told(results)[0] == "always of mine.py does not hold"


def test_what_must_come_to_hold_has_time_after_the_end(judged):
    source = """
def eventually(cluster, within=10):
    return cluster["n0"].ticks >= 6
"""
    assert judged(source)["check"]["valid?"] is True
    results = judged(source.replace("within=10", "within=1.5"))
    assert told(results) == [
        "eventually of mine.py does not hold",
        "eventually (mine.py:2) did not come to hold within 1.5 s of the end: "
        "at last it returned False",
    ]


def test_each_check_that_must_come_to_hold_has_its_own_time(judged):
    results = judged("""
def eventually_soon(cluster, within=0.5):
    return cluster["n0"].ticks >= 6

def eventually_later(cluster, within=9):
    return cluster["n0"].ticks >= 6
""")
    assert [failure["function"] for failure in results["check"]["failures"]] == ["eventually_soon"]


@pytest.mark.parametrize("workload", ["echo", "broadcast"])  # without a final phase, and with one
def test_all_faults_are_over_when_something_must_come_to_hold(judged, workload):
    source = """
cut = []

def always_noted(cluster):
    cut.append(cluster.is_cut("n0", "n1") or cluster.is_cut("n1", "n0"))
    return True

def eventually(cluster, within=30):
    return not cluster.is_cut("n0", "n1") and not cluster.is_cut("n1", "n0")

def check_cut(history):
    return any(cut)
"""
    faults = {"nemesis": ("partition",), "nemesis_interval": 0.4}
    if workload == "broadcast":
        faults |= {"workload": "broadcast", "bin": str(ROOT / "broadcast.py")}
    assert judged(source, **faults)["check"]["failures"] == []


def test_a_check_sees_operations_logs_and_messages(judged):
    results = judged("""
def eventually(cluster):
    ok = [operation for operation in cluster.operations if operation.type == "ok"]
    echoes = cluster.logs("n0").count("echoed") + cluster.logs("n1").count("echoed")
    heard = len(cluster.sent(type="heard"))
    assert len(ok) == echoes == heard == len(cluster.messages) - 2 * echoes - 4, (
        len(ok), echoes, heard, len(cluster.messages))
    return cluster.logs().endswith(" | echoed\\n") and cluster.now >= 2
""")
    assert results["check"]["failures"] == []


ODD = """
class Odd(Exception):
    def __bool__(self):
        return False
    def __repr__(self):
        raise ValueError("no words")
    __str__ = __repr__
"""


@pytest.mark.parametrize(
    ("line", "valid", "said"),
    [
        ("return []", False, "check (mine.py:1) returned []"),
        ("assert not history, 'not nothing'", False, "AssertionError: not nothing (mine.py:2)"),
        ("pass", False, "returned None (what holds is true: a check that only asserts ends with"),
        ("return history.nothing", "unknown", "raised AttributeError: 'History' object has no"),
        ("exit(0)", "unknown", "check (mine.py:1) raised SystemExit: 0 (mine.py:2)"),
        ("return Odd()", False, "returned a Odd whose repr() raised ValueError: no words"),
        ("raise Odd", "unknown", "raised Odd: <exception str() failed> (mine.py:2)"),
    ],
)
def test_a_check_of_the_history_says_what_is_wrong(judged, line, valid, said):
    results = judged(f"def check(history):\n    {line}\n{ODD}")
    assert results["valid?"] == results["check"]["valid?"] == valid
    assert said in "\n".join(told(results))


def test_a_mistake_of_a_check_does_not_hide_what_another_says(judged):
    results = judged("""
def check_one(history):
    return history.nothing

def check_other(history):
    return False
""")
    assert results["valid?"] is False
    whole, first, second = told(results)
    assert whole == "check_other of mine.py does not hold"
    assert first.startswith("check_other (mine.py:5) returned False")
    assert second.startswith("check_one (mine.py:2) raised AttributeError")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def always(cluster:\n", "mine.py: line 1 is no Python: "),
        ("x = 1\n\n1 / 0\n", "mine.py: line 3 raised ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(3)", "mine.py: line 1 raised SystemExit: 3"),
        ("def watch(cluster): pass", "it has no check: expected a function always(cluster), "),
        ("def always(): pass", "always can't be called with one argument"),
        ("def check(history, options): pass", "check can't be called with one argument"),
        ("async def always(cluster): pass", "always is async or has a yield: it can't say"),
        ("def check(history): yield", "check is async or has a yield: it can't say at once"),
        ("always = 3", "3 is no function, so it is no check"),
        ("def eventually(cluster, within='x'): pass", "eventually has within='x': expected how"),
        ("def eventually(cluster, within=-1): pass", "eventually has within=-1: expected how"),
    ],
)
def test_a_file_that_is_no_use_is_refused_before_anything_runs(tmp_path, capsys, source, problem):
    file = tmp_path / "mine.py"
    file.write_text(source)
    flags = ["-w", "echo", "--bin", str(ROOT / "echo.py"), "--check", str(file)]
    for command in (["test", "--simulate", "--store", str(tmp_path / "store")], ["sweep"]):
        assert main([*command, *flags]) == 254
        assert problem in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="can't read it: No such file or directory"):
        checks.load(tmp_path / "mine.py")


def test_what_a_file_imports_is_no_check_and_comes_from_its_folder(tmp_path):
    (tmp_path / "limits.py").write_text("MOST = 3\ndef check(history, most): pass\n")
    file = tmp_path / "mine.py"
    file.write_text("from limits import MOST, check\ndef check_few(history): return MOST\n")
    assert [each.name for each in checks.load(file).checks["check"]] == ["check_few"]


def test_a_file_may_have_dataclasses(judged):
    results = judged("""
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Seen:
    operations: int

def check(history):
    return Seen(len(history)) != Seen(0)
""")
    assert results["valid?"] is True


def test_a_check_of_a_cluster_needs_simulation(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("def always_fine(cluster): return True\n")
    flags = ["-w", "echo", "--bin", str(ROOT / "echo.py"), "--check", str(file)]
    assert main(["test", *flags, "--store", str(tmp_path / "store")]) == 254
    assert (
        "always_fine can only look at a simulated cluster, with --simulate; without it there"
        in (capsys.readouterr().err)
    )
    assert not (tmp_path / "store").exists()


def test_a_check_of_the_history_judges_a_run_in_real_time_and_its_history_later(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("def check(history):\n    return len(history) == 0\n")
    store = tmp_path / "store"
    flags = ["-w", "echo", "--bin", str(ROOT / "echo.py"), "--node-count", "1", "--rate", "50"]
    run = ["test", *flags, "--time-limit", "0.2", "--check", str(file), "--store", str(store)]
    assert main(run) == 1
    words = "Not valid: check of mine.py does not hold\n  check (mine.py:1) returned False\n"
    assert words in capsys.readouterr().out
    assert main(["summary", str(store / "latest")]) == 1
    assert words in capsys.readouterr().out
    page = collected(store / "latest")
    assert page.reasons == ["check of mine.py does not hold"]
    assert "check (mine.py:1) returned False" in [problem.text for problem in page.problems]
    assert main(["check", str(store / "latest"), "-w", "echo"]) == 0
    capsys.readouterr()
    assert main(["check", str(store / "latest"), "-w", "echo", "--check", str(file)]) == 1
    assert words in capsys.readouterr().out


def test_checks_do_not_change_a_run(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("def always(cluster):\n    return len(cluster.in_flight()) < 1000\n")
    kept = []
    for flags in [], ["--check", str(file)]:
        store = tmp_path / f"store{len(kept)}"
        run = ["test", "-w", "broadcast", "--bin", str(ROOT / "broadcast.py"), "--simulate"]
        run += ["--seed", "3", "--time-limit", "3", "--nemesis", "partition", "--latency", "20"]
        assert main([*run, "--store", str(store), *flags]) == 0
        names = ("messages.jsonl", "history.jsonl")
        kept.append([(store / "latest" / name).read_bytes() for name in names])
    assert kept[0] == kept[1]
    capsys.readouterr()


def test_a_sweep_asks_them_in_its_workers_and_repeats_them(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("def always(cluster):\n    return len(cluster.sent(type='echo')) < 3\n")
    flags = ["-w", "echo", "--bin", str(ROOT / "echo.py"), "--node-count", "1"]
    flags += ["--time-limit", "1", "--check", str(file)]
    assert main(["sweep", *flags, "--seeds", "0..1"]) == 1
    output = capsys.readouterr().out
    assert "2 seeds: 2 invalid" in output
    assert f"--check {file} --simulate --seed 0" in output
    assert "    always of mine.py does not hold\n    always (mine.py:1) returned False at" in output


def test_each_seed_runs_the_file_anew(script, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "asked = []\ndef check(history):\n    asked.append(1)\n    return len(asked) < 2"
    )
    options = Options("echo", str(script(NODE)), nodes=("n0",), time_limit=1, check=str(file))
    assert [run_seed(options).valid for _ in range(2)] == [True, True]


def test_the_results_can_be_read_as_json(judged):
    results = judged("def always(cluster): return False\n")
    part = json.loads(json.dumps(results["check"]))
    assert part["failures"][0]["text"] == (
        "always (mine.py:1) returned False at 0.00 s, when the load began"
    )


def test_a_history_is_asked_as_the_checkers_are():
    operation = Operation(0, 0, "invoke", 0, "echo")
    assert checks.Check(lambda history: list(history.pairs())).denial(History([operation])) is None
