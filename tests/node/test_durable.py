"""What a durable node relies on is on the disk before, and it goes on from there after a crash."""

from __future__ import annotations

import json
import os
import threading
from errno import ENOSPC
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from stage import PATIENCE, Stage, StageRuntime, init, message

import maelstrom_node
from maelstrom_node import Journal, Replication, StdioRuntime

LIFE = "00000A"  # of peers


@pytest.fixture(autouse=True)
def real_files(monkeypatch):
    """After the test the library has the real files again."""
    monkeypatch.setattr(maelstrom_node, "os", os)
    monkeypatch.setattr(maelstrom_node, "open", open, raising=False)


# The journal


class Files:
    """The files that the library opens; something is called before they are written, or synced."""

    def __init__(self) -> None:
        self.fsync: Any = os.fsync
        self.before_write = lambda: None

    def open(self, path: str, mode: str) -> Any:
        file = Path(path).open(mode)  # noqa: SIM115 - the journal keeps it open
        if mode != "ab":
            return file
        write = file.write

        class File:
            flush, fileno, close = file.flush, file.fileno, file.close

            def write(_, data: bytes) -> int:
                self.before_write()
                return write(data)

        return File()


@pytest.fixture
def files(monkeypatch):
    files = Files()
    monkeypatch.setattr(maelstrom_node, "open", files.open, raising=False)
    monkeypatch.setattr(os, "fsync", lambda fd: files.fsync(fd))
    return files


@pytest.fixture
def open_journal(tmp_path, files):
    """Open the same journal once more, and close all at the end."""
    journals = []

    def opened():
        journal = Journal(StdioRuntime(), str(tmp_path / "n1"))
        journals.append(journal)
        return journal, list(journal.recover())

    yield opened
    for journal in journals:
        journal._file.close()


RECORDS = [{"life": "n1.00000A"}, ["n1.00000A", 0, "ä", None, 1.5], ["n2.00000A", 7, [["w", 1]]]]


def written(open_journal, *records):
    journal, _ = open_journal()
    for record in records:
        journal.append(record)
    journal.sync()


def test_a_record_is_a_line_with_its_checksum(tmp_path, open_journal):
    written(open_journal, *RECORDS)
    lines = (tmp_path / "n1").read_bytes().splitlines(keepends=True)
    for line, record in zip(lines, RECORDS, strict=True):
        checksum, _, text = line.partition(b" ")
        assert int(checksum, 16) == crc32(text)
        assert json.loads(text) == record
    assert open_journal()[1] == RECORDS


@pytest.mark.parametrize("length", range(0, 100, 7))
def test_of_a_file_that_ends_too_early_the_whole_records_are_recovered(
    tmp_path, open_journal, length
):
    written(open_journal, *RECORDS)
    data = (tmp_path / "n1").read_bytes()
    (tmp_path / "n1").write_bytes(data[:length])
    whole = data[:length].count(b"\n")
    torn = length - data.rfind(b"\n", 0, length) - 1
    assert open_journal()[1] == RECORDS[:whole] + [{"torn": torn}] * (torn > 0)
    written(open_journal, "next")
    assert open_journal()[1] == [*RECORDS[:whole], "next"]


def test_nothing_counts_that_comes_after_a_record_that_is_damaged(tmp_path, open_journal):
    written(open_journal, *RECORDS)
    lines = (tmp_path / "n1").read_bytes().splitlines(keepends=True)
    damaged = lines[1].replace(b"null", b"true")
    (tmp_path / "n1").write_bytes(lines[0] + damaged + lines[2])
    assert open_journal()[1] == [RECORDS[0], {"torn": len(damaged) + len(lines[2])}]
    assert (tmp_path / "n1").read_bytes() == lines[0]


def test_threads_that_wait_for_the_disk_share_its_next_sync(tmp_path, files, open_journal):
    journal, _ = open_journal()
    is_syncing, may_end = threading.Event(), threading.Event()
    syncs = []

    def fsync(fd):
        syncs.append((tmp_path / "n1").read_bytes().count(b"\n"))
        is_syncing.set()
        assert may_end.wait(PATIENCE)

    files.fsync = fsync
    threads = [threading.Thread(target=journal.sync) for _ in range(4)]
    journal.append(1)
    threads[0].start()
    assert is_syncing.wait(PATIENCE)
    for record, thread in enumerate(threads[1:], 2):
        journal.append(record)
        thread.start()
    may_end.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert syncs == [1, 4]


def test_a_record_that_is_being_written_while_another_thread_syncs_is_synced_after(
    tmp_path, files, open_journal
):
    journal, _ = open_journal()
    syncs = []

    def fsync(fd):
        syncs.append((tmp_path / "n1").read_bytes().count(b"\n"))

    files.fsync = fsync
    files.before_write = journal.sync
    journal.append(1)
    journal.sync()
    assert syncs[-1:] == [1]


# A node that goes on


class Disk:
    """`os`, noting when a file was synced; it can be full."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.is_full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, fd: int) -> None:
        if self.is_full:
            raise OSError(ENOSPC, "No space left on device")
        os.fsync(fd)
        self.events.append("sync")


class DiskRuntime(StageRuntime):
    """It notes when the node sends something to whom, too."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.os = Disk(self.events)
        self.files: list[Any] = []
        maelstrom_node.os, maelstrom_node.open = self.os, self.open  # `real_files` puts them back

    def open(self, path: str, mode: str) -> Any:
        self.files.append(Path(path).open(mode))  # noqa: SIM115 - the journal keeps it open
        return self.files[-1]

    def write(self, line: str) -> None:
        self.events.append(json.loads(line)["dest"])
        super().write(line)


