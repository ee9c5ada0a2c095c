"""A failing run as a test: it fails with the bug, passes without it, and never proves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import small_runs
from challenge_runs import ROOT
from handwritten import fail, history, invoke, ok
from small_runs import keep

from glomers.errors import UsageError
from glomers.history import edn
from glomers.history.operations import read_history
from glomers.run import regression
from glomers.run.failure import failure
from glomers.run.regression import Replayed
from glomers.run.story import of_kept
from glomers.scenario import parse
from glomers.testing import replay

BUG = "    value = last\n    last = value + 1\n"
FIXED = small_runs.IDS.replace("node = Node()", "lock = threading.Lock()\nnode = Node()").replace(
    BUG, "    with lock:\n        value = last\n        last = value + 1\n"
)
FIXED = f"import threading\n\n{FIXED}"


def pytest_of(file):
    """The exit status and the output of pytest in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file.name]
    done = subprocess.run(
        command, cwd=file.parent, env=environment, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout


@pytest.fixture
def written(script, tmp_path):
    """The test of the same ids, in a folder beside the script."""
    results, folder = keep(small_runs.SAME_IDS, script(small_runs.IDS), tmp_path / "store")
    lines = of_kept(folder, read_history(folder), edn.to_json(results))
    tests = tmp_path / "tests"
    tests.mkdir()
    told = parse(small_runs.SAME_IDS)
    reason = str(failure(results, read_history(folder), "unique-ids"))
    return regression.write(tests, told, tmp_path / "node.py", reason, lines)


def test_the_file_is_readable(written, tmp_path):
    assert written == tmp_path / "tests" / "test_node_duplicate_id.py"
    assert (
        written.read_text()
        == '''\
r"""node.py fails: duplicate-id.

0.0 ms  process 0 asks n0: generate
0.0 ms  n0 loses its turn in generate (for process 0) before node.py:11: `last = value + 1`
1.0 ms  process 1 asks n0: generate; it answers generate_ok "n0-0"
2.0 ms  n0 goes on with node.py:11
2.0 ms  n0 answers process 0: generate_ok "n0-0"
So the test is invalid: id n0-0 was given by n0 at 0.00 s (process 1) and n0 at 0.00 s (process
    0)
"""

from pathlib import Path

from glomers.testing import replay

SCRIPT = Path(__file__).parent / "../node.py"

SCENARIO = r\'\'\'
{
  "command": "-w unique-ids --node-count 1 --concurrency 2 --time-limit 1",
  "operations": [
    {"time": 0, "worker": 0, "f": "generate"},
    {"time": 0.001, "worker": 1, "f": "generate"}
  ],
  "switches": [
    {"node": "n0", "line": "node.py:11", "nth": 1, "wait": 2, "text": "last = value + 1"}
  ]
}
\'\'\'


def test_node_duplicate_id():
    replay(SCENARIO, SCRIPT).assert_valid()
'''
    )


def test_it_fails_with_the_bug_and_passes_without_it(written, script):
    status, output = pytest_of(written)
    assert status == 1
    assert "AssertionError: the run is invalid" in output
    assert "So the test is invalid: id n0-0 was given by n0" in output
    assert "regression.py" not in output  # the failure is shown at the test's own line
    script(FIXED)
    status, output = pytest_of(written)
    assert status == 0, output
    assert "1 passed" in output
    assert "warning" not in output


def test_it_fails_with_the_bug_where_lines_have_moved(written, script):
    script(f"# A comment\n\nimport json\n\n{small_runs.IDS}")
    status, output = pytest_of(written)
    assert status == 1
    assert "before node.py:15: `last = value + 1`" in output


def test_it_can_be_moved_together_with_the_script(written, tmp_path):
    moved = tmp_path / "elsewhere" / "inside"
    moved.mkdir(parents=True)
    (tmp_path / "node.py").rename(moved / "node.py")
    written.parent.rename(moved / "tests")
    status, output = pytest_of(moved / "tests" / written.name)
    assert status == 1
    assert "the run is invalid" in output


def test_a_script_that_carries_out_no_operation_does_not_pass(script):
    useless = small_runs.IDS.replace("    global last\n", "    global last\n    return None\n")
    with pytest.raises(AssertionError, match="2 of 2 generate operations ended with an unknown"):
        replay(small_runs.SAME_IDS, script(useless)).assert_valid()


def test_a_verdict_without_an_operation_that_succeeded_is_a_failure():
    nothing = history(invoke(0, "read"), fail(0, "net-timeout"))
    with pytest.raises(AssertionError) as error:
        Replayed({"valid?": True}, nothing, []).assert_valid()
    assert str(error.value) == (
        "the run proves nothing: none of the 1 operations succeeded\n"
        "the first ended with fail 'net-timeout'"
    )


def test_an_unknown_verdict_is_a_failure():
    results = {"valid?": "unknown", "workload": {"valid?": "unknown", "error": "too few reads"}}
    with pytest.raises(AssertionError, match="the run proves nothing: too few reads"):
        Replayed(results, history(invoke(0, "read"), ok(0, 1)), []).assert_valid()


def test_a_run_without_operations_proves_nothing(script):
    told = {**json.loads(small_runs.SAME_IDS), "operations": [], "switches": []}
    with pytest.raises(AssertionError, match="the run proves nothing: it has none"):
        replay(told, script(small_runs.IDS)).assert_valid()


def test_decisions_that_are_never_reached_are_warned_of(script):
    told = json.loads(small_runs.SAME_IDS)
    told["switches"][0] |= {"line": "node.py:99", "text": ""}
    with pytest.warns(UserWarning, match="node.py:99.* the node did not come there so often"):
        replay(told, script(small_runs.IDS)).assert_valid()


def test_a_scenario_may_be_a_file(script, tmp_path):
    file = tmp_path / "told.json"
    file.write_text(small_runs.SAME_IDS)
    replayed = replay(file, script(small_runs.IDS))
    assert replayed.results["valid?"] is False
    assert replayed.story[-1].startswith("So the test is invalid: id n0-0")


def test_a_scenario_or_a_script_that_is_not_there_is_named(script, tmp_path):
    with pytest.raises(UsageError, match=r"can't read the scenario .*nothing.json"):
        replay(tmp_path / "nothing.json", script(small_runs.IDS))
    with pytest.raises(UsageError, match=r"nothing.py.* does not exist"):
        replay(small_runs.SAME_IDS, tmp_path / "nothing.py")
    with pytest.raises(UsageError, match=r"the scenario: .*--bin"):
        replay('{"command": "-w echo"}')


def test_texts_that_could_end_the_strings_of_the_file_do_not(script, tmp_path):
    told = parse(small_runs.EXCEPTION.replace('"hi"', json.dumps("a'''b\\c\"\"\"")))
    path = script(small_runs.RAISING)
    file = regression.write(tmp_path, told, path, "exit '''code''' \"\"\" \\u00", ['a """ \\ b'])
    assert file.name == "test_node_exit_code_u00.py"
    content: dict[str, object] = {"__file__": str(file)}
    exec(compile(file.read_text(), str(file), "exec"), content)
    (operation,) = json.loads(str(content["SCENARIO"]))["operations"]
    assert operation["value"] == "a'''b\\c\"\"\""


@pytest.mark.parametrize(
    ("scenario", "source", "workload", "reason"),
    [
        (small_runs.LOST_MESSAGE, small_runs.GOSSIP, "broadcast", "lost"),
        (small_runs.DEADLOCK, small_runs.TWO_LOCKS, "unique-ids", "is in a deadlock"),
        (small_runs.EXCEPTION, small_runs.RAISING, "echo", "failed operations"),
    ],
)
def test_the_reason_is_a_few_words(scenario, source, workload, reason, script, tmp_path):
    results, folder = keep(scenario, script(source), tmp_path)
    assert str(failure(results, read_history(folder), workload)).startswith(reason)
