"""Our checkers agree with Maelstrom's: recorded runs of real Maelstrom, judged by both.

tests/histories/<case>/ holds what it recorded (`command`, `history.edn.gz`) and what its checkers
said (`results.edn`, or `results.edn.gz`). Keywords count as strings, and vectors as lists; nothing
else is evened out.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from glomers.cli import main
from glomers.history import edn
from glomers.history.operations import read_history
from glomers.history.values import identity
from glomers.options import Options, parse_test
from glomers.run.drive import check
from glomers.workloads import WORKLOADS

HISTORIES = Path(__file__).parent.parent / "histories"

# Their results agree in every key. Those of the others name anomalies that can be explained in
# more than one way; tests of their own say what is the same.
ALIKE = (
    "echo",
    "unique-ids",
    "broadcast",
    "g-set",
    "g-counter",
    "pn-counter",
    "txn-rw-register",
)


@cache
def options(case: Path) -> Options:
    """The flags of the case's command."""
    command = (case / "command").read_text().partition("#")[0]
    return parse_test(f"--bin node {command}", sorted(WORKLOADS))


@cache
def maelstroms(case: Path) -> dict[str, Any]:
    """What Maelstrom said of the case."""
    file = case / "results.edn"
    gzipped = case / "results.edn.gz"
    text = file.read_text() if file.exists() else gzip.decompress(gzipped.read_bytes()).decode()
    return edn.to_json(edn.loads(text))


@cache
def ours(case: Path) -> dict[str, Any]:
    """What we say of the case."""
    return edn.to_json(check(read_history(case), options(case)))


def workload(case: Path) -> str:
    words = (case / "command").read_text().split()
    return words[words.index("-w") + 1]


def cases(*workloads: str) -> Any:
    folders = sorted(folder for folder in HISTORIES.iterdir() if workload(folder) in workloads)
    return pytest.mark.parametrize("case", folders, ids=lambda case: case.name)


def assert_alike(ours: Any, theirs: Any) -> None:
    assert ours == theirs
    assert identity(ours) == identity(theirs), "1 is neither 1.0 nor true"


@pytest.mark.parametrize("name", ALIKE)
def test_there_are_good_and_bad_runs_of_each(name):
    verdicts = {
        maelstroms(f)["workload"]["valid?"] for f in HISTORIES.iterdir() if workload(f) == name
    }
    assert verdicts == {True, False}


@cases(*ALIKE)
def test_every_key_of_the_workloads_result_is_the_same(case):
    our_part, their_part = dict(ours(case)["workload"]), dict(maelstroms(case)["workload"])
    if workload(case) == "echo":
        # Maelstrom lists echo's errors in the order of a hash map.
        our_part["errors"] = sorted(our_part["errors"], key=str)
        their_part["errors"] = sorted(their_part["errors"], key=str)
    assert_alike(our_part, their_part)


@cases(*WORKLOADS)
def test_availability_and_statistics_are_the_same(case):
    assert_alike(ours(case)["availability"], maelstroms(case)["availability"])
    assert_alike(ours(case)["stats"], maelstroms(case)["stats"])


@cases(*WORKLOADS)
def test_the_verdict_is_the_same(case):
    assert ours(case)["valid?"] == maelstroms(case)["valid?"]


@cases("echo", "pn-counter")
def test_the_command_line_gives_the_verdict_as_its_exit_status(case, capsys):
    valid = maelstroms(case)["valid?"]
    assert main(["check", str(case), "-w", workload(case)]) == (0 if valid else 1)
