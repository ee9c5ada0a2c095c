"""Simulated nodes have a disk: it survives a kill, but loses what was not synced."""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from dataclasses import replace
from io import UnsupportedOperation
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glomers.history.store import Store
from glomers.options import Options
from glomers.run.build import simulated_test
from glomers.scenario import Action, Scenario, Unsynced
from glomers.simulated import files
from glomers.simulated.disk import Disk, drawn, lose_all

HERE = str(Path(tempfile.gettempdir()).resolve())
HEAD = """
import io, os, pathlib, shutil, glob, sys, tempfile
from io import UnsupportedOperation
from pathlib import Path
import maelstrom_node
from maelstrom_node import Node
node = Node()

def fails(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

@node.on("ask")
def ask(message):
    return {"type": "ask_ok", "answer": answer(*message.body.get("args", []))}
"""


@pytest.fixture
def ask(simulate, script):
    """What `answer()` of a script returns."""

    def ask(source: str):
        return simulate(script(HEAD + source + "\nnode.run()\n"), 1).request("n0", "ask")["answer"]

    return ask


@pytest.fixture
def nodes(simulate, script):
    """A cluster whose nodes run some source."""

    def nodes(source: str, count: int = 1):
        return simulate(script(HEAD + source + "\nnode.run()\n"), count)

    return nodes


# What Python does with files


def test_a_file_is_written_and_read_as_in_a_process_and_really_nothing_is(ask):
    source = """
def answer():
    os.makedirs("glomers-disk/deep", exist_ok=True)
    os.makedirs("glomers-disk/deep", exist_ok=True)
    path = os.path.join("glomers-disk", "deep", "log")
    said = [os.path.exists(path)]
    with open(path, "ab") as file:
        said += [file.write(b"one\\ntwo\\n"), file.tell(), file.name]
        file.flush()
        os.fsync(file.fileno())
    with open(path, "rb") as file:
        said.append([line.decode() for line in file])
    with open(path, "r+b") as file:
        file.seek(4)
        file.write(b"2")
        said += [file.read().decode(), file.truncate(6), os.fstat(file.fileno()).st_size]
    with open(path, "a", encoding="utf-8") as file:
        print("é", file=file)
    with open(path) as file:
        said += [file.read(), os.path.getsize(path), os.path.isfile(path), os.path.isdir(path)]
    return [*said, os.listdir("glomers-disk"), os.path.abspath(path)]
"""
    path = "glomers-disk/deep/log"
    said = [False, 8, 8, path, ["one\n", "two\n"], "wo\n", 6, 6]
    said += ["one\n2wé\n", 9, True, False, ["deep"], f"{HERE}/{path}"]
    assert ask(source) == said
    assert not Path(HERE, "glomers-disk").exists()


def test_pathlib_shutil_glob_and_tempfile_use_the_same_disk(ask):
    source = """
def answer():
    folder = Path("glomers-disk")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").write_bytes(b"bb")
    shutil.copy(folder / "a.txt", folder / "c.txt")
    (folder / "b.txt").rename(folder / "d.txt")
    os.replace(folder / "d.txt", folder / "a.txt")
    said = [sorted(path.name for path in folder.iterdir()), glob.glob("glomers-disk/c*")]
    said += [(folder / "a.txt").read_text(), (folder / "a.txt").stat().st_size, folder.is_dir()]
    with tempfile.NamedTemporaryFile() as file, tempfile.TemporaryDirectory() as other:
        said += [os.path.exists(file.name), os.path.isdir(other)]
    said += [os.path.exists(file.name), os.path.exists(other)]
    said += [[[a, b, sorted(c)] for a, b, c in os.walk(folder)], folder.resolve().name]
    (folder / "c.txt").unlink()
    (folder / "c.txt").unlink(missing_ok=True)
    said.append((folder / "c.txt").exists())
    shutil.rmtree(folder)
    return [*said, folder.exists(), hash(folder) == hash(Path("glomers-disk"))]
"""
    assert ask(source) == [
        *(["a.txt", "c.txt"], ["glomers-disk/c.txt"], "bb", 2, True, True, True, False, False),
        *([["glomers-disk", [], ["a.txt", "c.txt"]]], "glomers-disk", False, False, True),
    ]


