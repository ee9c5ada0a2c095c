"""Latency and rate as pictures."""

from __future__ import annotations

import json
import sys

import pytest

from glomers.cli import main
from tests.report.pages import kept, written

PNG = b"\x89PNG\r\n\x1a\n"


def test_both_pictures_are_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    folder = kept(
        tmp_path / "store", "3d", time_limit=4, nemesis=("partition",), nemesis_interval=2
    )
    assert main(["report", str(folder), "--png", "--out", str(tmp_path)]) == 0
    names = ("latency-plot.png", "rate-plot.png")
    assert [line.rpartition("/")[2] for line in capsys.readouterr().out.split()] == [*names]
    for name in names:
        assert (tmp_path / name).read_bytes().startswith(PNG)


@pytest.fixture
def axes(tmp_path, monkeypatch):
    """What is drawn of two echoes, one of which had no answer, during an endless pause."""
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure.axes[0]))
    history = [
        {"time": 0, "type": "invoke", "process": 0, "f": "echo", "value": 1},
        {"time": 0, "type": "info", "process": "nemesis", "f": "pause", "value": "all"},
        {"time": 0, "type": "info", "process": "nemesis", "f": "pause", "value": {}},
        {"time": 250_000_000, "type": "ok", "process": 0, "f": "echo", "value": 1},
        {"time": 500_000_000, "type": "invoke", "process": 1, "f": "echo", "value": 2},
        {"time": 2_500_000_000, "type": "info", "process": 1, "f": "echo", "value": 2},
    ]
    lines = "".join(json.dumps({"index": n, **o}) + "\n" for n, o in enumerate(history))
    assert main(["report", str(written(tmp_path / "echo" / "run", [], lines)), "--png"]) == 0
    return drawn


def test_latencies_are_dots_where_operations_began(axes):
    dots = {c.get_label(): c.get_offsets().tolist() for c in axes[0].collections}
    assert dots == {"echo ok": [[0.0, 250.0]], "echo info": [[0.5, 2000.0]]}


def test_a_rate_counts_what_ended_in_each_window(axes):
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes[1].lines}
    assert lines == {
        "echo ok": [[0.5, 1.0], [1.5, 0.0], [2.5, 0.0]],
        "echo info": [[0.5, 0.0], [1.5, 0.0], [2.5, 2.0]],  # in half a second
    }


def test_faults_are_shaded(axes):
    for drawn in axes:
        assert [patch.get_label() for patch in drawn.patches] == ["pause"]


HISTORY = "".join(
    json.dumps({"index": n, "time": n, "type": type, "process": 0, "f": "echo", "value": 1}) + "\n"
    for n, type in enumerate(("invoke", "ok"))
)


def test_the_name_of_a_folder_is_no_formula(tmp_path):
    pytest.importorskip("matplotlib")
    folder = written(tmp_path / "echo" / r"$\frac$", [], HISTORY)
    assert main(["report", str(folder), "--png"]) == 0


def test_a_picture_takes_its_place_when_all_of_it_is_there(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    def half(figure, out, **_):
        out.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", half)
    folder = written(tmp_path / "echo" / "run", [], HISTORY)
    before = set(folder.iterdir())
    assert main(["report", str(folder), "--png"]) == 255
    assert "latency-plot.png: No space left on device" in capsys.readouterr().err
    assert set(folder.iterdir()) == before


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    folder = written(tmp_path / "echo" / "run", [])
    assert main(["report", str(folder), "--png"]) == 254
    assert "pip install 'gossip-glomers[png]'" in capsys.readouterr().err


def test_a_test_without_operations_has_no_pictures(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    folder = written(tmp_path / "echo" / "run", [])
    assert main(["report", str(folder), "--png"]) == 254
    assert "echo/run has no operations to draw" in capsys.readouterr().err
