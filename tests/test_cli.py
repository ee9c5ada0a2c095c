"""The command line: bad input gets one clear sentence, and the right exit status."""

from __future__ import annotations

import errno
import io
import json
import os
import shlex
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glomers.cli import main
from glomers.errors import HelpShown, UsageError
from glomers.history import store
from glomers.history.command import read_command
from glomers.history.store import Store
from glomers.invocation import Invocation
from glomers.options import Options, from_namespace, parser_of_test
from glomers.run import single

ROOT = Path(__file__).parent.parent
HISTORIES = Path(__file__).parent / "histories"
TEST = ["test", "-w", "echo", "--bin", str(ROOT / "echo.py")]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["frobnicate"], "unknown command 'frobnicate'"),
        (["tset"], "unknown command 'tset'; did you mean test?"),
        (["demo"], "./run.sh without arguments lists them"),
        (["doc"], "https://github.com/jepsen-io/maelstrom/tree/main/doc"),
        (["analyze"], "`python -m glomers check FOLDER -w WORKLOAD`"),
        (["test"], "the following arguments are required: --bin"),
        (["test", "--bin", ""], "expected the path of a program, not ''"),
        (["test", "-w", "ecko", "--bin", "x"], "unknown workload 'ecko'; did you mean echo?"),
        (["check", "x", "-w", "brodcast"], "unknown workload 'brodcast'; did you mean broadcast?"),
        (["check", "x", "-w", "echo", "--jsn"], "unknown flag '--jsn'; did you mean --json?"),
        (["check", "x", "–w", "echo"], "'–w' begins with an en dash (U+2013)"),
        (["summary", "--chalenge", "1"], "unknown flag '--chalenge'; did you mean --challenge?"),
        (["sweep", "--seed", "0..9", "--bin", "x"], "argument --seed: invalid int value: '0..9'"),
        (["sweep", "--sedes=0..9", "--bin", "x"], "unknown flag '--sedes'; did you mean --seeds?"),
        (["sweep", *TEST[1:], "--seeds", "0..99999999999"], "at most 10,000,000 seeds"),
        (["explore", *TEST[1:], "--losses", "-1"], "expected an integer >= 0, not '-1'"),
        (["explore", *TEST[1:], "--switches", "101"], "expected at most 100, not '101'"),
        (["explore", *TEST[1:], "--switch", "1"], "did you mean --switches?"),
        (["challenge", "1", "--nodde", "x"], "unknown flag '--nodde'; did you mean --node?"),
        ([*TEST, "--node-count", "0"], "expected a positive integer, not '0'"),
        ([*TEST, "--node-count", "two"], "expected a positive integer, not 'two'"),
        ([*TEST, "--rate", "-1"], "expected a number >= 0, not '-1'"),
        ([*TEST, "--rate", "nan"], "expected a number >= 0, not 'nan'"),
        ([*TEST, "--time-limit", "0"], "expected a positive number of seconds, not '0'"),
        ([*TEST, "--latency", "1.5"], "expected an integer >= 0, not '1.5'"),
        ([*TEST, "--latency-dist", "unifrom"], "'unifrom'; did you mean uniform?"),
        ([*TEST, "--concurrency", "4m"], "optionally with n for 'times the nodes', not '4m'"),
        ([*TEST, "--topology", "ring"], "unknown topology 'ring'"),
        ([*TEST, "--nemesis", "partition,earthquake"], "unknown fault 'earthquake'"),
        ([*TEST, "--nemesis", "partitions"], "'partitions'; did you mean partition?"),
        ([*TEST, "--nemesis", ""], "expected some of partition"),
        ([*TEST, "–nemesis", "partition"], "'–nemesis' begins with an en dash (U+2013)"),
        ([*TEST, "—nemesis=partition"], "write --nemesis=partition"),
        ([*TEST, "−−nemesis", "partition"], "begins with a minus sign (U+2212)"),
        ([*TEST, "-nemesis", "partition"], "'-nemesis' has a single hyphen; write --nemesis"),
        ([*TEST, "--consistency-models", "serialisable"], "did you mean serializable?"),
        ([*TEST, "--availability", "most"], "expected a number from 0 to 1, not 'most'"),
        ([*TEST, "--nodes", "a,b,a"], "expected different names, not 'a,b,a'"),
        ([*TEST, "--nodes", "a,cat"], "names that begin with c are for clients"),
        ([*TEST, "--p-loss", "2"], "expected a number from 0 to 1, not '2'"),
        ([*TEST, "--nodes", "a,,b"], "expected different names, not 'a,,b'"),
        ([*TEST, "--nodes", "../../evil"], "node '../../evil': a node's log is named after it"),
        ([*TEST, "-n", "a\nb"], r"node 'a\nb': a node's log is named after it"),
        ([*TEST, "-n", "\udcff"], "a node's log is named after it"),
        ([*TEST, "-n", "n0", "--node-count", "1"], "expected different names, not 'n0,n0'"),
        ([*TEST, "--nodes", "n1,seq-kv"], "node 'seq-kv': that is a service; the services are"),
        ([*TEST, "--nodes", "é" * 101], "expected at most 200 bytes, not 202"),
        ([*TEST, "--nodes-file", "/no/such"], "--nodes-file: can't read /no/such: No such file"),
        ([*TEST, "--nodes-file", "/dev/null"], "/dev/null holds no names: expected one a line"),
        ([*TEST, "--frobnicate"], "unknown flag '--frobnicate' (see: "),
        ([*TEST, "--nemesi", "x"], "unknown flag '--nemesi'; did you mean --nemesis? (see: "),
        ([*TEST, "-x"], "unknown flag '-x'"),
        ([*TEST, "-1"], "unknown flag '-1'"),
        ([*TEST, "--store", ""], "expected a folder, not ''"),
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


