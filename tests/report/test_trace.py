"""The Chrome trace of a test: it has the format's form, and tells what happened."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from glomers.cli import main
from glomers.report import trace
from glomers.run.kept import collected
from tests.report.pages import became, kept, sent, written

MS = 1_000_000  # nanoseconds
PHASES = set("MBEXisf")


def checked(text: str) -> list[dict]:
    """The events of a trace, which is as the format's description says."""
    whole = json.loads(text, parse_constant=lambda name: 1 / 0)
    events = whole["traceEvents"]
    for event in events:
        assert event["ph"] in PHASES, event
        for field in ("ts", "pid", "tid"):
            assert type(event[field]) is int, event
            assert event[field] >= 0, event
        assert event["ph"] == "E" or event["name"], event
        if event["ph"] == "X":
            assert event["dur"] >= 0, event
        if event["ph"] == "i":
            assert event["s"] in ("p", "t"), event
    check_names(events)
    check_slices_and_flows(events)
    return events


def check_names(events):
    """Processes and threads have names, before anything else is told of them."""
    named = set()
    for event in events:
        place = event["pid"], event["tid"]
        if event["ph"] == "M":
            named.add(place)
        else:
            assert place in named, event
            assert (event["pid"], 0) in named, event


def check_slices_and_flows(events):
    """Slices of a thread don't overlap; flows go from an open slice forwards to an open slice.

    Viewers sort by time; what has the same time stays in the order of the file.
    """
    open_slices = Counter()
    begun, ended = {}, {}
    for event in sorted(events, key=lambda event: event["ts"]):
        place = event["pid"], event["tid"]
        match event["ph"]:
            case "B":
                assert open_slices[place] == 0, event
                open_slices[place] += 1
            case "E":
                assert open_slices[place] == 1, event
                open_slices[place] -= 1
            case "s":
                assert open_slices[place] == 1, event
                assert event["id"] not in begun, event
                begun[event["id"]] = event
            case "f":
                assert open_slices[place] == 1, event
                assert event["id"] in begun, event
                assert event["id"] not in ended, event
                assert event["bp"] == "e"
                ended[event["id"]] = event
    assert begun.keys() == ended.keys()


def traced(folder):
    trace.write(collected(folder), folder / "trace.json")
    return checked((folder / "trace.json").read_text())


