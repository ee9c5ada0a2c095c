"""For each beginner's mistake, the screen names the cause, the place and the count.

It does so in the first five lines after the verdict of a test in simulation or in real time, in
those about the first seed of a sweep that has the mistake, and in what pytest shows of a test that
uses the fixture `simulate`. README.md is an index of the scripts.

A mistake that isn't found has a row, too, and so has what is no mistake here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from glomers.cli import main
from glomers.run import sweep
from glomers.simulated.turns import TurnLoop
from glomers.testing import Simulation, simulated

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MARK = "  # the mistake"
LINES = 5

ECHO = "-w echo --node-count 1 --time-limit 1"
IDS = "-w unique-ids --node-count 3 --time-limit 1 --rate 50"
BROADCAST = "-w broadcast --node-count 3 --time-limit 2 --rate 10"
COUNTER = "-w g-counter --node-count 3 --time-limit 2 --rate 20"
KAFKA = "-w kafka --node-count 2 --concurrency 2n --time-limit 2 --rate 50"
TXN = "-w txn-rw-register --node-count 2 --concurrency 2n --time-limit 2 --rate 500"
READ_COMMITTED = f"{TXN} --consistency-models read-committed --availability total"
PARTITIONS = "--nemesis partition --nemesis-interval 1"


@dataclass(frozen=True)
class Mistake:
    """A script, the flags of its test, and what is said of it.

    Of what the screen `says`, PLACE stands for the file and line of the mistake, HANDLER for those
    of the handler around it, N for a count. Pytest says the first part, which tells the cause.
    `valid` is the verdict, since not every mistake makes a test fail. `seed` is one that shows the
    mistake, and `seeds` are for the sweep. Those that are `real` are made in real time, too; those
    that aren't `swept`, or not for `pytest`, show in the figures or the assertions only.
    """

    script: str
    flags: str
    says: tuple[str, ...] = ()
    valid: bool = False
    seed: int = 1
    seeds: str = "0..1"
    real: bool = False
    swept: bool = True
    pytest: bool = True

    def __str__(self) -> str:
        return self.script

    @property
    def path(self) -> Path:
        return HERE / f"{self.script}.py"

    def pattern(self, words: str) -> str:
        """What the screen says, as a regular expression."""
        source = self.path.read_text().splitlines()
        marked = [number for number, line in enumerate(source, 1) if MARK in line]
        places = {"N": r"[\d,.]*\d"}
        for line in marked:
            decorated = [n for n in range(1, line + 1) if source[n - 1].startswith("@node.")]
            places["PLACE"] = rf"\S*{self.script}\.py:{line}\b"
            places["HANDLER"] = rf"\S*{self.script}\.py:{decorated[-1] if decorated else 0}\b"
        pieces = re.split(r"\b(PLACE|HANDLER|N)\b", words)
        return "".join(places.get(piece, re.escape(piece)) for piece in pieces)

    def assert_said(self, parts: Sequence[str], lines: Sequence[str]) -> None:
        """The lines say all these parts, in any order."""
        shown = "\n".join(lines)
        for part in parts:
            assert re.search(self.pattern(part), shown), f"nobody says {part!r}:\n{shown}"


ENDS = " ended during the test: exit status "
NO_ANSWER = 'which is no answer (return a dict with a "type", or None for no answer)'

MISTAKES = [
    # Exceptions
    Mistake(
        "exception_in_handler",
        BROADCAST,
        ("raised KeyError: 'vals' in gossip (PLACE)", ", N times, first at", "values were lost"),
        real=True,
    ),
    Mistake(
        "exception_in_every",
        BROADCAST,
        ("raised RuntimeError: Set changed size during iteration in gossip (PLACE)", ", N times"),
        valid=True,
    ),
    Mistake(
        "exception_in_spawn",
        BROADCAST,
        (
            "raised AttributeError: 'Node' object has no attribute 'neighbours' in forward (PLACE)",
            ", N times",
        ),
        real=True,
    ),
    # Answers
    Mistake(
        "returns_set",
        ECHO,
        (f"the handler for 'echo' (echo, HANDLER) returned a set, {NO_ANSWER}", ", N times"),
    ),
    Mistake(
        "answer_holds_set",
        BROADCAST,
        (
            f"the handler for 'read' (read, HANDLER) returned a dict that is not JSON, {NO_ANSWER}",
            ", N times",
            "Object of type set is not JSON serializable",
        ),
    ),
    Mistake(
        "returns_string",
        BROADCAST,
        (
            f"the handler for 'broadcast' (broadcast, HANDLER) returned a str, {NO_ANSWER}",
            ", N times",
        ),
    ),
    Mistake(
        "returns_coroutine",
        ECHO,
        (f"the handler for 'echo' (echo, HANDLER) returned a coroutine, {NO_ANSWER}", ", N times"),
    ),
    Mistake("async_handler", ECHO, ("echo (PLACE) is an async def", ENDS)),
    Mistake(
        "returns_nothing",
        BROADCAST,
        (
            "the handler for 'broadcast' (broadcast, HANDLER) returned None, "
            "so the request has no answer",
            "never answered 'broadcast'",
            ", N times",
        ),
        real=True,
    ),
    Mistake(
        "no_reply_in_one_branch",
        "-w g-counter --node-count 1 --time-limit 5 --rate 10",
        (
            "the handler for 'add' (add, HANDLER) returned None, so the request has no answer",
            "never answered 'add'",
        ),
        valid=True,
    ),
    Mistake(
        "no_in_reply_to",
        ECHO,
        ("sent a client a message without `in_reply_to`, which answers nothing",),
        real=True,
        pytest=False,
    ),
    Mistake(
        "reply_to_wrong_client",
        f"{ECHO} --concurrency 2",
        ("sent a client an answer to a request that", "never answered 'echo'"),
        valid=True,
        pytest=False,
    ),
    # Types
    Mistake(
        "type_misspelt",
        BROADCAST,
        ("no handler takes 'broadcast' from a client (did you mean 'brodcast'?)", ", N times"),
    ),
    Mistake(
        "type_misspelt_between_nodes",
        BROADCAST,
        (
            "no handler takes 'gosip' from a node (did you mean 'gossip'?)",
            ", N times",
            "values were lost",
        ),
        real=True,
    ),
    Mistake(
        "no_topology_handler",
        BROADCAST,
        ("no handler takes 'topology' from a client", "answered the set-up request with an error"),
        pytest=False,
    ),
    # Messages that get lost, or never end
    Mistake(
        "no_retry",
        f"{BROADCAST} {PARTITIONS}",
        (
            "sent 'gossip', which was lost on the way, and waits for no answer, N times",
            "N values were lost",
        ),
        seeds="1",
        pytest=False,
    ),
    Mistake(
        "shared_module",
        BROADCAST,
        ("sent no message to another node, nor to a service", "N values were lost"),
        pytest=False,
    ),
    Mistake(
        "endless_retry",
        "-w broadcast --node-count 5 --time-limit 2 --rate 20 --latency 100 --challenge 3d",
        ("Targets missed: server messages per operation N", ", target < 30"),
        valid=True,
        swept=False,
        pytest=False,
    ),
    # Threads
    # Between the two lines no simulated thread comes, and hardly ever a real one.
    Mistake(
        "forgotten_lock",
        "-w g-counter --node-count 1 --concurrency 4n --time-limit 2 --rate 50",
        valid=True,
        pytest=False,
    ),
    Mistake(
        "forgotten_lock_around_rpc",
        "-w g-counter --node-count 3 --time-limit 3 --rate 50 --hard",
        ("final reads N", ", acceptable N"),
        pytest=False,
    ),
    Mistake("rpc_to_oneself", ECHO, valid=True, real=True),
    Mistake("message_changed_in_place", BROADCAST, valid=True),
    Mistake(
        "deadlock",
        BROADCAST,
        (
            "PLACE in remember: with lock:",
            "is in a deadlock: a thread waits for a lock that it holds itself",
        ),
    ),
    # Services
    Mistake(
        "stale_read",
        f"{COUNTER} --node-count 5",
        ("final reads N", ", acceptable N"),
        seeds="0..3",
        pytest=False,
    ),
    Mistake(
        "cas_on_missing_key",
        COUNTER,
        (
            "error 20: N times",
            "PLACE in add: node.seq_kv.cas(",
            "lets time stand still",
        ),
        seeds="1",
        pytest=False,
    ),
    Mistake(
        "hash_for_sharding",
        KAFKA,
        ("inconsistent-offsets×N", "offset N of key N holds N"),
        pytest=False,
    ),
    # What a test doesn't ask for
    Mistake(
        "no_replication",
        f"{READ_COMMITTED} --strict",
        (
            "sent no message to another node, nor to a service, so nothing",
            "a node never showed what another node had written",
        ),
        pytest=False,
    ),
    Mistake(
        "commits_dropped",
        "-w kafka --node-count 2 --concurrency 2n --time-limit 3 --rate 200 --strict",
        ("list_committed_offsets never showed an offset", "commits seem to be dropped"),
        pytest=False,
    ),
    Mistake(
        "local_offsets",
        KAFKA,
        ("inconsistent-offsets×N", "offset N of key N holds N"),
        pytest=False,
    ),
    # The start of a script
    Mistake("id_before_init", IDS, ("node.id is known from init on", "(PLACE)", ENDS), real=True),
    Mistake("on_without_parentheses", ECHO, ("@node.on needs a type", "(PLACE)", ENDS)),
    Mistake("every_without_parentheses", ECHO, ("@node.every needs seconds", "(PLACE)", ENDS)),
    Mistake(
        "import_error",
        ECHO,
        ("ImportError: cannot import name 'Nodes' from 'maelstrom_node'", "(PLACE)", ENDS),
        real=True,
    ),
    Mistake("syntax_error", ECHO, ("SyntaxError: '{' was never closed", "(PLACE)", ENDS)),
    Mistake("print_before_run", ECHO, ("printed a line that is not JSON",), real=True),
    Mistake("no_run", ECHO, ("a script that calls node.run()", ENDS)),
]


# How a script is run


@pytest.fixture
def test(tmp_path, capfd, monkeypatch):
    """Run `glomers test` on a script; return the exit status, and what comes after the verdict."""
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )

    def test(mistake: Mistake, *flags: str) -> tuple[int, list[str]]:
        words = mistake.flags.split()
        status = main(
            ["test", *words, *flags, "--bin", str(mistake.path), "--store", str(tmp_path / "store")]
        )
        output = capfd.readouterr().out
        _, verdict, rest = output.rpartition("\nAnalysis invalid!")
        if not verdict:
            _, _, rest = output.rpartition("\nEverything looks good!")
        return status, rest.splitlines()[1:]

    return test


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_simulated_test_names_the_mistake(mistake, test):
    status, lines = test(mistake, "--simulate", "--seed", str(mistake.seed))
    assert status == (0 if mistake.valid else 1)
    mistake.assert_said(mistake.says, lines[:LINES])


@pytest.mark.parametrize("mistake", [each for each in MISTAKES if each.real], ids=str)
def test_a_test_in_real_time_names_the_mistake(mistake, test, monkeypatch):
    monkeypatch.setattr("glomers.run.drive.RECOVERY", 0.1)
    monkeypatch.setattr("glomers.workloads.base.Workload.request_timeout", 1.3)
    status, lines = test(mistake, "--seed", str(mistake.seed), "--time-limit", "1")
    assert status == (0 if mistake.valid else 1)
    mistake.assert_said(mistake.says, lines[:LINES])


class Immediately(Executor):
    """Runs everything at once, here."""

    def submit(self, function, /, *args, **kwargs):
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


@pytest.mark.parametrize("mistake", [each for each in MISTAKES if each.swept], ids=str)
def test_a_sweep_names_the_mistake(mistake, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "executor", lambda dask: nullcontext(Immediately()))
    words = mistake.flags.split()
    status = main(["sweep", *words, "--seeds", mistake.seeds, "--bin", str(mistake.path)])
    assert status == (0 if mistake.valid else 1)
    _, _, told = capsys.readouterr().out.partition("To reproduce one:\n")
    mistake.assert_said(mistake.says, told.splitlines()[:LINES])


def echo(cluster: Simulation) -> None:
    cluster.request("n0", "echo", echo="hello")


def broadcast(cluster: Simulation) -> None:
    cluster.request("n0", "broadcast", message=1)
    cluster.advance(1)
    assert cluster.request("n1", "read")["messages"] == [1]


def add(cluster: Simulation) -> None:
    cluster.request("n0", "add", delta=0)


def generate(cluster: Simulation) -> None:
    cluster.request("n0", "generate")


CONVERSATIONS: dict[str, Callable[[Simulation], None]] = {
    "echo": echo,
    "broadcast": broadcast,
    "g-counter": add,
    "unique-ids": generate,
}


@pytest.mark.parametrize("mistake", [each for each in MISTAKES if each.pytest], ids=str)
def test_pytest_names_the_mistake(mistake, capsys):
    """By the exception that fails the test, or among what it captures of the nodes' output."""
    talk = CONVERSATIONS[mistake.flags.split()[1]]

    def run() -> None:
        with simulated(mistake.path, nodes=3) as cluster:
            talk(cluster)

    if not mistake.says:
        run()
        return
    with pytest.raises(Exception) as failure:
        run()
    captured = capsys.readouterr()
    shown = [str(failure.value), captured.err, captured.out]
    mistake.assert_said(mistake.says[:1], shown)