@pytest.mark.parametrize(
    ("flag", "value", "limit"),
    [
        ("--rate", "1e-300", "at least 0.001"),
        ("--rate", "1e300", "at most 1,000,000"),
        ("--time-limit", "1e-300", "at least 0.001"),
        ("--time-limit", "1e300", "at most 1,000,000"),
        ("--nemesis-interval", "1e-300", "at least 0.001"),
        ("--nemesis-interval", "1e30", "at most 1,000,000"),
        ("--latency", "99999999999", "at most 1,000,000"),
        ("--node-count", "99999999999", "at most 1,000"),
        ("--nodes", ",".join(map(str, range(1001))), "at most 1,000 nodes, not 1,001"),
        ("--concurrency", "999999999", "at most 10,000"),
        ("--concurrency", "9999n", "is 49,995 workers; expected at most 10,000"),
        ("--concurrency", "9" * 5000, "a positive integer"),
        ("--key-count", "99999999999", "at most 100,000"),
        ("--max-txn-length", "99999999999", "at most 10,000"),
        ("--max-writes-per-key", "99999999999", "at most 1,000,000,000"),
        ("--seed", "9" * 5000, "invalid int value"),
    ],
)
def test_what_would_take_all_memory_or_overflow_is_refused(flag, value, limit, capsys):
    assert main([*TEST, flag, value]) == 254
    assert limit in capsys.readouterr().err


WORDS = st.text(
    st.characters(blacklist_characters="\0"),
    max_size=8,  # which no command line can hold
) | st.sampled_from(
    ["0", "-1", "1e999", "nan", "99999999999999999999", "9n", "total", "echo", "n1"]
)
FLAGS = st.sampled_from(sorted(parser_of_test().flags))


@given(st.lists(FLAGS | WORDS | st.tuples(FLAGS, WORDS).map("=".join), max_size=6))
def test_any_command_line_is_understood_or_refused_in_a_sentence(words):
    with suppress(HelpShown, UsageError), redirect_stdout(io.StringIO()):
        options = from_namespace(*parser_of_test(["echo"]).parse(["--bin", "node", *words]))
        assert isinstance(options, Options)


# What a command line means


@pytest.fixture
def tests(monkeypatch):
    """The options of the tests that are run, which end with the verdicts in `tests.verdicts`."""

    class Tests(list):
        verdicts: Sequence[object] = (True,) * 9

        def run(self, options, store, challenge, simulated, keep, scenario=None):
            self.append(options)
            return {"valid?": self.verdicts[len(self) - 1]}, Path()

    tests = Tests()
    monkeypatch.setattr(single, "run", tests.run)
    return tests


def test_a_test_is_of_lin_kv_by_default(tests):
    assert main(["test", "--bin", "node", "--concurrency", "2n"]) == 0
    assert tests[0].workload == "lin-kv"


def test_whatever_is_no_flag_is_for_the_node_as_in_maelstrom(tests):
    main([*TEST, "one", "--rate", "7", "two", "--", "--three", "--", "--rate", "8"])
    (options,) = tests
    assert options.args == ("one", "two", "--three", "--", "--rate", "8")
    assert options.rate == 7


