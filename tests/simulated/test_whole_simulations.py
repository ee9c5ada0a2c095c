"""Whole simulated tests: the same seed gives the same run, and faults do what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from glomers.history.store import Store
from glomers.options import Options
from glomers.run.build import simulated_test

ROOT = Path(__file__).parents[2]
BROADCAST = Options(
    workload="broadcast",
    bin=str(ROOT / "broadcast.py"),
    nodes=("n0", "n1", "n2", "n3", "n4"),
    time_limit=5,
    rate=20,
    latency=20,
    latency_dist="exponential",
)


def run(options: Options, folder: Path) -> dict:
    """Simulate, keep what happened in `folder`, and return the results."""
    folder.mkdir()
    store = Store(folder)
    results = simulated_test(options, store).run()
    store.close()
    return results


# Repeatability

PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = ["tests/simulated", "tests", "."]
from test_whole_simulations import BROADCAST, run
faults = dict(nemesis=("partition", "pause", "kill", "slow"), nemesis_interval=2, p_loss=0.1)
options = replace(BROADCAST, seed=7, p_duplicate=0.1, **faults)
run(options, Path(sys.argv[1]))
"""


def test_the_same_seed_gives_the_same_bytes_in_any_process(tmp_path):
    for hash_seed in ("0", "1", "2"):
        folder = str(tmp_path / hash_seed)
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        subprocess.run(
            [sys.executable, "-c", PROGRAM, folder], cwd=ROOT, env=environment, check=True
        )
    for name in ("messages.jsonl", "history.jsonl", "history.edn"):
        first, *others = ((tmp_path / seed / name).read_bytes() for seed in "012")
        assert len(first) > 10_000
        assert all(other == first for other in others)


SET_OF_TEXT = """
from maelstrom_node import Node
node = Node()
@node.on("echo")
def echo(message):
    node.send(node.id, {"type": "order", "order": list({*"abcdefgh"})})
    return {"type": "echo_ok", "echo": message.body["echo"]}
@node.on("order")
def order(message):
    pass
node.run()
"""


def test_the_command_gives_the_same_bytes_even_if_a_script_iterates_over_a_set_of_text(
    tmp_path, script
):
    flags = ["-w", "echo", "--bin", str(script(SET_OF_TEXT)), "--node-count", "1"]
    for hash_seed in ("1", "2"):
        store = ["--store", str(tmp_path / hash_seed), "--time-limit", "1"]
        subprocess.run(
            [sys.executable, "-m", "glomers", "test", *flags, *store, "--simulate", "--seed", "1"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.DEVNULL,
            check=True,
        )
    first, second = (
        (tmp_path / seed / "latest" / "messages.jsonl").read_bytes() for seed in ("1", "2")
    )
    assert first.count(b"order") > 1
    assert first == second


def test_another_seed_gives_another_run(tmp_path):
    for seed in (1, 2):
        run(replace(BROADCAST, seed=seed), tmp_path / str(seed))
    first, second = ((tmp_path / seed / "history.jsonl").read_bytes() for seed in "12")
    assert first != second


def test_keeping_a_run_does_not_change_it(tmp_path):
    kept = run(replace(BROADCAST, seed=3), tmp_path / "kept")
    assert simulated_test(replace(BROADCAST, seed=3)).run() == kept


# Faults


def events(folder: Path) -> str:
    return (folder / "history.jsonl").read_text()


@pytest.mark.parametrize(
    ("fault", "begins", "ends"),
    [
        ("partition", "start-partition", "stop-partition"),
        ("one-way", "start-one-way", "stop-one-way"),
        ("flaky", "start-flaky", "stop-flaky"),
        ("pause", "pause", "resume"),
        ("kill", "kill", "start"),
        ("slow", "slow", "fast"),
    ],
)
def test_a_fault_comes_and_goes_only_if_it_is_asked_for(tmp_path, fault, begins, ends):
    run(BROADCAST, tmp_path / "without")
    assert "nemesis" not in events(tmp_path / "without")
    run(replace(BROADCAST, nemesis=(fault,), nemesis_interval=1), tmp_path / "with")
    text = events(tmp_path / "with")
    assert f'"f": "{begins}"' in text
    assert f'"f": "{ends}"' in text


def test_a_paused_node_answers_late_or_not_at_all():
    paused = replace(BROADCAST, nemesis=("pause",), nemesis_interval=10, time_limit=20)
    stats = simulated_test(paused).run()["stats"]
    assert stats["info-count"] + stats["fail-count"] > 0


@pytest.mark.parametrize("seed", range(3))
def test_broadcast_survives_everything_but_the_loss_of_state(seed):
    options = replace(
        BROADCAST,
        seed=seed,
        nemesis=("partition", "one-way", "flaky", "pause", "slow"),
        nemesis_interval=2,
        p_loss=0.1,
        p_duplicate=0.1,
    )
    assert simulated_test(options).run()["valid?"] is True


def test_a_killed_node_is_initialised_anew_but_as_in_maelstrom_not_told_the_topology(tmp_path):
    options = replace(BROADCAST, nemesis=("kill",), nemesis_interval=1, seed=1)
    run(options, tmp_path / "kept")
    messages = (tmp_path / "kept" / "messages.jsonl").read_text()
    assert messages.count('"type": "init"') > len(BROADCAST.nodes)
    assert messages.count('"type": "topology"') == len(BROADCAST.nodes)


def test_a_message_to_a_dead_node_counts_as_sent_and_is_lost():
    """With so long an interval, those who are killed at the start stay dead."""
    options = replace(BROADCAST, nemesis=("kill",), nemesis_interval=100, rate=50, seed=0)
    net = simulated_test(options).run()["net"]
    assert net["servers"]["send-count"] > net["servers"]["recv-count"]


# Logs


def test_a_log_has_a_largest_size(tmp_path, script, monkeypatch):
    monkeypatch.setattr("glomers.world.cluster.MOST_LOG", 1000)
    echo = (ROOT / "echo.py").read_text()
    chatty = echo.replace(
        "node.run()", 'import sys; print("é" * 2000, file=sys.stderr); node.run()'
    )
    store = Store(tmp_path / "kept")
    store.path.mkdir()
    logged: list[str] = []
    options = Options(workload="echo", bin=str(script(chatty)), nodes=("n0",), time_limit=1)
    assert simulated_test(options, store, logged.append).run()["valid?"] is True
    store.close()
    log = (store.path / "node-logs/n0.log").read_text()
    assert log.startswith("é" * 500 + "\n[The log ends here")
    assert any("n0 printed more than" in line for line in logged)


# The node library


@pytest.mark.parametrize("addition", ["", "\n# mine\n"], ids=["the same", "another"])
def test_a_node_may_have_the_node_library_beside_it_or_another_version(tmp_path, addition):
    library = tmp_path / "maelstrom_node.py"
    library.write_text((ROOT / "maelstrom_node.py").read_text() + addition)
    script = tmp_path / "echo.py"
    script.write_text((ROOT / "echo.py").read_text())
    logged: list[str] = []
    options = Options(workload="echo", bin=str(script), nodes=("n0",), time_limit=1)
    assert simulated_test(options, log=logged.append).run()["valid?"] is True
    assert not [line for line in logged if line.startswith("warning: ")]
