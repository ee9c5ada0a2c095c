"""A failing run becomes the smallest one that fails for the same reason."""

from __future__ import annotations

import runpy
import signal
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
from challenge_runs import ROOT, options

from glomers.cli import main
from glomers.errors import UsageError
from glomers.exits import BAD_ARGUMENTS, INTERRUPTED, INVALID
from glomers.run import shrunk, sweep
from glomers.run.nearest import nearest_passing
from glomers.run.regression import replay
from glomers.run.shrink import Runner, Search, attempt
from glomers.run.smaller import Candidate
from glomers.scenario import Action, Fate, Invoke, Scenario, read

SECOND, MILLI = 1_000_000_000, 1_000_000
NO_RETRY = ROOT / "tests" / "mistakes" / "no_retry.py"


class Immediately(Executor):
    """Runs everything at once, here; calls `before` with the number of each run."""

    def __init__(self, before=lambda number: None):
        self.before = before
        self.count = 0

    def submit(self, function, /, *args, **kwargs):
        self.count += 1
        self.before(self.count)
        future = Future()
        future.set_result(function(*args, **kwargs))
        return future


def search(options, scenario=None, at_once=1):
    found = Search(Candidate(options, scenario), Runner(Immediately(), at_once))
    assert found.run()
    assert found.wanted.is_shown_by(attempt(found.found).failure)
    return found


def broadcast(**changes):
    usual = {"bin": str(NO_RETRY), "time_limit": 3, "rate": 20, "nemesis": ()}
    return options("3c", **{**usual, **changes})


def test_broadcast_without_retries_needs_one_value_one_read_and_one_lost_message():
    found = search(broadcast(p_loss=0.2, latency=20, latency_dist="exponential"))
    assert found.first.part("operations")[10:]
    assert found.first.part("messages")[10:]
    told = found.found.told
    assert len(found.found.options.nodes) == 2
    [write], [reading], [lost] = told.operations, told.final, told.messages
    assert write == Invoke("broadcast", 1, 0, worker=write.worker)
    assert reading.worker == 1 - write.worker
    assert lost == Fate(f"n{write.worker}", f"n{reading.worker}", "gossip")
    assert told.faults == told.switches == told.views == ()
    assert told.latency is None


def test_or_one_fault():
    found = search(broadcast(nemesis=("partition",), nemesis_interval=1, time_limit=5))
    told = found.found.told
    assert [len(told.operations), len(told.final)] == [1, 1]
    [fault] = told.faults
    assert fault.f == "start-partition"
    assert fault.grudge == {"n0": ("n1",), "n1": ("n0",)}
    assert fault.time == told.operations[0].time == 0


def test_what_the_command_says_is_plain_where_the_scenario_decides():
    flags = {"p_loss": 0.2, "p_duplicate": 0.1, "latency": 9, "nemesis": ("pause",), "hard": True}
    found = search(broadcast(seed=0, **flags))
    plain = replace(broadcast(), nodes=("n0", "n1"), concurrency=2, time_limit=1)
    assert found.found.options == replace(plain, rate=5, nemesis_interval=10)


def test_the_result_does_not_depend_on_how_many_runs_are_made_at_once():
    chosen = broadcast(p_loss=0.1, nemesis=("partition",), nemesis_interval=1, hard=True)
    one, four = search(chosen, at_once=1), search(chosen, at_once=4)
    assert one.found.text == four.found.text
    with sweep.executor(None) as pool:
        many = Search(Candidate(chosen), Runner(pool, 4))
        assert many.run()
    assert many.found.text == one.found.text


def test_a_scenario_that_is_the_smallest_stays_as_it_is():
    first = search(broadcast(p_loss=0.2)).found
    again = search(first.options, first.told).found
    assert again.text == first.text


# The same reason


CRASHES = """
from maelstrom_node import Node

node = Node()
seen = set()

@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}

@node.on("broadcast")
def broadcast(message):
    value = message.body["message"]
    seen.add(value)
    for peer in node.peers:
        node.send(peer, {"type": "tell", "value": value})
    if value == 3:
        raise OSError
    return {"type": "broadcast_ok"}

@node.on("tell")
def tell(message):
    seen.add(message.body["value"])

@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": sorted(seen)}

node.run()
"""


