"""The verdict on lin-kv: every key by itself, beside Maelstrom's."""

from __future__ import annotations

from pathlib import Path

import pytest

from glomers.checkers import lin_kv
from glomers.history import edn
from glomers.history.operations import History, Operation, read_history
from glomers.options import Options

HISTORIES = Path(__file__).parent.parent / "histories"


def history(*operations):
    """(process, type, f, value) each."""
    return History(
        Operation(index, index, type, process, f, value)
        for index, (process, type, f, value) in enumerate(operations)
    )


def write(key, value):
    return [(0, "invoke", "write", [key, value]), (0, "ok", "write", [key, value])]


def read(key, value):
    return [(0, "invoke", "read", [key, None]), (0, "ok", "read", [key, value])]


def check(*operations):
    return lin_kv.check(history(*operations), Options())


def test_keys_are_judged_by_themselves():
    result = check(*write(1, 7), *write(0, 8), *read(1, 7), *read(0, 7))
    assert result["valid?"] is False
    assert {key: found["valid?"] for key, found in result["results"].items()} == {0: False, 1: True}
    assert list(result["results"]) == [0, 1]
    assert result["failures"] == [0]


def test_a_failure_says_which_operation_contradicts_which_value():
    found = check(*write(0, 8), *read(0, 7))["results"][0]["linearizable"]
    assert found["op"]["index"] == 3
    assert found["previous-ok"]["index"] == 1
    assert found["configs"][0]["model"] == {"value": 8}
    assert found["final-paths"][0][-1]["model"]["msg"] == "can't read 7 from register 8"


def test_a_failed_cas_is_said_to_be_one():
    cas = [(0, "invoke", "cas", [0, [1, 2]]), (0, "ok", "cas", [0, [1, 2]])]
    found = check(*write(0, 8), *cas)["results"][0]["linearizable"]
    assert found["final-paths"][0][-1]["model"]["msg"] == "can't CAS 8 from 1 to 2"


def test_no_operations_are_no_failure():
    assert check() == {"valid?": True, "results": {}, "failures": []}


def test_an_exhausted_budget_makes_the_verdict_unknown(monkeypatch):
    monkeypatch.setattr(lin_kv, "BUDGET", 1)
    result = check(*write(0, 8), *read(0, 8))
    assert (result["valid?"], result["failures"]) == ("unknown", [])
    why = "too many concurrent operations: gave up after 1 configurations, at operation 1"
    assert result["results"][0]["linearizable"]["error"] == why
    assert result["error"] == f"key 0: {why}"


def test_reads_of_null_pass_but_are_a_warning():
    nulls = history(*write(0, 8), *read(0, None), *read(0, None))
    assert lin_kv.check(nulls, Options())["valid?"] is True
    (warning,) = lin_kv.warnings(nulls, Options())
    assert (warning["kind"], warning["count"]) == ("null-read", 2)
    assert warning["first"]["op"]["index"] == 3
    assert lin_kv.warnings(history(*write(0, 8), *read(0, 8)), Options()) == []


@pytest.mark.parametrize("case", ["lin-good", "lin-lww"])
def test_agreement_with_maelstrom(case):
    """The verdict, the keys, and in each what was found, where and with what before."""
    ours = edn.to_json(lin_kv.check(read_history(HISTORIES / case), Options()))
    results = edn.loads((HISTORIES / case / "results.edn").read_text("utf-8"))
    theirs = edn.to_json(results["workload"])
    assert ours["valid?"] == theirs["valid?"]
    assert ours["failures"] == theirs["failures"]
    assert ours["results"].keys() == theirs["results"].keys()
    for key, expected in theirs["results"].items():
        found = ours["results"][key]
        assert found["valid?"] == expected["valid?"]
        assert found["timeline"] == expected["timeline"]
        found, expected = found["linearizable"], expected["linearizable"]
        assert found.keys() == expected.keys()
        for name in ("valid?", "op", "previous-ok", "last-op"):
            assert found.get(name) == expected.get(name)
        for config, their_config in zip(found["configs"], expected["configs"], strict=True):
            assert config["model"] == their_config["model"]
            assert config["pending"] == their_config["pending"]
        for path, their_path in zip(found["final-paths"], expected["final-paths"], strict=True):
            assert path[-1] == their_path[-1]
