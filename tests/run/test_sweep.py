"""Sweeps: many seeds, their verdicts and figures, and how to bring a failure back."""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import signal
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from glomers.cli import main
from glomers.errors import UsageError
from glomers.history.values import quantile
from glomers.interrupts import INTERRUPTS
from glomers.options import Options
from glomers.run import sweep
from glomers.run.build import simulated_test

ROOT = Path(__file__).parents[2]
FLAGS = ["-w", "echo", "--bin", str(ROOT / "echo.py"), "--node-count", "1", "--time-limit", "1"]


class Immediately(Executor):
    """Runs everything at once, here."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        future.set_result(function(*args, **kwargs))
        return future


def test_seeds_are_a_range_with_both_ends():
    assert sweep.seeds("3..5") == range(3, 6)
    assert sweep.seeds("7") == range(7, 8)
    for wrong in ("5..3", "a..b", "", "1..2..3"):
        with pytest.raises(ValueError):
            sweep.seeds(wrong)


def test_the_figures_spread_from_min_to_max():
    values = list(range(1, 101))
    assert [quantile(values, q) for q in (0, 0.5, 0.99, 1)] == [1, 51, 100, 100]


def test_a_sweep_tells_which_way_to_preempt_found_what(script):
    racy = script("""
from maelstrom_node import Node
node = Node()
counter = 0
@node.on("generate")
def generate(message):
    global counter
    value = counter
    counter = value + 1
    return {"type": "generate_ok", "id": [node.id, value]}
node.run()
""")
    options = Options(
        workload="unique-ids",
        bin=str(racy),
        nodes=("n0",),
        concurrency=8,
        rate=300,
        time_limit=1,
        preempt=0.03,
    )
    console = Console(record=True, width=200)
    tally, complete = sweep.sweep(options, range(12), Immediately(), console)
    sweep.show(tally, ["test"], console)
    assert complete
    line = next(x for x in console.export_text().splitlines() if "by --preempt-by" in x)
    found = re.findall(r"(\w+) (\d+) of (\d+)", line)
    assert {by for by, _, _ in found} == {"lines", "bytecodes", "priorities"}
    assert sum(int(seeds) for _, _, seeds in found) == 12
    assert sum(int(failed) for _, failed, _ in found) > 0


def test_a_failure_comes_with_the_command_that_reproduces_it(script, capsys):
    wrong = script("""
from maelstrom_node import Node
node = Node()
@node.on("echo")
def echo(message):
    wrong = node.random.random() < 0.02
    return {"type": "echo_ok", "echo": "?" if wrong else message.body["echo"]}
node.run()
""")
    command = ["-w", "echo", "--bin", str(wrong), "--node-count", "1", "--time-limit", "2"]
    options = Options("echo", str(wrong), nodes=("n0",), concurrency=1, time_limit=2)
    tally, complete = sweep.sweep(options, range(20), Immediately(), Console())
    assert complete
    assert tally.judged == 20
    assert set(tally.verdicts) == {True, False}
    sweep.show(tally, ["test", *command, "--", "an argument"], Console(width=200))
    output = capsys.readouterr().out
    failing = tally.failing[0].seed
    again = [*command, "--simulate", "--seed", str(failing)]
    assert f"test {' '.join(again)} -- 'an argument'" in output
    assert main(["test", *again, "--store", str(wrong.parent / "store")]) == 1


def test_messages_that_the_network_doubles_are_nothing_to_look_at(script):
    mine = script("""
from maelstrom_node import Node
node = Node()
@node.on("echo")
def echo(message):
    node.rpc(node.peers[0], {"type": "heard"})
    return {"type": "echo_ok", "echo": message.body["echo"]}
@node.on("heard")
def heard(message):
    return {"type": "heard_ok"}
