"""The rooms of the package: each imports only what is below it (pyproject.toml says how)."""

from __future__ import annotations

from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent


def test_imports_go_one_way(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT))
    status = lint_imports(str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == 0, capsys.readouterr().out


def test_every_room_says_what_lives_there():
    for room in (ROOT / "glomers").iterdir():
        if room.is_dir() and room.name != "__pycache__":
            first = (room / "__init__.py").read_text().split("\n", 1)[0]
            assert first.startswith('"""'), room
            assert first.rstrip('"').endswith((".", ":")), room
