"""The summary: which figures it takes from the results, beside which targets, in which words."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from rich.console import Console

from glomers.challenges import CHALLENGES, Challenge, Target, find
from glomers.errors import UsageError
from glomers.history import edn
from glomers.invocation import shown
from glomers.report import summary
from glomers.report.summary import Row, render
from glomers.run.figures import figures as figures_of
from glomers.run.figures import of_kept
from glomers.run.reasons import reasons
from glomers.workloads import WORKLOADS

HISTORIES = Path(__file__).parents[1] / "histories"


def recorded(case):
    """The results of a run of real Maelstrom."""
    file = HISTORIES / case / "results.edn"
    if file.exists():
        return edn.loads(file.read_text("utf-8"))
    return edn.loads(gzip.decompress(file.with_suffix(".edn.gz").read_bytes()).decode())


def workload_of(case):
    words = (HISTORIES / case / "command").read_text().split()
    return words[words.index("-w") + 1]


def rows(results, challenge=None, workload=None):
    return summary.rows(figures_of(results, workload), challenge)


def figures(results, workload=None):
    """The figures in words: name -> value, and what is remarked."""
    found = rows(results, workload=workload)
    return {row.figure: f"{row.value} {row.remark}".strip() for row in found}


def printed(results, path=None, challenge=None, workload=None, **settings):
    out = io.StringIO()
    settings.setdefault("force_terminal", False)
    console = Console(file=out, highlight=False, **settings)
    told = figures_of(results, workload), reasons(results, workload)
    render(results, *told, path, challenge, console)
    return out.getvalue()


def main(arguments):
    return summary.main(arguments, of_kept)


# The figures of each workload, as Maelstrom found them


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            "bcast-lossy-part",
            {
                "operations": "198 198 ok, 0 fail, 0 info",
                "availability": "100 %",
                "server messages per operation": "1.92",
                "values": "95",
                "values lost": "24 4 6 9 13 15 21 26 28 30 33 35 40 71 72 75 78 79 81 82 84 "
                "and 4 more",
                "stable latency median": "12,457 ms",
                "stable latency 95 %": "29,293 ms",
                "stable latency max": "29,834 ms",
            },
        ),
        (
            "gc-race",
            {
                "operations": "256 256 ok, 0 fail, 0 info",
                "availability": "100 %",
                "server messages per operation": "2.58",
                "final reads that are wrong": "3",
                "final reads": "100 108 108",
                "acceptable": "142",
            },
        ),
        (
            "kafka-skip",
            {
                "operations": "1,541 1,536 ok, 0 fail, 5 info",
                "availability": "99.67 %",
                "server messages per operation": "1.90",
                "kinds of log errors": "1 poll-skip×1",
                "worst lag of a poll": "21 ms of key 25",
            },
        ),
        (
            "txn-g1b-rc",
            {
                "operations": "1,688 1,688 ok, 0 fail, 0 info",
                "availability": "100 %",
                "server messages per operation": "0.75",
                "kinds of anomalies": "1 G1b×24",
                "models that do not hold": "read-committed",
            },
        ),
        (
            "lin-lww",
            {
                "operations": "328 196 ok, 132 fail, 0 info",
                "availability": "59.75 %",
                "server messages per operation": "2.00",
                "keys that are not linearizable": "2 0 1",
            },
        ),
        (
            "echo-wrong",
            {
                "operations": "108 108 ok, 0 fail, 0 info",
                "availability": "100 %",
                "server messages per operation": "0.00",
                "wrong answers": '31 sent "Please echo 14", got "Please echo 14!"',
            },
        ),
    ],
)
def test_figures(case, expected):
    assert figures(recorded(case), workload_of(case)) == expected


@pytest.mark.parametrize("case", sorted(folder.name for folder in HISTORIES.iterdir()))
def test_results_that_do_not_name_their_workload_have_the_same_figures(case):
    results = recorded(case)
    assert figures_of(results, None) == figures_of(results, workload_of(case))


def test_figures_of_unique_ids():
    found = figures(recorded("uid-dup"), "unique-ids")
    assert found["ids given"] == "1,533"
    assert found["ids given twice"].startswith("68 7252×2 8363×2 ")
    assert found["ids given twice"].endswith(" and 28 more")


def test_figures_of_what_went_wrong_beside_lost_values():
    found = figures(
        {
            "workload": {
                "attempt-count": 3,
                "lost-count": 0,
                "lost": (),
                "never-read-count": 2,
                "never-read": (1, 2),
                "duplicated-count": 1,
                "duplicated": {3: 4},
            }
        },
        "broadcast",
    )
    assert found["values lost"] == "0"
    assert found["values never read"] == "2 1 2"
    assert found["values read twice"] == "1 3×4"


def test_kinds_of_anomalies_are_counted_but_not_what_leaves_everything_open():
    anomalies = {"G0": [{}, {}], "empty-transaction-graph": True, "cyclic": []}
    workload = {"anomaly-types": list(anomalies), "anomalies": anomalies}
    found = figures({"workload": workload}, "txn-list-append")
    assert found == {"kinds of anomalies": "2 G0×2, cyclic"}


def test_bytes_if_the_engine_counts_them():
    servers = {"msgs-per-op": 1.5, "bytes-per-op": 1234.5}
    assert figures({"net": {"servers": servers}}) == {
        "server messages per operation": "1.50",
        "server bytes per operation": "1,234.50",
    }


def test_several_acceptable_counts():
    workload = {"errors": None, "final-reads": (4,), "acceptable": ([1, 3], [5, 5])}
    assert figures({"workload": workload}, "g-counter")["acceptable"] == "1 to 3 or 5"


@pytest.mark.parametrize("workload", [None, *WORKLOADS])
def test_checkers_that_broke_off_have_no_figures(workload):
    broken = {"valid?": "unknown", "error": "a mistake of the workbench"}
    parts = dict.fromkeys(("stats", "availability", "workload"), broken)
    assert rows({"valid?": "unknown", **parts}, workload=workload) == []
    assert rows({"valid?": True, "workload": {"valid?": True}}, workload=workload) == []


@pytest.mark.parametrize(
    ("fraction", "words"),
    [(1.0, "100 %"), (0.99999, "99.99 %"), (0.57, "57 %"), (0.97, "97 %"), (0, "0 %")],
)
def test_availability_is_never_rounded_up(fraction, words):
    assert figures({"availability": {"ok-fraction": fraction}}) == {"availability": words}


# Targets


def test_targets_stand_beside_their_figures():
    results = {
        "availability": {"ok-fraction": 0.5},
        "net": {"servers": {"msgs-per-op": 30.0}},
        "workload": {
            "attempt-count": 9,
            "lost-count": 0,
            "lost": (),
            "never-read-count": 0,
            "duplicated-count": 0,
            "stable-latencies": {0: 0, 0.5: 399, 0.95: 599, 0.99: 600, 1: 600},
        },
    }
    assert rows(results, find("3d"), "broadcast") == [
        Row("availability", "50 %", ""),
        Row("server messages per operation", "30.00", "", "< 30", False),
        Row("values", "9", ""),
        Row("values lost", "0", "", "= 0", True),
        Row("stable latency median", "399 ms", "", "< 400 ms", True),
        Row("stable latency 95 %", "599 ms", ""),
        Row("stable latency max", "600 ms", "", "< 600 ms", False),
    ]


@pytest.mark.parametrize(
    ("challenge", "case"),
    [
        ("2", "uid-dup"),
        ("3c", "bcast-lossy-part"),
        ("3e", "bcast-lossy-part"),
        ("4", "gc-race"),
        ("5c", "kafka-skip"),
        ("6c", "txn-g1b-rc"),
    ],
)
def test_every_target_of_a_challenge_finds_its_figure(challenge, case):
    results = recorded(case)
    found = [row.figure for row in rows(results, find(challenge), workload_of(case)) if row.target]
    assert sorted(found) == sorted(target.figure for target in find(challenge).targets)


def test_a_target_without_its_figure_is_not_reached_by_silence():
    assert rows({}, find("3d")) == []
    assert "Targets missed" not in printed({"valid?": True}, None, "3d")


def test_challenges_have_names_of_their_own_and_are_found_in_any_case():
    assert len({challenge.name for challenge in CHALLENGES}) == len(CHALLENGES)
    assert find("3C") is find("3c")
    with pytest.raises(UsageError, match="there is no challenge '7'"):
        find("7")


def test_a_challenge_can_not_ask_for_what_it_does_not_run():
    for challenge in CHALLENGES:
        total = Target("availability", "=", 1) in challenge.targets
        assert total == all("--availability total" in c for c in challenge.commands)
    assert isinstance(find("1"), Challenge)


# As it is printed


def test_verdict_first_then_the_figures_then_where_it_is_kept():
    assert (
        printed(recorded("bcast-lossy-part"), Path("store/x"), "3d", "broadcast")
        == """
