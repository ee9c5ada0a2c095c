"""echo.py and unique_ids.py, the scripts as they are."""

from __future__ import annotations

import json
import runpy
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from stage import ROOT, Stage, StageRuntime, init, message, process

import maelstrom_node


@pytest.fixture
def start(monkeypatch):
    """Start a script on a runtime, as a node of that name."""

    def start(name, runtime=None, id="n1"):
        stage = Stage(runtime)
        monkeypatch.setattr(maelstrom_node, "default_runtime", lambda: stage.runtime)
        runpy.run_path(str(ROOT / name), run_name="__main__")
        stage.receive(init(id))
        stage.assert_sent(src=id, type="init_ok")
        return stage

    return start


def generate(stage, count=100):
    return {stage.ask("generate")["id"] for _ in range(count)}


def assert_distinct(*lives):
    """Each life of a node gave 100 ids, and no two gave the same."""
    assert len(set().union(*lives)) == 100 * len(lives)


def test_echo_answers_what_it_was_sent(start):
    assert start("echo.py").ask("echo", echo=[1, {"a": None}]) == {
        "type": "echo_ok",
        "echo": [1, {"a": None}],
    }


def test_an_id_is_not_given_twice(start):
    assert_distinct(generate(start("unique_ids.py")))


def test_nodes_give_different_ids_even_with_the_same_clock_and_the_same_chance(start):
    def life(id):
        stage = start("unique_ids.py", StageRuntime(seed=1, time=5.0), id)
        stage.ask = lambda type: ask(stage, id)
        return generate(stage)

    def ask(stage, id):
        stage.receive(message("c1", id, "generate", msg_id=1))
        return stage.assert_sent(src=id, dest="c1", in_reply_to=1)

    assert_distinct(life("n1"), life("n11"), life("n2"))


def test_a_node_that_is_started_again_gives_other_ids_as_time_has_passed(start):
    """Even if it happened to draw the same random bits."""
    lives = [StageRuntime(seed=1, time=time) for time in (5.0, 5.000001, 6.0)]
    assert_distinct(*(generate(start("unique_ids.py", runtime)) for runtime in lives))


def test_a_node_that_is_started_again_gives_other_ids_though_its_clock_is_set_back(start):
    """As in a simulation that starts it at the same instant, or on another machine."""
    lives = [StageRuntime(seed=seed, time=time) for seed, time in enumerate((5.0, 5.0, 4.0, 0.0))]
    assert_distinct(*(generate(start("unique_ids.py", runtime)) for runtime in lives))


def test_the_time_of_day_does_not_matter(start, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    lives = []
    for _ in range(3):
        runtime = StageRuntime(seed=1)
        runtime.now = maelstrom_node.StdioRuntime().now
        lives.append(generate(start("unique_ids.py", runtime)))
    assert_distinct(*lives)


def test_ids_are_unique_whatever_the_threads_do(start):
    stage = start("unique_ids.py")
    dispatcher = stage.runtime.dispatcher
    together = threading.Barrier(8)

    def take(_):
        together.wait()
        requests = [message("c1", "n1", "generate", msg_id=number) for number in range(1000)]
        answers = [dispatcher.handle(dispatcher.take_in(request)) for request in requests]
        return [json.loads(answer)["body"]["id"] for answer in answers]

    with ThreadPoolExecutor(8) as pool:
        ids = [id for taken in pool.map(take, range(8)) for id in taken]
    assert len(set(ids)) == 8000


def test_processes_of_the_same_name_give_different_ids(tmp_path):
    ids = []
    for _ in range(2):
        with process(ROOT / "unique_ids.py", folder=tmp_path) as node:
            node.put(init(), *(message("c1", "n1", "generate", msg_id=n) for n in range(100)))
            answers, status, log = node.end()
            assert (status, log) == (0, "")
            ids += [sent["body"]["id"] for sent in answers[1:]]
    assert len(set(ids)) == len(ids) == 200
