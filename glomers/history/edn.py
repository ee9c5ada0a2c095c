"""Reads and writes EDN, the notation in which Maelstrom keeps histories and results.

    loads('{:type :ok, :value [1 "a" nil]}')    # {"type": "ok", "value": [1, "a", None]}

A keyword becomes a `Keyword`, which equals the plain string of its name, so results that Maelstrom
wrote compare equal to ours. Vectors and lists become lists, sets frozensets, maps dicts.
Collections that are keys or elements of a set are made hashable (tuples, FrozenMaps). Characters
become strings, ratios and decimals floats. Of a value with a tag (`#inst "…"`), the tag is dropped,
except for maps (see Record).

The grammar is that of https://github.com/edn-format/edn. The library edn_format takes 26 seconds to
read a kafka history of 40,000 lines; this module takes one second.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from itertools import chain, cycle, islice, repeat
from json import JSONDecoder
from typing import Any

from glomers.errors import quote
from glomers.history.values import order


class Keyword(str):
    """`:name`; equal to the string "name"."""

    __slots__ = ()


class Symbol(str):
    """A bare word, such as a class's name; equal to the string."""

    __slots__ = ()


class Record(dict[Any, Any]):
    """A map with a tag, such as `#jepsen.history.Op{…}`, or one whose keys are data.

    A Record equals the plain dict. The keys of results are keywords (see `keywordized`); a map with
    other keys among them is a Record.
    """

    def __init__(self, content: Any = (), tag: str = "") -> None:
        super().__init__(content)
        self.tag = tag


