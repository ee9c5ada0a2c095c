"""All runs in the browser: what is shown, and that nothing else ever is."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import struct
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glomers.cli import main
from glomers.history import kept_runs
from glomers.history.command import Command
from glomers.history.store import Store
from glomers.invocation import Invocation
from glomers.report import page
from glomers.run import single
from glomers.run.serve import Server
from tests.challenge_runs import ROOT
from tests.report.pages import kept, sent, written

SECRET = "what nobody may read"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"
TIME = "20261126T051830.877"


@contextmanager
def serving(store):
    server = Server(store)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.content = response.read()
        self.text = self.content.decode("utf-8", "replace")


def ask(server, path, method="GET", **headers):
    """The answer to a request whose path is sent as it stands."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection._validate_path = lambda path: None  # type: ignore[attr-defined]
    try:
        connection.request(method, path, headers={"Host": "localhost", **headers})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def command(folder: Path, *words: str, seed: int = 7) -> None:
    """Say that a run was called so."""
    called = Command.of(Invocation("./run.sh", Path("/home/me"), words), seed, "workbench", folder)
    (folder / "command.json").write_text(called.as_json())


def operation(index, time, type="invoke", process=0, f="echo", value="hello"):
    fields = {"index": index, "time": time, "type": type, "process": process, "f": f}
    return json.dumps({**fields, "value": value}) + "\n"


