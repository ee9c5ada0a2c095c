"""`--save FILE`: a sweep that goes on where it stopped."""

from __future__ import annotations

import json
import os
import resource
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console

from glomers.checkers.verdict import UNKNOWN
from glomers.cli import main
from glomers.errors import UsageError
from glomers.options import Options
from glomers.report.figures import Figure, milliseconds, number, percent
from glomers.run import saved_sweep, sweep
from glomers.run.saved_sweep import SavedSweep, own_files
from glomers.run.tally import FAILING_SHOWN, SeedResult, Tally
from tests.run.test_sweep import Immediately

ROOT = Path(__file__).parents[2]
FLAGS = ["-w", "echo", "--bin", str(ROOT / "echo.py"), "--node-count", "1", "--time-limit", "1"]
ECHO = Options("echo", str(ROOT / "echo.py"), nodes=("n0",), concurrency=1, time_limit=1)


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "echo.sweep"


@pytest.fixture
def ran(monkeypatch) -> list[int]:
    """The seeds that were run, in this process."""
    seeds: list[int] = []

    class Here(Immediately):
        def submit(self, function, /, *args, **kwargs):
            seeds.append(args[0].seed)
            return super().submit(function, *args, **kwargs)

    monkeypatch.setattr(sweep, "executor", lambda dask: nullcontext(Here()))
    return seeds


def seeds_in(file: Path) -> list[int]:
    _, *outcomes = map(json.loads, file.read_text().splitlines())
    return [outcome["seed"] for outcome in outcomes]


def test_the_same_command_goes_on_with_the_seeds_that_are_missing(file, ran, capsys):
    assert main(["sweep", *FLAGS, "--seeds", "0..2", "--save", str(file)]) == 0
    first = capsys.readouterr().out
    assert "3 seeds: 3 valid" in first
    assert main(["sweep", *FLAGS, "--seeds", "1..4", "--save", str(file)]) == 0
    assert "5 seeds: 5 valid" in capsys.readouterr().out
    assert ran == seeds_in(file) == [0, 1, 2, 3, 4]


def test_a_sweep_that_is_complete_runs_nothing_and_shows_the_same(file, ran, capsys):
    shown = []
    for _ in range(2):
        assert main(["sweep", *FLAGS, "--seeds", "0..4", "--save", str(file)]) == 0
        shown.append(capsys.readouterr().out.partition("seeds:")[2])
    assert shown[0] == shown[1] != ""
    assert len(ran) == 5


def test_what_was_saved_counts_for_the_verdict_and_is_told(file, ran, script, capsys):
    wrong = script("""
from maelstrom_node import Node
node = Node()
@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": "?"}
node.run()
""")
    flags = ["-w", "echo", "--bin", str(wrong), "--node-count", "1", "--time-limit", "1"]
    shown = []
    for _ in range(2):
        assert main(["sweep", *flags, "--seeds", "0..1", "--save", str(file)]) == 1
        shown.append(capsys.readouterr().out.partition("seeds:")[2])
    assert "Not valid: 2." in shown[0]
    assert "an answer was not what had been sent" in shown[0]
    assert "--save" not in shown[0]  # the command of one seed saves nothing
    assert shown[0] == shown[1]


def test_an_interrupted_sweep_has_saved_what_has_ended(file, monkeypatch, capsys):
    class InterruptedOnTheThird(Immediately):
        def submit(self, function, /, *args, **kwargs):
            if args[0].seed == 2:
                signal.raise_signal(signal.SIGINT)
            return super().submit(function, *args, **kwargs)

    monkeypatch.setattr(sweep, "executor", lambda dask: nullcontext(InterruptedOnTheThird()))
    monkeypatch.setattr(sweep, "AT_A_TIME", 1)
    assert main(["sweep", *FLAGS, "--seeds", "0..9", "--save", str(file)]) == 130
    assert seeds_in(file) == [0, 1, 2]
    monkeypatch.setattr(sweep, "executor", lambda dask: nullcontext(Immediately()))
    assert main(["sweep", *FLAGS, "--seeds", "0..4", "--save", str(file)]) == 0
    assert "5 seeds: 5 valid" in capsys.readouterr().out


