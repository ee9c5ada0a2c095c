"""Simulated clusters in tests: what a test can do and see, and how it fails."""

from __future__ import annotations

from pathlib import Path
from random import Random
from textwrap import dedent

import pytest
from hypothesis import find, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from glomers.errors import NodeError, UsageError
from glomers.testing import (
    CheckFailed,
    RequestError,
    Simulation,
    UnexpectedException,
    simulated,
)

pytest_plugins = ["pytester"]

HEAD = """
import sys, threading
from maelstrom_node import Node, RPCError
node = Node()
"""
RUN = "\nnode.run()\n"

PING = """
@node.on("ping")
def ping(message):
    return {"type": "ping_ok"}
"""
CRASH = """
values = {}
@node.on("get")
def get(message):
    return {"type": "get_ok", "value": values[message.body["key"]]}
"""
GOSSIP = """
@node.on("add")
def add(message):
    for peer in node.peers:
        node.send(peer, {"type": "gossip", "value": message.body["value"]})
    return {"type": "add_ok"}
@node.on("gossip")
def gossip(message):
    print("got", message.body["value"])
"""
ASK = """
@node.on("ask")
def ask(message):
    return {"type": "ask_ok", "got": node.rpc("n1", {"type": "look"}, timeout=1)["value"]}
"""


@pytest.fixture
def cluster(simulate, script):
    """A cluster of nodes with the given handlers."""

    def make(handlers: str, nodes: int = 1, **settings) -> Simulation:
        return simulate(script(HEAD + handlers + RUN), nodes, **settings)

    return make


# What nodes print


TALKS = """
@node.on("talk")
def talk(message):
    node.log("logged")
    node.sleep(1.234)
    print("printed", 1)
    sys.stderr.write("two\\nlines, ")
    sys.stderr.write("in pieces")
    return {"type": "talk_ok"}
"""


def test_what_a_node_prints_goes_to_captured_output_with_virtual_time_and_node(cluster, capsys):
    nodes = cluster(TALKS)
    nodes.request("n0", "talk")
    nodes.close()
    assert capsys.readouterr() == (
        "",
        "0.000 n0 | logged\n1.234 n0 | printed 1\n1.234 n0 | two\n1.234 n0 | lines, in pieces\n",
    )


def test_a_test_can_read_what_a_node_has_logged(cluster):
    nodes = cluster(GOSSIP, 3)
    nodes.request("n0", "add", value=7)
    nodes.advance(1)
    assert nodes.logs("n0") == ""
    assert nodes.logs("n1") == "got 7\n"
    assert nodes.logs() == "0.000 n1 | got 7\n0.000 n2 | got 7\n"


def test_text_that_is_no_unicode_can_be_printed(cluster, capsys):
    nodes = cluster("""
@node.on("talk")
def talk(message):
    node.log("\\ud800")
    return {"type": "talk_ok"}
""")
    nodes.request("n0", "talk")
    assert nodes.logs("n0") == "\ud800\n"
    assert capsys.readouterr().err == "0.000 n0 | \\ud800\n"


def test_what_a_killed_node_had_not_ended_is_in_its_log(cluster):
    nodes = cluster('sys.stderr.write("no newline")')
    nodes.restart("n0")
    assert nodes.logs("n0") == "no newline\n"


# What nodes raise


def test_an_exception_fails_the_next_step_of_the_test(cluster):
    nodes = cluster(CRASH)
    nodes.deliver("c1", "n0", "get", key="x")
    nodes.deliver("c1", "n0", "get", key="x")
    with pytest.raises(UnexpectedException) as caught:
        nodes.advance(1)
    first, second = str(caught.value).splitlines()
    assert first == "n0 raised KeyError: 'x' in get (node.py:9), 2 times"
    assert 'with cluster.expect_exception("n0", KeyError):' in second


@pytest.mark.parametrize(
    "code",
    [
        "node.every(0.1)(fail)",
        "node.on('init')(lambda message: node.spawn(fail))",
        "threading.Thread(target=fail).start()",
        "threading.Timer(0.1, fail).start()",
    ],
)
def test_wherever_a_node_raises_it_fails_the_test(cluster, code):
    with pytest.raises(UnexpectedException, match=r"n0 raised ZeroDivisionError.* in fail \(node"):
        cluster(f"def fail():\n    1 / 0\n{code}").advance(1)