Analysis invalid! (ﾉಥ益ಥ）ﾉ ┻━┻
Not valid: 24 values were lost: 4 6 9 13 15 21 26 28 30 33 35 40 71 72 75 78 79 81 82 84 and 4 more
Targets missed: values lost 24, target = 0; stable latency median 12,457 ms, target < 400 ms; \
stable latency max 29,834 ms, target < 600 ms

  operations                           198  198 ok, 0 fail, 0 info
  availability                       100 %
  server messages per operation       1.92  target < 30: reached
  values                                95
  values lost                           24  target = 0: missed
                                            4 6 9 13 15 21 26 28 30 33 35 40 71 72 75 78 79 81 82 \
84 and 4 more
  stable latency median          12,457 ms  target < 400 ms: missed
  stable latency 95 %            29,293 ms
  stable latency max             29,834 ms  target < 600 ms: missed

Kept in store/x
"""
    )


def test_a_narrow_terminal_wraps_within_the_column():
    results = recorded("bcast-lossy-part")
    text = printed(
        results, None, None, "broadcast", width=64, force_terminal=True, color_system=None
    )
    column = text.index("198 ok") - text.rindex("\n", 0, text.index("198 ok"))
    assert "\n" + " " * (column - 1) + "30 33 35" in text
    rows = [line for line in text.splitlines() if line.startswith("  ")]
    assert max(map(len, rows)) <= 64


def test_a_terminal_gets_long_sentences_broken_between_words_and_a_file_gets_them_whole():
    text = "raised ValueError: " + "longer and longer " * 10 + "in echo (mine.py:9)"
    incident = {"kind": "exception", "text": text, "count": 1, "nodes": {"n1": 1}, "first": {}}
    results = {"valid?": False, "incidents": [incident]}
    terminal = {"width": 40, "force_terminal": True, "color_system": None}
    first, *rest = printed(results, **terminal).splitlines()[2:]
    assert first.startswith("  n1 raised")
    assert len(rest) > 3
    assert all(line.startswith("    ") and len(line) <= 40 for line in rest)
    assert " ".join([first.strip(), *map(str.strip, rest)]) == f"n1 {text}"
    assert f"\n  n1 {text}\n" in printed(results, width=40)


def test_what_is_business_as_usual_stands_below_the_figures_of_a_valid_test():
    text = "answered 'read' with error 20 (key-does-not-exist)"
    first = {"time": 0, "line": "key does not exist"}
    incident = {"kind": "error", "text": text, "count": 1, "nodes": {"seq-kv": 1}, "first": first}
    results = {**recorded("gc-good"), "incidents": [incident]}
    shown = printed(results, workload="g-counter")
    assert shown.index("availability") < shown.index("(usual before the first write)")


def test_a_terminal_gets_colours_and_a_file_does_not():
    results = {"valid?": False}
    assert "\x1b[1;31mAnalysis" in printed(results, force_terminal=True, color_system="standard")
    assert "\x1b" not in printed(results)


@pytest.mark.parametrize(
    ("valid", "verdict"),
    [
        (True, "Everything looks good! ヽ(‘ー`)ノ"),
        (False, "Analysis invalid! (ﾉಥ益ಥ）ﾉ ┻━┻"),
        ("unknown", "Errors occurred during analysis, but no anomalies found. ಠ~ಠ"),
    ],
)
def test_the_verdict_is_maelstroms(valid, verdict):
    assert printed({"valid?": valid}).strip() == verdict


def test_what_was_not_found_valid_and_why():
    kinds = {
        "read": {"count": 3, "ok-count": 0},
        "write": {"count": 3, "ok-count": 1},
        "cas": {"count": 3, "ok-count": 0},
    }
    counts = {"count": 9, "ok-count": 1, "fail-count": 8, "info-count": 0}
    results = {
        "stats": {"valid?": False, "by-f": kinds, **counts},
        "availability": {"valid?": False, "ok-fraction": 0.1},
        "perf": {"valid?": True},
        "workload": {"valid?": "unknown"},
        "valid?": False,
    }
    why = "no read and no cas succeeded; only 10 % of the operations succeeded; workload"
    assert f"\nNot valid: {why}\n" in printed(results)


def test_an_error_that_ended_the_test_is_told():
    results = {"valid?": False, "error": "Node n1 died\n    [bold]its last words[/]"}
    assert "\nNode n1 died\n    [bold]its last words[/]\n" in printed(results)


def test_what_ended_before_its_time_has_missed_no_target_yet():
    workload = {"valid?": False, "attempt-count": 9, "lost-count": 3, "lost": [1, 2, 3]}
    workload |= {"never-read-count": 0, "duplicated-count": 0}
    whole = {"valid?": False, "workload": workload}
    assert "target = 0: missed" in printed(whole, challenge="3c", workload="broadcast")
    ended = {**whole, "valid?": "unknown", "error": "interrupted"}
    ended = printed(ended, challenge="3c", workload="broadcast")
    assert "interrupted" in ended
    assert "values lost" in ended
    assert "target" not in ended.lower()
    assert "Not valid" not in ended


def test_values_of_a_node_can_not_disturb_the_screen():
    workload = {
        "acknowledged-count": 2,
        "duplicated-count": 1,
        "duplicated": {"[red]\x1b[2J" + "x" * 99: 2},
    }
    text = printed({"valid?": False, "workload": workload}, workload="unique-ids")
    assert "\x1b" not in text
    assert "[red]" in text
    assert "x" * 50 not in text


# The command


def test_the_summary_of_a_test_that_was_kept(capsys):
    folder = HISTORIES / "kafka-skip"
    assert main([str(folder), "--challenge", "5a"]) == 1
    text = capsys.readouterr().out
    assert "target = 0: missed" in text
    assert f"Kept in {shown(folder)}" in text


@pytest.mark.parametrize(("valid", "status"), [("true", 0), ("false", 1), (":unknown", 2)])
def test_the_summary_ends_with_the_verdicts_status(tmp_path, valid, status):
    (tmp_path / "results.edn").write_text(f"{{:valid? {valid}}}")
    assert main([str(tmp_path)]) == status


def keep(folder, text):
    folder.mkdir(parents=True)
    (folder / "results.edn").write_text(text)
    return [str(folder)]


def test_the_folder_of_a_kept_test_says_which_workload_it_was(tmp_path, capsys):
    count = (
        "{:valid? true, :workload {:valid? true, :errors nil, :final-reads [7], :acceptable []}}"
    )
    main(keep(tmp_path / "g-counter" / "20260101T000000", count))
    assert "final reads that are wrong" in capsys.readouterr().out
    (tmp_path / "g-counter" / "latest").symlink_to("20260101T000000")
    main([str(tmp_path / "g-counter" / "latest")])
    assert "final reads that are wrong" in capsys.readouterr().out


def test_results_of_another_workload_than_the_folders_are_refused(tmp_path):
    ids = "{:valid? true, :workload {:valid? true, :acknowledged-count 7}}"
    with pytest.raises(UsageError, match=r"holds no results of a test: KeyError.'errors'"):
        main(keep(tmp_path / "g-counter" / "1", ids))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "can't read .*results.edn: No such file"),
        ("{:valid? ", "results.edn holds no resul"),
        ("7", "results.edn holds no results: expected a map"),
        ("{}", "expected a map with a verdict as its :valid?"),
        ("{:valid? {}}", "expected a map with a verdict as its :valid?"),
        ("{:valid? true, :stats 7}", "results.edn holds no results of a test"),
    ],
)
def test_no_results_is_one_sentence(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "results.edn").write_text(text)
    with pytest.raises(UsageError, match=sentence):
        main([str(tmp_path)])