def test_nodes_are_those_of_the_file_of_nodes_and_of_node_as_in_maelstrom(tests, tmp_path):
    (tmp_path / "nodes").write_text("a\n  b \n\n")
    file = ["--nodes-file", str(tmp_path / "nodes")]
    main(TEST)
    main([*TEST, "-n", "z", "--node", "y"])
    main([*TEST, "--nodes", "n5, n6", "-n", "z", *file, "--concurrency", "2n"])
    main([*TEST, "--nodes", "n5, n6", "--node-count", "2", *file])
    assert [options.nodes for options in tests] == [
        ("n1", "n2", "n3", "n4", "n5"),
        ("z", "y"),
        ("a", "b", "n5", "n6", "z"),
        ("a", "b", "n0", "n1"),
    ]
    assert tests[2].concurrency == 10


def test_names_that_work_are_allowed(tests):
    main([*TEST, "--nodes", "latest,..,n 1,é,-x"])
    assert tests[0].nodes == ("latest", "..", "n 1", "é", "-x")


def test_flags_of_jepsen_that_mean_nothing_are_accepted_with_a_word(tests, capsys):
    takes = {"--username": "me", "--password": "x", "--ssh-private-key": "file"}
    flags = ["--strict-host-key-checking", "--no-ssh", "--leave-db-running", "--logging-json"]
    assert main([*TEST, *flags, *(word for pair in takes.items() for word in pair)]) == 0
    notes = capsys.readouterr().err.splitlines()
    assert [note.split()[1] for note in notes] == [*flags, *takes]
    assert notes[2] == "note: --leave-db-running is ignored: nodes end with their test"
    assert len(tests) == 1


@pytest.mark.parametrize(
    ("verdicts", "runs", "status"),
    [
        ((True, True, True), 3, 0),
        ((True, False, True), 2, 1),
        (("unknown",), 1, 2),
    ],
)
def test_test_count_repeats_until_one_is_not_valid(tests, verdicts, runs, status, capsys):
    tests.verdicts = verdicts
    assert main([*TEST, "--seed", "7", "--test-count", "3"]) == status
    assert [options.seed for options in tests] == [7, 8, 9][:runs]
    assert f"Test {runs} of 3, with --seed {6 + runs}\n" in capsys.readouterr().out


def test_a_store_keeps_a_hundred_runs_unless_told_otherwise(monkeypatch):
    kept = []

    def run(options, store, challenge, simulated, keep, scenario=None):
        kept.append(keep)
        return {"valid?": True}, Path()

    monkeypatch.setattr(single, "run", run)
    for flags in ([], ["--keep", "3"], ["--keep=all"]):
        assert main([*TEST, *flags]) == 0
    assert kept == [100, 3, None]


# To have a run again


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder where the person is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


SIMULATED = [*TEST, "--time-limit", "1", "--simulate"]


def test_a_seed_that_was_drawn_is_shown_and_kept(here, capsys):
    assert main(SIMULATED) == 0
    out = capsys.readouterr().out
    results = json.loads((here / "store" / "latest" / "results.json").read_text())
    end = f"Seed {results['seed']}; to run it again: python -m glomers again\n"
    assert out.endswith(end)
    assert main(["summary"]) == 0
    assert capsys.readouterr().out.endswith(end)
    assert read_command(here / "store" / "latest").seed == results["seed"]


def test_the_last_run_is_had_again(here, capsys):
    main(SIMULATED)
    first = (here / "store" / "latest").resolve()
    capsys.readouterr()
    assert main(["again"]) == 0
    words = shlex.join(read_command(first).words)
    assert capsys.readouterr().out.startswith(f"Again: python -m glomers {words}\n")
    again = (here / "store" / "latest").resolve()
    assert again != first
    assert read_command(again).words == read_command(first).words
    for name in ("history.edn", "messages.jsonl", "results.edn"):
        assert (again / name).read_text() == (first / name).read_text()


def test_a_run_that_is_not_the_last_is_named(here, capsys):
    main([*SIMULATED, "--test-count", "2", "--seed", "3"])
    first, last = sorted(path for path in (here / "store/echo").iterdir() if not path.is_symlink())
    assert main(["summary", str(first)]) == 0
    name = f"store/echo/{first.name}"
    assert capsys.readouterr().out.endswith(
        f"Kept in {name}\nTo be seen in {name}/report.html\n"
        f"Seed 3; to run it again: python -m glomers again {name}\n"
    )
    assert main(["again", name, "--rate", "9"]) == 0
    assert "--seed 3 --rate 9\n" in capsys.readouterr().out
    assert json.loads((last / "results.json").read_text())["seed"] == 4


