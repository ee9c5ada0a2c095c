"""What a simulated script imports: its own modules, found as Python does and shared with nobody."""

from __future__ import annotations

import pytest

from glomers.errors import NodeError

SERVE = """
from maelstrom_node import Node
node = Node()
@node.on("ask")
def ask(message):
    return {"type": "ask_ok", "answer": answer()}
node.run()
"""


@pytest.fixture
def ask(simulate, tmp_path):
    """What `answer()` of a script returns, with these files beside it."""

    def ask(script: str, files: dict[str, str] | None = None):
        for name, source in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        main = tmp_path / "node.py"
        main.write_text(script + SERVE)
        return simulate(main).request("n0", "ask")["answer"]

    return ask


PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/one.py": "name = __name__, __package__",
    "pkg/sub/two.py": "from ..one import name as one\nfrom . import three\nname = __name__, one[0]",
    "pkg/sub/three.py": "name = __name__",
}


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("import pkg.one\nanswer = lambda: pkg.one.name", ["pkg.one", "pkg"]),
        ("from pkg import one\nanswer = lambda: one.name", ["pkg.one", "pkg"]),
        ("from pkg.one import name\nanswer = lambda: name", ["pkg.one", "pkg"]),
        ("import pkg.sub.two as two\nanswer = lambda: two.name", ["pkg.sub.two", "pkg.one"]),
        ("from pkg.sub.two import three\nanswer = lambda: three.name", "pkg.sub.three"),
        (
            "import importlib\nanswer = lambda: importlib.import_module('.one', 'pkg').name",
            ["pkg.one", "pkg"],
        ),
        ("def answer():\n    from pkg import one\n    return one.name", ["pkg.one", "pkg"]),
    ],
)
def test_packages_beside_the_script_are_imported(ask, script, answer):
    # `pkg/sub` has no __init__.py: it is a namespace package.
    assert ask(script, PACKAGE) == answer


def test_modules_import_each_other(ask):
    answer = ask(
        "import one\nanswer = lambda: one.get()",
        {
            "one.py": "import two\nvalue = 1\ndef get():\n    return two.get()",
            "two.py": "import one\ndef get():\n    return one.value",
        },
    )
    assert answer == 1


def test_a_star_import_brings_the_submodules_that_all_names(ask):
    files = {"pkg/__init__.py": "__all__ = ['one']", "pkg/one.py": "value = 7"}
    assert ask("from pkg import *\nanswer = lambda: one.value", files) == 7


def test_modules_run_once(ask):
    answer = ask(
        "import one, two\nfrom one import runs\nanswer = lambda: runs",
        {"one.py": "runs = []\nruns.append(1)", "two.py": "import one"},
    )
    assert answer == [1]


def test_a_module_that_is_not_there_is_told_as_python_tells_it(ask):
    script = """
def failing(name):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        return [str(error), error.name]
answer = lambda: [failing("nothing"), failing("pkg.nothing"), failing("plain.nothing")]
"""
    assert ask(script, {"pkg/__init__.py": "", "plain.py": ""}) == [
        ["No module named 'nothing'", "nothing"],
        ["No module named 'pkg.nothing'", "pkg.nothing"],
        ["No module named 'plain.nothing'; 'plain' is not a package", "plain.nothing"],
    ]


def test_a_module_that_fails_is_tried_again(ask):
    script = """
def attempt():
    try:
        import failing
    except ZeroDivisionError:
        return "failed"
answer = lambda: [attempt(), attempt()]
"""
    assert ask(script, {"failing.py": "1 / 0"}) == ["failed", "failed"]


def test_a_relative_import_outside_a_package_is_an_error(ask):
    script = """
def answer():
    try:
        from . import other
    except ImportError as error:
        return str(error)
"""
    assert ask(script, {"other.py": ""}) == "attempted relative import with no known parent package"


def test_a_folder_of_another_name_can_be_put_on_the_path(ask):
    script = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent / "lib"))
import helper
answer = lambda: helper.value
"""
    assert ask(script, {"lib/helper.py": "value = 5"}) == 5


def test_a_folder_of_data_does_not_hide_a_module(ask):
    assert ask("import json\nanswer = lambda: json.loads('[1]')", {"json/data.py": ""}) == [1]


def test_modules_know_their_names_and_files(ask):
    script = """