class FrozenMap(dict[Any, Any]):
    """A map that is a key or in a set. It equals the plain dict, and must not be changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


class EDNError(ValueError):
    """A text is no EDN. `line` and `column` count from 1."""

    def __init__(self, problem: str, text: str, position: int) -> None:
        self.problem = problem
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        culprit = quote(text[position : position + 40].partition("\n")[0]) or "the end"
        super().__init__(f"{problem} at line {self.line}, column {self.column}: {culprit}")


# Reading

# Text that matches nothing here is white space. The last alternative is a string without an end.
_TOKEN = re.compile(
    r"""
    "[^"\\]*(?:\\.[^"\\]*)*"                      # a string
    | [\[\](){}] | \#\{ | \#_                     # brackets, "discard what follows"
    | ;[^\n]*                                     # a comment
    | \\(?:[^\s,()\[\]{}";]+ | .)                 # a character
    | [^\s,()\[\]{}";]+                           # a number, keyword, symbol or tag
    | "
    """,
    re.VERBOSE | re.DOTALL,
)
# While a history is read, a vector of a few numbers, keywords and the like is one token, too.
_FLAT = r"\[[\w:./+\-, ]{0,60}\]"
_TOKEN_OR_FLAT = re.compile(f"{_FLAT} | {_TOKEN.pattern}", _TOKEN.flags)
_CLOSING = {"{": "}", "#{": "}", "[": "]", "(": ")"}
_INTEGER = re.compile(r"[-+]?\d+N?")
_FLOAT = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?M?")
_RATIO = re.compile(r"([-+]?\d+)/(\d+)")
_SYMBOL = re.compile(r"(?![-+.]\d)[^\d:#'\\][^\\]*")
# EDN's escapes are JSON's; line breaks may stand in a string.
_STRINGS = JSONDecoder(strict=False)
_CONSTANTS = {
    "nil": None,
    "true": True,
    "false": False,
    "##Inf": math.inf,
    "##-Inf": -math.inf,
    "##NaN": math.nan,
}
_CHARACTERS = {
    "newline": "\n",
    "return": "\r",
    "space": " ",
    "tab": "\t",
    "formfeed": "\f",
    "backspace": "\b",
}


class _Tag(str):
    """The tag before a value: its name, or "_" for a value to be discarded."""

    __slots__ = ()


def loads(text: str, *, shared: bool = False) -> Any:
    """The one value that `text` holds. Raises EDNError.

    If it may be `shared`, short vectors that are alike may be one and the same list, in this value
    and in others. Nobody must change them. That takes less time, and a third of the memory.
    """
    values = load_all(text, shared=shared)
    if len(values) != 1:
        problem = "more than one value" if values else "no value"
        raise EDNError(problem, text, 0 if values else len(text))
    return values[0]


def load_all(text: str, *, shared: bool = False) -> list[Any]:
    """All values in `text`, one after the other, perhaps `shared`. Raises EDNError."""
    if shared:
        with suppress(EDNError):
            return _load_all(text, _TOKEN_OR_FLAT)
    return _load_all(text, _TOKEN)  # which knows where an error is


def _load_all(text: str, pattern: re.Pattern[str]) -> list[Any]:
    items: list[Any] = []  # of the innermost collection that is open
    opener = ""
    around: list[tuple[str, list[Any]]] = []
    tagged = False
    tokens = pattern.findall(text)
    number = 0
    try:
        for number, token in enumerate(tokens):  # noqa: B007 - it tells where an error is
            if token in _CLOSING:
                around.append((opener, items))
                opener, items = token, []
            elif token in "]})":
                if _CLOSING.get(opener) != token:
                    raise ValueError("unexpected bracket")
                value = _collection(opener, _with_tags(items) if tagged else items)
                opener, items = around.pop()
                items.append(value)
            elif token[0] == '"':
                items.append(_string(token))
            elif token[0] == "#" and token[1:2] != "#":
                items.append(_tag(token))
                tagged = True
            elif token[0] == "[":
                items.append(_flat(token))
            elif token[0] != ";":
                items.append(_atom(token))
        number = len(tokens)
        if around:
            raise ValueError(f"{opener!r} without an end")
        return _with_tags(items) if tagged else items
    except (ValueError, ArithmeticError) as error:
        raise EDNError(str(error), text, _position(text, number)) from None


@lru_cache(maxsize=1 << 14)
def _flat(token: str) -> list[Any]:
    return [_atom(part) for part in token[1:-1].replace(",", " ").split()]


def _position(text: str, number: int) -> int:
    """The position in the text where token `number` begins."""
    match = next(islice(_TOKEN.finditer(text), number, None), None)
    return match.start() if match else len(text)


@lru_cache(maxsize=1 << 14)
def _atom(token: str) -> Any:
    if token[0] == ":" and len(token) > 1:
        return Keyword(token[1:])
    if token in _CONSTANTS:
        return _CONSTANTS[token]
    if _INTEGER.fullmatch(token):
        return int(token.rstrip("N"))
    if _FLOAT.fullmatch(token):
        return float(token.rstrip("M"))
    if ratio := _RATIO.fullmatch(token):
        return int(ratio[1]) / int(ratio[2])
    if token[0] == "\\":
        return _character(token[1:])
    if _SYMBOL.fullmatch(token):
        return Symbol(token)
    raise ValueError("not a value")


def _character(name: str) -> str:
    if name in _CHARACTERS:
        return _CHARACTERS[name]
    if len(name) == 1:
        return name
    if re.fullmatch("u[0-9a-fA-F]{4}", name):
        return chr(int(name[1:], 16))
    raise ValueError("not a character")


def _string(token: str) -> str:
    if "\\" not in token and len(token) > 1:
        return token[1:-1]
    try:
        return str(_STRINGS.decode(token))
    except ValueError:
        raise ValueError("a string without an end or with a wrong escape") from None


def _tag(token: str) -> _Tag:
    if not _SYMBOL.fullmatch(token[1:]):
        raise ValueError("not a tag")
    return _Tag(token[1:])


def _with_tags(items: list[Any]) -> list[Any]:
    """Give each tag the value that follows it."""
    values: list[Any] = []
    for item in reversed(items):
        if not isinstance(item, _Tag):
            values.append(item)
            continue
        if not values:
            raise ValueError(f"nothing follows #{item}")
        value = values.pop()
        if item != "_":
            values.append(Record(value, str(item)) if isinstance(value, dict) else value)
    values.reverse()
    return values


def _collection(opener: str, items: list[Any]) -> Any:
    if opener == "{":
        if len(items) % 2:
            raise ValueError("a map with a key that has no value")
        try:
            return dict(zip(items[::2], items[1::2], strict=True))
        except TypeError:
            return dict(zip(map(hashable, items[::2]), items[1::2], strict=True))
    if opener == "#{":
        return frozenset(map(hashable, items))
    return items


def hashable(value: Any) -> Any:
    """The value in a form that can be a key: lists become tuples, maps FrozenMaps."""
    if isinstance(value, (list, tuple)):
        return tuple([hashable(item) for item in value])
    if isinstance(value, dict):
        return FrozenMap([(hashable(k), hashable(v)) for k, v in value.items()])
    return value


# Writing

_WIDTH = 100  # columns of pretty text
_COLLECTIONS = (dict, list, tuple, frozenset, set)
_KEYWORD = re.compile(r"[A-Za-z*!_?<>=.+&%$|-][\w*!?<>=.+&%$|'#/-]*", re.ASCII)
_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    "\f": "\\f",
    "\b": "\\b",
}
# Control characters and lone surrogates, which a file can't hold or a terminal shouldn't show.
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f\ud800-\udfff]')


def dumps(value: Any) -> str:
    """The value in one line. A str that is no Keyword is written as a string, even as a key."""
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, dict):
        inside = ", ".join([f"{dumps(key)} {dumps(item)}" for key, item in value.items()])
    elif type(value) is list and set(map(type, value)) == {int}:
        return repr(value).replace(",", "")  # a node's answer to a read can be long
    elif isinstance(value, (list, tuple, frozenset, set)):
        inside = " ".join([dumps(item) for item in _ordered(value)])
    else:
        return str(value)
    opening, closing = _brackets(value)
    return f"{opening}{inside}{closing}"


def pretty(value: Any, indent: int = 0) -> str:
    """The value in one or more readable lines; all except the first are indented by `indent`."""
    if (
        indent >= _WIDTH
        or not isinstance(value, _COLLECTIONS)
        or _room(value, _WIDTH - indent) >= 0
    ):
        return dumps(value)
    opening, closing = _brackets(value)
    margin = indent + len(opening)
    if isinstance(value, dict):
        names = [f"{dumps(key)} " for key in value]
        items = zip(names, value.values(), strict=True)
        parts = [f"{name}{pretty(item, margin + len(name))}" for name, item in items]
        separator = ","
    else:
        parts = [pretty(item, margin) for item in _ordered(value)]
        separator = ""
    inside = f"{separator}\n{' ' * margin}".join(parts)
    return f"{opening}{inside}{closing}"


def _room(value: Any, columns: int) -> int:
    """How many of the columns are left after the value in one line; below 0 if it is too long.

    The function stops when no columns are left, or else the time would grow with the square of the
    depth of a value.
    """
    if not isinstance(value, _COLLECTIONS):
        return columns - len(dumps(value))
    columns -= sum(map(len, _brackets(value)))
    gaps = cycle((", ", " ")) if isinstance(value, dict) else repeat(" ")
    parts = chain.from_iterable(value.items()) if isinstance(value, dict) else value
    for number, (part, gap) in enumerate(zip(parts, gaps, strict=False)):
        columns = _room(part, columns - (len(gap) if number else 0))
        if columns < 0:
            break
    return columns


def keywordized(value: Any) -> Any:
    """Results with keywords as keys, as Maelstrom has them; Records stay as they are."""
    if isinstance(value, Record):
        return value
    if isinstance(value, dict):
        return {
            Keyword(key) if isinstance(key, str) else key: keywordized(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [keywordized(item) for item in value]
    return value


def _brackets(value: Any) -> tuple[str, str]:
    if isinstance(value, dict):
        tag = f"#{value.tag}" if isinstance(value, Record) and value.tag else ""
        return f"{tag}{{", "}"
    return ("#{", "}") if isinstance(value, (frozenset, set)) else ("[", "]")


def _ordered(items: Iterable[Any]) -> Iterable[Any]:
    return sorted(items, key=order) if isinstance(items, (frozenset, set)) else items


def _text(value: str) -> str:
    if isinstance(value, Symbol):
        return str(value)
    if isinstance(value, Keyword) and _is_plain(value):
        return f":{value}"
    if _ESCAPED.search(value):
        value = _ESCAPED.sub(lambda found: _escape(found[0]), value)
    return f'"{value}"'


@lru_cache(maxsize=1024)
def _is_plain(keyword: Keyword) -> bool:
    """Whether a keyword can be written without quotes."""
    return _KEYWORD.fullmatch(keyword) is not None


def _escape(character: str) -> str:
    return _ESCAPES.get(character) or f"\\u{ord(character):04x}"


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "##NaN" if math.isnan(value) else "##Inf" if value > 0 else "##-Inf"


# JSON


def to_json(value: Any) -> Any:
    """The value in the shapes of JSON: sets as sorted lists, keys as strings."""
    if isinstance(value, dict):
        return {_json_key(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, frozenset, set)):
        if type(value) is list and _JSON_ATOMS.issuperset(map(type, value)):
            return value
        return [to_json(item) for item in _ordered(value)]
    return value


_JSON_ATOMS = frozenset({int, float, bool, str, Keyword, type(None)})


def _json_key(key: Any) -> str:
    return key if isinstance(key, str) else dumps(key)
