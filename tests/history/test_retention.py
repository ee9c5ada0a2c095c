"""Which runs a store keeps: the last ones, and whatever isn't certainly an old run of ours."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glomers.history.command import FILE, Command
from glomers.history.retention import prune
from glomers.history.store import Store
from glomers.invocation import Invocation

CALL = Invocation("glomers", Path("/somewhere"), ("3c", "--simulate"))


def time(number: int) -> str:
    return f"20261126T{number:06}.000"


def make(store: Path, name: str) -> Path:
    """A folder as a run leaves it that is over."""
    folder = store / name
    (folder / "node-logs").mkdir(parents=True)
    (folder / "node-logs" / "n0.log").write_text("a line\n")
    (folder / "history.edn").write_text("")
    (folder / FILE).write_text(Command.of(CALL, 7, "workbench", folder).as_json())
    return folder


def names(store: Path) -> list[str]:
    return sorted(f"{path.parent.name}/{path.name}" for path in store.glob("*/*"))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def runs(store):
    """Five runs, the oldest first, of two workloads."""
    return [make(store, f"{'echo' if n % 2 else 'kafka'}/{time(n)}") for n in range(5)]


@pytest.mark.parametrize("keep", [1, 2, 4, 5, 9])
def test_the_last_runs_of_all_workloads_stay(store, runs, keep):
    prune(store, keep)
    assert [run.exists() for run in runs] == [n >= 5 - keep for n in range(5)]


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        (2, "Removed 3 older runs; --keep NUM keeps more\n"),
        (4, "Removed 1 older run; --keep NUM keeps more\n"),
        (5, ""),
    ],
)
def test_it_says_how_many_it_removes(store, runs, keep, said, capsys):
    prune(store, keep)
    assert capsys.readouterr() == (said, "")


def test_the_folder_of_maelstroms_run_has_a_time_zone(store):
    old = [make(store, f"echo/20261126T000000.123{zone}") for zone in ("Z", "+0100", "-0930")]
    new = make(store, f"echo/{time(9)}")
    prune(store, 1)
    assert not any(run.exists() for run in old)
    assert new.exists()


@pytest.mark.parametrize("place", [".", "echo", "kafka"])
@pytest.mark.parametrize("target", ["", "node-logs/n0.log"])
def test_what_a_link_in_the_store_leads_to_stays(store, runs, place, target):
    (store / place / "the good one").symlink_to(runs[0] / target)
    prune(store, 1)
    assert [run.exists() for run in runs] == [True, False, False, False, True]


def test_a_link_to_a_folder_of_runs_saves_only_that_folder(store, runs):
    (store / "mine").symlink_to("echo")
    prune(store, 1)
    assert [run.exists() for run in runs] == [False, False, False, False, True]


def test_a_link_is_not_followed(store, runs, tmp_path):
    outside = make(tmp_path / "elsewhere", f"echo/{time(0)}")
    (store / "echo" / time(0)).symlink_to(outside)
    (store / "set aside").symlink_to(outside.parent)
    (runs[0] / "node-logs" / "n1.log").symlink_to(outside / FILE)
    prune(store, 1)
    assert (outside / FILE).exists()
    assert not runs[0].exists()


def test_runs_in_a_folder_that_is_a_link_stay(store, runs, tmp_path):
    (store / "echo").rename(tmp_path / "echo")
    (store / "echo").symlink_to(tmp_path / "echo")
    prune(store, 1)
    assert [run.exists() for run in runs] == [False, True, False, True, True]


def test_the_store_itself_may_be_a_link(store, runs, tmp_path):
    (tmp_path / "link").symlink_to(store)
    prune(tmp_path / "link", 1)
    assert [run.exists() for run in runs] == [False, False, False, False, True]


def test_a_run_that_still_runs_stays_until_it_is_over(store, runs):
    running = Store.create(store, "echo")
    running.write_command(Command.of(CALL, 7, "workbench", running.path))
    newer = [make(store, f"echo/2999{time(n)[4:]}") for n in range(2)]
    for place in (store, store / "echo"):
        (place / "latest").unlink()  # it leads to the newer ones, once these have begun
    prune(store, 2)
    assert running.path.exists()
    assert not any(run.exists() for run in runs)
    running.close()
    prune(store, 2)
    assert not running.path.exists()
    assert all(run.exists() for run in newer)


def test_a_run_that_began_before_others_does_not_remove_itself(store):
    running = Store.create(store, "echo")
    running.write_command(Command.of(CALL, 7, "workbench", running.path))
    newer = make(store, f"kafka/2999{time(0)[4:]}")
    (store / "latest").unlink()
    (store / "echo" / "latest").unlink()
    prune(store, 1)
    assert running.path.exists()
    assert newer.exists()
    running.close()


def test_what_cannot_be_removed_is_only_warned_of(store, runs, monkeypatch, capsys):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("glomers.history.retention.shutil.rmtree", refuse)
    prune(store, 4)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("warning: can't remove the older run ")
    assert err.endswith(f"kafka/{time(0)}: Permission denied\n")


def test_a_store_that_cannot_be_read_is_only_warned_of(tmp_path, capsys):
    prune(tmp_path / "nothing", 1)
    assert "warning: can't look for older runs in" in capsys.readouterr().err


# What isn't certainly a run of ours


def rename(run: Path) -> None:
    run.rename(run.with_name("keep this"))


def move(run: Path) -> None:
    (run.parent.parent / "saved").mkdir()
    run.rename(run.parent.parent / "saved" / run.name)


def move_deeper(run: Path) -> None:
    (run.parent / "saved").mkdir()
    run.rename(run.parent / "saved" / run.name)


def give_it_another_time(run: Path) -> None:
    run.rename(run.with_name(time(99)[:-1] + "1"))


def replace_command(text: str):
    def change(run: Path) -> None:
        (run / FILE).write_text(text)

    return change


def link_command(run: Path) -> None:
    (run / FILE).rename(run / "another")
    (run / FILE).symlink_to("another")


@pytest.mark.parametrize(
    "change",
    [
        rename,
        move,
        move_deeper,
        give_it_another_time,
        lambda run: (run / FILE).unlink(),
        link_command,
        replace_command(""),
        replace_command("[" * 100_000),
        replace_command('{"run": "kafka/20261126T000000.000"}'),
    ],
)
def test_what_is_not_certainly_a_run_of_ours_stays(store, runs, change):
    change(runs[0])
    before = {
        path: path.lstat().st_ino for path in store.rglob("*") if runs[-1] not in path.parents
    }
    for run in runs[1:4]:
        prune(store, 1)
        before = {path: ino for path, ino in before.items() if run not in (path, *path.parents)}
    after = {path: path.lstat().st_ino for path in store.rglob("*") if runs[-1] not in path.parents}
    assert after == before


NAMES = st.sampled_from(
    ["latest", "current", "2026", time(1)[:-1], f"{time(1)}0", f"{time(1)}~", f" {time(1)}",
     f"{time(1)}-", f"{time(1)}Z0", f"{time(1)}-copy", time(1).lower(), f"{time(1)}\n",
     time(1).replace("0", "٠")]
) | st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]),
            min_size=1, max_size=40)  # fmt: skip


@given(NAMES)
def test_whatever_is_not_named_as_a_time_stays(name):
    if name in (".", "..") or len(os.fsencode(name)) > 200:
        return
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        other, new = make(store, f"echo/{name}"), make(store, f"kafka/{time(9)}")
        prune(store, 1)
        assert other.exists()
        assert new.exists()


WHAT = st.sampled_from(["ours", "running", "linked", "renamed", "empty", "file", "foreign"])


@given(st.lists(WHAT, min_size=1, max_size=8), st.integers(1, 3))
def test_only_old_finished_runs_of_ours_are_ever_removed(kinds, keep):
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        running = []
        places = []
        for number, kind in enumerate(kinds):
            place = store / ("echo" if number % 2 else "kafka") / time(number)
            places.append(place)
            if kind == "file":
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text("mine")
                continue
            if kind in ("empty", "foreign"):
                place.mkdir(parents=True)
                if kind == "foreign":
                    (place / "results.edn").write_text("{:valid? true}")
                continue
            make(store, f"{place.parent.name}/{place.name}")
            if kind == "running":
                running.append(Store(place))
                running[-1].write_command(Command.of(CALL, 7, "workbench", place))
            elif kind == "linked":
                (store / f"link {number}").symlink_to(place)
            elif kind == "renamed":
                places[-1] = place.rename(place.with_name(f"good {number}"))
        prune(store, keep)
        recognised = [n for n, kind in enumerate(kinds) if kind in ("ours", "running", "linked")]
        for number, kind in enumerate(kinds):
            old = kind == "ours" and number in recognised[:-keep]
            assert places[number].exists() is not old
        for run in running:
            run.close()