import sys, one
def answer():
    return [
        __name__, __file__.endswith("node.py"), sys.modules["__main__"].answer is answer,
        one.__name__, one.__file__.endswith("one.py"), sys.modules["one"] is one,
    ]
"""
    assert ask(script, {"one.py": ""}) == ["__main__", True, True, "one", True, True]


DATA = """
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar, NamedTuple
@dataclass
class Point:
    x: int
    count: ClassVar[int] = 0
"""


@pytest.mark.parametrize("place", ["the script", "a module"])
def test_libraries_that_look_a_class_up_by_its_module_find_it(ask, place):
    script = """
import pickle, typing
def answer():
    return [pickle.loads(pickle.dumps(Point(3))).x, list(typing.get_type_hints(Point))]
"""
    head = DATA if place == "the script" else "from data import Point\n"
    # The future import must come first.
    assert ask(head + script, {"data.py": DATA}) == [3, ["x", "count"]]


def test_nodes_have_modules_of_their_own(simulate, script):
    script("values = []", "shared.py")
    source = script("""
import pickle, logging, sys
import shared
from maelstrom_node import Node
node = Node()
class Mine:
    pass
@node.on("add")
def add(message):
    shared.values.append(node.id)
    logging.getLogger().addHandler(logging.NullHandler())
    node.sleep(1)
    return {
        "type": "add_ok",
        "values": shared.values,
        "mine": type(pickle.loads(pickle.dumps(Mine()))) is Mine,
        "same": sys.modules["shared"] is shared,
        "handlers": len(logging.getLogger().handlers),
    }
node.run()
""")
    nodes = simulate(source, 3)
    for node in nodes.nodes:
        nodes.deliver("c9", node, "add", msg_id=1)
    nodes.advance(2)
    for node in nodes.nodes:
        body = nodes.assert_sent(node, "c9").body
        assert body["values"] == [node]
        assert body["mine"]
        assert body["same"]
        assert body["handlers"] == 1


def test_modules_of_the_library_that_are_run_anew_see_virtual_ones(ask):
    script = """
import contextlib, io, logging, sched, sys, time
records = []
class Keep(logging.Handler):
    def emit(self, record):
        records.append([record.created == time.time(), record.threadName])
logging.getLogger().addHandler(Keep())
def answer():
    logging.warning("hello")
    began = time.monotonic()
    scheduler = sched.scheduler()
    scheduler.enter(100, 1, lambda: None)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print("caught")
    return [records, out.getvalue()]
"""
    ((_, thread),), out = ask(script)
    assert thread == "message"
    assert out == "caught\n"


def test_what_a_module_beside_the_script_imports_is_virtual_too(ask):
    clock = """
import importlib
time = importlib.import_module("time")
def now():
    return time.monotonic()
"""
    assert ask("import clock\nanswer = lambda: clock.now() == node.now()", {"clock.py": clock})


def test_a_module_that_was_made_from_a_file_is_virtual_too(ask):
    script = """
import importlib.util
spec = importlib.util.spec_from_file_location("clock", __file__.replace("node.py", "clock.py"))
clock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(clock)
answer = lambda: clock.now() == node.now()
"""
    clock = "import time\ndef now():\n    return time.monotonic()"
    assert ask(script, {"clock.py": clock})


def test_what_is_refused_is_refused_by_every_way_of_importing(ask):
    script = """
import importlib
def failing(function, *args):
    try:
        function(*args)
    except ImportError as error:
        return str(error)
def answer():
    return [failing(__import__, "socket"), failing(importlib.import_module, "http.client")]
"""
    socket, client = ask(script)
    assert socket.startswith("socket can't be simulated: ")
    assert client.startswith("http.client can't be simulated: ")


def test_the_real_modules_are_there_again_when_the_run_is_over(ask):
    import json
    import sys

    before = dict(sys.modules)
    ask("import json\nanswer = lambda: json.mine", {"json.py": "mine = 1"})
    assert sys.modules["__main__"] is before["__main__"]
    assert sys.modules["json"] is json


def test_a_syntax_error_is_told_with_the_line(simulate, script):
    with pytest.raises(NodeError, match="exit status 1") as error:
        simulate(script("x = 1\ny = = 2\n"))
    assert "y = = 2" in str(error.value)
    assert "SyntaxError" in str(error.value)
    assert "imports.py" not in str(error.value)  # the workbench's own code is beside the point
