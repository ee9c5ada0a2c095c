"""Paths and commands are shown as the person who called would write them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glomers.invocation import (
    VARIABLE,
    Invocation,
    carrying_out,
    named,
    of_process,
    present,
    shown,
    shown_program,
)

HOME = Invocation("./run.sh", Path("/home/me/my nodes"), ("3c",))


@pytest.fixture
def at_home():
    with carrying_out(HOME):
        yield


@pytest.mark.parametrize(
    ("path", "as_shown"),
    [
        ("/home/me/my nodes/store/echo/1", "store/echo/1"),
        ("/home/me/my nodes", "."),
        ("/home/me/glomers/store", "../glomers/store"),
        ("/home/you/store", "/home/you/store"),
        ("/home/store", "/home/store"),
        ("/srv/store", "/srv/store"),
        ("/home/me/my nodes 2", "../my nodes 2"),
        ("/s", "/s"),
    ],
)
def test_a_path_is_relative_to_where_the_person_is_unless_that_is_far(at_home, path, as_shown):
    assert shown(Path(path)) == as_shown


def test_from_a_link_to_a_folder_a_path_leads_where_it_should(tmp_path):
    (tmp_path / "real" / "deeper" / "still").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to("real/deeper/still")
    with carrying_out(Invocation("./run.sh", link, ())):
        assert shown(link / "store") == "store"
        assert shown(tmp_path / "real" / "deeper" / "store") == "../store"


@pytest.mark.parametrize(
    ("path", "as_called"),
    [
        ("/home/me/my nodes/run.sh", "./run.sh"),
        ("/home/me/glomers/run.sh", "../glomers/run.sh"),
        ("/home/me/my checkout/run.sh", "'../my checkout/run.sh'"),
        ("/opt/run.sh", "/opt/run.sh"),
    ],
)
def test_a_program_is_shown_as_it_can_be_called(at_home, path, as_called):
    assert shown_program(Path(path)) == as_called


def test_a_path_that_the_person_writes_is_looked_for_where_they_are(at_home):
    assert named("x") == HOME.folder / "x"
    assert named("/x") == Path("/x")


def test_a_path_stays_as_it_is_written_where_that_is_here():
    assert named("x") == Path("x")


def test_another_process_is_told_and_does_not_tell_its_own_children(monkeypatch):
    call = Invocation("./run.sh", Path("/weird \udcff"), ("3c", "--bin", "é \udcff", "--", ""))
    for name, value in call.environ().items():
        monkeypatch.setenv(name, value)
    told = of_process(["test", "whatever"])
    assert told == call
    with carrying_out(told):
        assert present() == call
        ask = f"import os; print(os.environ.get({VARIABLE!r}))"
        assert subprocess.check_output([sys.executable, "-c", ask], text=True) == "None\n"