# Loops that never end


@pytest.fixture
def impatient(monkeypatch):
    """A simulation that lets a node's code run for a tenth of a second only."""
    monkeypatch.setattr(TurnLoop.__init__, "__defaults__", (0.1,))


ENDLESS = Mistake(
    "infinite_loop",
    ECHO,
    ("PLACE in echo: while not done:", "has been running for", "of real time without coming back"),
)


def test_a_simulated_test_names_an_infinite_loop(test, impatient):
    status, lines = test(ENDLESS, "--simulate", "--seed", "1")
    assert status == 1
    ENDLESS.assert_said(ENDLESS.says, lines[:LINES])


def test_in_real_time_a_node_in_an_infinite_loop_never_answers(test, monkeypatch):
    monkeypatch.setattr("glomers.workloads.base.Workload.request_timeout", 0.5)
    status, lines = test(ENDLESS)
    assert status == 1
    ENDLESS.assert_said(("n0 never answered 'echo'",), lines[:LINES])


# Programs that can't be started


def folder(path: Path) -> None:
    path.mkdir()


def without_run_bit(path: Path) -> None:
    path.write_bytes((ROOT / "echo.py").read_bytes())


def without_first_line(path: Path) -> None:
    path.write_text((ROOT / "echo.py").read_text().partition("\n")[2])
    path.chmod(0o755)