def test_another_failure_of_the_same_script_is_not_taken_for_it(script):
    both = broadcast(bin=str(script(CRASHES)), p_loss=0.1, availability="total")
    found = search(both)
    crash = "failed operations (broadcast info crash, exception OSError)"
    assert found.wanted.kinds == ("lost", crash)
    assert attempt(found.found).failure.kinds == ("lost",)
    [lost] = found.found.part("messages")
    assert lost.type == "tell"
    alone = search(replace(both, p_loss=0))
    assert alone.wanted.kinds == (crash,)
    assert alone.found.part("operations") == (Invoke("broadcast", 3),)
    assert alone.found.options.nodes == ("n0",)


def test_a_failure_that_goes_away_is_not_one_of_which_nothing_is_known():
    nothing = attempt(Candidate(broadcast(p_loss=0.2), Scenario(operations=(), final=())))
    assert (nothing.valid, nothing.failure) == ("unknown", None)


def test_what_proves_nothing_is_not_what_a_run_fails_for():
    # No read succeeds, so the checker of the workload has nothing to judge.
    unreadable = str(ROOT / "tests" / "mistakes" / "answer_holds_set.py")
    why = attempt(Candidate(broadcast(bin=unreadable))).failure
    assert str(why) == "failed operations (read fail crash)"


def test_there_must_be_a_failure():
    with pytest.raises(UsageError, match="--seed 3 is valid, so there is nothing to shrink"):
        search(options("1", seed=3, time_limit=1))


# The nearest run that passes


def nearest(found):
    near = nearest_passing(found, Runner(Immediately()))
    assert attempt(near.candidate).valid is True
    return near


def test_a_lost_message_makes_the_difference():
    found = search(broadcast(p_loss=0.2)).found
    near = nearest(found)
    assert (near.decision,) == found.told.messages
    assert near.candidate.told == replace(found.told, messages=())


def test_or_a_fault():
    found = search(broadcast(nemesis=("partition",), nemesis_interval=1, time_limit=5)).found
    assert isinstance(nearest(found).decision, Action)


def test_a_run_without_operations_proves_nothing_and_so_does_not_pass(script):
    found = search(broadcast(bin=str(script(CRASHES)), availability="total")).found
    assert nearest_passing(found, Runner(Immediately())) is None


# The command


def shrink(capsys, *words):
    status = main(["shrink", *words])
    output = capsys.readouterr()
    return status, output.out + output.err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "executor", lambda dask: nullcontext(Immediately()))
    return tmp_path


FLAGS = ["-w", "broadcast", "--bin", str(NO_RETRY), "--node-count", "3", "--time-limit", "2"]
FLAGS += ["--rate", "50"]


def test_the_smallest_run_is_kept_and_told_how_to_repeat(here, capsys):
    status, said = shrink(capsys, *FLAGS, "--p-loss", "0.2", "--seed", "4")
    assert status == INVALID, said
    assert "to   2 nodes, 1 operation, 1 final operation, 1 lost message\n" in said
    assert "which fail for: lost\n" in said
    [kept] = (here / "store" / "broadcast").glob("2*")
    assert (kept / "report.html").is_file()
    again = f"test --scenario store/broadcast/{kept.name}/scenario.json"
    assert again in said
    assert main(again.split()) == INVALID
    assert main(["again"]) == INVALID
    assert "With one difference it passes: if the 1st gossip from n0 to n1 were not lost\n" in said


def test_a_run_that_is_kept_can_be_shrunk_by_its_folder_or_as_the_last_one(here, capsys):
    main(["test", *FLAGS, "--p-loss", "0.2", "--seed", "4", "--simulate"])
    failing = (here / "store" / "latest").resolve()
    main(["test", *FLAGS, "--seed", "4", "--simulate"])
    store = failing.parent.parent.rename(here / "my store")
    failing = str(store / "broadcast" / failing.name)
    for run in (
        [failing, "--store", "my store"],
        ["--within", "9", failing, "--keep", "all", "--store", "my store"],
        ["--store", "my store"],
    ):
        status, said = shrink(capsys, *run)
        assert status == INVALID, said
        assert "to   2 nodes, 1 operation, 1 final operation, 1 lost message\n" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "there is no simulated run in store that is invalid"),
        (["nowhere"], "there is no run in nowhere"),
        (FLAGS, "expected a run that fails: the folder of a run that is kept"),
        ([*FLAGS, "--seed", "4"], "the run with --seed 4 is valid"),
        ([*FLAGS, "--seed", "4", "--within", "soon"], "expected a time such as 60s, not 'soon'"),
        (["--scenario", "none.json"], "can't read the scenario none.json"),
        ([".", "elsewhere"], "expected one run, not '.' and 'elsewhere'"),
        (["--seed", "4", ".", *FLAGS], "expected one run, not '.' and --seed"),
        (["."], ". keeps no scenario.json"),
    ],
)
def test_what_can_not_be_shrunk_is_refused(here, capsys, words, expected):
    status, said = shrink(capsys, *words)
    assert status == BAD_ARGUMENTS
    assert expected in said