def test_descriptors_of_files_do_what_those_of_the_system_do(ask):
    source = """
def answer():
    fd = os.open("glomers-disk", os.O_CREAT | os.O_RDWR | os.O_EXCL)
    said = [os.write(fd, b"hello"), os.lseek(fd, 1, os.SEEK_SET), os.read(fd, 2).decode()]
    other = os.dup(fd)  # which shares the position
    said += [os.read(other, 9).decode(), os.pwrite(fd, b"J", 0), os.pread(fd, 9, 0).decode()]
    os.ftruncate(fd, 7)
    said += [os.pread(fd, 9, 0).decode(), os.fstat(fd).st_size, os.isatty(fd)]
    os.close(other)
    os.fdatasync(fd) if hasattr(os, "fdatasync") else os.fsync(fd)
    os.close(fd)
    said += [fails(os.read, fd, 1)]
    fd = os.open("glomers-disk", os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"!")
    said += [fails(os.read, fd, 1), os.stat("glomers-disk").st_size]
    with os.fdopen(fd, "ab") as file:
        file.write(b"?")
    raw = io.FileIO("glomers-disk", "rb")
    said += [raw.readall().decode(), raw.seekable()]
    return [*said, Path("glomers-disk").read_bytes()[:1] == b"J"]
"""
    assert ask(source) == [
        *(5, 1, "el", "lo", 1, "Jello", "Jello\0\0", 7, False),
        *("OSError: [Errno 9] Bad file descriptor",) * 2,
        *(8, "Jello\0\0!?", True, True),
    ]


ERRORS = {
    "open('glomers-none')": FileNotFoundError,
    "open('glomers-none/file', 'w')": FileNotFoundError,
    "open('glomers-file', 'x')": FileExistsError,
    "open('glomers-folder', 'w')": IsADirectoryError,
    "open('glomers-folder')": IsADirectoryError,
    "open('glomers-file/file', 'w')": NotADirectoryError,
    "open('glomers-file', 'rw')": ValueError,
    "open('glomers-file', 'z')": ValueError,
    "with open('glomers-file') as file: file.write('x')": UnsupportedOperation,
    "with open('glomers-file', 'w') as file: file.read()": UnsupportedOperation,
    "os.mkdir('glomers-folder')": FileExistsError,
    "os.mkdir('glomers-none/folder')": FileNotFoundError,
    "os.makedirs('glomers-file')": FileExistsError,
    "os.rmdir('glomers-folder')": OSError,
    "os.rmdir('glomers-file')": NotADirectoryError,
    "os.unlink('glomers-folder')": (IsADirectoryError, PermissionError),
    "os.unlink('glomers-none')": FileNotFoundError,
    "os.remove('glomers-none')": FileNotFoundError,
    "os.rename('glomers-none', 'glomers-other')": FileNotFoundError,
    "os.rename('glomers-file', 'glomers-none/file')": FileNotFoundError,
    "os.replace('glomers-file', 'glomers-folder')": IsADirectoryError,
    "os.rename('glomers-folder', 'glomers-file')": NotADirectoryError,
    "os.rename('glomers-folder', 'glomers-folder/inside')": OSError,
    "os.listdir('glomers-none')": FileNotFoundError,
    "os.listdir('glomers-file')": NotADirectoryError,
    "os.stat('glomers-none')": FileNotFoundError,
    "os.chdir('glomers-file')": NotADirectoryError,
    "os.truncate('glomers-none', 1)": FileNotFoundError,
    "os.open('glomers-none', os.O_RDONLY)": FileNotFoundError,
    "os.open('', os.O_RDONLY)": FileNotFoundError,
    "Path('glomers-none').read_text()": FileNotFoundError,
    "Path('glomers-none').unlink()": FileNotFoundError,
}


