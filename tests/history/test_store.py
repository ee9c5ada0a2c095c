"""What a test keeps is bounded where a node could make it grow for ever."""

from __future__ import annotations

import pytest

from glomers.history.store import Store


@pytest.mark.parametrize("length", [1, 99, 30_000])
def test_a_bounded_file_keeps_whole_lines_and_says_that_it_is_not_complete(tmp_path, length):
    store = Store(tmp_path)
    with store.open("some.jsonl", 100_000) as file:
        for _ in range(200_000 // length):
            file.write("x" * length + "\n")
        assert store.warnings() == [
            "some.jsonl has only the beginning: it would have had more than 100,000 bytes"
        ]
    kept = (tmp_path / "some.jsonl").read_text()
    assert kept == ("x" * length + "\n") * (100_000 // (length + 1))


def test_a_file_that_just_fits_is_complete(tmp_path):
    store = Store(tmp_path)
    with store.open("some.jsonl", 100) as file:
        file.write("x" * 99 + "\n")
        assert store.warnings() == []
    assert (tmp_path / "some.jsonl").stat().st_size == 100