@pytest.mark.parametrize("cut", [1, 20, 1000])  # bytes; the last takes whole lines as well
def test_a_line_that_was_torn_is_run_again(file, ran, cut, capsys):
    assert main(["sweep", *FLAGS, "--seeds", "0..9", "--save", str(file)]) == 0
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    assert main(["sweep", *FLAGS, "--seeds", "0..9", "--save", str(file)]) == 0
    assert sorted(seeds_in(file)) == list(range(10))
    assert "10 seeds: 10 valid" in capsys.readouterr().out


@pytest.mark.parametrize("kept", [0, 3, 40])
def test_a_file_that_was_torn_in_its_first_line_begins_anew(file, kept):
    with SavedSweep(file, ECHO):
        pass
    head = file.read_bytes()
    file.write_bytes(head[:kept])
    with SavedSweep(file, ECHO) as saved:
        assert list(saved.outcomes()) == []
    assert file.read_bytes() == head


@pytest.mark.parametrize(
    "content", ["hello", "hello\n", '{"a": 1}\n', "[]\n", "\n", '{"sweep": 3}\n', "\x00\xff"]
)
def test_a_file_that_holds_no_sweep_is_left_alone(file, content):
    file.write_text(content)
    with pytest.raises(UsageError, match=r"--save .*echo.sweep: holds no sweep: it begins '"):
        SavedSweep(file, ECHO)
    assert file.read_text() == content


def test_a_line_in_the_midst_that_is_no_outcome_is_named(file):
    with SavedSweep(file, ECHO) as saved:
        saved.append(SeedResult(1, True))
    with file.open("a") as text:
        text.write('{"seed": 2}\n')
    with (
        SavedSweep(file, ECHO) as saved,
        pytest.raises(UsageError, match=r"line 3 is no outcome of a seed: '\{\"seed\": 2\}'"),
    ):
        list(saved.outcomes())


def test_another_command_is_refused_with_what_differs(file, ran, capsys):
    assert main(["sweep", *FLAGS, "--seeds", "0", "--save", str(file)]) == 0
    before = file.read_bytes()
    other = [*FLAGS, "--latency", "10", "--nemesis", "partition"]
    assert main(["sweep", *other, "--seeds", "1", "--save", str(file)]) == 254
    told = capsys.readouterr().err
    assert "holds another sweep: its latency is 0, here it is 10; its nemesis is [], here" in told
    assert "Name another file for this one" in told
    assert file.read_bytes() == before


def test_a_script_check_or_module_that_has_changed_is_another_sweep(file, script, tmp_path):
    node = script("import beside\nimport os\nfrom package import part\nx = 1\n")
    script("y = 1\n", "beside.py")
    (tmp_path / "package").mkdir()
    for name in ("__init__.py", "part.py"):
        (tmp_path / "package" / name).write_text("")
    script("", "stranger.py")
    script("def check(history): return True\n", "mine.py")
    options = Options("echo", str(node), check=str(tmp_path / "mine.py"))
    names = ["node.py", "beside.py", "__init__.py", "part.py"]
    assert [path.name for path in own_files(node)] == names
    with SavedSweep(file, options):
        pass
    script("z = 2\n", "stranger.py")
    with SavedSweep(file, options):
        pass
    for name in (*names[:2], "mine.py"):
        before = (tmp_path / name).read_text()
        (tmp_path / name).write_text(before + "# changed\n")
        with pytest.raises(UsageError, match=f"holds another sweep: {name} has changed since"):
            SavedSweep(file, options)
        (tmp_path / name).write_text(before)


def test_another_version_is_another_sweep(file, monkeypatch):
    with SavedSweep(file, ECHO):
        pass
    monkeypatch.setattr(saved_sweep, "__version__", "99")
    with pytest.raises(UsageError, match=r"it is of glomers .*, this is glomers 99"):
        SavedSweep(file, ECHO)