def test_a_challenge_and_its_sweep_are_called_alike(here, script, capsys):
    broken = script("""
from maelstrom_node import Node
node = Node()
@node.on("echo")
def echo(message):
    return {"type": "echo_ok", "echo": node.random.random()}
node.run()
""")
    broken.chmod(0o755)
    command = ["1", "--bin", "node.py", "--time-limit", "1"]
    assert main(["sweep", *command, "--seeds", "4..5", "--", "an argument"]) == 1
    out = capsys.readouterr().out
    assert "on the workbench (only it can sweep)\n" in out
    again = [*command, "--simulate", "--seed", "5", "--", "an argument"]
    assert f"\n  python -m glomers {shlex.join(again)}\n" in out
    assert not (here / "store").exists()
    assert main(again) == 1
    assert main(["again"]) == 1
    assert f"Again: python -m glomers {shlex.join(again)}\n" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["again"], ["again", "--seed", "1"]])
def test_there_may_be_no_run_yet(here, arguments, capsys):
    assert main(arguments) == 254
    expected = "error: there is no run to repeat: store/latest does not exist\n"
    assert capsys.readouterr().err == expected


def test_old_runs_are_removed_after_a_run(here, capsys):
    for _ in range(3):
        main([*SIMULATED, "--keep", "2"])
    assert capsys.readouterr().out.endswith("Removed 1 older run; --keep NUM keeps more\n")
    assert len([path for path in (here / "store/echo").iterdir() if not path.is_symlink()]) == 2


class TestForSomebodyInAnotherFolder:
    """./run.sh works in the checkout, and tells where the person is who called."""

    @pytest.fixture
    def run(self, tmp_path, monkeypatch, capsys):
        checkout = tmp_path / "a checkout"
        checkout.mkdir()
        monkeypatch.chdir(checkout)
        folder = tmp_path / "my nodes"
        folder.mkdir()

        def run(*words):
            call = Invocation("'../a checkout/run.sh'", folder, words)
            for name, value in call.environ().items():
                monkeypatch.setenv(name, value)
            status = main(words)
            captured = capsys.readouterr()
            return status, captured.out, captured.err

        return run

    def test_a_run_is_shown_where_it_is(self, run):
        _, out, _ = run(*SIMULATED)
        kept, page, last = out.splitlines()[-3:]
        assert kept.startswith("Kept in ../a checkout/store/echo/2")
        assert page == f"To be seen in {kept.removeprefix('Kept in ')}/report.html"
        assert last.endswith("; to run it again: '../a checkout/run.sh' again")
        assert run("summary")[1].endswith(f"{kept}\n{page}\n{last}\n")
        name = kept.removeprefix("Kept in ")
        assert run("check", name, "-w", "echo")[0] == 0
        assert run("summary", name)[1].endswith(f"{kept}\n{page}\n{last}\n")

    def test_files_to_begin_with_are_put_there(self, run, tmp_path):
        assert run("new", "mine")[1].startswith("wrote mine.py\n")
        assert (tmp_path / "my nodes" / "mine.py").exists()
        assert run("copy", "1", "deeper")[1].startswith("wrote deeper/echo.py\n")
        assert (tmp_path / "my nodes" / "deeper" / "echo.py").exists()

    def test_the_log_of_a_node_is_shown_where_it_is(self, run, tmp_path):
        node = tmp_path / "node"
        node.write_text("#!/bin/sh\necho oh >&2\nexit 3\n")
        node.chmod(0o755)
        _, out, _ = run("test", "-w", "echo", "--bin", str(node), "--node-count", "1")
        (log,) = (tmp_path / "a checkout").glob("store/echo/2*/node-logs/n0.log")
        assert f"(its log: ../{log.relative_to(tmp_path)})" in out

    def test_a_folder_that_is_not_there_is_named_as_it_was_written(self, run):
        assert "can't read nothing/results.edn: " in run("summary", "nothing")[2]


# Programs and stores


def test_a_history_of_another_workload_is_refused(capsys):
    arguments = ["check", str(HISTORIES / "uid-dup"), "-w", "broadcast"]
    assert main(arguments) == 254
    assert "This looks like a history of unique-ids" in capsys.readouterr().err


def test_a_store_that_cannot_be_written_is_told(tmp_path, capsys):
    (tmp_path / "store").write_text("in the way")
    assert main([*TEST, "--store", str(tmp_path / "store")]) == 254
    assert "cannot keep the test in" in capsys.readouterr().err


def test_a_store_that_is_a_dangling_link_is_told(tmp_path, capsys):
    store = tmp_path / "store"
    store.symlink_to(tmp_path / "unplugged")
    assert main([*TEST, "--store", str(store)]) == 254
    assert f"{store} is a link to {tmp_path}/unplugged, which does not" in capsys.readouterr().err
    store.unlink()
    store.mkdir()
    (store / "echo").symlink_to(tmp_path / "unplugged")
    assert main([*TEST, "--store", str(store)]) == 254
    assert f"{store}/echo is a link to" in capsys.readouterr().err