def test_an_exception_without_a_line_of_the_script_counts_too(cluster):
    nodes = cluster("""node.every(1)(lambda: node._runtime.spawn(int, "x"))""")
    with pytest.raises(UnexpectedException, match="ValueError: invalid literal"):
        nodes.advance(1.5)


def test_of_a_chain_the_last_exception_counts(cluster):
    nodes = cluster("""
@node.on("fail")
def fail(message):
    try:
        {}["x"]
    except KeyError as error:
        raise LookupError("no x") from error
""")
    with nodes.expect_exception("n0") as expected, pytest.raises(RequestError):
        nodes.request("n0", "fail")
    assert [str(each) for each in expected.raised] == [
        "n0 raised LookupError: no x in fail (node.py:11)"
    ]


def test_an_error_answer_names_the_exception_behind_it(cluster):
    nodes = cluster(CRASH)
    with nodes.expect_exception("n0", KeyError), pytest.raises(RequestError) as caught:
        nodes.request("n0", "get", key="x")
    assert "\n" not in str(caught.value)  # an expected one needs no explanation
    with pytest.raises(RequestError) as caught:
        nodes.request("n0", "get", key="y")
    assert caught.value.code == 13
    assert str(caught.value).endswith("\nn0 raised KeyError: 'y' in get (node.py:9)")
    with pytest.raises(AssertionError, match="KeyError: 'y'"):
        nodes.close()


def test_an_rpc_error_of_a_handler_is_an_answer_and_no_exception(cluster):
    nodes = cluster("""
@node.on("no")
def no(message):
    raise RPCError(14, "no")
""")
    with pytest.raises(RequestError, match="no"):
        nodes.request("n0", "no")
    nodes.close()


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (None, None),
        (KeyError, None),
        (LookupError, None),
        (Exception, None),
        ("KeyError", None),
        (KeyError, "^KeyError: 'x'"),
    ],
)
def test_an_exception_can_be_expected_by_kind_and_text(cluster, kind, match):
    nodes = cluster(CRASH)
    with nodes.expect_exception("n0", kind, match=match):
        nodes.deliver("c1", "n0", "get", key="x")
        nodes.advance(1)


@pytest.mark.parametrize(
    ("node", "kind", "match"),
    [("n1", None, None), ("n0", ValueError, None), ("n0", "Key", None), ("n0", KeyError, "z")],
)
def test_another_exception_than_the_expected_one_fails_the_test(cluster, node, kind, match):
    nodes = cluster(CRASH, 2)
    nodes.deliver("c1", "n0", "get", key="x")
    with pytest.raises(UnexpectedException), nodes.expect_exception(node, kind, match=match):
        nodes.advance(1)


def test_an_exception_that_was_expected_in_vain_fails_the_test(cluster):
    nodes = cluster(CRASH)
    with (
        pytest.raises(AssertionError, match="KeyError like 'x' of n0 was not raised"),
        nodes.expect_exception("n0", KeyError, match="x"),
    ):
        nodes.advance(1)


def test_a_node_that_ends_is_told_once(simulate, script):
    with pytest.raises(NodeError, match="ZeroDivisionError"):
        simulate(script("1 / 0"))


# Requests


NAP = """
@node.on("nap")
def nap(message):
    node.sleep(message.body["seconds"])
    return {"type": "nap_ok"}
"""


def test_requests_can_be_under_way_together(cluster):
    nodes = cluster(NAP)
    long, short = (nodes.start_request("n0", "nap", seconds=seconds) for seconds in (2, 1))
    assert not short.done
    short.result()
    assert (short.done, long.done, nodes.now) == (True, False, 1)
    nodes.advance(3)
    assert long.done
    assert long.result() == {"type": "nap_ok", "in_reply_to": 1}
    assert nodes.now == 4


def test_a_request_can_be_waited_for_again(cluster):
    nodes = cluster(NAP)
    nap = nodes.start_request("n0", "nap", seconds=2)
    with pytest.raises(TimeoutError, match="n0 did not answer 'nap' within 1 s"):
        nap.result(timeout=1)
    nap.result()
    assert nodes.now == 2


def test_an_error_answer_that_nobody_looked_at_fails_the_test(cluster):
    nodes = cluster(NAP)
    request = nodes.start_request("n0", "napp")
    nodes.advance(1)
    with pytest.raises(AssertionError, match=r"nobody asked for the result of c1's request: .*10"):
        nodes.close()
    with pytest.raises(RequestError):
        request.result()


