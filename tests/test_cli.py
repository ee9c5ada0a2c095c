"""The command line: bad input gets one clear sentence, and the right exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.cli import main

ROOT = Path(__file__).parent.parent
HISTORIES = Path(__file__).parent / "histories"
TEST = ["test", "-w", "echo", "--bin", str(ROOT / "echo.py")]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["frobnicate"], "unknown command 'frobnicate'"),
        (["test"], "the following arguments are required: -w/--workload, --bin"),
        (["test", "-w", "ecko", "--bin", "x"], "invalid choice: 'ecko'"),
        ([*TEST, "--node-count", "0"], "expected a positive integer, not '0'"),
        ([*TEST, "--node-count", "two"], "expected a positive integer, not 'two'"),
        ([*TEST, "--rate", "-1"], "expected a number >= 0, not '-1'"),
        ([*TEST, "--rate", "nan"], "expected a number >= 0, not 'nan'"),
        ([*TEST, "--time-limit", "0"], "expected a positive number of seconds, not '0'"),
        ([*TEST, "--latency", "1.5"], "expected an integer >= 0, not '1.5'"),
        ([*TEST, "--latency-dist", "normal"], "invalid choice: 'normal'"),
        ([*TEST, "--concurrency", "4m"], "optionally with n for 'times the nodes', not '4m'"),
        ([*TEST, "--topology", "ring"], "invalid choice: 'ring'"),
        ([*TEST, "--nemesis", "partition,earthquake"], "unknown fault 'earthquake'"),
        ([*TEST, "--availability", "most"], "expected a number from 0 to 1, not 'most'"),
        ([*TEST, "--nodes", "a,b,a"], "expected different names, not 'a,b,a'"),
        ([*TEST, "--nodes", "a,cat"], "names that begin with c are for clients"),
        ([*TEST, "--p-loss", "2"], "expected a number from 0 to 1, not '2'"),
        ([*TEST, "--frobnicate"], "unrecognized arguments: --frobnicate"),
        ([*TEST, "--challenge", "9z"], "9z"),
        (["check", "/no/such/file", "-w", "echo"], "can't read /no/such/file"),
        (["check", str(ROOT / "run.sh"), "-w", "echo"], "run.sh"),
        (["summary", "/no/such/folder"], "can't read /no/such/folder/results.edn"),
    ],
)
def test_a_bad_command_is_refused_in_a_sentence(arguments, complaint, capsys):
    assert main(arguments) == 254
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert complaint in error
    assert "Traceback" not in error


def test_a_history_of_another_workload_is_no_traceback(capsys):
    arguments = ["check", str(HISTORIES / "uid-dup"), "-w", "broadcast"]
    assert main(arguments) in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_a_store_that_cannot_be_written_is_told(tmp_path, capsys):
    (tmp_path / "store").write_text("in the way")
    assert main([*TEST, "--store", str(tmp_path / "store")]) == 254
    assert "cannot keep the test in" in capsys.readouterr().err


def test_a_simulated_script_that_is_not_there_is_told(tmp_path, capsys):
    arguments = ["test", "-w", "echo", "--bin", "nothing.py", "--simulate"]
    assert main([*arguments, "--store", str(tmp_path)]) == 254
    assert "nothing.py: there is no such file" in capsys.readouterr().err


def test_help_helps(capsys):
    assert main(["--help"]) == main([]) == 0
    assert capsys.readouterr().out.count("usage: ") == 2


@pytest.mark.parametrize("command", ["test", "sweep", "check", "summary"])
def test_help_of_a_command_helps(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert "usage: python -m workbench" in capsys.readouterr().out
