"""The snippets of README and docs run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from challenge_runs import run

from glomers import challenges, exits
from glomers.cli import main
from glomers.testing import Simulation
from glomers.world.faults import FAULTS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_ten_line_node_echoes(script):
    source = blocks(ROOT / "README.md", "python")[0]
    assert len([line for line in source.splitlines() if line]) <= 10
    with_run = Simulation(script(source))
    assert with_run.request("n0", "echo", echo="hello")["echo"] == "hello"
    with_run.close()


def test_the_node_that_calls_others_does(script):
    source = blocks(ROOT / "README.md", "python")[1]
    cluster = Simulation(script(source + "\nnode.run()\n"), 2, played=["n1"])
    cluster.deliver("c9", "n0", "broadcast", message=1)
    cluster.advance(0.5)
    cluster.assert_sent("n0", "n1", "gossip", value=1)
    cluster.close()


def test_the_node_that_replicates_survives_partitions(script):
    source = script(blocks(ROOT / "README.md", "python")[2] + "\nnode.run()\n")
    assert run("3c", bin=str(source), time_limit=10)["valid?"] is True


def test_the_examples_of_simulation_pass(tmp_path):
    (source,) = blocks(ROOT / "docs" / "simulation.md", "python")
    test = tmp_path / "test_example.py"
    test.write_text(source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "2 passed" in run.stdout, run.stdout + run.stderr


def commands(page: Path) -> list[list[str]]:
    """The command lines of a page's shell snippets."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in text.splitlines() if line.strip()]


def workbench_commands() -> list[list[str]]:
    found = [command for page in PAGES for command in commands(page)]
    return [command[3:] for command in found if command[:3] == ["python", "-m", "glomers"]]


@pytest.mark.parametrize("command", workbench_commands(), ids=lambda words: " ".join(words)[:60])
def test_the_workbench_takes_every_command(command, tmp_path, monkeypatch, capsys):
    """With a short load, few seeds, simulated: for what they print, read the page."""
    if "--dask" in command or command[0] == "check":
        pytest.skip("there is nothing of that name here")
    short = ["--time-limit", "1"]
    short += ["--seeds", "0..1"] if command[0] == "sweep" else ["--store", str(tmp_path)]
    if command[0] == "test":
        short += ["--simulate"]
    cut = command.index("--") if "--" in command else len(command)
    arguments = ["echo.py" if word == "./my-node" else word for word in command[:cut]]
    monkeypatch.chdir(ROOT)
    assert main([*arguments, *short, *command[cut:]]) in (0, 1, 2)


def test_the_table_of_faults_is_that_of_the_workbench():
    page = (ROOT / "docs" / "simulation.md").read_text()
    rows = re.findall(r"^\| `--nemesis ([^`]+)` \| (.*) \|$", page, re.MULTILINE)
    assert rows == [(name, fault.help) for name, fault in FAULTS.items()]


def test_every_challenge_that_a_page_runs_exists():
    for page in PAGES:
        for command in commands(page):
            if command[0] == "./run.sh" and command[1:] and command[1] != "test":
                challenges.find(command[1])


def test_the_table_of_exit_statuses_is_complete():
    page = (ROOT / "docs" / "workbench.md").read_text()
    documented = [int(status) for status in re.findall(r"^\| (\d+)(?: \+ n)? \|", page, re.M)]
    statuses = {value for value in vars(exits).values() if type(value) is int}
    assert documented == sorted(statuses)


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