def test_any_client_can_send_and_is_answered(cluster):
    nodes = cluster(PING)
    nodes.deliver("c1", "n0", "ping", msg_id=5)
    assert nodes.request("n0", "ping")["type"] == "ping_ok"
    nodes.assert_sent("n0", "c1", "ping_ok", in_reply_to=5)


# Nodes that the test plays


def test_a_function_plays_a_node(cluster):
    nodes = cluster(ASK, 2, played=["n1"])
    nodes.play("n1", "look", lambda message: {"type": "look_ok", "value": message.src})
    assert nodes.request("n0", "ask")["got"] == "n0"
    nodes.play("n1", "look", lambda message: None)
    with pytest.raises(RequestError, match="timeout"):
        nodes.request("n0", "ask")


def test_a_played_node_answers_by_hand(cluster):
    nodes = cluster(ASK, 2, played=["n1"])
    request = nodes.start_request("n0", "ask")
    nodes.advance(0.5)
    nodes.reply(nodes.assert_sent("n0", "n1", "look"), "look_ok", value=3)
    assert request.result()["got"] == 3


def test_what_a_function_raises_comes_out_of_the_test(cluster):
    nodes = cluster(ASK, 2, played=["n1"])

    def look(message):
        raise ArithmeticError("odd")

    nodes.play("n1", "look", look)
    with pytest.raises(ArithmeticError) as caught:
        nodes.request("n0", "ask")
    assert caught.traceback[-1].name == "look"
    assert not [entry for entry in caught.traceback if "simulated" in str(entry.path)]


def test_a_function_that_returns_no_body_is_told(cluster):
    nodes = cluster(ASK, 2, played=["n1"])
    nodes.play("n1", "look", lambda message: {"value": 1})
    with pytest.raises(TypeError, match=r"plays n1 returned {'value': 1} for 'look': expected"):
        nodes.request("n0", "ask")


def test_a_message_that_wants_no_answer_gets_none(cluster):
    nodes = cluster(GOSSIP, 2, played=["n1"])
    nodes.request("n0", "add", value=1)
    with pytest.raises(ValueError, match="without msg_id can't be answered: n0 -> n1"):
        nodes.reply(nodes.assert_sent("n0", "n1", "gossip"), "gossip_ok")


# Names and numbers


@pytest.mark.parametrize(
    "step",
    [
        'nodes.partition(["n0"], ["nn1"])',
        'nodes.cut("n0", "nn1")',
        'nodes.isolate("nn1")',
        'nodes.pause("nn1")',
        'nodes.resume("nn1")',
        'nodes.restart("nn1")',
        'nodes.request("nn1", "ping")',
        'nodes.start_request("nn1", "ping")',
        'nodes.deliver("c1", "nn1", "ping")',
        'nodes.deliver("nn1", "n0", "ping")',
        'nodes.sent(src="nn1")',
        'nodes.sent(dest="nn1")',
        'nodes.assert_sent(dest="nn1")',
        'nodes.drop_next(src="nn1")',
        'nodes.play("nn1", "ping", print)',
        'nodes.logs("nn1")',
        'nodes.expect_exception("nn1")',
    ],
)
def test_a_name_that_does_not_exist_is_told_with_those_that_do(cluster, step):
    nodes = cluster(PING, 2)
    with pytest.raises(ValueError, match=r"no \w+ 'nn1': did you mean n1\? expected one of n0, n1"):
        eval(step, {"nodes": nodes})


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ('nodes.assert_sent(dest="n0")', r"n0 runs its script: .*; see sent\(dest='n0'\)"),
        ('nodes.play("n0", "ping", print)', r"n0 runs its script: played=\['n0'\] lets"),
        ('nodes.pause("n1")', "n1 is played by the test: it runs no script"),
        ('nodes.restart("n1")', "n1 is played by the test: it runs no script"),
        ('nodes.partition("n0", "n1")', "expected groups of nodes, such as .* got \"?'n0'"),
        ('nodes.partition(["n0"], ["n0", "n1"])', "n0 is named 2 times"),
        ("nodes.advance(-1)", "seconds is -1: expected a number that is not negative"),
        ('nodes.advance(float("inf"))', "seconds is inf: expected"),
        ("nodes.lose(2)", "probability is 2: expected a number from 0 to 1"),
        ('nodes.request("n0", "ping", timeout=-1)', "timeout is -1"),
        ("nodes.assert_silent(-1)", "seconds is -1"),
    ],
)
def test_what_can_not_be_is_told(cluster, step, problem):
    nodes = cluster(PING, 2, played=["n1"])
    with pytest.raises(ValueError, match=problem):
        eval(step, {"nodes": nodes})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"played": ["x"]}, "there is no node 'x': expected one of n0"),
        ({"p_loss": 2}, "p_loss is 2: expected a number from 0 to 1"),
        ({"p_duplicate": -0.1}, "p_duplicate is -0.1"),
        ({"latency": -1}, "latency is -1"),
        ({"latency": 0.5}, "latency is 0.5: expected whole milliseconds"),
        ({"latency_dist": "uniorm"}, r"latency_dist 'uniorm': did you mean uniform\?"),
        ({"nodes": 0}, "at least one node"),
        ({"nodes": ["a", "a"]}, "no name twice"),
    ],
)
def test_settings_that_can_not_be_are_told(script, settings, problem):
    with pytest.raises(ValueError, match=problem):
        Simulation(script(HEAD + PING + RUN), **settings)


