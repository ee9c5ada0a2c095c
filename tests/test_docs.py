"""What pages say is so. That their commands and code blocks run is for test_pages.py."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glomers import exits
from glomers.simulated.view import View
from glomers.testing import Simulation
from glomers.world.faults import FAULTS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_examples_of_testing_pass(tmp_path):
    node, *tests = blocks(ROOT / "docs" / "testing.md", "python")
    (tmp_path / "mine.py").write_text(node)
    (tmp_path / "echo.py").write_text((ROOT / "echo.py").read_text())
    (tmp_path / "test_mine.py").write_text("\n\n".join(tests))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    count = sum(len(re.findall(r"def test_|^Test\w+ = ", block, re.MULTILINE)) for block in tests)
    assert f"{count} passed" in run.stdout, run.stdout + run.stderr


def test_the_testing_page_names_all_that_a_test_can_do():
    page = (ROOT / "docs" / "testing.md").read_text()
    not_for_tests = {"close", "abandon", "record"}
    names = {*vars(Simulation), *vars(View)}
    public = {name for name in names if not name.startswith("_")} - not_for_tests
    assert {name for name in public if f"cluster.{name}" not in page} == set()


def test_the_testing_page_has_every_setting_of_a_cluster():
    page = (ROOT / "docs" / "testing.md").read_text()
    rows = re.findall(r"^\| (`.*?) \| .* \| .* \|$", page, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    settings = inspect.signature(Simulation).parameters.values()
    assert documented == {each.name for each in settings if each.kind is each.KEYWORD_ONLY}


TICKETS = """
from itertools import count
from maelstrom_node import Node, RPCError
node = Node()
own = count()

@node.on("take")
def take(message):
    try:
        node.rpc("n1" if node.id == "n0" else "n0", {"type": "ping"}, timeout=0.1)
    except RPCError as error:
        node.log(f"alone: {error}")
    return node.rpc("lin-tickets", {"type": "take", "queue": 1}) if SHARED else {
        "type": "take_ok", "ticket": -next(own)
    }

@node.on("ping")
def ping(message):
    return {"type": "ping_ok"}

node.run()
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of the package, with what CONTRIBUTING.md adds to it by example."""
    root = tmp_path_factory.mktemp("extended")
    shutil.copytree(
        ROOT / "glomers", root / "glomers", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "maelstrom_node.py", root)

    def change(path: str, old: str, new: str) -> None:
        text = (root / path).read_text()
        assert text.count(old) == 1, f"{path} has changed: {old!r}"
        (root / path).write_text(text.replace(old, new))

    before = {
        "glomers/world/faults.py": "# In the order in which they are stopped",
        "glomers/world/services.py": "def default_services",
    }
    for block in blocks(ROOT / "CONTRIBUTING.md", "python"):
        path, code = block.removeprefix("# ").split("\n", 1)
        if path in before:
            change(path, before[path], f"{code}\n\n{before[path]}")
        else:
            assert not (root / path).exists()
            (root / path).write_text(code)
    table = "glomers/workloads/__init__.py"
    import_ = "from glomers.workloads.tickets import TicketsWorkload\n"
    change(table, "\nWORKLOADS", f"{import_}\nWORKLOADS")
    change(table, "        UniqueIdsWorkload,\n", "        UniqueIdsWorkload, TicketsWorkload,\n")
    change("glomers/world/faults.py", "Kill, Slow)", "Kill, Slow, Blackout)")
    oracle = '        "lin-tso": TimestampOracle(),\n'
    change("glomers/world/services.py", oracle, f'{oracle}        "lin-tickets": Tickets(),\n')
    change("glomers/options.py", '"lin-tso")', '"lin-tso", "lin-tickets")')
    return root


@pytest.mark.parametrize(("shared", "status"), [(True, 0), (False, 1)])
def test_the_workload_fault_service_and_checker_of_the_contributing_page_work(
    extended, script, shared, status
):
    node = script(TICKETS.replace("SHARED", str(shared)))
    test = (
        "test -w tickets --node-count 2 --time-limit 10 --rate 10 --simulate --seed 1 --store store"
    )
    faults = "--nemesis blackout --nemesis-interval 1"
    words = [*test.split(), *faults.split(), "--bin", str(node)]
    run = subprocess.run(
        [sys.executable, "-m", "glomers", *words],
        cwd=extended,
        env={**os.environ, "PYTHONPATH": str(extended)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == status, run.stdout + run.stderr
    assert "tickets out of order" in run.stdout
    kept = extended / "store" / "latest"
    result = json.loads((kept / "results.json").read_text())
    assert bool(result["workload"]["errors"]) is not shared
    assert "start-blackout" in (kept / "history.edn").read_text()
    assert any("alone" in log.read_text() for log in (kept / "node-logs").iterdir())


def test_the_table_of_faults_is_that_of_the_workbench():
    page = (ROOT / "docs" / "simulation.md").read_text()
    rows = re.findall(r"^\| `--nemesis ([^`]+)` \| (.*) \|$", page, re.MULTILINE)
    assert rows == [(name, fault.help) for name, fault in FAULTS.items()]


def test_the_table_of_exit_statuses_is_complete():
    page = (ROOT / "docs" / "workbench.md").read_text()
    documented = [int(status) for status in re.findall(r"^\| (\d+)(?: \+ n)? \|", page, re.M)]
    statuses = {value for value in vars(exits).values() if type(value) is int}
    assert documented == sorted(statuses)


def test_files_and_folders_that_a_page_names_are_there():
    rooms = "glomers|tests|benchmarks|ladder|docs"
    for page in PAGES:
        text = re.sub(r"^```python\n.*?^```$|\]\([^)]*\)", "", page.read_text(), flags=re.M | re.S)
        for name in re.findall(rf"(?<![\w./-])(?:{rooms})/[\w./-]*\w", text):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
