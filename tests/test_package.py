"""The package as it is installed: a wheel in an empty environment, used from an empty folder.

The environment has the package and what it says that it depends on, and nothing else; the checkout
is on no path.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from glomers.challenges import CHALLENGES

ROOT = Path(__file__).parent.parent
PATIENCE = 300  # seconds; only a hang takes them
EXTRA = "test"  # pytest, for the fixture


@dataclass(frozen=True)
class Installed:
    """The environment in the folder `root`, as somebody uses it who is in the folder `here`."""

    root: Path
    here: Path

    @property
    def packages(self) -> Path:
        return next(self.root.glob("lib/python*/site-packages"))

    def run(self, *command: str, status: int | None = 0) -> str:
        """What a command of the environment prints. Its folder is not on the PATH."""
        result = subprocess.run(
            [self.root / "bin" / command[0], *command[1:]],
            cwd=self.here,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.here), "LANG": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert result.returncode == status or status is None, result.stdout
        return result.stdout


@pytest.fixture(scope="session")
def environment(tmp_path_factory) -> Path:
    """An environment with the wheel, made once for all of pytest-xdist's workers."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    root = shared / "an environment"
    with (shared / "environment.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "complete").exists():
            shutil.rmtree(root, ignore_errors=True)
            make(root)
            (root / "complete").touch()
    return root


def make(root: Path) -> None:
    def python(*arguments: str) -> None:
        subprocess.run([sys.executable, "-Im", *arguments], cwd=ROOT, check=True, timeout=PATIENCE)

    venv.create(root, symlinks=True)
    python("hatchling", "build", "-t", "wheel", "-d", str(root / "wheels"))
    (wheel,) = (root / "wheels").iterdir()
    install = ["--python", str(root / "bin" / "python"), "--disable-pip-version-check"]
    python("pip", *install, "install", "-q", "--no-index", "--no-deps", str(wheel))
    packages = Installed(root, root).packages
    for distribution in dependencies(requirements(packages), {EXTRA}):
        for top in {Path(file).parts[0] for file in distribution.files or ()} - {".."}:
            if top != "__pycache__":
                (packages / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    pytest_command = root / "bin" / "pytest"
    pytest_command.write_text('#!/bin/sh\nexec "${0%/*}/python" -c '
                              '"import sys, pytest; sys.exit(pytest.main())" "$@"\n')  # fmt: skip
    pytest_command.chmod(0o755)


def requirements(packages: Path) -> list[Requirement]:
    """What the installed package says that it needs."""
    (ours,) = metadata.distributions(name="gossip-glomers", path=[str(packages)])
    return [Requirement(text) for text in ours.requires or ()]


def dependencies(
    wanted: Iterable[Requirement], extras: Iterable[str] = ()
) -> list[metadata.Distribution]:
    """The distributions that these requirements bring, from the environment of this test."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [(requirement, {"", *extras}) for requirement in wanted]
    while waiting:
        requirement, having = waiting.pop()
        marker = requirement.marker
        needed = marker is None or any(marker.evaluate({"extra": extra}) for extra in having)
        if needed and requirement.name not in found:
            distribution = metadata.distribution(requirement.name)
            found[requirement.name] = distribution
            texts = distribution.requires or ()
            waiting += [(Requirement(text), {"", *requirement.extras}) for text in texts]
    return list(found.values())


@pytest.fixture
def installed(environment, tmp_path) -> Installed:
    here = tmp_path / "an empty folder"
    here.mkdir()
    return Installed(environment, here)


def test_the_checkout_pins_every_dependency_in_its_range(environment):
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    needed = [
        requirement
        for requirement in requirements(Installed(environment, environment).packages)
        if requirement.marker is None or requirement.marker.evaluate({"extra": EXTRA})
    ]
    assert {requirement.name for requirement in needed} == {
        "greenlet",
        "networkx",
        "pytest",
        "rich",
        "ujson",
    }
    for requirement in needed:
        assert requirement.specifier.contains(pins[requirement.name]), requirement


def test_what_is_imported_is_what_was_installed(installed):
    program = "import glomers, maelstrom_node, sys; print(glomers.__file__, maelstrom_node.__file__"
    printed = installed.run("python", "-c", f"{program}, *sys.path, sep='\\n')")
    module, library, *path = printed.splitlines()
    assert module == str(installed.packages / "glomers" / "__init__.py")
    assert library == str(installed.packages / "maelstrom_node.py")
    assert str(ROOT) not in path
    assert (installed.packages / "glomers" / "py.typed").exists()


def test_it_tells_its_version(installed):
    (ours,) = metadata.distributions(name="gossip-glomers", path=[str(installed.packages)])
    assert installed.run("glomers", "--version") == f"glomers {ours.version}\n"


@pytest.mark.parametrize("challenge", [challenge.name for challenge in CHALLENGES])
def test_every_challenge_is_simulated(challenge, installed):
    """For a second or two: whether it is valid for long, other tests tell."""
    load = ["--time-limit", "2", "--rate", "20", "--seed", "1"]
    printed = installed.run("glomers", challenge, *load, "--simulate", status=None)
    assert f"Challenge {challenge}: " in printed
    assert "\nEverything looks good!" in printed
    assert re.search(r"^Kept in store/", printed, re.MULTILINE)


def test_a_challenge_runs_in_real_time(installed):
    printed = installed.run("glomers", "1", "--time-limit", "1", "--engine", "workbench")
    assert "Everything looks good!" in printed
    assert (installed.here / "store" / "latest" / "results.edn").exists()
    page = installed.here / "store" / "latest" / "report.html"
    assert page.stat().st_size > 50_000  # with its script and its style


def test_a_node_is_begun_and_tested_run_swept_and_judged(installed):
    installed.run("glomers", "new", "mine")
    assert "1 passed" in installed.run("pytest", "-q", "-p", "no:cacheprovider")
    short = ["--bin", "./mine.py", "--time-limit", "0.5", "--node-count", "1"]
    installed.run("glomers", "1", *short)
    installed.run("glomers", "test", "-w", "echo", *short)
    assert "Again: glomers test -w echo --bin ./mine.py " in installed.run("glomers", "again")
    installed.run("glomers", "sweep", "-w", "echo", *short, "--seeds", "0..1")
    installed.run("glomers", "sweep", "1", *short, "--seeds", "0..1")
    installed.run("glomers", "check", "-w", "echo", "store/latest")


def test_a_script_is_copied_and_its_copy_simulated(installed):
    installed.run("glomers", "copy", "3")
    short = ["--bin", "broadcast.py", "--time-limit", "1", "--simulate"]
    assert "Everything looks good!" in installed.run("glomers", "3c", *short)


@pytest.mark.parametrize("clock", [[], ["--simulate"]], ids=["real", "virtual"])
def test_a_single_file_is_run(installed, clock):
    installed.run("glomers", "copy", "1", "--single-file", "--force")
    printed = installed.run("glomers", "1", "--bin", "echo.py", "--time-limit", "0.5", *clock)
    assert "Everything looks good!" in printed


def test_the_fixture_is_there_without_an_import_and_costs_nothing_where_it_is_not_used(installed):
    (installed.here / "test_others.py").write_text(
        "import sys\n\ndef test_nothing():\n"
        "    assert 'glomers.plugin' in sys.modules\n"
        "    assert 'glomers.testing' not in sys.modules\n"
        "    assert 'maelstrom_node' not in sys.modules\n"
        "    assert 'rich' not in sys.modules\n"
    )
    printed = installed.run("pytest", "-q", "-p", "no:cacheprovider", "--junit-xml=results.xml")
    assert "1 passed" in printed
    assert 'tests="1"' in (installed.here / "results.xml").read_text()
    assert "simulate" in installed.run("pytest", "--fixtures", "-p", "no:cacheprovider")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["3f"], "error: there is no challenge '3f'"),
        (["3c", "--bin", "mine.py"], "/an empty folder/mine.py does not exist"),
        (["3c", "--nodde", "x"], "error: unknown flag '--nodde'"),
        (["tset"], "did you mean test? expected one of test, sweep, explore,"),
        ([], "usage: glomers COMMAND"),
        (["challenge"], "usage: glomers CHALLENGE"),
    ],
)
def test_a_mistake_is_told_in_terms_of_the_command(command, sentence, installed):
    printed = installed.run("glomers", *command, status=254)
    assert sentence in printed
    assert "Traceback" not in printed
    assert "run.sh" not in printed