HISTORY = operation(0, 0) + operation(1, 2_000_000, "ok")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with a valid run of challenge 3b, and an invalid one of echo with its command."""
    root = tmp_path_factory.mktemp("serve") / "store"
    (root.parent / "secret").write_text(SECRET)
    command(kept(root, "3b", time_limit=2), "3b", "--seed", "7")
    echo = written(
        root / "echo" / TIME,
        [sent(0, 1, "c1", "n0", type="echo", msg_id=1)],
        HISTORY,
        **{"valid?": False, "error": "Node n0 printed nonsense"},
    )
    command(echo, "test", "--bin", "my node.py", seed=8)
    (echo / "node-logs").mkdir()
    (echo / "node-logs" / "n0.log").write_text(HOSTILE)
    (echo / "evil.html").write_text(HOSTILE)
    return root


@pytest.fixture(scope="module")
def server(store):
    with serving(store) as server:
        yield server


# What is shown


def test_the_list_has_each_run_with_verdict_test_figures_seed_and_command(server):
    text = ask(server, "/").text
    assert "2 runs" in text
    for told in ("✓", "valid", "3b · broadcast", "values lost <b>0</b>", ">7<", "./run.sh 3b"):
        assert told in text, told
    for told in ("✗", "invalid", "echo", "Node n0 printed nonsense", ">8<", "my node.py"):
        assert told in text, told


def test_the_targets_of_the_challenge_that_was_run_stand_beside_the_figures(server):
    assert '<span class="reached"> ✓ = 0</span>' in ask(server, "/").text


def test_the_latest_run_comes_first_whatever_its_folder_is_called(tmp_path):
    for name in ("20261126T051830.877", "20270101T000000.000Z", "20251126T051830.877+0100"):
        written(tmp_path / "echo" / name, [], HISTORY)
    os.utime(written(tmp_path / "echo" / "my best one", [], HISTORY), (2_000_000_000,) * 2)
    with serving(tmp_path) as server:
        text = ask(server, "/").text
    places = [text.index(f"/run/echo/{start}") for start in ("my", "2027", "2026", "2025")]
    assert places == sorted(places)


def test_a_run_leads_to_its_page_and_its_files(server):
    text = ask(server, f"/run/echo/{TIME}").text
    for name in ("report.html", "file/results.edn", "file/messages.jsonl", "file/node-logs/n0.log"):
        assert f'href="/run/echo/{TIME}/{name}"' in text


def test_two_runs_stand_side_by_side_and_differences_are_marked(server):
    one, other = (kept_runs.name_of(run) for run in sorted(kept_runs.runs(server.runs.root)))
    answer = ask(server, f"/compare?run={quote(one, safe='')}&run={quote(other, safe='')}")
    assert answer.status == 200
    lines = {name: answer.text.partition(f">{name}</th>")[2] for name in ("seed", "engine")}
    assert lines["seed"].startswith("<td>7</td><td>8</td><td>≠</td>")
    assert lines["engine"].startswith("<td>workbench</td><td>workbench</td><td></td>")


@pytest.mark.parametrize("query", ["", "?run=echo", "?run=a&run=b&run=c", "?run=..&run=.."])
def test_other_than_two_runs_that_exist_can_not_be_compared(server, query):
    assert ask(server, f"/compare{query}").status == 404


def test_files_are_text_whatever_their_names_say(server):
    for name in ("evil.html", "results.edn", "messages.jsonl", "node-logs/n0.log"):
        answer = ask(server, f"/run/echo/{TIME}/file/{name}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert ask(server, f"/run/echo/{TIME}/file/evil.html").text == HOSTILE


def test_a_page_that_is_missing_is_made(server, store):
    (store / "echo" / TIME / "report.html").unlink(missing_ok=True)
    answer = ask(server, f"/run/echo/{TIME}/report.html")
    assert answer.status == 200
    assert answer.headers["Content-Security-Policy"].startswith(page.policy())
    assert answer.text == (store / "echo" / TIME / "report.html").read_text()


def test_a_page_that_can_not_be_kept_is_shown_all_the_same(server, store, monkeypatch):
    def refused(run, file):
        raise PermissionError(30, "Read-only file system", str(file))

    monkeypatch.setattr(page, "write", refused)
    file = store / "echo" / TIME / "report.html"
    file.unlink(missing_ok=True)
    answer = ask(server, f"/run/echo/{TIME}/report.html")
    assert answer.status == 200
    assert "<title>echo · " in answer.text
    assert not file.exists()


def test_a_page_that_is_not_as_we_make_them_is_made_again(server, store):
    (store / "echo" / TIME / "report.html").write_text(HOSTILE)
    answer = ask(server, f"/run/echo/{TIME}/report.html")
    assert answer.status == 200
    assert HOSTILE not in answer.text


def test_head_has_what_get_has_but_the_content(server):
    for path in ("/", f"/run/echo/{TIME}", f"/run/echo/{TIME}/file/evil.html", "/nothing"):
        get, head = ask(server, path), ask(server, path, "HEAD")
        assert (head.status, head.content) == (get.status, b"")
        assert head.headers["Content-Length"] == str(len(get.content))


def test_an_empty_store_says_so(tmp_path):
    with serving(tmp_path) as server:
        assert "no runs yet" in ask(server, "/").text


def test_a_run_that_holds_nonsense_does_not_spoil_the_list(tmp_path):
    written(tmp_path / "echo" / "good", [], HISTORY)
    (written(tmp_path / "echo" / "bad", [], HISTORY) / "results.edn").write_text("{:valid? [")
    (written(tmp_path / "echo" / "worse", [], HISTORY) / "results.edn").write_text(
        '{:valid? true, :stats {:count "many"}, :net 3}'
    )
    with serving(tmp_path) as server:
        text = ask(server, "/").text
        assert text.count("unreadable</span>") == 2
        assert "/run/echo/good" in text
        answer = ask(server, "/run/echo/bad/report.html")
        assert answer.status == 500
        assert "holds no results" in answer.text


# A run that goes on


@contextmanager
def running(folder):
    """The run in the folder goes on: its process holds the lock."""
    with (folder / "command.json").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def unfinished(tmp_path):
    events = [sent(0, 1, "c1", "n0", type="echo", msg_id=1), sent(5, 2, "n0", "c1", type="echo_ok")]
    folder = written(tmp_path / "echo" / TIME, events, HISTORY)
    (folder / "results.edn").unlink()
    (folder / "run.log").write_text(HOSTILE)
    command(folder, "1", "--seed", "7")
    return folder


def test_a_run_in_progress_tells_how_far_it_is(tmp_path, unfinished):
    path = f"/run/echo/{TIME}/progress"
    with serving(tmp_path) as server:
        with running(unfinished):
            assert "running</span>" in ask(server, "/").text
            told = json.loads(ask(server, path).text)
            assert told["words"] == "0.0 s · 1 operations (1 ok, 0 fail, 0 info) · 2 messages"
            assert told["log"] == HOSTILE
            with (unfinished / "history.jsonl").open("a") as file:
                file.write(operation(2, 1_500_000_000) + operation(3, 1_600_000_000, "info")[:-9])
            told = json.loads(ask(server, path).text)
            assert told["words"] == "1.5 s · 2 operations (1 ok, 0 fail, 0 info) · 2 messages"
        assert json.loads(ask(server, path).text) == {"state": "ended early"}


def test_the_page_of_a_run_in_progress_shows_what_there_is_and_is_not_kept(tmp_path, unfinished):
    with serving(tmp_path) as server, running(unfinished):
        with (unfinished / "history.jsonl").open("a") as file:
            file.write(operation(2, 1_500_000_000)[:-9])
        answer = ask(server, f"/run/echo/{TIME}/report.html")
        assert answer.status == 200
        assert answer.headers["Content-Security-Policy"].startswith(page.policy())
        assert not (unfinished / "report.html").exists()


def test_the_list_hears_of_a_run_that_begins_or_ends(tmp_path, unfinished):
    with serving(tmp_path) as server:
        with running(unfinished):
            before = ask(server, "/changes").text
            assert ask(server, "/changes").text == before
        after = ask(server, "/changes").text
        assert after != before
        written(tmp_path / "echo" / "another", [], HISTORY)
        assert ask(server, "/changes").text not in (before, after)


def test_a_test_in_real_time_writes_what_it_has_while_it_goes_on(tmp_path, monkeypatch):
    sizes = []
    flush = Store.flush

    def measured(store):
        flush(store)
        sizes.append((store.path / "history.jsonl").stat().st_size)

    monkeypatch.setattr(Store, "flush", measured)
    monkeypatch.setattr(single, "LAG", 0.02)
    words = ["-w", "echo", "--bin", str(ROOT / "echo.py"), "--time-limit", "1", "--rate", "50"]
    assert main(["test", *words, "--node-count", "1", "--store", str(tmp_path)]) == 0
    assert len(set(sizes)) > 3
    assert sizes == sorted(sizes)


def test_looking_at_a_run_that_begins_does_not_take_its_lock(tmp_path, unfinished):
    (unfinished / "command.json").write_text("")  # as it is until the lock has been taken
    with (unfinished / "command.json").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not kept_runs.is_running(unfinished)


# What is not shown


def test_links_lead_nowhere(tmp_path):
    store = tmp_path / "store"
    outside = written(tmp_path / "outside" / "run", [], HISTORY)
    (outside / "secret").write_text(SECRET)
    (store / "echo").mkdir(parents=True)
    (store / "outside").symlink_to(tmp_path / "outside")
    (store / "echo" / "linked").symlink_to(outside)
    whole = written(store / "echo" / "whole", [], HISTORY)
    (whole / "secret").symlink_to(outside / "secret")
    deep = written(store / "echo" / "deep", [], HISTORY)
    (deep / "node-logs").symlink_to(outside)
    with serving(store) as server:
        assert "no runs yet" in ask(server, "/").text
        for path in ("outside/run", "echo/linked", "echo/whole", "echo/deep"):
            for rest in ("", "/report.html", "/file/secret", "/file/node-logs/secret"):
                answer = ask(server, f"/run/{path}{rest}")
                assert answer.status == 404
                assert SECRET not in answer.text


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").write_text("content")
    with kept_runs.open_within(tmp_path, "file") as file:
        assert file.read() == b"content"
    for names in ((), ("pipe",), ("folder",), ("link",), ("folder", "..", "file"), ("file", "x")):
        with pytest.raises(FileNotFoundError):
            kept_runs.open_within(tmp_path, *names)


PIECES = st.sampled_from(
    [
        *("..", ".", "", "/", "%2e%2e", "%2E.", "..%2f", "%2f", "%5c", "\\", "..%5c", "%00"),
        *("%252e%252e", "%252f", "..;", "secret", "store", "latest", "//", "~", "%c0%ae", "?", "#"),
        *("run", "file", "echo", "broadcast", TIME, "node-logs", "n0.log", "results.edn", "etc"),
    ]
)
PATHS = st.lists(PIECES | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=6))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(start=st.sampled_from(["", "/", f"/run/echo/{TIME}/file/", "/run/echo/"]), parts=PATHS)
def test_no_path_leads_out_of_the_store(server, start, parts):
    for joint in ("/", ""):
        answer = ask(server, start + joint.join(parts))
        assert answer.status in (200, 400, 404)
        assert SECRET not in answer.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.sampled_from(["..", ".", "", "store", "secret", "/"]) | st.text()))
def test_no_names_open_a_file_outside_a_folder(store, names):
    try:
        with kept_runs.open_within(store, *names) as file:
            inside = Path(f"/proc/self/fd/{file.fileno()}")
            assert not inside.exists() or inside.resolve().is_relative_to(store.resolve())
    except FileNotFoundError:
        pass


@pytest.mark.parametrize(
    "path", ["http://elsewhere/", "//elsewhere/", "*", "http://[", f"run/echo/{TIME}", "/run//"]
)
def test_what_is_no_path_of_ours_is_not_found(server, path):
    assert ask(server, path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(server, method):
    answer = ask(server, "/", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_a_method_that_does_not_exist_is_refused_without_markup(server):
    answer = ask(server, "/", "<SCRIPT>")
    assert answer.status == 501
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "LOCALHOST", "127.0.0.1:1"])
def test_the_names_of_this_machine_are_answered(server, host):
    assert ask(server, "/", Host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "",
        "127.0.0.1.evil.example",
        "localhost:80@evil",
        "0.0.0.0",
    ],
)
def test_another_name_that_leads_here_is_refused(server, host):
    answer = ask(server, f"/run/echo/{TIME}/file/results.edn", Host=host)
    assert answer.status == 403
    assert "nonsense" not in answer.text


def test_every_page_lets_only_our_own_script_run(server):
    for path in ("/", f"/run/echo/{TIME}", "/compare", "/nothing"):
        policy = ask(server, path).headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'" in policy
        assert "unsafe" not in policy


def test_whatever_a_run_says_is_shown_as_text(tmp_path):
    name = "<img src=x onerror=alert(1)>"
    folder = written(
        tmp_path / "<b>echo" / name,
        [],
        HISTORY,
        **{"valid?": False, "error": HOSTILE, "stats": {"valid?": False, "count": HOSTILE}},
    )
    (folder / "node-logs").mkdir()
    (folder / "node-logs" / "<i>.log").write_text(HOSTILE)
    command(folder, HOSTILE, "\x1b[31m", "\u202e", "\ud800")
    with serving(tmp_path) as server:
        own = f"/run/{quote('<b>echo')}/{quote(name, safe='')}"
        both = quote(f"<b>echo/{name}", safe="")
        for path in ("/", own, f"/compare?run={both}&run={both}", f"/run/{quote(HOSTILE)}/x"):
            answer = ask(server, path)
            assert answer.status in (200, 404)
            assert "<img" not in answer.text
            assert "<script>" not in answer.text
            assert "<b>echo" not in answer.text
            assert "<i>" not in answer.text
        assert ask(server, f"{own}/file/node-logs/{quote('<i>.log')}").text == HOSTILE


def test_a_browser_that_goes_away_is_no_error(server, capfd):
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
            # Closed so, it is reset at once.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert ask(server, "/").status == 200
    assert capfd.readouterr().err == ""


# The command


def test_ctrl_c_is_how_it_ends(tmp_path, monkeypatch, capsys):
    def interrupted(_server):
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupted)
    assert main(["serve", "--store", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "http://127.0.0.1:" in out
    assert err == ""


def test_a_store_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["serve", "--store", str(tmp_path / "none")]) == 254
    assert "there is no store" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536", "http", ""])
def test_a_port_that_is_none_is_refused(port, tmp_path, capsys):
    assert main(["serve", "--store", str(tmp_path), f"--port={port}"]) == 254
    assert "expected a port" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(server, store, capsys):
    assert main(["serve", "--store", str(store), "--port", str(server.server_port)]) == 254
    assert f"can't serve at port {server.server_port}: Address already" in capsys.readouterr().err