def slices(events):
    """What the trace shows: process, thread, name, beginning and end (microseconds)."""
    names = {
        (event["name"], event["pid"], event["tid"]): event["args"].get("name")
        for event in events
        if event["ph"] == "M"
    }
    found, open_slices = [], {}
    for event in events:
        pid, tid = event["pid"], event["tid"]
        where = names["process_name", pid, 0], names.get(("thread_name", pid, tid))
        if event["ph"] == "X":
            found.append((*where, event["name"], event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] == "B":
            open_slices[where] = event["name"], event["ts"]
        elif event["ph"] == "E":
            found.append((*where, *open_slices.pop(where), event["ts"]))
        elif event["ph"] == "i":
            found.append((*where, event["name"], event["ts"], event["ts"]))
    return found


def request_and_answer(src="c1", dest="n0", sent_at=0, arrives=2, answered=5, returns=9, first=1):
    """An echo as the journal has it; times are in milliseconds."""
    return [
        sent(sent_at * MS, first, src, dest, type="echo", msg_id=first),
        became("recv", arrives * MS, first),
        sent(answered * MS, first + 1, dest, src, type="echo_ok", in_reply_to=first),
        became("recv", returns * MS, first + 1),
    ]


def test_a_handler_lasts_from_the_receipt_of_a_request_to_the_sending_of_its_answer(tmp_path):
    events = traced(written(tmp_path / "echo" / "run", request_and_answer()))
    assert ("n0", "handlers", "echo from c1", 2000, 5000) in slices(events)


def test_a_wait_lasts_from_the_sending_of_a_request_to_the_receipt_of_its_answer(tmp_path):
    events = traced(written(tmp_path / "echo" / "run", request_and_answer()))
    assert ("clients", "c1 waits", "echo to n0", 0, 9000) in slices(events)
    events = traced(written(tmp_path / "echo" / "other", request_and_answer("n1", "n0")))
    assert ("n1", "waits", "echo to n0", 0, 9000) in slices(events)


def test_a_message_is_a_flow_from_sending_to_receipt(tmp_path):
    events = traced(written(tmp_path / "echo" / "run", request_and_answer()))
    flows = [(e["ph"], e["name"], e["ts"]) for e in events if e["ph"] in "sf"]
    assert sorted(flows) == [
        ("f", "echo", 2000),
        ("f", "echo_ok", 9000),
        ("s", "echo", 0),
        ("s", "echo_ok", 5000),
    ]


def test_what_a_node_does_at_the_same_time_stands_on_threads_of_its_own(tmp_path):
    journal = sorted(
        [
            *request_and_answer(arrives=1, answered=9, returns=10, first=1),
            *request_and_answer("c2", arrives=2, answered=3, returns=4, first=3),
            *request_and_answer("c3", sent_at=4, arrives=5, answered=6, returns=7, first=5),
        ],
        key=lambda event: event["time"],
    )
    found = slices(traced(written(tmp_path / "echo" / "run", journal)))
    assert [slice for slice in sorted(found) if slice[0] == "n0"] == [
        ("n0", "handlers", "echo from c1", 1000, 9000),
        ("n0", "handlers 2", "echo from c2", 2000, 3000),
        ("n0", "handlers 2", "echo from c3", 5000, 6000),
    ]


def test_a_message_without_an_answer_is_a_point_where_it_is_sent_and_received(tmp_path):
    journal = [sent(MS, 1, "n0", "n1", type="gossip"), became("recv", 3 * MS, 1)]
    assert slices(traced(written(tmp_path / "echo" / "run", journal))) == [
        ("n0", "messages", "gossip to n1", 1000, 1000),
        ("n1", "messages", "gossip from n0", 3000, 3000),
    ]


def test_a_message_that_is_lost_is_no_flow_and_says_so(tmp_path):
    journal = [sent(MS, 1, "n0", "n1", type="gossip"), became("cut", 3 * MS, 1)]
    events = traced(written(tmp_path / "echo" / "run", journal))
    assert [e["args"]["fate"] for e in events if e["ph"] == "B"] == ["cut"]
    assert not [e for e in events if e["ph"] in "sf"]


def test_each_copy_of_a_message_is_a_flow(tmp_path):
    journal = [
        *(sent(MS, 1, "n0", "n1", type="gossip"), became("recv", 3 * MS, 1)),
        became("recv", 4 * MS, 1),
    ]
    events = traced(written(tmp_path / "echo" / "run", journal))
    assert len({event["id"] for event in events if event["ph"] == "f"}) == 2


def test_a_message_is_shown_as_its_sender_wrote_it(tmp_path):
    journal = [sent(MS, 1, "n0", "n1", type="gossip", text="</script>\u2028\x1b[31m")]
    (begun,) = [e for e in traced(written(tmp_path / "e" / "run", journal)) if e["ph"] == "B"]
    assert json.loads(begun["args"]["message"]) == journal[0]["message"]


def test_what_was_before_the_load_has_no_negative_time(tmp_path):
    journal = request_and_answer(sent_at=-5, arrives=-4, answered=-3, returns=-2)
    found = slices(traced(written(tmp_path / "echo" / "run", journal)))
    assert ("n0", "handlers", "echo from c1", 1000, 2000) in found


def test_an_operation_is_a_slice_of_its_process(tmp_path):
    history = "".join(
        json.dumps({"index": n, "time": time, "type": type, "process": 3, "f": "echo", "value": 1})
        + "\n"
        for n, (time, type) in enumerate([(2 * MS, "invoke"), (7 * MS, "info")])
    )
    events = traced(written(tmp_path / "echo" / "run", [], history))
    assert slices(events) == [("clients", "process 3", "echo", 2000, 7000)]
    assert [e["args"]["outcome"] for e in events if e["ph"] == "X"] == ["info"]


def test_a_whole_test_with_faults_has_the_form(tmp_path):
    folder = kept(tmp_path, "3d", time_limit=6, nemesis=("partition", "kill"), nemesis_interval=2)
    run = collected(folder)
    found = slices(traced(folder))
    by_process = defaultdict(Counter)
    for process, _, name, *_ in found:
        by_process[process][name.partition(" ")[0]] += 1
    assert by_process["clients"]["broadcast"] > 0
    assert {name.partition(" ")[0] for name in by_process["faults"]} == {"partition", "kill"}
    operations = [slice for slice in found if slice[1].startswith("process ")]
    assert len(operations) == sum(1 for _ in run.history.pairs())


NODES = st.sampled_from(["n0", "n1", "seq-kv", "c1", "c2"])
JOURNALS = st.lists(
    st.tuples(
        st.integers(0, 3),  # how long after the last
        NODES,
        NODES,
        st.none() | st.integers(0, 3),  # msg_id
        st.none() | st.integers(0, 3),  # in_reply_to
        st.lists(st.tuples(st.sampled_from(["recv", "lost"]), st.integers(0, 4)), max_size=3),
    ),
    max_size=12,
)


@given(JOURNALS)
def test_any_journal_makes_a_trace_of_the_right_form(tmp_path_factory, journal):
    events, now = [], 0
    for id, (pause, src, dest, msg_id, reply, becomes) in enumerate(journal):
        now += pause
        ids = {"msg_id": msg_id, "in_reply_to": reply}
        body = {key: value for key, value in ids.items() if value is not None}
        events.append(sent(now * 1000, id, src, dest, type="m", **body))
        events += [became(event, (now + took) * 1000, id) for event, took in becomes]
    events.sort(key=lambda event: event["time"])
    folder = written(tmp_path_factory.mktemp("trace") / "echo" / "run", events)
    (folder / "history.jsonl").write_text("")
    found = traced(folder)
    received = sum(event == "recv" for *_, becomes in journal for event, _ in becomes)
    assert sum(event["ph"] == "f" for event in found) == received


def test_the_command_writes_it_beside_the_results_or_elsewhere(tmp_path, capsys):
    folder = written(tmp_path / "echo" / "run", request_and_answer())
    assert main(["report", str(folder), "--trace"]) == 0
    assert capsys.readouterr().out.strip().endswith("trace.json")
    assert main(["report", str(folder), "--trace", "--out", str(tmp_path)]) == 0
    assert (folder / "trace.json").read_text() == (tmp_path / "trace.json").read_text()
    assert not (folder / "report.html").exists()


def test_a_place_for_it_that_is_not_there_is_refused(tmp_path, capsys):
    folder = written(tmp_path / "echo" / "run", [])
    assert main(["report", str(folder), "--trace", "--out", str(tmp_path / "none")]) == 254
    assert "there is no folder" in capsys.readouterr().err
    assert main(["report", str(folder), "--out", str(tmp_path)]) == 254
    assert "--out is for --trace and --png" in capsys.readouterr().err