def test_the_second_test_of_a_challenge_has_a_file_of_its_own(file, ran, capsys):
    assert main(["sweep", "6b", "--time-limit", "1", "--seeds", "0..1", "--save", str(file)]) == 0
    assert ran == [0, 1, 0, 1]
    assert seeds_in(file) == seeds_in(file.with_name(f"{file.name}.2")) == [0, 1]
    capsys.readouterr()


def test_two_sweeps_cannot_write_to_one_file(file):
    with SavedSweep(file, ECHO), pytest.raises(UsageError, match="another sweep is writing to it"):
        SavedSweep(file, ECHO)


def test_what_is_no_file_is_refused_unread(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        with pytest.raises(UsageError, match=f"--save .*{path.name}: expected a file, to which"):
            SavedSweep(path, ECHO)


def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    with pytest.raises(UsageError, match="can't be opened: No such file or directory"):
        SavedSweep(tmp_path / "missing" / "echo.sweep", ECHO)


def test_a_full_disk_is_told_and_what_was_saved_before_stays(file):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SavedSweep(file, ECHO) as saved:
        saved.append(SeedResult(0, True, {}))
        size = file.stat().st_size
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
            with pytest.raises(UsageError, match=r"echo.sweep: can't be written: "):
                saved.append(SeedResult(1, True, {}))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with SavedSweep(file, ECHO) as saved:
        assert [outcome.seed for outcome in saved.outcomes()] == [0]


def test_outcomes_come_back_as_they_were(file):
    outcomes = [
        SeedResult(3, True, {"a": Figure("a", 1), "b": Figure("b", 0.5, write=percent)}),
        SeedResult(9, False, {"c": Figure("c", 7.25, write=milliseconds)}, ("why", "»é")),
        SeedResult(5, UNKNOWN, {}, ("who knows",), {"/x.py": [1, 2]}, "lines"),
    ]
    with SavedSweep(file, ECHO) as saved:
        for outcome in outcomes:
            saved.append(outcome)
    with SavedSweep(file, ECHO) as saved:
        found = list(saved.outcomes())
    assert found == outcomes
    assert [found[0].figures[name].write for name in "ab"] == [number, percent]


def test_only_the_first_failing_seeds_are_kept_whole():
    tally = Tally()
    for seed in reversed(range(1000)):
        tally.add(SeedResult(seed, seed % 2 == 0, {"n": Figure("n", seed)}, ("told",)))
    assert [outcome.seed for outcome in tally.failing] == list(range(1, 2 * FAILING_SHOWN, 2))
    assert sorted(tally.further) == list(range(2 * FAILING_SHOWN + 1, 1000, 2))
    assert tally.doubtful.seed == 0
    assert tally.doubts == 500
    ((name, spread),) = tally.spreads
    assert (name, spread.quantiles(0, 0.5, 1)) == ("n", ["0", "500", "999"])
    assert tally.valid is False


def test_figures_stand_in_the_order_of_the_first_seed_whenever_that_came():
    tally = Tally()
    tally.add(SeedResult(2, True, {"c": Figure("c", 1), "a": Figure("a", 1)}))
    tally.add(SeedResult(1, True, {"a": Figure("a", 0.5), "b": Figure("b", 1)}))
    assert [name for name, _ in tally.spreads] == ["a", "b", "c"]
    assert dict(tally.spreads)["a"].quantiles(0, 1) == ["0.50", "1.00"]


def test_lines_that_are_known_already_are_not_saved_again(file):
    ran = [1, 2], [2, 3]
    outcomes = [SeedResult(seed, True, lines={"/x.py": ran[seed]}) for seed in range(2)]

    class Known(Immediately):
        def submit(self, function, /, *args, **kwargs):
            return super().submit(lambda options: outcomes[options.seed], *args)

    for _ in range(2):
        with SavedSweep(file, ECHO) as saved:
            tally, _ = sweep.sweep(ECHO, range(2), Known(), Console(), saved)
        assert tally.reached == {"/x.py": {1, 2, 3}}
        assert tally.unwatched == 0
    lines = [json.loads(line)["lines"] for line in file.read_text().splitlines()[1:]]
    assert lines == [{"/x.py": [1, 2]}, {"/x.py": [3]}]
