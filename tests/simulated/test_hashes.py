"""`hash` in a simulation: of text, another for each node, and the same in every run of a seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import dataclasses, enum, pathlib, typing
from maelstrom_node import Node
node = Node()

class Colour(enum.Enum):
    RED = "red"

@dataclasses.dataclass(frozen=True)
class Key:
    name: str

class Pair(typing.NamedTuple):
    key: str
    number: int

class Mine:
    def __eq__(self, other):
        return True
    def __hash__(self):
        return hash("mine")

@node.on("ask")
def ask(message):
    return {"type": "ask_ok", "answer": answer()}

"""
RUN = "\nnode.run()\n"

MADE_OF_TEXT = """
'k1' b'k1' ('k1',) (1,('k1',)) frozenset({'k1'}) Key('k1') Pair('k1',1) Colour.RED Mine() 'ключ'
pathlib.PurePath('k1') Key print.__class__ HEAD
"""
MADE_OF_NUMBERS = """
0 7 -1 2**70 1.5 True (1,2) (1,(2.5,-1)) frozenset({1,2}) () '' b'' 3+4j
"""


@pytest.fixture
def hashes(simulate, script):
    """What each node's `hash` is of these expressions."""

    def hashes(expressions, nodes=2, **settings):
        answer = f"answer = lambda: [hash(x) for x in ({','.join(expressions)},)]"
        cluster = simulate(script(HEAD + "HEAD = lambda: 0\n" + answer + RUN), nodes, **settings)
        return [cluster.request(node, "ask")["answer"] for node in cluster.nodes]

    return hashes


@pytest.mark.parametrize("expression", MADE_OF_TEXT.split())
def test_what_is_made_of_text_has_another_hash_on_each_node_and_with_each_seed(hashes, expression):
    one, other = hashes([expression, expression], seed=1)
    assert one[0] == one[1]
    assert one != other
    assert hashes([expression, expression], seed=1) == [one, other]
    assert one not in hashes([expression, expression], seed=2)


def test_what_is_made_of_numbers_has_the_hash_that_it_has_everywhere(hashes):
    expected = [hash(eval(expression)) for expression in MADE_OF_NUMBERS.split()]
    assert hashes(MADE_OF_NUMBERS.split()) == [expected, expected]


def test_what_is_equal_has_the_same_hash(hashes):
    expressions = ["('a',1)", "Pair('a',1)", "('a',True)", "'é'", "'\\xe9'", "'a'", "b'a'"]
    (first, *others), _ = hashes(expressions)
    assert others[:2] == [first, first]
    assert others[2] == others[3]
    assert others[4] == others[5]  # as in Python, though they aren't equal


def test_what_has_no_hash_is_a_type_error(simulate, script):
    source = """
def answer():
    said = []
    for value in [], {}, ([],), (1, {}):
        try:
            hash(value)
        except TypeError as error:
            said.append(str(error))
    return said
"""
    said = simulate(script(HEAD + source + RUN)).request("n0", "ask")["answer"]
    assert said == [f"unhashable type: '{kind}'" for kind in ("list", "dict", "list", "dict")]


def test_an_object_that_is_gone_leaves_its_hash_to_nobody(simulate, script):
    source = "answer = lambda: len({hash(type('T', (), {})) for _ in range(9)})"
    assert simulate(script(HEAD + source + RUN)).request("n0", "ask")["answer"] == 9


PROGRAM = """
import sys
from glomers.testing import simulated
with simulated(sys.argv[1], 2) as cluster:
    print([cluster.request(node, "ask")["answer"] for node in cluster.nodes])
"""


def test_the_hash_seed_of_the_process_makes_no_difference(script):
    source = f"answer = lambda: [hash(x) for x in ({','.join(MADE_OF_TEXT.split()[:-1])}, None)]"
    path = script(HEAD + source + RUN)
    command = [sys.executable, "-c", PROGRAM, str(path)]
    printed = {
        subprocess.check_output(
            command, cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_nodes_that_shard_by_hash_disagree_as_real_ones_do(simulate, script):
    source = "answer = lambda: [hash(f'k{n}') % 2 for n in range(20)]"
    cluster = simulate(script(HEAD + source + RUN), 2)
    one, other = (cluster.request(node, "ask")["answer"] for node in cluster.nodes)
    assert one != other