def test_a_number_that_is_none_is_told(cluster):
    with pytest.raises(TypeError, match="seconds is '1': expected a number"):
        cluster(PING).advance("1")


def test_a_script_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.py"):
        Simulation(tmp_path / "nothing.py")


def test_a_drop_that_matched_no_message_fails_the_test(cluster):
    nodes = cluster(GOSSIP, 2)
    nodes.drop_next(type="gosip")
    nodes.request("n0", "add", value=1)
    nodes.advance(1)
    problem = r"drop_next\(type='gosip'\) matched no message: did you mean gossip\? types sent: add"
    with pytest.raises(AssertionError, match=problem):
        nodes.close()


# In pytest


@pytest.fixture
def failing(pytester, script):
    """What pytest prints of a test of a node: `failing(handlers, test)`, its lines, at their ends.

    The test has `cluster`, two nodes of which the test plays n1.
    """

    def run(handlers: str, test: str) -> str:
        path = script(HEAD + handlers + RUN)
        pytester.makepyfile(
            "from glomers.testing import *\nimport pytest\n"
            + "def test(simulate):\n"
            + f"    cluster = simulate({str(path)!r}, 2, played=['n1'])\n"
            + "".join(f"    {line}\n" for line in dedent(test).splitlines())
        )
        result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
        assert "glomers/simulated" not in result.stdout.str()
        assert "glomers/testing.py" not in result.stdout.str()
        return result.stdout.str()

    return run


def test_a_failing_test_shows_what_nodes_printed(failing):
    printed = failing(TALKS, "cluster.request('n0', 'talk')\nassert False")
    assert "- Captured stderr call -" in printed
    assert "\n1.234 n0 | printed 1\n" in printed


def test_an_exception_that_comes_late_fails_the_test_at_its_end(failing):
    printed = failing(
        CRASH, "with pytest.raises(RequestError):\n    cluster.request('n0', 'get', key='x')"
    )
    assert "1 passed, 1 error" in printed
    assert "\nn0 raised KeyError: 'x' in get (node.py:9)\n" in printed
    assert "ERROR at teardown" in printed
    assert "Traceback" not in printed.replace("n0 | Traceback", "")
    assert "hidden" not in printed


def test_a_test_that_has_failed_does_not_fail_twice(failing):
    printed = failing(CRASH, "cluster.drop_next(type='x')\ncluster.request('n0', 'get', key='x')")
    assert "1 failed in" in printed
    assert ">       cluster.request('n0', 'get', key='x')\n" in printed
    assert "RequestError: error 13 (crash): KeyError('x')" in printed
    assert "n0 raised KeyError: 'x' in get (node.py:9)" in printed