def with_windows_line_ends(path: Path) -> None:
    path.write_bytes((ROOT / "echo.py").read_bytes().replace(b"\n", b"\r\n"))
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (folder, "the node's program PATH is a directory, not a file"),
        (without_run_bit, "the node's program PATH is not executable (chmod +x)"),
        (without_first_line, "a first line such as #!/usr/bin/env python3"),
        (with_windows_line_ends, "the node's program PATH has Windows line ends"),
    ],
)
def test_a_program_that_cannot_be_started_is_told(make, problem, tmp_path, capfd):
    program = tmp_path / "node.py"
    make(program)
    flags = [*ECHO.split(), "--store", str(tmp_path / "store")]
    assert main(["test", "--bin", str(program), *flags]) in (1, 254)
    output = "".join(capfd.readouterr())
    assert problem.replace("PATH", str(program)) in "\n".join(
        output.strip().splitlines()[: 1 + LINES]
    )


@pytest.mark.parametrize("make", [without_run_bit, without_first_line, with_windows_line_ends])
def test_a_simulation_needs_no_more_than_python(make, tmp_path):
    make(tmp_path / "node.py")
    flags = [*ECHO.split(), "--store", str(tmp_path / "store")]
    assert main(["test", "--bin", str(tmp_path / "node.py"), *flags, "--simulate"]) == 0


# The folder


def test_every_script_has_a_row_and_a_line_in_the_readme():
    rows = {mistake.script for mistake in (*MISTAKES, ENDLESS)}
    others = {"maelstrom_node", "shared_values", "test_mistakes"}
    scripts = {path.stem for path in HERE.glob("*.py")} - others
    assert rows == scripts
    readme = (HERE / "README.md").read_text()
    for script in scripts:
        assert f"({script}.py)" in readme