@pytest.mark.parametrize("call", ERRORS)
def test_errors_are_those_of_the_system(ask, call, tmp_path, monkeypatch):
    (tmp_path / "glomers-folder").mkdir()
    (tmp_path / "glomers-folder" / "inside").touch()
    (tmp_path / "glomers-file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ERRORS[call]) as real:
        exec(call, {"os": os, "Path": Path})
    source = f"""
def answer():
    os.mkdir("glomers-folder")
    open("glomers-folder/inside", "w").close()
    open("glomers-file", "w").close()
    try:
        {call}
    except Exception as error:
        return [type(error).__name__, str(error)]
"""
    assert ask(source) == [type(real.value).__name__, str(real.value)]


# Real files


def test_a_node_reads_what_is_beside_its_script_and_replaces_it_only_for_nodes(nodes, tmp_path):
    beside, other = tmp_path / "data.txt", tmp_path / "other.txt"
    beside.write_text("real")
    other.write_text("real")
    source = f"""
def answer(do):
    path, other = Path(__file__).parent / "data.txt", {str(other)!r}
    if do == "change":
        path.write_text(path.read_text() + " and new")
        os.remove(other)
    names = [name for name in sorted(os.listdir(path.parent)) if name.endswith(".txt")]
    return [path.read_text(), os.path.exists(other), names, len(list(os.scandir(path.parent)))]
"""
    cluster = nodes(source, 2)
    assert cluster.request("n0", "ask", args=["look"])["answer"] == [
        *("real", True, ["data.txt", "other.txt"]),
        3,
    ]
    changed = ["real and new", False, ["data.txt"], 2]
    assert cluster.request("n0", "ask", args=["change"])["answer"] == changed
    assert cluster.request("n1", "ask", args=["look"])["answer"] == changed
    assert (beside.read_text(), other.read_text()) == ("real", "real")


@pytest.mark.parametrize(
    "call",
    [
        "open({path!r}, 'a')",
        "open({path!r}, 'r+b')",
        "os.open({path!r}, os.O_WRONLY)",
        "os.truncate({path!r}, 0)",
        "os.rename({path!r}, 'glomers-disk')",
        "os.chmod({path!r}, 0)",
    ],
)
def test_to_change_a_file_that_really_exists_is_refused(ask, tmp_path, call):
    real = tmp_path / "left behind"
    real.write_text("by another run")
    said = ask(f"def answer(): return fails(lambda: {call.format(path=str(real))})")
    assert said == f"OSError: [Errno 30] {files.ONLY_READ}: {str(real)!r}"
    assert real.read_text() == "by another run"


@pytest.mark.parametrize(
    "call",
    [
        "gzip.open({path!r}, 'wb')",
        "zipfile.ZipFile({path!r}, 'w')",
        "sqlite3.connect({path!r})",
        "shelve.open({path!r})",
    ],
)
def test_a_library_that_writes_by_itself_is_refused(ask, tmp_path, call):
    path, module = str(tmp_path / "data"), call.partition(".")[0]
    said = ask(f"import {module}\ndef answer(): return fails(lambda: {call.format(path=path)})")
    assert "can't be simulated: a library would change the real disk" in said
    assert [each.name for each in tmp_path.iterdir()] == ["node.py"]


def test_a_library_writes_to_a_file_that_the_script_has_opened(ask):
    source = """
import gzip, json, sqlite3
def answer():
    with open("glomers-disk", "wb") as file, gzip.open(file, "wb") as packed:
        packed.write(b"x" * 1000)
    with open("glomers-disk", "rb") as file, gzip.open(file) as packed:
        said = [len(packed.read())]
    with open("glomers-json", "w") as file:
        json.dump([1], file)
    connection = sqlite3.connect(":memory:")
    return [*said, json.loads(Path("glomers-json").read_text()), connection.close()]
"""
    assert ask(source) == [1000, [1], None]


@pytest.mark.parametrize("name", files.DISK_REFUSED.split())
def test_what_a_disk_of_files_and_folders_does_not_have_is_refused(ask, name):
    if hasattr(os, name):
        said = ask(f"answer = lambda: fails(os.{name}, 'a', 'b')")
        assert said == f"OSError: os.{name} can't be simulated: {files.ONLY_FILES}"


def test_a_node_may_work_in_a_folder_of_the_disk(ask):
    source = """
def answer():
    os.makedirs("glomers-disk/own")
    os.chdir("glomers-disk/own")
    Path("data").write_text("x")
    said = [os.getcwd(), str(Path.cwd()), os.listdir(), os.path.abspath("data")]
    return [*said, open("data").read()]
"""
    own = f"{HERE}/glomers-disk/own"
    assert ask(source) == [own, own, ["data"], f"{own}/data", "x"]


def test_devices_stay_what_they_are(ask):
    source = """
def answer():
    with open(os.devnull, "w") as file:
        return file.write("x")
"""
    assert ask(source) == 1


def test_the_node_library_reaches_the_same_disk_and_later_the_real_one(ask):
    source = """
def answer():
    with maelstrom_node.open("glomers-disk", "ab") as file:
        file.write(b"x")
        maelstrom_node.os.fsync(file.fileno())
    return [maelstrom_node.os.path.exists("glomers-disk"), Path("glomers-disk").read_text()]
"""
    import maelstrom_node

    assert ask(source) == [True, "x"]
    assert maelstrom_node.os is os
    assert not hasattr(maelstrom_node, "open")


# Kills

KEEPER = """
def answer(do, text=""):
    if do == "write":
        with open("glomers-disk", "a") as file:
            file.write(text)
    elif do == "sync":
        with open("glomers-disk", "a") as file:
            os.fsync(file)
    elif do == "buffer":
        global kept_open
        kept_open = open("glomers-disk", "a")
        kept_open.write(text)
    path = Path("glomers-disk")
    return path.read_text() if path.exists() else None
"""


def test_a_restart_keeps_what_was_synced_and_loses_the_rest(nodes):
    cluster = nodes(KEEPER)

    def ask(*args):
        return cluster.request("n0", "ask", args=list(args))["answer"]

    assert ask("write", "one ") == "one "
    cluster.restart("n0")
    assert ask("look") is None
    ask("write", "two ")
    ask("sync")
    assert ask("write", "three ") == "two three "
    cluster.restart("n0")
    assert ask("buffer", "never flushed") == "two "
    cluster.restart("n0")
    assert ask("look") == "two "
    cluster.restart("n0")
    assert ask("look") == "two "


def test_what_one_node_has_not_synced_another_sees_until_the_kill(nodes):
    cluster = nodes(KEEPER, 2)

    def ask(node, *args):
        return cluster.request(node, "ask", args=list(args))["answer"]

    ask("n0", "write", "of n0 ")
    assert ask("n1", "write", "of n1 ") == "of n0 of n1 "
    ask("n1", "sync")
    ask("n0", "write", "lost ")
    ask("n1", "write", "kept")
    cluster.restart("n0")
    assert ask("n1", "look") == "of n0 of n1 \0\0\0\0\0kept"


def test_code_that_ends_with_the_kill_of_its_node_writes_no_more(nodes):
    source = """
def answer():
    def write():
        with open("glomers-disk", "w") as file:
            os.fsync(file)
            file.write("x")
            try:
                node.sleep(1)
            finally:
                Path("glomers-other").touch()
    if os.path.exists("glomers-disk"):
        return [Path("glomers-disk").read_text(), os.path.exists("glomers-other")]
    node.spawn(write)
"""
    cluster = nodes(source)
    cluster.request("n0", "ask")
    cluster.advance(0.5)
    cluster.restart("n0")
    assert cluster.request("n0", "ask")["answer"] == ["", False]


def disk_with(decide=lose_all) -> Disk:
    return Disk(lambda: 0, decide)


def every_kill(change, look) -> list:
    """What `look(disk)` returns after each kill that there can be once `change(disk)` is done."""
    steps = []
    change(disk := disk_with(lambda node, nth, all: (steps.append(all), (0, 0))[1]))
    disk.kill("n0")
    seen = []
    for begin in range(steps[0]):
        for end in range(begin + 1, steps[0] + 1):
            change(disk := disk_with(lambda *_, lost=(begin, end): lost))
            disk.kill("n0")
            seen.append(look(disk))
    return seen


def content(disk: Disk, path: str) -> bytes | None:
    inode = disk.names.get(path)
    return None if inode is None else bytes(inode.data)


def test_a_kill_may_lose_the_end_or_leave_a_hole():
    def change(disk):
        disk.sync(file := disk.make("n0", "/log"))
        disk.write("n0", file, 0, b"ab")
        disk.write("n0", file, 2, b"cd")

    assert set(every_kill(change, lambda disk: content(disk, "/log"))) == {
        *(b"", b"a", b"ab", b"abc"),  # the end is lost
        *(b"\0bcd", b"\0\0cd", b"\0\0\0d", b"a\0cd", b"a\0\0d", b"ab\0d"),
    }


def test_what_is_overwritten_may_have_its_old_content_again():
    def change(disk):
        file = disk.make("n0", "/log")
        disk.write("n0", file, 0, b"old")
        disk.sync(file)
        disk.write("n0", file, 0, b"new")
        disk.truncate("n0", file, 1)

    seen = set(every_kill(change, lambda disk: content(disk, "/log")))
    assert seen == {b"new", b"ned", b"nld", b"old", b"o", b"n"}


@pytest.mark.parametrize("synced", [True, False])
def test_a_replacement_shows_the_old_or_the_new_file_if_that_was_synced(synced):
    def change(disk):
        old = disk.make("n0", "/file")
        disk.write("n0", old, 0, b"old")
        disk.sync(old)
        new = disk.make("n0", "/new")
        disk.write("n0", new, 0, b"new")
        if synced:
            disk.sync(new)
        disk.rename("n0", {"/new": None, "/file": new})

    seen = set(every_kill(change, lambda disk: content(disk, "/file")))
    assert seen == (
        {b"old"} if synced else {b"old", b"new", b"", b"n", b"ne", b"\0ew", b"\0\0w", b"n\0w"}
    )


def test_a_name_is_durable_once_its_file_or_its_folder_is_synced():
    for sync in (lambda disk, file: disk.sync(file), lambda disk, file: disk.sync_folder("/a/b")):
        disk = disk_with()
        disk.make("n0", "/a", folder=True)
        disk.make("n0", "/a/b", folder=True)
        file = disk.make("n0", "/a/b/c")
        disk.make("n0", "/a/d")
        disk.write("n0", file, 0, b"x")
        sync(disk, file)
        disk.kill("n0")
        assert list(disk.names) == ["/a", "/a/b", "/a/b/c"]


def test_to_sync_a_folder_makes_no_content_durable():
    disk = disk_with()
    disk.write("n0", disk.make("n0", "/file"), 0, b"x")
    disk.sync_folder("/")
    disk.kill("n0")
    assert content(disk, "/file") == b""


def test_a_folder_in_which_another_node_has_made_a_file_stays():
    disk = disk_with()
    disk.make("n0", "/folder", folder=True)
    disk.make("n1", "/folder/file")
    disk.make("n0", "/other", folder=True)
    disk.kill("n0")
    assert list(disk.names) == ["/folder", "/folder/file"]
    disk.kill("n1")
    assert list(disk.names) == ["/folder"]


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["n0", "n1"]), st.integers(0, 5), st.integers(1, 255)),
        st.sampled_from(["sync", "kill"]),
    ),
    max_size=25,
)


