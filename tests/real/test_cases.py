"""Small nodes, each with one habit that real nodes have: which are right, and what is said of the
rest.

They were run on real Maelstrom as well. Where it breaks down itself, the verdict is our judgement.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from glomers.cli import main

CASES = Path(__file__).parents[1] / "cases"


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run a case as processes; return the exit status and what was printed."""
    monkeypatch.setattr("glomers.run.drive.RECOVERY", 0.1)
    monkeypatch.setattr("glomers.workloads.base.Workload.request_timeout", 1.0)

    def run(name: str, workload: str, nodes: int, *flags: str) -> tuple[int, str]:
        command = ["test", "-w", workload, "--node-count", str(nodes), "--rate", "20"]
        command += ["--time-limit", "0.6", "--store", str(tmp_path), "--bin", sys.executable]
        status = main([*command, *flags, "--", "-IS", str(CASES / f"{name}.py")])
        return status, capfd.readouterr().out

    return run


@pytest.mark.parametrize(
    ("name", "workload", "nodes"),
    [
        ("kv_null_reply", "broadcast", 1),
        ("null_list", "broadcast", 1),
        ("forward_as_client", "echo", 2),
        ("init_extra", "echo", 1),
        ("service_type_list", "echo", 1),
    ],
)
def test_a_node_that_maelstrom_takes_is_taken(run, name, workload, nodes):
    status, output = run(name, workload, nodes)
    assert "Everything looks good!" in output
    assert status == 0


def test_a_refusal_by_a_service_is_told_and_counts_if_the_test_is_strict(run):
    status, output = run("service_type_list", "echo", 1, "--strict")
    assert "n0 sent a service a request that it refused, with an error (lin-kv" in output
    assert "(lin-kv: request type [] is not supported" in output
    assert '"dest": "lin-kv", "body": {"type": [], "msg_id": 1}}' in output
    assert status == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("top_extra", ["with `trace` beside `src`, `dest` and `body`", '"trace": "abc"']),
        ("top_id_null", ["whose `id` is null, which is no integer", '"id": null']),
        ("echo_extra", ["of the wrong shape: `node` is not expected", '"node": "n0"']),
        ("reply_as_string", ["whose `in_reply_to` is no integer", '"in_reply_to": "1"']),
        (
            "before_init",
            ["`src` is null, which is no string. It had not been initialised yet", "hello"],
        ),
        ("nested", ["nested too deeply: more than 500 levels", '"echo": [[[[']),
    ],
)
def test_a_node_that_is_wrong_is_told_why_and_its_line_is_quoted(run, name, words):
    status, output = run(name, "echo", 1)
    assert all(word in output for word in words), output
    assert status == 1


def test_a_missing_newline_is_named(run, monkeypatch):
    # The node has to be running by then.
    monkeypatch.setattr("glomers.world.setup.INIT_TIMEOUT", 5.0)
    status, output = run("no_newline", "echo", 1)
    assert status == 1
    assert "did not answer init within 5 s." in output
    assert "ends with a line that has no newline, so it was never read" in output
    assert '{"src": "n0", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1}}' in output


def test_every_case_is_tried():
    source = Path(__file__).read_text()
    assert all(f'"{case.stem}"' in source for case in CASES.glob("*.py"))