@pytest.mark.parametrize(
    ("flag", "place", "expected"),
    [
        ("--store", "mine.py", "cannot keep the test in mine.py: mine.py is a file, not a folder"),
        ("--store", "mine.py/store", "mine.py is a file, not a folder"),
        ("--test", "none/test.py", "can't write the test none/test.py: there is no folder for it"),
        ("--test", "mine.py", "mine.py is there already, and is no test that was written by this"),
    ],
)
def test_what_can_not_be_kept_is_refused_before_the_search(here, capsys, flag, place, expected):
    (here / "mine.py").write_text("print(1)\n")
    words = [*FLAGS, "--p-loss", "0.2", "--seed", "4", flag, place]
    status, said = shrink(capsys, *words)
    assert status == BAD_ARGUMENTS
    assert expected in said
    assert "From" not in said
    assert (here / "mine.py").read_text() == "print(1)\n"


def test_a_test_may_be_written_again(here, capsys):
    for _ in range(2):
        words = [*FLAGS, "--p-loss", "0.2", "--seed", "4", "--test", "test the bug.py"]
        status, said = shrink(capsys, *words)
        assert status == INVALID, said
        assert "  pytest 'test the bug.py'\n" in said


def test_a_scenario_that_is_valid_is_called_by_its_name(here, capsys):
    (here / "mine.json").write_text('{"operations": []}')
    status, said = shrink(capsys, *FLAGS, "--scenario", "mine.json")
    assert status == BAD_ARGUMENTS
    assert "error: mine.json proves nothing" in said


def test_a_scenario_that_does_not_fit_is_refused_as_test_refuses_it(here, capsys):
    operations = '[{"time": 0, "worker": 99, "f": "read"}]'
    (here / "mine.json").write_text(f'{{"operations": {operations}}}')
    status, said = shrink(capsys, *FLAGS, "--scenario", "mine.json")
    assert status == BAD_ARGUMENTS
    assert '"worker": 99' in said
    assert main(["test", *FLAGS, "--scenario", "mine.json"]) == BAD_ARGUMENTS
    assert capsys.readouterr().err in said


def test_the_smallest_run_and_its_test_keep_the_check_that_fails(here, capsys):
    check = here / "my check.py"
    check.write_text("def check(history):\n    return len(list(history.pairs())) < 2\n")
    words = [*FLAGS, "--seed", "4", "--check", str(check)]
    status, said = shrink(capsys, *words)
    assert status == INVALID, said
    kept = (here / "store" / "latest").resolve()
    assert main(["test", "--scenario", str(kept / "scenario.json")]) == INVALID
    written = runpy.run_path(str(kept / "regression.py"))
    with pytest.raises(AssertionError, match=r"my check\.py"):
        replay(written["SCENARIO"], written["SCRIPT"]).assert_valid()


def test_an_interrupt_keeps_what_there_is(here, monkeypatch, capsys):
    def interrupt(number):
        if number == 14:
            signal.raise_signal(signal.SIGINT)

    pool = Immediately(interrupt)
    monkeypatch.setattr(sweep, "executor", lambda dask: nullcontext(pool))
    status, said = shrink(capsys, *FLAGS, "--p-loss", "0.2", "--seed", "4")
    assert status == INTERRUPTED
    assert "The search was interrupted, so there may be a smaller run" in said
    kept = read(here / "store" / "latest" / "scenario.json")
    assert 1 < len(kept.operations) < 50


def test_an_interrupt_before_the_first_run_is_over_keeps_nothing(here, monkeypatch, capsys):
    pool = Immediately(lambda number: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(sweep, "executor", lambda dask: nullcontext(pool))
    status, said = shrink(capsys, *FLAGS, "--p-loss", "0.2", "--seed", "4")
    assert (status, said.strip()) == (INTERRUPTED, "error: interrupted")
    assert not (here / "store").exists()


def test_time_runs_out(here, monkeypatch, capsys):
    now = count()
    monkeypatch.setattr(shrunk, "time", SimpleNamespace(monotonic=lambda: next(now)))
    status, said = shrink(capsys, *FLAGS, "--p-loss", "0.2", "--seed", "4", "--within", "20s")
    assert status == INVALID
    assert "The search was stopped after 20 s, so there may be a smaller run" in said
