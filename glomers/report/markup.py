"""HTML that is put together of elements, so that no text can be taken for markup."""

from __future__ import annotations

import html


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


# Elements that have no end.
VOID = ("input", "link", "meta")

Attribute = str | int | bool | None


def tag(name: str, /, *children: str | None, **attributes: Attribute) -> Markup:
    """An element with its children: what is no Markup is text; None is left out.

    An attribute that is True has no value, one that is False or None is left out. Its name is
    written with `_` for a hyphen, and may have a `_` at its end (`class_`).
    """
    given = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{html.escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    end = "" if name in VOID else f"</{name}>"
    return Markup(f"<{name}{given}>{joined(*children)}{end}")


def joined(*children: str | None) -> Markup:
    """Elements and texts one after the other."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(child)
            for child in children
            if child is not None
        )
    )
