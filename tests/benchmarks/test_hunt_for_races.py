"""The races that benchmarks/explore.py hunts, each beside its fixed twin."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from benchmarks.explore import (
    RACES,
    SCRIPTS,
    UNSEEN,
    Suspect,
    hunt,
    innocent,
    mutants,
    options_of,
    races,
    unseen,
    what_is_wrong,
)

TWINS = [suspect for suspect in innocent() if suspect.name in RACES]


def test_every_race_has_a_test_a_twin_and_a_docstring_that_says_where_the_race_is():
    for folder in (SCRIPTS, SCRIPTS / "fixed"):
        assert {path.stem for path in folder.glob("*.py")} - {"maelstrom_node"} == set(RACES)
    for name in RACES:
        told = ast.get_docstring(ast.parse((SCRIPTS / f"{name}.py").read_text()))
        assert told is not None
        assert "The race " in told


@pytest.mark.parametrize("suspect", TWINS, ids=str)
def test_nothing_is_wrong_with_a_fixed_twin(suspect: Suspect):
    (test,) = options_of(suspect)

    assert what_is_wrong(replace(test, time_limit=min(test.time_limit, 0.5))) == ""


@pytest.mark.parametrize("suspect", list(races()), ids=str)
def test_a_race_is_found(suspect: Suspect):
    by = "bytecodes" if suspect.name == "update_on_one_line" else "lines"

    assert hunt(suspect, seeds=60, preempt=0.05, preempt_by=by).seed is not None


def test_each_lock_that_nothing_finds_missing_is_still_there():
    assert {unseen(mutant.name) for mutant in mutants()} - {""} == set(UNSEEN.values())