@given(CHANGES, st.integers(0, 1000))
def test_a_kill_loses_nothing_that_was_synced_or_that_another_node_wrote(changes, seed):
    disk = disk_with(drawn(random.Random(seed)))
    disk.sync(file := disk.make("n0", "/file"))
    safe = {}  # bytes that a kill of n0 must not lose, by their offset
    for change in changes:
        if change == "sync":
            disk.sync(file)
            safe = dict(enumerate(file.data))
        elif change == "kill":
            disk.kill("n0")
            assert all(file.data[offset] == byte for offset, byte in safe.items())
            safe = {**dict(enumerate(file.data)), **safe}
        else:
            node, place, byte = change
            offset = 2 * place + (node == "n1")  # nodes don't overwrite each other's bytes
            disk.write(node, file, offset, bytes([byte]))
            safe.pop(offset, None)
            if node == "n1":
                safe[offset] = byte


# Whole runs

DURABLE = Options(
    workload="broadcast",
    bin=str(Path(__file__).parent / "durable_set.py"),
    nodes=("n0",),
    concurrency=5,
    time_limit=20,
    rate=10,
    nemesis=("kill",),
    nemesis_interval=2,
)
CARELESS = replace(DURABLE, args=("--no-sync",))


def test_a_node_that_syncs_before_it_answers_loses_nothing():
    verdicts = [simulated_test(replace(DURABLE, seed=seed)).run()["valid?"] for seed in range(50)]
    assert verdicts == [True] * 50


