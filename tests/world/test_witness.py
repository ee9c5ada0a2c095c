"""The witness: what it tells of errors, and of requests that nobody answered."""

from __future__ import annotations

import json
from random import Random

from glomers.history.times import NANOS
from glomers.report.incidents import sentences
from glomers.run.recorder import MessageJournal
from glomers.world.incidents import Incidents
from glomers.world.loop import Loop
from glomers.world.network import Network
from glomers.world.witness import IN_FLIGHT, Witness


class World:
    """Endpoints that receive and say nothing of themselves."""

    def __init__(self):
        self.loop = Loop()
        self.incidents = Incidents(lambda: self.loop.now)
        self.witness = Witness(MessageJournal(None), self.incidents)
        self.network = Network(self.loop, Random(0), self.witness)
        for name in ("n0", "n1", "n2", "c1", "seq-kv"):
            self.network.join(name, lambda message: None)

    def send(self, src, dest, type, **fields):
        body = {"type": type, **fields}
        line = json.dumps({"src": src, "dest": dest, "body": body}).encode()
        self.network.send(src, dest, body, line)
        self.pass_time(0)

    def pass_time(self, nanoseconds):
        self.loop.call_later(nanoseconds, self.loop.stop)
        self.loop.run()

    def told(self):
        self.pass_time(2 * IN_FLIGHT)
        self.witness.end()
        return sentences({"incidents": self.incidents.remarkable()})


def test_an_answered_request_is_no_incident():
    world = World()
    world.send("n0", "n1", "gossip", msg_id=1)
    world.send("n1", "n0", "gossip_ok", in_reply_to=1)
    assert world.told() == []


def test_requests_without_an_answer_are_counted_by_type_and_peers_are_named():
    world = World()
    world.pass_time(NANOS // 2)
    world.send("n0", "n1", "gossip", msg_id=1)
    world.send("n0", "n2", "gossip", msg_id=1)
    world.send("n1", "n2", "gossip", msg_id=1)
    [told] = world.told()
    assert told.startswith(
        "n0 and n1 got no answer to 'gossip' from n1 and n2, 3 times, first at 0.50 s: {"
    )


def test_what_was_lost_on_the_way_is_told_be_it_the_request_or_the_answer():
    world = World()
    lose = [("n0", "gossip"), ("n1", "gossip_ok")]
    world.network.filter = lambda message: (message.src, message.body["type"]) in lose
    world.send("n0", "n1", "gossip", msg_id=1)
    world.send("n2", "n1", "gossip", msg_id=2)
    world.send("n1", "n2", "gossip_ok", in_reply_to=2)
    [told] = world.told()
    assert told.startswith(
        "n0 and n2 got no answer to 'gossip' from n1 (all lost on the way), 2 times"
    )


def test_what_was_asked_just_before_the_end_may_yet_be_answered():
    world = World()
    world.send("n0", "n1", "gossip", msg_id=1)
    world.witness.end()
    assert world.incidents.remarkable() == []


def test_errors_are_counted_by_code_and_by_who_gave_them_services_included():
    world = World()
    for id in (1, 2):
        world.send("n0", "seq-kv", "cas", msg_id=id)
        world.send("seq-kv", "n0", "error", in_reply_to=id, code=22, text="current value 1")
    world.send("c1", "n1", "read", msg_id=9)
    world.send("n1", "c1", "error", in_reply_to=9, code=1001, text="mine")
    assert world.told() == [
        "n1 answered 'read' with error 1001 (unknown), at 0.00 s: mine",
        "seq-kv answered 'cas' with error 22 (precondition-failed), 2 times"
        " (usual where several write at once), first at 0.00 s: current value 1",
    ]


def test_what_clients_ask_is_the_clients_to_tell():
    world = World()
    world.send("c1", "n1", "read", msg_id=9)
    assert world.told() == []


def test_ids_of_any_type_do_no_harm():
    world = World()
    for id in ([], {}, "x", 1.5, True, None):
        world.send("n0", "n1", "gossip", msg_id=id)
        world.send("n1", "n0", "error", in_reply_to=id, code=id)
    world.told()


def test_a_loss_that_its_sender_does_not_notice_is_told_of_a_test_that_is_not_valid():
    world = World()
    world.send("n0", "n1", "gossip")
    world.network.filter = lambda message: True
    world.send("n0", "n1", "gossip", value=7)
    world.send("n2", "n1", "gossip", value=8)
    world.send("n0", "c1", "read_ok")
    world.pass_time(2 * IN_FLIGHT)
    world.witness.end()
    lost = [found for found in world.incidents.remarkable() if found["kind"] == "lost"]
    [told] = sentences({"valid?": False, "incidents": lost})
    assert told.startswith(
        "n0 and n2 sent 'gossip', which was lost on the way, and waits for no answer, 2 times"
    )
    assert '"value": 7' in told
    assert sentences({"valid?": True, "incidents": lost}) == []


def test_messages_that_arrived_and_ask_for_no_answer_are_counted_by_type():
    world = World()
    world.send("n0", "n1", "gossip", value=7)
    world.send("n2", "n1", "gossip", value=8)
    world.send("n0", "c1", "read_ok")
    [told] = world.told()
    assert told.startswith(
        "n0 and n2 sent 'gossip', which arrived and asks for no answer, 2 times, first at 0.00 s"
    )
    assert '"value": 7' in told


def test_nodes_that_never_send_anything_to_each_other_are_told_of():
    world = World()
    for node in ("n0", "n1"):
        world.send("c1", node, "init", msg_id=1)
        world.send(node, "c1", "init_ok", in_reply_to=1)
    assert world.told() == ["n0 and n1 sent no message to another node, nor to a service"]


def test_a_node_without_others_or_one_that_asks_a_service_is_not_alone():
    world = World()
    world.send("c1", "n0", "init", msg_id=1)
    assert "alone" not in [found["kind"] for found in world.incidents.remarkable()]
    world.send("c1", "n1", "init", msg_id=2)
    world.send("n0", "seq-kv", "read")
    assert not any("to another node" in told for told in world.told())