def test_a_test_that_is_meant_to_fail_does(pytester, script):
    path = script(HEAD + CRASH + RUN)
    pytester.makepyfile(
        f"""
import pytest
from glomers.testing import simulate

@pytest.mark.xfail(strict=True)
def test(simulate):
    simulate({str(path)!r}).request("n0", "get", key="x")
"""
    )
    assert "1 xfailed in" in pytester.runpytest_inprocess("-p", "no:cacheprovider").stdout.str()


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("cluster.assert_sent(dest='n1', type='x')", "no message matches dest='n1', type='x'"),
        ("cluster.deliver('n0', 'n1', 'x')\ncluster.assert_silent(1)", "n0 -> n1: "),
        ("cluster.partition(['n0'], ['nn1'])", "ValueError: there is no node 'nn1'"),
        ("cluster.request('n0', 'quiet')", "TimeoutError: n0 did not answer 'quiet' within 5 s"),
        ("cluster.request('n0', 'bad')", "NodeError: Node n0 printed a line that is not JSON"),
        ("with cluster.expect_exception('n0'): pass", "an exception of n0 was not raised"),
    ],
)
def test_a_failure_is_shown_at_the_tests_own_line(failing, step, told):
    handlers = """
@node.on("quiet")
def quiet(message):
    pass
@node.on("bad")
def bad(message):
    node._runtime.write("bad")
"""
    printed = failing(handlers, step)
    assert f">       {step.splitlines()[-1].strip()}\n" in printed
    assert told in printed
    assert "1 failed in" in printed


def test_a_node_that_hangs_ends_the_test(failing):
    spins = """
@node.on("spin")
def spin(message):
    while True:
        pass
"""
    printed = failing(spins, "cluster.watchdog = 0.1\ncluster.request('n0', 'spin')")
    assert "NodeError: Node n0 has been running for 0.1 s of real time" in printed
    assert "node.py:9 in spin: " in printed or "node.py:8 in spin: " in printed
    assert "1 failed in" in printed


def test_an_exception_in_a_with_statement_is_told_at_its_end(script):
    with (
        pytest.raises(AssertionError, match="n0 raised KeyError: 'x' in get"),
        simulated(script(HEAD + CRASH + RUN)) as nodes,
        pytest.raises(RequestError),
    ):
        nodes.request("n0", "get", key="x")


def test_hypothesis_finds_the_example_that_makes_a_node_raise(pytester, script):
    path = script(
        HEAD
        + """
@node.on("tell")
def tell(message):
    if message.body["n"] > 10:
        raise ValueError("too many")
"""
        + RUN
    )
    pytester.makepyfile(
        f"""
from glomers.testing import simulated
from hypothesis import given, settings, strategies as st

@settings(database=None, derandomize=True, deadline=None)
@given(st.integers(0, 1000))
def test(n):
    with simulated({str(path)!r}) as cluster:
        cluster.deliver("c1", "n0", "tell", n=n)
        cluster.advance(1)
"""
    )
    printed = pytester.runpytest_inprocess("-p", "no:cacheprovider").stdout.str()
    assert "n0 raised ValueError: too many in tell (node.py:9)" in printed
    assert "n=11" in printed


# What always holds, and what comes to hold


COLLECT = """
values = []
@node.on("add")
def add(message):
    values.append(message.body["value"])
    node.spawn(share, message.body["value"])
    return {"type": "add_ok"}
def share(value):
    for peer in node.peers:
        node.rpc(peer, {"type": "share", "value": value})
@node.on("share")
def share_(message):
    values.append(message.body["value"])
    node.log(f"has {message.body['value']}")
    return {"type": "share_ok"}
"""


def test_a_check_that_always_holds_is_asked_after_every_event(cluster):
    nodes = cluster(COLLECT, 2, latency=100)
    asked = []
    nodes.always(lambda nodes: asked.append(nodes.now) or True)
    nodes.request("n0", "add", value=7)
    assert asked[0] == 0
    nodes.advance(1)
    assert asked == sorted(asked)
    assert {0.1, 0.2} <= set(asked)  # when n1 gets the value, and n0 its answer


def test_the_first_event_after_which_a_check_is_false_fails_the_step(cluster):
    nodes = cluster(COLLECT, 3, latency=100)
    nodes.always(lambda nodes: not nodes["n2"].values)
    nodes.request("n0", "add", value=7)
    with pytest.raises(CheckFailed) as caught:
        nodes.advance(1)
    line = _line_of('nodes.always(lambda nodes: not nodes["n2"].values)')
    assert str(caught.value).splitlines() == [
        f"not so at 0.300 s, after n0 → n2 share: lambda (test_testing.py:{line}): "
        'nodes.always(lambda nodes: not nodes["n2"].values)',
        "It returned False",
    ]
    assert caught.value.time == nodes.now == 0.3


