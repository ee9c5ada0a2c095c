"""The ladders: each rung is a script like a challenge's own, and runs in place of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from stage import init, process

from glomers.challenges import find
from glomers.launch.launcher import command_line

ROOT = Path(__file__).parents[2]
CHALLENGES = {"broadcast": "3c", "kafka": "5c", "txn": "6c"}  # the last that each climbs to
RUNGS = sorted((ROOT / "ladder").glob("*/[0-9]_*.py"))

every_rung = pytest.mark.parametrize(
    "rung", RUNGS, ids=lambda rung: f"{rung.parent.name}-{rung.stem}"
)


def test_each_ladder_begins_with_its_first_rung_and_leaves_none_out():
    assert {rung.parent.name for rung in RUNGS} == CHALLENGES.keys()
    for ladder in CHALLENGES:
        numbers = [int(rung.name[0]) for rung in RUNGS if rung.parent.name == ladder]
        assert numbers == list(range(1, len(numbers) + 1))


@every_rung
def test_a_rung_runs_in_place_of_a_challenges_own_script(rung):
    official = find(CHALLENGES[rung.parent.name]).commands[0]
    command = command_line(official, ["--bin", str(rung.relative_to(ROOT))], [], ROOT)
    assert command[-1] == str(rung)
    assert os.access(rung, os.X_OK)


@every_rung
def test_a_rung_finds_the_library_from_wherever_it_is_started(rung, tmp_path):
    with process(rung, folder=tmp_path) as node:
        node.put(init())
        answers, status, log = node.end()
    assert [answer["body"]["type"] for answer in answers] == ["init_ok"]
    assert (status, log) == (0, "")