class Durable(Stage):
    """n1 of three, with a file in a folder; it starts when it is made."""

    def __init__(self, folder: Path, ids: tuple[str, ...] = ("n1", "n2", "n3")) -> None:
        self.runtime: DiskRuntime
        super().__init__(DiskRuntime())
        self.applied = applied = []

        class Entries(Replication):
            def apply(self, log, entry):
                applied.append(entry)

            def state(self):
                return list(applied)

            def merge(self, state):
                applied[:] = state

        self.entries = entries = Entries(self.node, threading.Lock())
        entries.durable = str(folder)

        @self.node.on("append")
        def append(message):
            with entries.lock:
                entries.append(message.body["entry"])
            entries.push()
            return {"type": "append_ok"}

        @self.node.on("read")
        def read(message):
            entries.sync()
            return {"type": "read_ok", "entries": applied}

        self.receive(init("n1", ids))
        self.runtime.sent.clear()
        self.runtime.events.clear()

    def append(self, entry: object) -> None:
        assert self.ask_once("append", entry=entry) == {"type": "append_ok"}

    def ask_once(self, type: str, **fields: object) -> dict:
        """Ask as a client; forget what else is sent."""
        self._msg_id += 1
        self.receive(message("c1", "n1", type, msg_id=self._msg_id, **fields))
        answer = self.assert_sent("n1", "c1", in_reply_to=self._msg_id)
        del answer["in_reply_to"]
        return answer

    def news(self, peer: str, *entries: object, **fields: object) -> None:
        self.receive(message(peer, "n1", "news", **{"log": [LIFE, 0, *entries], **fields}))


@pytest.fixture
def start(tmp_path):
    """Start the node, or start it again."""
    stages = []

    def start():
        stages.append(Durable(tmp_path))
        return stages[-1]

    yield start
    for stage in stages:
        for file in stage.runtime.files:
            file.close()


def test_a_durable_node_goes_on_with_its_life_and_forgets_nothing(start):
    before = start()
    before.append("a")
    before.news("n2", "b")
    before.append("c")
    after = start()
    assert after.entries.own == before.entries.own
    assert after.applied == ["a", "b", "c"]
    after.append("d")
    logs = {log: kept.entries for log, kept in after.entries.logs.items()}
    assert logs == {before.entries.own: ["a", "c", "d"], f"n2.{LIFE}": ["b"]}


def test_a_durable_node_asks_all_peers_when_it_goes_on(start):
    first = start()
    assert first.entries.first_asked() == []
    first.append("a")
    assert start().entries.first_asked() == ["n2", "n3"]


def test_each_node_has_a_file_of_its_own_whatever_its_name(tmp_path):
    for name in ("n1", "a/../b"):
        stage = Stage(DiskRuntime())
        entries = Replication(stage.node, threading.Lock())
        entries.durable = str(tmp_path)
        stage.receive(init(name, (name,)))
        stage.runtime.files[-1].close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a%2F..%2Fb", "n1"]


def test_an_entry_is_synced_before_a_peer_gets_it_and_before_a_client_is_answered(start):
    stage = start()
    stage.append("a")
    assert stage.runtime.events == ["sync", "n2", "n3", "c1"]


def test_what_a_peer_sent_is_synced_before_it_is_acknowledged_or_read(start):
    stage = start()
    stage.news("n2", "b")
    stage.receive(message("n2", "n1", "compare", msg_id=1, log=[LIFE, 1]))
    assert stage.assert_sent(dest="n2", type="compare_ok")["has"] == {f"n2.{LIFE}": 1}
    assert stage.runtime.events == ["sync", "n2"]
    stage.news("n3", "c")
    stage.ask_once("read")
    assert stage.runtime.events == ["sync", "n2", "sync", "c1"]
    stage.ask_once("read")
    assert stage.runtime.events[4:] == ["c1"]  # there was nothing to sync


def test_what_is_asked_of_a_peer_is_synced_before(start):
    stage = start()
    stage.news("n2", "b")
    stage.entries.ask("n2")
    assert stage.runtime.events == ["sync", "n2"]


def test_a_state_that_came_from_a_peer_is_in_the_file(start):
    before = start()
    before.news("n2", log=[LIFE, 3, "d"], state=["a", "b", "c"], dropped={f"n2.{LIFE}": 3})
    assert before.applied == ["a", "b", "c", "d"]
    before.entries.sync()
    after = start()
    assert after.applied == ["a", "b", "c", "d"]
    assert len(after.entries.logs[f"n2.{LIFE}"]) == 4


@pytest.mark.parametrize("lost", [1, 5, 20])
def test_a_torn_end_of_a_file_is_cut_off_and_complained_about(start, tmp_path, capsys, lost):
    before = start()
    before.append("a")
    whole = (tmp_path / "n1").stat().st_size
    before.append("b")
    torn = (tmp_path / "n1").stat().st_size - lost - whole
    os.truncate(tmp_path / "n1", whole + torn)
    capsys.readouterr()
    after = start()
    assert after.applied == ["a"]
    assert (tmp_path / "n1").stat().st_size == whole
    problem = "maelstrom_node: a file had a torn end, which is cut off"
    assert capsys.readouterr().err == f"{problem}: {torn} bytes of {tmp_path}/n1\n"
    after.append("c")
    assert start().applied == ["a", "c"]


def test_after_a_write_that_failed_nothing_is_acknowledged_any_more(start, tmp_path):
    stage = start()
    stage.runtime.os.is_full = True
    text = f"can't write {tmp_path}/n1: [Errno 28] No space left on device"
    for _ in range(2):
        answer = stage.ask_once("append", entry="a")
        assert (answer["code"], answer["text"].partition(", in ")[0]) == (13, text)
        stage.runtime.os.is_full = False  # what was lost once isn't there later
    assert stage.ask_once("read")["code"] == 13
    assert stage.runtime.events == ["c1"] * 3
