"""How commands end: 0, 1 and 2 are verdicts, and every other end says why."""

from __future__ import annotations

import os
import runpy
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glomers import exits
from glomers.errors import HelpShown, UsageError

ROOT = Path(__file__).parent.parent
TEST = ["test", "-w", "echo", "--bin", str(ROOT / "echo.py"), "--time-limit", "1", "--simulate"]
PATIENCE = 300  # seconds; only a hang takes them

MISTAKE = "error: that was a mistake of the workbench, not of your node\n"


def raising(error: BaseException):
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize("status", [0, 1, 2, 130, 255])
def test_a_command_ends_with_its_own_status(status, capsys):
    assert exits.run(lambda: status) == status
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("valid", "status"), [(True, 0), (False, 1), ("unknown", 2), (None, 1)])
def test_each_verdict_has_a_status(valid, status):
    assert exits.of_verdict(valid) == status


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (HelpShown(), 0, ""),
        (UsageError("no such thing"), 254, "error: no such thing\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (BrokenPipeError(), 141, "error: the output was no longer read, so the command ended ear"),
        (MemoryError(), 255, "error: there is not enough memory\n"),
        (PermissionError(13, "Permission denied", "x"), 255, "error: x: Permission denied\n"),
        (OSError(28, "No space left on device"), 255, "device (standard output, or a node's log)"),
        (OSError("out of order"), 255, "error: out of order\n"),
        (ModuleNotFoundError("", name="rich.text"), 254, "error: the Python module 'rich.text' is"),
        (ModuleNotFoundError("", name="glomers.x"), 255, MISTAKE),
        (RecursionError(), 255, MISTAKE),
        (KeyError("x"), 255, MISTAKE),
        (SystemExit(), 255, MISTAKE),
        (SystemExit(0), 255, MISTAKE),
        (SystemExit(1), 255, MISTAKE),
        (SystemExit("words"), 255, MISTAKE),
        (SystemExit(143), 143, "error: ended by SIGTERM\n"),  # of a command that we ran
        (GeneratorExit(), 255, MISTAKE),
    ],
    ids=repr,
)
def test_every_other_end_has_a_status_of_its_own_and_says_why(error, status, words, capsys):
    assert exits.run(raising(error)) == status
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts(number, capsys):
    def command() -> int:
        signal.raise_signal(number)
        return 0

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert exits.run(command) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "error: interrupted\n"


def test_an_error_that_nobody_can_be_told_keeps_its_status(monkeypatch):
    with Path(os.devnull).open() as unwritable:
        monkeypatch.setattr(sys, "stderr", unwritable)
        assert exits.run(raising(UsageError("no such thing"))) == 254
        assert exits.run(raising(KeyError("x"))) == 255


# From outside


def workbench(*arguments: str, **settings) -> subprocess.CompletedProcess[str]:
    """`python -m glomers`, in a folder of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings.pop("environment", {})}
    return subprocess.run(
        [sys.executable, *settings.pop("python", ()), "-m", "glomers", *arguments],
        env=environment,
        text=True,
        timeout=PATIENCE,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},
    )


@pytest.mark.parametrize("arguments", [["--help"], TEST], ids=["print", "rich"])
def test_a_reader_that_goes_away_is_no_verdict(arguments, tmp_path):
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        result = workbench(*arguments, stdout=write_end, cwd=tmp_path)
    finally:
        os.close(write_end)
    assert result.returncode == 141
    assert result.stderr == "error: the output was no longer read, so the command ended early\n"


def test_an_output_that_is_full_is_no_verdict(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        result = workbench("--help", stdout=full, cwd=tmp_path)
    assert result.returncode == 255
    assert result.stderr.startswith("error: No space left on device")


def test_closed_streams_do_no_harm(tmp_path):
    command = f'"$0" -m glomers {shlex.join(TEST)} --log-net-send <&- >&- 2>&-'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], env=environment, cwd=tmp_path, timeout=PATIENCE
    )
    assert done.returncode == 0
    log = (tmp_path / "store" / "latest" / "run.log").read_text()
    assert log.startswith("send {")
    assert log.endswith("valid: True\n")


def test_an_output_in_ascii_has_question_marks(tmp_path):
    result = workbench(*TEST, environment={"PYTHONIOENCODING": "ascii"}, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Everything looks good! ?(??`)?" in result.stdout


def test_without_the_environment_it_says_how_to_set_it_up(tmp_path):
    result = workbench(*TEST, python=["-S"], cwd=tmp_path)
    assert result.returncode == 254
    assert result.stderr.startswith("error: the Python module 'rich' is not installed for ")
    assert "./run.sh 1 sets up .venv" in result.stderr
    assert f"pip install -r {ROOT}/requirements.txt" in result.stderr


def test_without_a_command_it_helps(tmp_path):
    result = workbench(cwd=tmp_path)
    assert result.returncode == 254
    assert result.stdout.startswith("usage: python -m glomers COMMAND")


@pytest.mark.parametrize("version", [(3, 9, 18), (2, 7, 18)])
def test_a_python_that_is_too_old_is_told(version, monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(SystemExit, match="254"):
        runpy.run_module("glomers", run_name="__main__")
    words = f"Python {version[0]}.{version[1]}, which is too old: 3.10 or newer is needed"
    assert words in capsys.readouterr().err
