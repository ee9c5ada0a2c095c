"""Scripts to copy: with the library beside them or inside, and a new node with its test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from glomers import copies
from glomers.challenges import CHALLENGES
from glomers.cli import main

ROOT = Path(__file__).parent.parent
LIBRARY = (ROOT / "maelstrom_node.py").read_text()
PATIENCE = 60  # seconds; only a hang takes them

# A request for each script's node, and the type of the answer.
REQUESTS = {
    "1": ({"type": "echo", "echo": 1}, "echo_ok"),
    "2": ({"type": "generate"}, "generate_ok"),
    "3": ({"type": "read"}, "read_ok"),
    "4": ({"type": "topology"}, "error"),
    "5": ({"type": "poll", "offsets": {}}, "poll_ok"),
    "6": ({"type": "txn", "txn": [["r", 1, None]]}, "txn_ok"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def converse(script: Path, body: dict) -> list[str]:
    """The types of what a node answers to init and to a request. It may ask lin-tso meanwhile."""
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=script.parent,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert process.stdin
    assert process.stdout

    def send(src: str, **body: Any) -> None:
        line = json.dumps({"src": src, "dest": "n0", "body": body})
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()

    hang = Timer(PATIENCE, process.kill)
    hang.start()
    types: list[str] = []
    init = {"type": "init", "node_id": "n0", "node_ids": ["n0"]}
    try:
        for request in (init, body):
            send("c1", **request, msg_id=len(types) + 1)
            for line in process.stdout:
                message = json.loads(line)
                if message["dest"] == "c1":
                    types.append(message["body"]["type"])
                    break
                assert message["dest"] == "lin-tso"
                send("lin-tso", type="ts_ok", ts=1, in_reply_to=message["body"]["msg_id"])
    finally:
        hang.cancel()
        process.kill()
        process.communicate()
    return types


def test_every_challenge_has_a_script_and_every_script_a_request_here():
    assert {challenge.name.rstrip("abcde") for challenge in CHALLENGES} == set(REQUESTS)


@pytest.mark.parametrize("how", [[], ["--single-file"]], ids=["beside the library", "alone"])
@pytest.mark.parametrize("number", REQUESTS)
def test_a_copy_runs_by_itself(number, how, here):
    request, answer = REQUESTS[number]
    assert main(["copy", number, "mine", *how]) == 0
    script = copies.script_of(number).name
    assert files(here / "mine") == sorted([script] if how else [script, "maelstrom_node.py"])
    assert os.access(here / "mine" / script, os.X_OK)
    assert converse(here / "mine" / script, request) == ["init_ok", answer]


def test_a_challenge_may_be_named_by_its_number_alone_or_in_full():
    assert {copies.script_of(name).name for name in ("3", "3a", "3E")} == {"broadcast.py"}


def test_flags_may_stand_before_the_folder_and_after_it(here):
    assert main(["copy", "1", "--single-file", "before"]) == 0
    assert main(["copy", "1", "after", "--single-file"]) == 0
    assert [path.name for path in (here / "before").iterdir()] == ["echo.py"]
    assert [path.name for path in (here / "after").iterdir()] == ["echo.py"]


def test_copies_of_two_challenges_share_the_library(here):
    assert main(["copy", "1"]) == 0
    assert main(["copy", "3"]) == 0
    assert files(here) == ["broadcast.py", "echo.py", "maelstrom_node.py"]


class TestAFileInTheWay:
    @pytest.mark.parametrize("name", ["echo.py", "maelstrom_node.py"])
    def test_is_named_and_nothing_is_written(self, name, here, capsys):
        (here / name).write_text("mine")
        assert main(["copy", "1"]) == 254
        assert f"{name} is there already; --force overwrites it" in capsys.readouterr().err
        assert files(here) == [name]
        assert (here / name).read_text() == "mine"

    def test_is_overwritten_by_force(self, here):
        (here / "echo.py").write_text("mine")
        assert main(["copy", "1", "--force"]) == 0
        assert (here / "echo.py").read_text() == (ROOT / "echo.py").read_text()

    def test_may_be_a_dangling_link_or_a_folder(self, here, capsys):
        (here / "echo.py").symlink_to("nowhere")
        assert main(["copy", "1"]) == 254
        (here / "unique_ids.py").mkdir()
        assert main(["copy", "2"]) == 254
        assert main(["copy", "2", "--force"]) == 254
        assert "can't write unique_ids.py: Is a directory" in capsys.readouterr().err
        assert files(here) == ["echo.py", "unique_ids.py"]

    def test_is_the_link_and_not_what_it_leads_to(self, here):
        (here / "precious").write_text("mine")
        (here / "echo.py").symlink_to("precious")
        assert main(["copy", "1", "--force"]) == 0
        assert (here / "precious").read_text() == "mine"
        assert (here / "echo.py").read_text() == (ROOT / "echo.py").read_text()

    def test_is_in_the_way_of_a_new_node_too(self, here, capsys):
        (here / "test_mine.py").write_text("mine")
        assert main(["new", "mine"]) == 254
        assert "test_mine.py is there already" in capsys.readouterr().err


class TestASingleFile:
    def test_leaves_out_what_the_script_does_not_need(self):
        text = copies.joined((ROOT / "echo.py").read_text(), LIBRARY)
        assert "class Node" in text
        assert "class Replication" not in text
        text = copies.joined((ROOT / "broadcast.py").read_text(), LIBRARY)
        assert "class Replication" in text

    def test_is_the_scripts_docstring_the_library_and_the_script(self):
        script = (ROOT / "echo.py").read_text()
        text = copies.joined(script, LIBRARY)
        docstring, _, body = script.partition("from maelstrom_node import Node\n")
        assert text.startswith(docstring)
        assert text.endswith(body.lstrip("\n"))
        assert "Licence: MIT" in text
        assert "maelstrom_node import" not in text
        assert max(map(len, text.splitlines())) <= 100

    @pytest.mark.parametrize(
        "line", ["time = 0", "def quote(): pass", "from json import loads as dumps", "Node = 1"]
    )
    def test_can_not_have_a_name_that_means_two_things(self, line):
        library = f"{LIBRARY}\n\ndef quote():\n    pass\n"
        script = f'"""A node."""\nfrom maelstrom_node import Node, RPCError\n{line}\n'
        with pytest.raises(copies.UsageError, match="can't share a file: both have a global '"):
            copies.joined(script, library)

    def test_may_import_what_the_library_imports(self):
        script = '"""A node."""\nimport threading\nfrom maelstrom_node import Node\n'
        assert "import threading" in copies.joined(script, LIBRARY)


class TestANewNode:
    def test_runs_by_itself(self, here):
        assert main(["new", "mine.py"]) == 0
        assert files(here) == ["maelstrom_node.py", "mine.py", "test_mine.py"]
        assert os.access(here / "mine.py", os.X_OK)
        assert converse(here / "mine.py", {"type": "echo", "echo": 1}) == ["init_ok", "echo_ok"]

    @pytest.mark.parametrize("name", ["my-node", "2nd", "", "a/b", "class"])
    def test_has_a_name_that_python_can_import(self, name, here, capsys):
        assert main(["new", name]) == 254
        assert f"{name!r} can't name a script" in capsys.readouterr().err
        assert files(here) == []

    @pytest.mark.parametrize("name", ["queue", "maelstrom_node", "glomers", "ujson"])
    def test_hides_no_module_that_it_needs(self, name, here, capsys):
        assert main(["new", name]) == 254
        assert f"{name!r} is the name of a module that nodes need" in capsys.readouterr().err
        assert files(here) == []


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["copy", "7"], "there is no challenge '7'"),
        (["copy"], "the following arguments are required: CHALLENGE"),
        (["copy", "1", "--singel-file"], "did you mean --single-file?"),
        (["new"], "the following arguments are required: NAME"),
    ],
)
def test_a_mistake_is_told(command, sentence, here, capsys):
    assert main(command) == 254
    assert sentence in capsys.readouterr().err
    assert files(here) == []
