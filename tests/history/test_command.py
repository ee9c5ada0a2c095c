"""command.json: the command of a run, with which it can be had again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glomers.errors import UsageError
from glomers.history.command import FILE, Command, parse_command, read_command
from glomers.invocation import Invocation

WORDS = st.lists(st.text(st.characters(blacklist_characters="\0")), min_size=1)


def command(*words: str, seed: int | None = 7) -> Command:
    call = Invocation("./run.sh", Path("/my folder"), words)
    return Command.of(call, seed, "workbench", Path("store/echo/20261126T000000.000"))


@given(WORDS, st.integers() | st.none())
def test_what_is_written_can_be_read(words, seed):
    kept = command(*words, seed=seed)
    assert parse_command(kept.as_json()) == kept


def test_the_command_can_be_pasted():
    kept = command("3c", "--bin", "my node.py", "--", "x y")
    text = json.loads(kept.as_json())["command"]
    assert text == "./run.sh 3c --bin 'my node.py' --seed 7 -- 'x y'"
    assert shlex.split(text)[1:] == list(kept.words)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["3c"], ["3c", "--seed", "7"]),
        (["3c", "--seed", "1"], ["3c", "--seed", "7"]),
        (["3c", "--seed=7", "--simulate"], ["3c", "--simulate", "--seed", "7"]),
        (["3c", "--test-count", "9"], ["3c", "--seed", "7"]),
        (["3c", "--", "--seed", "1"], ["3c", "--seed", "7", "--", "--seed", "1"]),
    ],
)
def test_a_run_is_repeated_alone_and_with_its_own_seed(words, kept):
    assert command(*words).words == tuple(kept)


def test_an_engine_without_a_seed_gets_none():
    assert command("3c", seed=None).words == ("3c",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = ["program", "words", "folder", "seed", "engine", "run"]


@given(st.sampled_from(FIELDS), JSON)
def test_anything_else_in_the_file_is_no_command_or_one_that_can_be_written(field, value):
    text = json.dumps({**json.loads(command("3c").as_json()), field: value})
    kept = parse_command(text)
    assert kept is None or parse_command(kept.as_json()) == kept


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", "[" * 100_000])
def test_a_file_without_a_command_is_told(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UsageError, match=r"command\.json holds no command of a run"):
        read_command(tmp_path)


def test_a_folder_without_a_command_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"command\.json: No such file or directory; a run that"):
        read_command(tmp_path)