def _line_of(text: str) -> int:
    """The line of this file in which the text stands first."""
    lines = Path(__file__).read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_what_a_check_raises_is_told_with_its_line(cluster):
    nodes = cluster(COLLECT, 2)

    def nothing_is_added(nodes):
        for node in nodes.alive:
            assert not nodes[node].values, f"{node} has some"
        return True

    nodes.always(nothing_is_added)
    with pytest.raises(
        CheckFailed, match=r"after c\d → n0 add: nothing_is_added \(test_t"
    ) as caught:
        nodes.request("n0", "add", value=7)
    line = nothing_is_added.__code__.co_firstlineno + 2
    assert "It raised AssertionError: n0 has some" in str(caught.value)
    assert f"(test_testing.py:{line})" in str(caught.value)
    assert isinstance(caught.value.__cause__, AssertionError)


def test_a_check_that_does_not_hold_at_first_fails_at_once(cluster):
    nodes = cluster(COLLECT)
    with pytest.raises(CheckFailed, match=r"not so at 0\.000 s, when it was first asked"):
        nodes.always(lambda nodes: nodes[nodes.nodes[0]].values)


def test_a_check_that_says_nothing_is_told_what_was_expected(cluster):
    nodes = cluster(COLLECT)
    with pytest.raises(CheckFailed, match=r"returned None \(what holds is true: a check"):
        nodes.always(lambda nodes: None)


@pytest.mark.parametrize("end", ["block", "cancel"])
def test_a_check_ends_with_its_block_or_when_it_is_cancelled(cluster, end):
    nodes = cluster(COLLECT)
    if end == "block":
        with nodes.always(lambda nodes: not nodes["n0"].values):
            nodes.advance(1)
    else:
        empty = nodes.always(lambda nodes: not nodes["n0"].values)
        nodes.advance(1)
        empty.cancel()
        empty.cancel()
    nodes.request("n0", "add", value=7)


def test_two_checks_are_both_asked_and_one_that_failed_is_asked_no_more(cluster):
    nodes = cluster(COLLECT)
    nodes.always(lambda nodes: len(nodes["n0"].values) < 1)
    nodes.always(lambda nodes: len(nodes["n0"].values) < 2)
    for value in 7, 8:
        with pytest.raises(CheckFailed, match=f"< {value - 6}"):
            nodes.request("n0", "add", value=value)
        nodes.advance(1)
    nodes.ignore_the_rest()


def test_time_stops_at_the_event_that_makes_a_check_true(cluster):
    nodes = cluster(COLLECT, 3, latency=100)
    nodes.request("n0", "add", value=7)
    assert nodes.eventually(lambda nodes: nodes["n1"].values) == [7]
    assert nodes.now == 0.1
    assert nodes["n2"].values == []
    assert nodes.eventually(lambda nodes: nodes["n1"].values) == [7]
    assert nodes.now == 0.1
    nodes.eventually(lambda nodes: nodes["n2"].values)
    assert nodes.now == 0.3


def test_a_check_that_never_holds_fails_with_the_time_and_what_it_said_at_last(cluster):
    nodes = cluster(COLLECT, 2, latency=100)
    with pytest.raises(CheckFailed) as caught:
        nodes.eventually(lambda nodes: nodes["n1"].values, within=2)
    assert str(caught.value).startswith("never so within 2 s, until 2.000 s: lambda (test_testing")
    assert str(caught.value).endswith("\nAt last it returned []")
    with pytest.raises(CheckFailed, match=r"At last it raised ZeroDivisionError: .* \(test_tes"):
        nodes.eventually(lambda nodes: 1 / 0)


def test_a_check_sees_messages_links_logs_and_nodes(cluster):
    nodes = cluster(COLLECT, 3, latency=100)
    nodes.deliver("c1", "n0", "add", value=7)
    (request,) = nodes.in_flight()
    assert (request.src, request.dest, request.body["type"]) == ("c1", "n0", "add")
    nodes.eventually(lambda nodes: nodes.in_flight("n0", "n1", "share"))
    assert nodes.now == 0
    nodes.eventually(lambda nodes: len(nodes.sent(type="share_ok")) == 2)
    assert [(each.src, each.dest) for each in nodes.in_flight()] == [("n2", "n0")]
    nodes.eventually(lambda nodes: not nodes.in_flight())
    assert nodes.now == 0.4
    assert len(nodes.sent(type="share")) == 2
    nodes.cut("n0", "n1")
    assert nodes.is_cut("n0", "n1")
    assert nodes.is_cut("n1", "n0")
    assert not nodes.is_cut("n1", "n2")
    assert nodes.logs("n2") == "has 7\n"
    assert nodes["n2"].values == [7]
    assert nodes["n2"].node.id == "n2"