def test_a_full_disk_is_told_after_the_verdict(tmp_path, capsys, monkeypatch):
    class Full(store._File):
        def write(self, data):
            if self.name.endswith("results.json"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.name)
            return super().write(data)

    monkeypatch.setattr("glomers.history.store._File", Full)
    arguments = [*TEST, "--time-limit", "1", "--simulate", "--store", str(tmp_path)]
    assert main(arguments) == 255
    captured = capsys.readouterr()
    assert "Everything looks good!" in captured.out
    assert captured.err.endswith("results.json: No space left on device\n")


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "run.log").symlink_to("/dev/full")
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    store = Store(tmp_path)
    store.open("run.log").write("a line\n")
    other = store.open("other.log")
    with pytest.raises(OSError, match=r"run\.log"):
        store.close()
    assert other.closed


@pytest.mark.parametrize("flags", [[], ["--simulate"]], ids=["real", "simulated"])
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: None, "does not exist"),
        (Path.mkdir, "is a directory, not a file"),
        (os.mkfifo, "is a named pipe, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file"),
        (lambda path: path.symlink_to("nowhere"), "is a link to nowhere, which does not exist"),
    ],
)
def test_a_program_that_is_no_file_is_told(tmp_path, make, what, flags, capsys):
    program = tmp_path / "node"
    make(program)
    arguments = ["test", "-w", "echo", "--bin", str(program), "--store", str(tmp_path / "store")]
    assert main([*arguments, *flags]) == 254
    assert what in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_a_program_without_a_run_bit_is_told(tmp_path, capsys):
    (tmp_path / "node").write_text("#!/bin/sh\n")
    assert main(["test", "-w", "echo", "--bin", str(tmp_path / "node")]) == 254
    assert "node is not executable (chmod +x)" in capsys.readouterr().err


def test_a_program_with_windows_line_ends_is_told(tmp_path, capsys):
    program = tmp_path / "node"
    program.write_bytes(b"#!/usr/bin/env python3\r\n")
    program.chmod(0o755)
    assert main(["test", "-w", "echo", "--bin", str(program)]) == 254
    problem = (
        r"has Windows line ends, so the system looks for the interpreter '/usr/bin/env python3\r'"
    )
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "source", "evidence"),
    [
        ("node.rb", b"#!/usr/bin/env ruby\nputs 1\n", "this is '#!/usr/bin/env ruby'"),
        ("node.sh", b"#!/bin/sh\necho $HOME\n", "this is '#!/bin/sh'"),
        ("main.go", b"package main\n", "this is 'package main'"),
        ("node", b"\x7fELF\x02\x01\x01\0\0", "this is a binary program"),
        ("node", b"\xff\xfe\xfd\n", r"this is '\xff\xfe\xfd'"),
    ],
)
@pytest.mark.parametrize("command", ["test", "sweep"])
def test_what_is_not_python_is_not_simulated(tmp_path, command, name, source, evidence, capsys):
    (tmp_path / name).write_bytes(source)
    simulate = ["--simulate"] if command == "test" else []
    assert main([command, "-w", "echo", "--bin", str(tmp_path / name), *simulate]) == 254
    error = capsys.readouterr().err
    assert "only Python can be simulated" in error
    assert evidence in error


def test_a_mistake_in_python_is_the_nodes_mistake(tmp_path, capsys):
    (tmp_path / "node.py").write_text("def broken(:\n")
    arguments = ["test", "-w", "echo", "--bin", str(tmp_path / "node.py"), "--simulate"]
    assert main([*arguments, "--store", str(tmp_path / "store")]) == 1
    assert "SyntaxError" in capsys.readouterr().out


def test_a_simulated_script_that_is_not_there_is_told(tmp_path, capsys):
    arguments = ["test", "-w", "echo", "--bin", "nothing.py", "--simulate"]
    assert main([*arguments, "--store", str(tmp_path)]) == 254
    assert "cannot simulate nothing.py: it does not exist" in capsys.readouterr().err


def test_help_helps(capsys):
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.count("usage: ") == 1


def test_no_command_at_all_is_answered_with_help_but_is_no_success(capsys):
    assert main([]) == 254
    shown = capsys.readouterr()
    assert "usage: " in shown.out
    assert shown.err.startswith("error: expected a command: one of test, ")


@pytest.mark.parametrize("command", ["test", "sweep", "check", "summary"])
def test_help_of_a_command_helps(command, capsys):
    assert main([command, "--help"]) == 0
    assert "usage: python -m glomers" in capsys.readouterr().out