def first_invalid() -> tuple[Options, dict, Scenario]:
    for seed in range(50):
        test = simulated_test(replace(CARELESS, seed=seed), records=True)
        results = test.run()
        if results["valid?"] is False:
            return test.options, results, test.scenario
    raise AssertionError("all seeds are valid")


def test_a_node_that_does_not_sync_fails_and_the_cause_is_told():
    _, results, scenario = first_invalid()
    (told,) = (each for each in results["incidents"] if str(each["kind"]) == "unsynced")
    assert "lost what it had written to its disk and not synced" in told["text"]
    assert told["first"]["line"].endswith(f"{HERE}/durable-set/n0")
    assert told["nodes"] == {"n0": len(scenario.unsynced)}


def test_a_scenario_tells_what_kills_lose(tmp_path):
    options, results, scenario = first_invalid()
    again = simulated_test(options, scenario=scenario)
    assert again.run()["workload"] == results["workload"]
    assert again.scenario == scenario
    mild = simulated_test(options, scenario=replace(scenario, unsynced=()))
    assert mild.run()["valid?"] is True


def test_the_same_seed_loses_the_same_and_seeds_differ(tmp_path):
    kinds = Counter()
    for seed in range(12):
        texts = []
        for _ in range(2):
            test = simulated_test(replace(CARELESS, seed=seed), records=True)
            test.run()
            texts.append(str(test.scenario))
        assert texts[0] == texts[1]
        kinds.update((bool(entry.begin), entry.end is None) for entry in test.scenario.unsynced)
    assert set(kinds) >= {(False, True), (True, True), (True, False)}


def test_a_kill_that_never_came_is_told():
    told = Scenario(faults=(Action("kill", 1, nodes=("n0",)),), unsynced=(Unsynced("n0", 7),))
    test = simulated_test(replace(CARELESS, time_limit=3), scenario=told)
    test.run()
    notes = [note for notes in test.notes for note in notes()]
    assert notes == [
        'the scenario: {"node": "n0", "nth": 7}: there was no such kill, or all was synced'
    ]


def test_nothing_is_ever_written_to_the_real_disk(tmp_path):
    store = Store(tmp_path)
    simulated_test(DURABLE, store).run()
    store.close()
    assert not Path(HERE, "durable-set").exists()