def test_a_message_that_is_lost_or_cut_is_no_longer_in_flight(cluster):
    nodes = cluster(COLLECT, 2, latency=100)
    nodes.drop_next(type="share")
    nodes.request("n0", "add", value=7)
    assert nodes.in_flight() == []
    nodes.cut("n0", "n1")
    nodes.request("n0", "add", value=8)
    nodes.advance(1)
    assert nodes.in_flight() == []


def test_only_nodes_that_run_their_script_are_alive(cluster):
    nodes = cluster(COLLECT, 3, played=["n2"])
    assert nodes.alive == ["n0", "n1"]
    with pytest.raises(ValueError, match="n2 runs no script now"):
        nodes["n2"]
    with pytest.raises(ValueError, match="there is no node 'n3'"):
        nodes["n3"]
    before = []
    with nodes.always(lambda nodes: before.append(nodes.alive) or True):
        nodes.restart("n1")
    assert ["n0"] in before
    assert nodes.alive == ["n0", "n1"]


def test_neither_a_check_nor_a_function_that_plays_a_node_can_let_time_pass(cluster):
    nodes = cluster(COLLECT, 2, played=["n1"])
    with pytest.raises(CheckFailed, match="RuntimeError: a check can't let time pass"):
        nodes.always(lambda nodes: nodes.request("n0", "add", value=7))
    nodes.play("n1", "share", lambda message: nodes.request("n0", "add", value=7))
    nodes.request("n0", "add", value=7)
    with pytest.raises(RuntimeError, match="a function that plays a node can't let time pass"):
        nodes.advance(1)
    nodes.abandon()


def test_checks_do_not_change_a_run(cluster):
    def messages(*, checked: bool) -> list:
        nodes = cluster(COLLECT, 3, latency=50, latency_dist="uniform", seed=3)
        if checked:
            nodes.always(lambda nodes: len(nodes.in_flight()) < 99)
        for value in range(9):
            nodes.request("n0", "add", value=value)
        nodes.advance(3)
        return [message.line for message in nodes.messages]

    assert messages(checked=True) == messages(checked=False)


# With hypothesis

GOSSIP_ONCE = """
values = []
@node.on("add")
def add(message):
    values.append(message.body["value"])
    for peer in node.peers:
        node.send(peer, {"type": "gossip", "value": message.body["value"]})
    return {"type": "add_ok"}
@node.on("gossip")
def gossip(message):
    values.append(message.body["value"])
@node.on("get")
def get(message):
    return {"type": "get_ok", "values": values}
"""


def test_hypothesis_shrinks_a_story_to_the_steps_that_matter(script):
    # A value that is sent only once is lost if the link is cut.
    path = script(HEAD + GOSSIP_ONCE + RUN)

    def loses_a_value(story):
        with simulated(path, nodes=2) as cluster:
            for step in story:
                if step == "cut":
                    cluster.cut("n0", "n1")
                elif step == "heal":
                    cluster.heal()
                else:
                    cluster.request("n0", "add", value=step)
            cluster.heal()
            cluster.advance(1)
            first, second = (cluster.request(n, "get")["values"] for n in ("n0", "n1"))
            return first != second

    stories = st.lists(st.sampled_from(["cut", "heal"]) | st.integers(0, 99))
    assert find(stories, loses_a_value, random=Random(1)) == ["cut", 0]


def test_a_state_machine_of_hypothesis_may_hold_a_cluster(script):
    path = script(HEAD + GOSSIP_ONCE + RUN)

    class Adding(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.cluster = simulated(path, nodes=2)
            self.added = []

        @rule(value=st.integers(0, 9))
        def add(self, value):
            self.cluster.request("n0", "add", value=value)
            self.added.append(value)

        @rule()
        def cut(self):
            self.cluster.cut("n0", "n1")

        @invariant()
        def both_have_everything(self):
            self.cluster.advance(0.1)
            assert self.cluster.request("n1", "get")["values"] == self.added

        def teardown(self):
            self.cluster.close()

    with pytest.raises(AssertionError) as error:
        run_state_machine_as_test(Adding, settings=settings(max_examples=50, database=None))
    story = "\n".join(error.value.__notes__)
    assert story.count("state.cut()") == story.count("state.add(value=0)") == 1