node.run()
""")
    options = Options("echo", str(mine), nodes=("n0", "n1"), time_limit=5, p_duplicate=0.5)
    assert [late["kind"] for late in simulated_test(options).run()["incidents"]] == ["late"]
    assert sweep.run_seed(options).told == ()


def test_the_command_line_sweeps_over_processes(capsys):
    assert main(["sweep", *FLAGS, "--seeds", "0..3"]) == 0
    output = capsys.readouterr().out
    assert "4 seeds: 4 valid" in output
    rows = [line.split() for line in output.splitlines()]
    assert ["figure", "min", "median", "p99", "max"] in rows
    (operations,) = [row[1:] for row in rows if row[:1] == ["operations"]]
    assert sorted(map(int, operations)) == list(map(int, operations))
    assert len(operations) == 4


def test_bad_seeds_are_refused_in_a_sentence(capsys):
    assert main(["sweep", *FLAGS, "--seeds", "9..3"]) == 254
    assert "expected seeds such as 0..999, not '9..3'" in capsys.readouterr().err


@pytest.mark.parametrize("number", INTERRUPTS, ids=lambda number: number.name)
def test_an_interrupt_stops_with_what_there_is(monkeypatch, capsys, number):
    class InterruptedOnTheThird(Immediately):
        def submit(self, function, /, *args, **kwargs):
            if args[0].seed == 2:
                signal.raise_signal(number)
            return super().submit(function, *args, **kwargs)

    monkeypatch.setattr(sweep, "executor", lambda dask: nullcontext(InterruptedOnTheThird()))
    monkeypatch.setattr(sweep, "AT_A_TIME", 1)
    assert main(["sweep", *FLAGS, "--seeds", "0..1000000"]) == 130
    assert "3 seeds: 3 valid" in capsys.readouterr().out


def test_a_sweep_that_is_interrupted_at_once_says_that_it_has_nothing(capsys):
    sweep.show(sweep.Tally(), ["test"], Console())
    assert capsys.readouterr().out == "\nNo seed has been judged.\n"


def test_workers_do_not_hear_ctrl_c():
    with sweep.executor(None) as pool:
        for _ in range(8):
            pool.submit(signal.raise_signal, signal.SIGINT).result()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_ctrl_c_is_not_lost_while_workers_start(monkeypatch):
    class InterruptedAtTheStart(Immediately):
        def __init__(self, *args, **kwargs):
            super().__init__()

        def submit(self, function, /, *args, **kwargs):
            signal.raise_signal(signal.SIGINT)
            return super().submit(function, *args, **kwargs)

    monkeypatch.setattr(sweep, "ProcessPoolExecutor", InterruptedAtTheStart)
    with pytest.raises(KeyboardInterrupt), sweep.executor(None):
        pytest.fail("nobody heard it")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_worker_that_never_ends_does_not_keep_the_sweep():
    with sweep.executor(None) as pool:
        workers = multiprocessing.active_children()
        future = pool.submit(sum, range(10**15))
        pool.submit(int).result()
    assert not any(worker.is_alive() for worker in workers)
    assert isinstance(future.exception(), BrokenProcessPool)


def test_a_worker_has_its_share_of_the_memory_and_goes_on_when_that_is_not_enough():
    with sweep.executor(None) as pool:
        taken = pool.submit(bytes, 2**50).exception()
        limits = [pool.submit(resource.getrlimit, resource.RLIMIT_DATA).result()[0]]
    assert isinstance(taken, MemoryError)
    assert limits == [sweep._share_of_memory(os.cpu_count())]


def test_a_dask_cluster_can_do_it(tmp_path, capsys):
    distributed = pytest.importorskip("distributed")
    (tmp_path / "mine.py").write_text("def always(cluster): return cluster.now < 0.5\n")
    checked = ["--check", str(tmp_path / "mine.py"), "--save", str(tmp_path / "echo.sweep")]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address=":0", host="127.0.0.1"
    ) as cluster:
        remote = ["--seeds", "0..3", "--dask", cluster.scheduler_address]
        assert main(["sweep", *FLAGS, *remote]) == 0
        assert "4 seeds: 4 valid" in capsys.readouterr().out
        for _ in range(2):  # the second time they are in the file
            assert main(["sweep", *FLAGS, *remote, *checked]) == 1
            output = capsys.readouterr().out
            assert "4 seeds: 4 invalid" in output
            assert "always of mine.py does not hold" in output


@pytest.mark.parametrize("who", ["scheduler", "workers"])
def test_a_dask_cluster_that_cannot_import_the_workbench_is_told(who):
    class Client:
        """Stands in for a client of a cluster of which a part lacks the workbench."""

        def run_on_scheduler(self, function, *args):
            self.ask("scheduler", function, *args)

        def run(self, function, *args):
            self.ask("workers", function, *args)

        def ask(self, whom, function, *args):
            function(*args)
            if whom == who:
                raise ModuleNotFoundError("No module named 'workbench'")

    with pytest.raises(UsageError) as raised:
        sweep._check_imports(Client(), "tcp://there:8786")
    assert str(raised.value) == (
        f"the {who} of the Dask cluster at tcp://there:8786 can't import the workbench: No module "
        "named 'workbench'; start scheduler and workers with what requirements.txt names, and with "
        f"PYTHONPATH={ROOT}"
    )


def _killed_on_dask() -> Exception:
    distributed = pytest.importorskip("distributed")
    return distributed.KilledWorker("seed", SimpleNamespace(address="tcp://there:1"), 3)


@pytest.mark.parametrize(
    "error", [lambda: BrokenProcessPool("a process terminated abruptly"), _killed_on_dask]
)
def test_a_worker_that_dies_is_told(monkeypatch, capsys, error):
    class Dies(Immediately):
        def submit(self, function, /, *args, **kwargs):
            future = Future()
            future.set_exception(error())
            return future

    monkeypatch.setattr(sweep, "executor", lambda dask: nullcontext(Dies()))
    assert main(["sweep", *FLAGS, "--seeds", "0..3"]) == 255
    assert "error: a process of the sweep ended while it ran a seed" in capsys.readouterr().err


def test_the_command_of_a_failure_keeps_the_nodes_arguments(monkeypatch, capsys):
    class Invalid(Immediately):
        def submit(self, function, /, *args, **kwargs):
            return super().submit(lambda options: sweep.SeedResult(options.seed, False), *args)

    monkeypatch.setattr(sweep, "executor", lambda dask: nullcontext(Invalid()))
    assert main(["sweep", *FLAGS, "--seeds", "5", "--", "--seeds", "9"]) == 1
    assert "--simulate --seed 5 -- --seeds 9" in " ".join(capsys.readouterr().out.split())


def test_a_missing_dask_cluster_is_told_in_a_sentence(capsys, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(sweep, "DASK_TIMEOUT", "1s")
    assert main(["sweep", *FLAGS, "--seeds", "0..3", "--dask", "tcp://127.0.0.1:1"]) == 254
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err
