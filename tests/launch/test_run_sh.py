"""./run.sh from outside: in a checkout of its own, with stand-ins for Maelstrom and for `.venv`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from glomers.challenges import CHALLENGES
from glomers.history.command import FILE, Command, read_command
from glomers.invocation import Invocation
from glomers.launch.environment import DEVELOPMENT, Environment

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 300  # seconds; only a hang takes them
SCRIPTS = ("echo.py", "unique_ids.py", "broadcast.py", "counter.py", "kafka.py", "txn.py")

# What comes after `maelstrom test`, run by run; BIN/ is the checkout.
COMMANDS = {
    "1": ["-w echo --bin BIN/echo.py --node-count 1 --time-limit 10"],
    "2": [
        "-w unique-ids --bin BIN/unique_ids.py --time-limit 30 --rate 1000 --node-count 3 "
        "--availability total --nemesis partition"
    ],
    "3a": ["-w broadcast --bin BIN/broadcast.py --node-count 1 --time-limit 20 --rate 10"],
    "3b": ["-w broadcast --bin BIN/broadcast.py --node-count 5 --time-limit 20 --rate 10"],
    "3c": [
        "-w broadcast --bin BIN/broadcast.py --node-count 5 --time-limit 20 --rate 10 "
        "--nemesis partition"
    ],
    "3d": [
        "-w broadcast --bin BIN/broadcast.py --node-count 25 --time-limit 20 --rate 100 "
        "--latency 100 -- --max-latency 600ms"
    ],
    "3e": [
        "-w broadcast --bin BIN/broadcast.py --node-count 25 --time-limit 20 --rate 100 "
        "--latency 100 -- --max-latency 2s"
    ],
    "4": [
        "-w g-counter --bin BIN/counter.py --node-count 3 --rate 100 --time-limit 20 "
        "--nemesis partition"
    ],
    "5a": [
        "-w kafka --bin BIN/kafka.py --node-count 1 --concurrency 2n --time-limit 20 --rate 1000"
    ],
    "5b": [
        "-w kafka --bin BIN/kafka.py --node-count 2 --concurrency 2n --time-limit 20 --rate 1000"
    ],
    "5c": [
        "-w kafka --bin BIN/kafka.py --node-count 2 --concurrency 2n --time-limit 20 --rate 1000 "
        "-- --max-latency 100ms"
    ],
    "6a": [
        "-w txn-rw-register --bin BIN/txn.py --node-count 1 --time-limit 20 --rate 1000 "
        "--concurrency 2n --consistency-models read-uncommitted --availability total"
    ],
    "6b": [
        "-w txn-rw-register --bin BIN/txn.py --node-count 2 --time-limit 20 --rate 1000 "
        "--concurrency 2n --consistency-models read-uncommitted --availability total",
        "-w txn-rw-register --bin BIN/txn.py --node-count 2 --time-limit 20 --rate 1000 "
        "--concurrency 2n --consistency-models read-uncommitted --availability total "
        "--nemesis partition",
    ],
    "6c": [
        "-w txn-rw-register --bin BIN/txn.py --node-count 2 --time-limit 20 --rate 1000 "
        "--concurrency 2n --consistency-models read-committed --availability total "
        "--nemesis partition -- --max-latency 100ms"
    ],
}

# Notes each call (PATH, folder and arguments, each ended by a NUL), keeps results as Maelstrom
# does if there are any to keep (`test -w WORKLOAD` is how it is called), and ends with the next of
# $STATUSES.
MAELSTROM = r"""#!/bin/sh
calls=$RECORD/maelstrom
number=$(ls "$calls" | wc -l | tr -d ' ')
printf '%s\0' "$PATH" "$PWD" "$@" > "$calls/$number"
{ true 3<&0; } 2>/dev/null && touch "$RECORD/has_input"
if [ -f "$RECORD/results.edn" ]; then
  mkdir -p "store/$3/$number"
  cp "$RECORD/results.edn" "store/$3/$number"
  ln -sfn "$3/$number" store/latest
fi
echo "the stand-in speaks"
exit "$(printf '%s' "$STATUSES" | cut -d ' ' -f "$((number + 1))")"
"""

# Stands in for `.venv/bin/python`: notes what it is told to run (module and arguments), and runs
# only the launcher itself and, if there are results, the summary.
PYTHON = r"""#!/bin/sh
test "$1" = -m || exit 99
case "$2 $3" in
  "glomers challenge") exec "$REAL_PYTHON" "$@" ;;
esac
calls=$RECORD/python
number=$(ls "$calls" | wc -l | tr -d ' ')
printf '%s\0' "$PATH" "$PWD" "$@" > "$calls/$number"
echo $$ > "$RECORD/pid"
case "$2 $3" in
  "glomers summary") [ -z "$SUMMARY" ] || exec "$REAL_PYTHON" "$@" ;;
  "glomers test") exit "$(printf '%s' "$STATUSES" | cut -d ' ' -f "$((number + 1))")" ;;
  "$FAILING"*) echo "$2 finds fault"; exit 3 ;;
