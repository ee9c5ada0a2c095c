"""README and docs can be pasted, and the pages that list names list them all."""

from __future__ import annotations

import ast
import inspect
import re

import pytest
from pasted import ROOT, Block, Desk, blocks, change, missing_line

import maelstrom_node
from benchmarks import drawings
from glomers import challenges
from glomers.checkers import kafka, set_full
from glomers.checkers.consistency_models import CYCLES, OTHERS
from glomers.workloads import WORKLOADS
from glomers.world.faults import FAULTS
from maelstrom_node import KV, TSO, Answer, Code, Message, Node, Replication, RPCError

CONTRIBUTING = ROOT / "CONTRIBUTING.md"  # its code is tried by test_docs.py
PAGES = [ROOT / "README.md", CONTRIBUTING, *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_everything_on_a_page_can_be_pasted(page, tmp_path):
    desk = Desk(tmp_path)
    steps = blocks(page)
    for number, block in enumerate(steps):
        if block.language == "python" and page != CONTRIBUTING:
            desk.write(block)
        elif block.language == "sh" and block.is_run:
            shown = text_after(steps, number)
            printed = desk.run(block)
            said = f"{block.where}: {block.text}{printed.text}"
            if printed.is_short:
                assert printed.status in (0, 1), said
            else:
                assert printed.status == ("invalid" in shown), said
                missing = missing_line(shown, printed.text)
                assert missing is None, f"{missing!r} is not printed: {said}"


def text_after(steps: list[Block], number: int) -> str:
    after = steps[number + 1] if number + 1 < len(steps) else None
    return after.text if after and after.language == "text" else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_code_block_says_what_it_is_and_no_command_has_an_ellipsis(page):
    text = page.read_text("utf-8")
    assert {block.language for block in blocks(page)} <= {"sh", "python", "text"}
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"\n\n    (?! *[-*\d]).*", prose) == [], "a code block without a language"
    commands = [block.text for block in blocks(page) if block.language == "sh"]
    commands += re.findall(r"`((?:\./run\.sh|glomers|python) [^`]*)`", prose)
    assert [command for command in commands if "…" in command] == []


def test_the_drawings_are_those_of_the_script():
    for path, text in drawings.files():
        assert path.read_text("utf-8") == text, "python -m benchmarks.drawings draws them anew"


def test_what_a_page_shows_must_be_printed_in_that_order_whatever_the_numbers():
    printed = "lost   12 of 30\nanything else\nat 1,234.50 ms, seed 7\n"
    assert missing_line("lost 3 of 4\nat 8 ms, …\n", printed) is None
    assert missing_line("at 8 ms, seed 1\nlost 3 of 4\n", printed) == "lost 3 of 4"
    assert missing_line("found 3 of 4\n", printed) == "found 3 of 4"


def test_a_change_replaces_what_has_the_same_name_and_adds_the_rest():
    before = (
        "from m import a\n\n\n@a\ndef f():\n    pass\n\n\nif __name__ == '__main__':\n    f()\n"
    )
    after = change(
        before, "from m import a, b\n\n\n@b\ndef f():\n    g()\n\n\ndef g():\n    pass\n"
    )
    assert after == (
        "from m import a, b\n\n\n@b\ndef f():\n    g()\n\n\ndef g():\n    pass\n\n\n"
        "if __name__ == '__main__':\n    f()\n"
    )


# The glossary


def figures_of_all_checkers() -> set[str]:
    """The names of all figures, from the calls of `Figure` in the package."""
    names = set()
    for path in (ROOT / "glomers").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            match call:
                case ast.Call(func=ast.Name("Figure"), args=[ast.Constant(str(name)), *_]):
                    names.add(name)
                case ast.Call(func=ast.Name("Figure"), args=[ast.Attribute(attr=name), *_]):
                    names.add(getattr(challenges, name))
                case ast.Call(func=ast.Name("Figure"), args=[ast.Name("name"), *_]):
                    names |= set_full.LATENCIES.keys()
                case ast.Call(func=ast.Name("Figure")):
                    raise AssertionError(f"{path}: a figure of unknown name")
    return names


def test_the_glossary_explains_every_line_of_the_summary():
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    assert figures_of_all_checkers() == set(re.findall(r"^\| `([^`]+)` \|", glossary, re.MULTILINE))


def terms() -> set[str]:
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    return {term.lower() for term in re.findall(r"\*\*(.+?)\*\*", glossary)}


def test_the_glossary_explains_every_anomaly():
    kinds = {*CYCLES, *OTHERS, "internal", "cyclic-versions", "duplicate-elements"}
    suffixes = re.compile("-(item|process|realtime)$")
    assert {suffixes.sub("", kind).lower() for kind in kinds} <= terms()
    assert {f"…{suffix}" for suffix in ("-item", "-process", "-realtime")} <= terms()
    assert kafka.SHOWN.keys() <= terms()
    assert set(re.findall("`([a-z-]+)`", kafka.__doc__)) <= terms()


def test_the_glossary_names_every_workload_and_the_words_of_the_field():
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    assert [name for name in WORKLOADS if f"`{name}`" not in glossary] == []
    words = "node message body rpc operation history nemesis partition grudge heal cas ok fail info"
    assert set(words.split()) | FAULTS.keys() - {"one-way", "slow"} <= terms()


# The library


def public(of: type) -> list[str]:
    """The names that a script can use of an object; constants and slots are for the library."""
    members = {name for name, value in vars(of).items() if not inspect.ismemberdescriptor(value)}
    return [name for name in members if name.islower() and not name.startswith("_")]


def test_the_page_of_the_library_has_every_public_name():
    page = (ROOT / "docs" / "library.md").read_text("utf-8")
    headings = "\n".join(re.findall(r"^(?:#|\| |- ).*", page, re.MULTILINE))
    names = [
        *maelstrom_node.__all__,
        *(
            f".{name}"
            for of in (Node, KV, TSO, Answer, Replication, RPCError)
            for name in public(of)
        ),
        *(f".{name}" for name in (*vars(Node()), *Message._fields, *vars(RPCError(0)))),
        *(f"Code.{code.name}" for code in Code),
    ]
    known = [name for name in names if not name.startswith("._")]
    assert [name for name in known if not re.search(rf"{re.escape(name)}\b", headings)] == []
