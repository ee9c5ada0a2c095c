"""Reasons as a person sees them: below the verdict, short and harmless, the same everywhere."""

from __future__ import annotations

import gzip
import io
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from challenge_runs import options
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from glomers.cli import main
from glomers.history import edn
from glomers.report.figures import word
from glomers.report.reasons import LINES, LONGEST, Reason, details, headline, listed, summary
from glomers.report.summary import render
from glomers.run.build import simulated_test
from glomers.run.reasons import of_kept
from glomers.run.sweep import run_seed

HISTORIES = Path(__file__).parents[1] / "histories"
SILENT = """
from maelstrom_node import Node
node = Node()
values = []

@node.on("topology")
def topology(message):
    return {"type": "topology_ok"}

@node.on("broadcast")
def broadcast(message):
    values.append(message.body["message"])
    return {"type": "broadcast_ok"}

@node.on("read")
def read(message):
    return {"type": "read_ok", "messages": values}

node.run()
"""


def case(text: str) -> Reason:
    return Reason("lost", text, 1_000_000_000, (1,))


def printed(*reasons: Reason) -> str:
    out = io.StringIO()
    console = Console(file=out, highlight=False, force_terminal=False)
    render({"valid?": False, "workload": {"valid?": False}}, [], reasons, None, None, console)
    return out.getvalue()


def test_below_the_verdict_stands_what_is_wrong_and_then_the_first_cases():
    reasons = [summary("stats", "no read succeeded"), case("value 1: …"), case("value 2: …")]
    reasons.insert(1, summary("lost", "2 values were lost: 1 2"))
    assert printed(*reasons) == (
        "\nAnalysis invalid! (ﾉಥ益ಥ）ﾉ ┻━┻\n"
        "Not valid: no read succeeded; 2 values were lost: 1 2\n"
        "  value 1: …\n"
        "  value 2: …\n"
    )


def test_of_many_cases_few_lines_are_shown():
    reasons = [summary("lost", "many"), *(case(f"value {number}") for number in range(20))]
    assert details(reasons) == ["value 0", "value 1"]
    assert len(details(reasons)) == LINES


@given(st.text())
def test_a_line_is_short_and_has_nothing_that_a_terminal_obeys(text):
    [line] = details([case(text)])
    assert line.isprintable()
    assert len(headline([summary("lost", text)])) < 10 * (LONGEST + 50)
    assert word(text).isprintable()


def test_a_long_line_says_that_it_goes_on():
    [line] = details([case("x" * 1_000)])
    assert line.endswith("… (1,000 characters)")


def test_some_words_in_a_sentence():
    assert [listed("abcde"[:n]) for n in (0, 1, 2, 3, 5)] == [
        "",
        "a",
        "a and b",
        "a, b and c",
        "a, b, c and 2 more",
    ]


def test_a_reason_is_the_same_after_it_was_kept():
    reason = Reason("lost", "why", 5, (1, 2), (3,), ("n0",), {"form": "spread", "had": [["n0", 1]]})
    kept = edn.loads(edn.pretty(edn.keywordized(reason.as_result())))
    assert Reason.of_result(kept) == reason


# The same words wherever a test is shown


@pytest.fixture
def silent(script):
    """Options of a test whose nodes send nothing to each other."""
    nodes = ("n0", "n1", "n2")
    return options("3b", bin=str(script(SILENT)), nodes=nodes, concurrency=3, time_limit=3)


def lines(output: str) -> list[str]:
    """What stands between the verdict and the figures, but for incidents."""
    told = output.partition("Not valid: ")[2].splitlines()
    return [line for line in told if line.strip().startswith("value ")]


def test_a_run_and_its_summary_show_the_same(silent, tmp_path, capsys):
    words = ["test", "-w", "broadcast", "--bin", silent.bin, "--node-count", "3"]
    words += ["--time-limit", "3", "--simulate", "--seed", "0", "--store", str(tmp_path)]
    assert main(words) == 1
    run = lines(capsys.readouterr().out)
    assert re.search(r"no message to (n\d and n\d) held it; \1 never had it", run[0])
    assert 1 < len(run) <= LINES
    assert main(["summary", str(tmp_path / "latest")]) == 1
    assert lines(capsys.readouterr().out) == run


def test_a_sweep_shows_the_first_by_operations_alone(silent):
    told = run_seed(silent).told
    assert "values were lost: " in told[0]
    assert told[1].startswith("value ")
    assert re.search(r"no read of n\d and n\d ever showed it, only those of n\d did", told[1])


def test_a_program_finds_them_among_the_results(silent):
    results = simulated_test(replace(silent, seed=1)).run()
    [whole, *rest] = results["reasons"]
    assert whole["summary"] is True
    assert rest[0]["nodes"]
    assert rest[0]["operations"]


@pytest.fixture
def of_maelstrom(tmp_path):
    """A folder as Maelstrom leaves it: history, results and logs."""

    def copied(name: str, workload: str, nodes: int) -> Path:
        folder = tmp_path / workload / "20260101T000000"
        shutil.copytree(HISTORIES / name, folder)
        history = folder / "history.edn.gz"
        (folder / "history.edn").write_bytes(gzip.decompress(history.read_bytes()))
        history.unlink()
        (folder / "node-logs").mkdir()
        for number in range(nodes):
            (folder / "node-logs" / f"n{number}.log").touch()
        return folder

    return copied


def test_of_a_test_that_maelstrom_kept_they_are_made_from_its_history(of_maelstrom, capsys):
    folder = of_maelstrom("bcast-lossy-part", "broadcast", nodes=5)
    assert main(["summary", str(folder)]) == 1
    assert "\n  value 4: n4 acknowledged it at 0.66 s; no read of n0 and n3 ever" in (
        capsys.readouterr().out
    )


def test_so_does_check(of_maelstrom, capsys):
    folder = of_maelstrom("bcast-lossy-part", "broadcast", nodes=5)
    assert main(["check", str(folder), "-w", "broadcast"]) == 1
    assert "\n  value 4: n4 acknowledged it at 0.66 s;" in capsys.readouterr().out


def test_a_folder_without_a_history_has_what_the_results_tell(of_maelstrom):
    folder = of_maelstrom("bcast-lossy-part", "broadcast", nodes=5)
    (folder / "history.edn").unlink()
    results = edn.loads((folder / "results.edn").read_text())
    [reason] = of_kept(results, "broadcast", folder)
    assert reason.text.startswith("24 values were lost: 4 6 9")