esac
"""


@dataclass(frozen=True)
class Call:
    """How a stand-in was called."""

    path: list[str]
    folder: str
    arguments: list[str]


@dataclass
class Result:
    status: int
    out: str
    err: str


class Checkout:
    """A checkout that is set up, in a folder with a space in its name."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "a checkout"
        self.record = tmp_path / "record"
        self.pipe = tmp_path / "pipe"
        self.environ = {
            "PATH": os.environ["PATH"],
            "RECORD": str(self.record),
            "REAL_PYTHON": sys.executable,
            "STATUSES": "0 0",
            "FAILING": "nothing",
        }
        for name in ("maelstrom", "python"):
            (self.record / name).mkdir(parents=True)
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / "glomers", self.root / "glomers", ignore=skip)
        for name in ("run.sh", *DEVELOPMENT):
            shutil.copy(PROJECT / name, self.root)
        for name in SCRIPTS:
            program(self.root / name, "#!/bin/sh\n")
        program(self.root / ".venv/bin/python", PYTHON)
        (self.root / ".venv/installed").write_text(Environment(self.root).wanted(DEVELOPMENT))

    def maelstrom(self, path: Path, text: str = MAELSTROM) -> Path:
        """Put the stand-in there, and make $MAELSTROM name it."""
        self.environ["MAELSTROM"] = str(program(path, text))
        return path

    def run(self, *arguments: str, run_sh: Path | None = None, **settings: object) -> Result:
        """Run `./run.sh` in a session of its own; the terminal, if there is one, is not its."""
        done = subprocess.run(
            [str(run_sh or self.root / "run.sh"), *arguments],
            **{  # type: ignore[call-overload]
                "env": self.environ,
                "cwd": self.root,
                "stdin": subprocess.DEVNULL,
                "capture_output": True,
                "start_new_session": True,
                "timeout": PATIENCE,
                **settings,
            },
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def calls(self, name: str = "maelstrom") -> list[Call]:
        """How the stand-in ("maelstrom" or "python") was called, in order."""
        result = []
        for file in sorted((self.record / name).iterdir(), key=lambda file: int(file.name)):
            path, folder, *arguments = file.read_text().split("\0")[:-1]
            result.append(Call(path.split(":"), folder, arguments))
        return result

    def keep_results(self, text: str) -> None:
        """What the stand-in for Maelstrom finds out."""
        (self.record / "results.edn").write_text(text)


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def has(arguments: Sequence[str], *part: str) -> bool:
    """Do the arguments contain this, one after the other?"""
    return any(
        tuple(arguments[i : i + len(part)]) == part for i in range(len(arguments) - len(part) + 1)
    )


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture
def maelstrom(checkout, tmp_path):
    """Maelstrom as $MAELSTROM names it."""
    checkout.keep_results("{:valid? true}")
    return checkout.maelstrom(tmp_path / "some where" / "maelstrom")


# What is run


@pytest.mark.parametrize("name", COMMANDS)
def test_the_exact_command_of_each_challenge(checkout, maelstrom, name):
    result = checkout.run(name)
    assert result.status == 0, result.err
    expected = [
        ["test", *(word.replace("BIN", str(checkout.root)) for word in command.split())]
        for command in COMMANDS[name]
    ]
    calls = checkout.calls()
    assert [call.arguments for call in calls] == expected
    for call in calls:
        assert call.folder == str(checkout.root)
        assert call.path[0] == str(checkout.root / ".venv" / "bin")


def test_every_challenge_is_tested_here():
    assert list(COMMANDS) == [challenge.name for challenge in CHALLENGES]


@pytest.mark.parametrize("name", ["1", "3c"])
def test_the_same_command_on_the_workbench_and_which_challenge_it_is(checkout, name):
    assert checkout.run(name, "--engine", "workbench").status == 0
    (call,) = checkout.calls("python")
    (command,) = COMMANDS[name]
    words = [word.replace("BIN", str(checkout.root)) for word in command.split()]
    assert call.arguments == ["-m", "glomers", "test", "--challenge", name, *words]
    assert call.folder == str(checkout.root)
    assert call.path[0] == str(checkout.root / ".venv" / "bin")


def test_later_flags_are_passed_on_after_the_challenges_own(checkout, maelstrom):
    checkout.run("3c", "--time-limit", "5", "--log-stderr")
    (call,) = checkout.calls()
    assert call.arguments[-4:] == ["partition", "--time-limit", "5", "--log-stderr"]


def test_arguments_for_the_node_come_last(checkout, maelstrom):
    checkout.run("3c", "--rate", "7", "--", "--max-latency", "600ms", "--", "--rate")
    (call,) = checkout.calls()
    end = ["--rate", "7", "--", "--max-latency", "600ms", "--", "--rate"]
    assert call.arguments[-7:] == end


class TestANodeArgumentInTheTable:
    """A challenge's command may end with arguments for its node."""

    @pytest.fixture
    def run(self, checkout, maelstrom) -> Callable[..., list[str]]:
        table = checkout.root / "glomers" / "challenges.py"
        text = table.read_text()
        table.write_text(text.replace("--time-limit 10", "--time-limit 10 -- --dial 'a b'"))
        assert table.read_text() != text

        def run(*arguments: str) -> list[str]:
            checkout.run("1", *arguments)
            return checkout.calls()[-1].arguments

        return run

    def test_alone(self, run):
        assert run()[-4:] == ["10", "--", "--dial", "a b"]

    def test_flags_go_before_it_and_arguments_after_it(self, run):
        end = ["10", "--rate", "1", "--", "--dial", "a b", "--dial", "c"]
        assert run("--rate", "1", "--", "--dial", "c")[-8:] == end

    def test_a_node_of_ones_own_does_not_get_it(self, run):
        assert run("--bin", "txn.py")[-3:] == ["10", "--bin", run("--bin=txn.py")[-1][6:]]
        assert run("--bin", "txn.py", "--", "x")[-2:] == ["--", "x"]
        assert "--dial" not in run("--bin", "txn.py", "--", "x")


def test_a_node_of_ones_own_is_looked_for_where_one_is(checkout, maelstrom, tmp_path):
    mine = program(tmp_path / "my nodes" / "mine.py", "")
    checkout.run("3c", "--bin", "mine.py", cwd=mine.parent)
    checkout.run("3c", "--bin=mine.py", cwd=mine.parent)
    checkout.run("3c", "--bin", str(mine))
    one, two, three = checkout.calls()
    assert one.arguments[-2:] == three.arguments[-2:] == ["--bin", str(mine)]
    assert two.arguments[-1:] == [f"--bin={mine}"]


def test_paths_are_looked_for_where_one_is(checkout, tmp_path):
    program(tmp_path / "node.py", "")
    flags = ["--bin", "node.py", "--store=kept", "--nodes-file", "names"]
    assert checkout.run("1", *flags, cwd=tmp_path).status == 0
    (call,) = checkout.calls("python")
    expected = [f"--store={tmp_path}/kept", "--nodes-file", f"{tmp_path}/names"]
    assert call.arguments[-5:] == ["--bin", f"{tmp_path}/node.py", *expected]


# Which engine


def test_the_engine_is_maelstrom_where_it_is_found_and_otherwise_the_workbench(
    checkout, maelstrom, tmp_path
):
    named = f"on Maelstrom at {maelstrom} ($MAELSTROM)"
    on_path = program(tmp_path / "bin" / "maelstrom", MAELSTROM)
    checkout.environ["PATH"] = f"{on_path.parent}:{checkout.environ['PATH']}"
    local = program(checkout.root / "maelstrom" / "maelstrom", MAELSTROM)
    assert named in checkout.run("1").out
    checkout.environ["MAELSTROM"] = str(maelstrom.parent)
    assert named in checkout.run("1").out
    checkout.environ["MAELSTROM"] = ""
    assert f"on Maelstrom at {local} (./maelstrom)" in checkout.run("1").out
    del checkout.environ["MAELSTROM"]
    local.unlink()
    assert f"on Maelstrom at {on_path} (on the PATH)" in checkout.run("1").out
    assert len(checkout.calls()) == 4
    on_path.unlink()
    assert "on the workbench (no Maelstrom found" in checkout.run("1").out
    assert len(checkout.calls()) == 4


def test_what_maelstrom_names_is_looked_for_where_one_is(checkout, maelstrom):
    checkout.environ["MAELSTROM"] = "maelstrom"
    assert checkout.run("1", cwd=maelstrom.parent).status == 0
    assert len(checkout.calls()) == 1


@pytest.mark.parametrize(
    "flags",
    [
        ["--engine", "workbench"],
        ["--engine=workbench"],
        ["--engine", "maelstrom", "--engine", "workbench"],
        ["--simulate"],
        ["--seed", "7"],
        ["--hard"],
        ["--p-loss=0.1"],
    ],
)
def test_the_workbench_is_picked_although_there_is_a_maelstrom(checkout, maelstrom, flags):
    assert checkout.run("1", *flags).status == 0
    assert checkout.calls() == []
    (call,) = checkout.calls("python")
    assert "--engine" not in " ".join(call.arguments)
    if "engine" not in flags[0]:
        assert has(call.arguments, *flags)


def test_engine_after_two_dashes_is_the_nodes(checkout, maelstrom):
    checkout.run("1", "--", "--engine", "workbench")
    (call,) = checkout.calls()
    assert has(call.arguments, "--", "--engine", "workbench")


def test_the_workbench_does_not_mind_a_broken_maelstrom(checkout):
    checkout.environ["MAELSTROM"] = "/nowhere"
    assert checkout.run("1", "--engine", "workbench").status == 0


# To have a run again


def kept(checkout: Checkout, *words: str, folder: Path | None = None, seed: int | None = 7) -> Path:
    """A run that was called so, the last one in the checkout's store."""
    run = checkout.root / "store" / "echo" / "20261126T000000.000"
    run.mkdir(parents=True)
    call = Invocation("./run.sh", folder or checkout.root, words)
    (run / FILE).write_text(Command.of(call, seed, "workbench", run).as_json())
    (checkout.root / "store" / "latest").symlink_to(run)
    return run


def test_the_last_run_is_repeated_with_its_seed_and_further_flags(checkout, maelstrom):
    kept(checkout, "1", "--rate", "3", "--", "x")
    result = checkout.run("again", "--simulate", "--rate", "7", "--", "y")
    (call,) = checkout.calls("python")
    end = ["--rate", "3", "--seed", "7", "--simulate", "--rate", "7", "--", "x", "y"]
    assert call.arguments[-10:] == end
    assert call.arguments[2:5] == ["test", "--challenge", "1"]
    assert result.out.startswith(f"Again: ./run.sh 1 {' '.join(end)}\n")


def test_another_seed_takes_the_place_of_the_runs_own(checkout):
    kept(checkout, "1")
    checkout.run("again", "--seed=8")
    (call,) = checkout.calls("python")
    assert call.arguments[-3:] == ["--time-limit", "10", "--seed=8"]


def test_the_run_of_a_folder_is_repeated_from_wherever_one_is(checkout, tmp_path):
    program(tmp_path / "my nodes" / "mine.py", "")
    run = kept(checkout, "1", "--bin", "mine.py", folder=tmp_path / "my nodes")
    (checkout.root / "store" / "latest").unlink()
    result = checkout.run("again", f"../{run.relative_to(tmp_path)}", cwd=tmp_path / "my nodes")
    assert result.out.startswith("Again: '../a checkout/run.sh' 1 --bin mine.py --seed 7\n")
    result = checkout.run("again", str(run), cwd=tmp_path)
    assert result.out.startswith("Again: 'a checkout/run.sh' 1 --bin 'my nodes/mine.py' --seed 7\n")
    one, two = checkout.calls("python")
    assert has(one.arguments, "--bin", f"{tmp_path}/my nodes/mine.py")
    assert one.arguments == two.arguments


def test_a_run_of_the_workbenchs_own_test_is_repeated(checkout, tmp_path):
    kept(checkout, "test", "-w", "echo", "--bin", "mine.py", folder=tmp_path)
    assert checkout.run("again", "--rate", "7", cwd=tmp_path).status == 0
    (call,) = checkout.calls("python")
    test = ["-m", "glomers", "test", "-w", "echo", "--bin", f"{tmp_path}/mine.py"]
    assert call.arguments == [*test, "--seed", "7", "--rate", "7"]


def test_a_script_that_is_gone_is_told(checkout, tmp_path):
    kept(checkout, "1", "--bin", "mine.py", folder=tmp_path)
    result = checkout.run("again", cwd=tmp_path)
    assert result.err == f"error: the node's program {tmp_path}/mine.py does not exist\n"
    assert result.status == 254


def test_a_run_on_maelstrom_keeps_its_command_and_is_repeated_there(checkout, maelstrom):
    checkout.environ["STATUSES"] = "0 0 0 0"
    checkout.run("1", "--engine", "maelstrom", "--rate", "3")
    command = read_command(checkout.root / "store" / "latest")
    assert command.words == ("1", "--engine", "maelstrom", "--rate", "3")
    assert (command.seed, command.run) == (None, "echo/0")
    assert command.engine == f"Maelstrom at {maelstrom}"
    assert checkout.run("again", "--log-stderr").status == 0
    assert checkout.calls()[1].arguments == [*checkout.calls()[0].arguments, "--log-stderr"]
    assert checkout.run("again", "--seed", "5").status == 0
    assert checkout.calls("python")[-1].arguments[-5:] == (
        ["--rate", "3", "--log-stderr", "--seed", "5"]
    )


def test_a_run_on_the_workbench_is_repeated_on_maelstrom_where_that_is_wanted(checkout, maelstrom):
    kept(checkout, "1")
    assert checkout.run("again", "--engine", "maelstrom").status == 0
    assert len(checkout.calls()) == 1


def test_old_runs_are_removed_after_one_on_maelstrom_which_is_not_told_of_it(checkout, maelstrom):
    old = kept(checkout, "1")
    assert checkout.run("1", "--keep", "all").status == 0
    assert old.exists()
    newer = old.with_name("20261126T000001.000")
    shutil.copytree(old, newer)
    (newer / FILE).write_text((old / FILE).read_text().replace(old.name, newer.name))
    result = checkout.run("1", "--keep=1")
    assert "Removed 1 older run; --keep NUM keeps more\n" in result.out
    assert not old.exists()
    assert newer.exists()
    assert not any("--keep" in word for call in checkout.calls() for word in call.arguments)
    result = checkout.run("1", "--keep", "0")
    assert result.err == "error: argument --keep: expected a positive integer, or all, not '0'\n"
    assert result.status == 254
    assert len(checkout.calls()) == 2


# The workbench's other commands


def test_a_sweep_of_a_challenge_has_its_flags_and_is_of_no_maelstrom(checkout, maelstrom):
    flags = ["--seeds", "0..9", "--rate", "3", "--", "x"]
    assert checkout.run("sweep", "3d", *flags).status == 0
    (call,) = checkout.calls("python")
    (command,) = COMMANDS["3d"]
    words = [word.replace("BIN", str(checkout.root)) for word in command.split()]
    cut = words.index("--")
    assert call.arguments[2:] == ["sweep", *words[:cut], *flags[:4], *words[cut:], "x"]
    assert call.folder == str(checkout.root)


@pytest.mark.parametrize(
    ("words", "same"),
    [
        ("--seed 7 3c --rate 3 -- x", "3c --seed 7 --rate 3 -- x"),
        ("--seed=7 --hard 3c -- 5a", "3c --seed=7 --hard -- 5a"),
        ("sweep --seeds 0..9 3c -- x", "sweep 3c --seeds 0..9 -- x"),
        ("sweep --hard --bin echo.py 1", "sweep 1 --hard --bin echo.py"),
    ],
)
def test_a_challenge_may_stand_after_flags(checkout, words, same):
    for command in (words, same):
        assert checkout.run(*command.split()).status == 0
    first, second = checkout.calls("python")
    assert first == second


def test_a_challenge_is_explored_once_and_with_few_nodes(checkout):
    assert checkout.run("explore", "--losses", "1", "6b", "--node-count", "3").status == 0
    (call,) = checkout.calls("python")
    words = call.arguments[2:]
    assert words[:3] == ["explore", "--challenge", "6b"]
    more = ["--node-count", "2", "--losses", "1", "--node-count", "3"]
    assert words[-len(more) :] == more


def test_a_challenge_of_one_node_is_explored_with_one(checkout):
    assert checkout.run("explore", "1").status == 0
    (call,) = checkout.calls("python")
    assert call.arguments[-2:] == ["--node-count", "1"]


def test_where_a_sweep_names_a_workload_a_number_is_the_nodes(checkout):
    words = ["-w", "echo", "--bin", "echo.py", "1"]
    assert checkout.run("sweep", *words).status == 0
    (call,) = checkout.calls("python")
    assert call.arguments[2:] == ["sweep", "-w", "echo", "--bin", f"{checkout.root}/echo.py", "1"]


def test_a_challenge_of_two_runs_is_swept_twice(checkout):
    checkout.environ["STATUSES"] = "0 0"
    assert checkout.run("sweep", "6b").status == 0
    assert [call.arguments[2] for call in checkout.calls("python")] == ["sweep", "sweep"]


@pytest.mark.parametrize(
    "words",
    [
        ["check", "a folder", "-w", "echo"],
        ["check", "--help"],
        ["summary"],
        ["report"],
        ["copy", "3", "--single-file"],
        ["new", "mine"],
        ["sweep", "-w", "echo", "--seeds", "0..9", "--", "--bin", "x"],
    ],
)
def test_other_commands_of_the_workbench_are_handed_on(checkout, maelstrom, words):
    assert checkout.run(*words, cwd="/").status == 0
    (call,) = checkout.calls("python")
    assert call.arguments == ["-m", "glomers", *words]
    assert call.folder == str(checkout.root)


def test_a_test_with_a_program_is_the_workbenchs(checkout, tmp_path):
    assert checkout.run("test", "-w", "echo", "--bin=x", "--store", "y", cwd=tmp_path).status == 0
    (call,) = checkout.calls("python")
    paths = [f"--bin={tmp_path}/x", "--store", f"{tmp_path}/y"]
    assert call.arguments == ["-m", "glomers", "test", "-w", "echo", *paths]


# Exit statuses


@pytest.mark.parametrize("status", [0, 1, 2])
@pytest.mark.parametrize("engine", ["maelstrom", "workbench"])
def test_exit_status_of_a_verdict_is_passed_on(checkout, maelstrom, engine, status):
    checkout.environ["STATUSES"] = str(status)
    assert checkout.run("1", "--engine", engine).status == status


@pytest.mark.parametrize(
    ("statuses", "worst", "runs"),
    [
        ("0 0", 0, 2),
        ("1 0", 1, 2),
        ("0 1", 1, 2),
        ("0 2", 2, 2),
        ("1 2", 1, 2),
        ("2 1", 1, 2),
        ("254 0", 254, 1),
        ("0 255", 255, 2),
    ],
)
def test_of_two_runs_the_worst_counts(checkout, statuses, worst, runs):
    checkout.environ["STATUSES"] = statuses
    result = checkout.run("6b")
    assert result.status == worst
    assert len(checkout.calls("python")) == runs
    assert result.out.count(" of 2\n") == runs


def test_of_two_runs_on_maelstrom_the_worst_counts(checkout, maelstrom):
    checkout.environ["STATUSES"] = "1 2"
    assert checkout.run("6b").status == 1
    assert len(checkout.calls()) == 2


@pytest.mark.parametrize(("status", "passed_on"), [(127, 127), (1, 1), (0, 255)])
def test_a_maelstrom_that_fails(checkout, maelstrom, status, passed_on):
    (checkout.record / "results.edn").unlink()
    checkout.environ["STATUSES"] = str(status)
    result = checkout.run("1")
    assert result.status == passed_on
    assert "the stand-in speaks" in result.out
    assert result.err == (
        f"error: Maelstrom ended with exit status {status} and without results: what it printed "
        "above may say why. --engine workbench runs the same test without it\n"
    )


def test_a_maelstrom_that_ends_with_0_is_not_valid_if_its_results_are_not(checkout, maelstrom):
    checkout.environ["SUMMARY"] = "yes"
    checkout.keep_results("{:valid? :unknown}")
    assert checkout.run("1").status == 2


def test_results_of_an_earlier_run_do_not_count(checkout, maelstrom):
    checkout.run("1")
    (checkout.record / "results.edn").unlink()
    checkout.environ["STATUSES"] = "0 1"
    result = checkout.run("1")
    assert "without results" in result.err
    assert result.status == 1


# The summary after Maelstrom


def test_maelstroms_results_are_shown_beside_the_targets(checkout, maelstrom):
    checkout.environ["SUMMARY"] = "yes"
    checkout.keep_results(
        "{:net {:servers {:msgs-per-op 31.5}},"
        " :workload {:valid? true, :attempt-count 3, :lost-count 0, :lost (),"
        " :never-read-count 0, :duplicated-count 0, :stable-latencies {0 0, 0.5 80, 1 110}},"
        " :valid? true}"
    )
    result = checkout.run("3d")
    assert result.status == 0, result.err
    words = " ".join(result.out.split())
    assert "Everything looks good! ヽ(‘ー`)ノ" in words
    assert "server messages per operation 31.50 target < 30: missed" in words
    assert "stable latency median 80 ms target < 400 ms: reached" in words
    assert words.endswith("Kept in store/broadcast/0 to run it again: ./run.sh again")


# From wherever one is


def test_from_another_folder_by_a_link_without_standard_input(checkout, maelstrom, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "first").symlink_to(os.path.relpath(checkout.root / "run.sh", folder))
    (folder / "glomers").symlink_to("first")
    astray = {"PYTHONHOME": "/nowhere", "PYTHONSAFEPATH": "1"}
    command = '"$0" 1 <&-; echo $?'
    done = subprocess.run(
        ["bash", "-c", command, str(folder / "glomers")],
        cwd="/",
        env={**checkout.environ, "CDPATH": str(tmp_path), **astray},
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=PATIENCE,
    )
    assert done.stdout.endswith("\n0\n"), done.stderr
    assert (checkout.record / "has_input").exists()
    (call,) = checkout.calls()
    assert call.folder == str(checkout.root)
    assert call.arguments[4] == str(checkout.root / "echo.py")


# Set-up


def test_a_call_after_the_set_up_runs_nothing_but_the_test(checkout):
    """No pip, no search for a Python, not another interpreter."""
    program(checkout.root.parent / "bin" / "python3", "#!/bin/sh\nexit 98\n")
    checkout.environ["PATH"] = f"{checkout.root.parent}/bin:{checkout.environ['PATH']}"
    result = checkout.run("1")
    assert result.status == 0, result.err
    assert [call.arguments[2] for call in checkout.calls("python")] == ["test"]
    assert "Setting up" not in result.out


# Makes a Python believe that it is older than it is, or has less.
PRETEND = {
    "3.8.18": "import sys; sys.version_info = (3, 8, 18)",
    "2.7.18": "import sys; sys.version_info = (2, 7, 18)",
    "without venv": "import importlib.util; importlib.util.find_spec = lambda name: None",
}
OLD = "is 3.8.18, which is too old: 3.10 or newer is needed"
REMEDY = "; install one, or name one: PYTHON=/path/to/python3 ./run.sh\n"


class TestWithoutAPythonThatWillDo:
    @pytest.fixture
    def pythons(self, checkout, tmp_path) -> Callable[..., None]:
        """Make these the only Pythons: name -> what it pretends."""
        folder = tmp_path / "only"
        folder.mkdir()
        for name in ("bash", "env", "dirname", "readlink"):
            (folder / name).symlink_to(str(shutil.which(name)))
        checkout.environ["PATH"] = str(folder)
        shutil.rmtree(checkout.root / ".venv")

        def pythons(**pretended: str) -> None:
            for name, pretence in pretended.items():
                path = folder / name.replace("_", ".")
                program(path, '#!/bin/sh\nexec "$REAL_PYTHON" "$0.py" "$@"\n')
                code = f"{PRETEND[pretence]}\nimport sys\nassert sys.argv[1] == '-c'\n"
                path.with_name(f"{path.name}.py").write_text(f"{code}exec(sys.argv[2])\n")

        return pythons

    def expect(self, checkout, sentence):
        result = checkout.run("1")
        assert result.err == f"error: {sentence}{REMEDY}"
        assert result.status == 254
        assert result.out == ""
        assert not (checkout.root / ".venv").exists()

    def test_none(self, checkout, pythons):
        self.expect(checkout, "no Python was found: 3.10 or newer is needed")

    def test_too_old(self, checkout, pythons):
        pythons(python3="3.8.18")
        self.expect(checkout, f"python3 {OLD}")

    def test_much_too_old(self, checkout, pythons):
        pythons(python3="2.7.18")
        self.expect(checkout, "python3 is 2.7.18, which is too old: 3.10 or newer is needed")

    def test_too_old_as_named(self, checkout, pythons):
        pythons(my_python="3.8.18")
        checkout.environ["PYTHON"] = "my.python"
        self.expect(checkout, f"my.python {OLD}")

    def test_no_python_as_named(self, checkout, pythons):
        checkout.environ["PYTHON"] = "/no/python"
        self.expect(checkout, "PYTHON is /no/python, which is no Python")

    def test_without_venv(self, checkout, pythons):
        pythons(python3="3.8.18", python3_11="without venv")
        self.expect(
            checkout,
            "python3.11 lacks the module venv "
            "(Debian and Ubuntu have it in the package python3-venv)",
        )

    def test_a_newer_one_is_taken_instead(self, checkout, pythons, tmp_path):
        pythons(python3="3.8.18", python3_13="without venv")
        program(tmp_path / "only" / "python3.10", '#!/bin/sh\nexec "$REAL_PYTHON" "$@"\n')
        assert checkout.run().out.startswith("usage: ./run.sh")


# Mistakes, and help


@pytest.mark.parametrize("arguments", [["help"], ["--help"], ["-h"], ["3c", "--help"]])
def test_help_shows_the_challenges(checkout, arguments):
    result = checkout.run(*arguments)
    assert result.status == 0
    assert result.out.startswith("usage: ./run.sh CHALLENGE")
    for challenge in CHALLENGES:
        assert f"\n  {challenge.name:<3} {challenge.title} " in result.out
    assert max(map(len, result.out.splitlines())) <= 100


def test_run_sh_alone_shows_the_challenges_but_is_no_success(checkout):
    result = checkout.run()
    assert result.status == 254
    assert result.out.startswith("usage: ./run.sh CHALLENGE")
    assert result.err == "error: expected a challenge, such as 3c, or test\n"


def remove(path: str) -> Callable[[Checkout], None]:
    return lambda checkout: (checkout.root / path).unlink()


def make_plain(path: str) -> Callable[[Checkout], None]:
    return lambda checkout: (checkout.root / path).chmod(0o644)


def set_maelstrom(path: str, text: str | None = None, mode: int = 0o755) -> Callable:
    def set_it(checkout: Checkout) -> None:
        checkout.environ["MAELSTROM"] = path
        if text is not None:
            program(checkout.root / path, text).chmod(mode)

    return set_it


@pytest.mark.parametrize(
    ("arguments", "prepare", "sentence"),
    [
        (
            ["3f"],
            None,
            "there is no challenge '3f'; choose one of "
            "1, 2, 3a, 3b, 3c, 3d, 3e, 4, 5a, 5b, 5c, 6a, 6b, 6c",
        ),
        (["1"], remove("echo.py"), "the node's program ROOT/echo.py does not exist"),
        (
            ["1"],
            make_plain("echo.py"),
            "the node's program ROOT/echo.py is not executable (chmod +x)",
        ),
        (
            ["1", "--bin", "glomers"],
            None,
            "the node's program ROOT/glomers is a directory, not a file",
        ),
        (
            ["3", "--time-limit", "5"],
            None,
            "there is no challenge '3'; did you mean 3e? choose one of "
            "1, 2, 3a, 3b, 3c, 3d, 3e, 4, 5a, 5b, 5c, 6a, 6b, 6c",
        ),
        (
            ["--seed", "7", "3f"],
            None,
            "there is no challenge '3f'; choose one of "
            "1, 2, 3a, 3b, 3c, 3d, 3e, 4, 5a, 5b, 5c, 6a, 6b, 6c",
        ),
        (["--seed", "7"], None, "expected a challenge, such as 3c, beside '--seed'"),
        (["1", "--time-limt", "5"], None, "unknown flag '--time-limt'; did you mean --time-limit?"),
        (["1", "--engin", "workbench"], None, "unknown flag '--engin'; did you mean --engine?"),
        (
            ["3c", "–nemesis", "partition"],
            None,
            "'–nemesis' begins with an en dash (U+2013), as copies from web pages do, and is no "
            "flag; write --nemesis",
        ),
        (
            ["3c", "--engine", "maelstrom", "—nemesis", "partition"],
            set_maelstrom("mine", ""),
            "'—nemesis' begins with an em dash (U+2014), as copies from web pages do, and is no "
            "flag; write --nemesis",
        ),
        (["again"], None, "there is no run to repeat: store/latest does not exist"),
        (
            ["again", "glomers"],
            None,
            "can't read glomers/command.json: No such file or directory; "
            "a run that can be repeated has this file",
        ),
        (
            ["again", "–seed", "1"],
            None,
            "'–seed' begins with an en dash (U+2013), as copies from "
            "web pages do, and is no flag; write --seed",
        ),
        (
            ["sweep", "3f"],
            None,
            "there is no challenge '3f'; choose one of "
            "1, 2, 3a, 3b, 3c, 3d, 3e, 4, 5a, 5b, 5c, 6a, 6b, 6c",
        ),
        (
            ["explore", "3c", "--engine", "maelstrom"],
            None,
            "Maelstrom has no explore: leave --engine out",
        ),
        (
            ["sweep", "3c", "--engine", "maelstrom"],
            None,
            "Maelstrom has no sweep: leave --engine out",
        ),
        (
            ["doc"],
            None,
            "doc is a command of Maelstrom's only: the documentation is in docs/, and Maelstrom's "
            "own at https://github.com/jepsen-io/maelstrom/tree/main/doc",
        ),
        (
            ["1", "--engine", "jepsen"],
            None,
            "--engine is maelstrom or workbench, not 'jepsen'",
        ),
        (["1", "--engine"], None, "--engine is maelstrom or workbench, not ''"),
        (
            ["1", "--engine", "maelstrom"],
            None,
            "there is no Maelstrom in ./maelstrom or on the PATH: unpack its release there, "
            "or name its folder: MAELSTROM=/path/to/maelstrom",
        ),
        (
            ["1", "--engine", "maelstrom", "--seed", "1"],
            None,
            "Maelstrom has no --seed: leave it out, or use --engine workbench",
        ),
        (
            ["1"],
            set_maelstrom("nowhere"),
            "$MAELSTROM should be Maelstrom's executable or its folder, "
            "but there is no ROOT/nowhere",
        ),
        (
            ["1"],
            set_maelstrom("glomers"),
            "$MAELSTROM should be Maelstrom's executable or its folder, "
            "but there is no ROOT/glomers/maelstrom",
        ),
        (
            ["1"],
            set_maelstrom("mine", "", 0o644),
            "$MAELSTROM can't be started: make it executable (chmod +x ROOT/mine)",
        ),
        (
            ["1"],
            set_maelstrom("mine", "#!/no/such/shell\n"),
            "ROOT/mine can't be started: No such file or directory. "
            "--engine workbench runs the same test without it",
        ),
    ],
)
def test_a_mistake_is_one_sentence(checkout, arguments, prepare, sentence):
    if prepare:
        prepare(checkout)
    result = checkout.run(*arguments)
    assert result.err == f"error: {sentence.replace('ROOT', str(checkout.root))}\n"
    assert result.status == 254
    assert checkout.calls("python") == []


# Signals


@pytest.fixture
def started(checkout) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts `./run.sh` and waits until the stand-in has begun; it never ends of itself."""
    os.mkfifo(checkout.pipe)
    checkout.environ["PIPE"] = str(checkout.pipe)
    begin = 'echo $$ > "$RECORD/pid"; echo > "$PIPE"; exec sleep 60\n'
    checkout.maelstrom(checkout.root / "maelstrom" / "maelstrom", f"#!/bin/sh\n{begin}")
    python = checkout.root / ".venv/bin/python"
    python.write_text(PYTHON.replace('echo $$ > "$RECORD/pid"\n', begin))
    running = []

    def start(*arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [str(checkout.root / "run.sh"), *arguments],
            env=checkout.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        running.append(process)
        checkout.pipe.read_text()
        return process

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("whom", [os.kill, os.killpg], ids=["it", "its group"])
def test_a_signal_reaches_maelstrom_and_leaves_no_orphan(checkout, started, number, whom):
    process = started("1")
    engine = int((checkout.record / "pid").read_text())
    whom(process.pid, number)
    assert process.wait(PATIENCE) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(engine, 0)


def test_a_signal_ends_both_runs(checkout, started):
    process = started("6b", "--engine", "workbench")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 128 + signal.SIGINT
    assert len(checkout.calls("python")) == 1


def test_run_sh_becomes_the_workbench(checkout, started):
    """So that a signal, even SIGKILL, needs nobody to pass it on."""
    process = started("1", "--engine", "workbench")
    assert int((checkout.record / "pid").read_text()) == process.pid


# ./run.sh test


def test_test_lints_checks_types_and_tests(checkout):
    result = checkout.run("test", "-k", "some thing")
    assert result.status == 0, result.err
    assert [call.arguments for call in checkout.calls("python")] == [
        ["-m", "ruff", "check", "."],
        ["-m", "ruff", "format", "--check", "."],
        ["-m", "mypy"],
        ["-m", "pytest", "-n", "auto", "-k", "some thing"],
    ]
    assert {call.folder for call in checkout.calls("python")} == {str(checkout.root)}


@pytest.mark.parametrize(
    ("failing", "named"),
    [
        ("ruff", "ruff check .; ruff format --check ."),
        ("ruff format", "ruff format --check ."),
        ("mypy", "mypy"),
        ("pytest", "pytest -n auto"),
    ],
)
def test_test_says_what_failed_and_takes_the_other_steps(checkout, failing, named):
    checkout.environ["FAILING"] = failing
    result = checkout.run("test")
    assert result.status == 1
    assert result.err == f"error: failed: {named}\n"
    assert f"{failing.split()[0]} finds fault" in result.out
    assert len(checkout.calls("python")) == 4


def test_continuous_integration_is_the_same(checkout):
    shutil.copytree(PROJECT / ".ci", checkout.root / ".ci")
    checkout.environ["FAILING"] = "mypy"
    result = checkout.run(run_sh=checkout.root / ".ci" / "run", cwd="/")
    assert result.status == 1
    assert result.err == "error: failed: mypy\n"
    assert len(checkout.calls("python")) == 4
