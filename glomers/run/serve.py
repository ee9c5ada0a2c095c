"""`serve`: all runs of a store in the browser, on this machine alone.

Theory of operation. Whatever is asked for is looked up: a run's name is compared with the names of
the runs that are there, and a file is opened from the run's folder name by name, without following
links. So no name leads out of the store. Only what asks for this machine by its own name gets an
answer (the header Host), or else a web page elsewhere could make a name of its own lead here, and
read everything. Pages of tests have their own Content-Security-Policy, which lets nothing run but
what `report.page` has put there; a page that says otherwise, as an older version's does, is made
again before it is shown. Files are text, and nothing else to a browser.
"""

from __future__ import annotations

import errno
import io
import json
import os
import socketserver
import sys
import webbrowser
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from email.message import Message
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

from glomers.errors import UsageError, quote
from glomers.exits import VALID
from glomers.history import kept_runs
from glomers.invocation import named, shown
from glomers.options import Parser, checked, program
from glomers.report import page, runs_page
from glomers.report.runs_page import ENDED, RUNNING, KeptRun
from glomers.report.summary import PAGE
from glomers.run.kept import collected, collected_so_far
from glomers.run.overview import BROKEN, Growth, challenge_of, overview, state_of

LOOPBACK = "127.0.0.1"
OWN_NAMES = (LOOPBACK, "localhost")
PATIENCE = 30  # seconds for a browser that says or takes nothing
REMEMBERED = 1000  # runs whose overview is remembered
CHUNK = 1 << 16  # bytes of a file that are sent at once
HEAD = 1 << 13  # bytes of a page in which its policy stands

FILE_POLICY = "default-src 'none'; sandbox"


class NotThere(Exception):
    """There is nothing of that name."""


class Runs:
    """The runs of a store, and what is remembered of them. Threads may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.making = Lock()  # one page at a time: it takes memory and a processor
        self._lock = Lock()
        self._overviews: OrderedDict[str, tuple[Any, KeptRun]] = OrderedDict()
        self._growths: dict[str, Growth] = {}

    def all(self) -> list[KeptRun]:
        """All runs, the latest first."""
        found = [self.overview(run) for run in self._folders()]
        return sorted(found, key=lambda run: (run.when, run.name), reverse=True)

    def changes(self) -> str:
        """Something that is another when the list is."""
        state = sorted((kept_runs.name_of(run), state_of(run)) for run in self._folders())
        return sha256(repr(state).encode("utf-8", "surrogateescape")).hexdigest()

    def _folders(self) -> list[Path]:
        with suppress(OSError):  # it may be gone
            return list(kept_runs.runs(self.root))
        return []

    def find(self, name: str) -> Path:
        """The folder of a run. Raises NotThere."""
        with suppress(OSError):
            if run := kept_runs.find(self.root, name):
                return run
        raise NotThere(f"there is no run {quote(name)!r} in this store")

    def overview(self, run: Path) -> KeptRun:
        name, state = kept_runs.name_of(run), state_of(run)
        with self._lock:
            known = self._overviews.get(name)
        if known and known[0] == state:
            return known[1]
        found = overview(run)
        with self._lock:
            self._overviews[name] = state, found
            while len(self._overviews) > REMEMBERED:
                self._overviews.popitem(last=False)
        return found

    def progress(self, run: Path) -> dict[str, Any]:
        """How far a run is."""
        state = self.overview(run).state
        with self._lock:
            if state != RUNNING:
                self._growths.pop(kept_runs.name_of(run), None)
                return {"state": state}
            growth = self._growths.setdefault(kept_runs.name_of(run), Growth(run))
            return {"state": state, **growth.look()}

    def page(self, run: Path) -> BinaryIO:
        """The page of a test, which is made if it isn't there. Raises UsageError."""
        with self.making:
            if self.overview(run).state in (RUNNING, ENDED):
                return io.BytesIO(page.render(collected_so_far(run)).encode("utf-8"))
            with suppress(FileNotFoundError):
                file = kept_runs.open_within(run, PAGE)
                if page.policy().encode("utf-8") in file.read(HEAD):
                    file.seek(0)
                    return file
                file.close()
            made = collected(run, challenge_of(run))
            with suppress(OSError):  # it may be that it can only be read
                page.write(made, run / PAGE)
                return kept_runs.open_within(run, PAGE)
            return io.BytesIO(page.render(made).encode("utf-8"))


class Server(ThreadingHTTPServer):
    """Serves the runs of a store at `address`, until `shutdown`. Port 0 is any that is free."""

    daemon_threads = True

    def __init__(self, root: Path, port: int = 0) -> None:
        self.runs = Runs(root)
        super().__init__((LOOPBACK, port), Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"error: a request failed: {error!r}", file=sys.stderr)


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def do_GET(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # nobody reads it
        problem = _mistrust(self.headers)
        if problem:
            self._tell(403, problem)
            return
        try:
            self._answer()
        except NotThere as error:
            self._tell(404, str(error))
        except (ConnectionError, TimeoutError):
            raise
        except (*BROKEN, MemoryError) as error:
            self._tell(500, f"this can't be shown: {error}")

    do_HEAD = do_GET

    def _refuse(self) -> None:
        self.close_connection = True  # what comes with the request isn't read
        self._send(405, "text/plain", b"only GET and HEAD\n", Allow="GET, HEAD")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _refuse

    def _answer(self) -> None:
        runs = self.server.runs
        path, query = _parts(self.path)
        match path:
            case [""]:
                state = runs.changes()
                self._show(runs_page.all_runs(runs.all(), shown(runs.root), state))
            case ["style.css"]:
                self._send(200, "text/css", runs_page.style().encode("utf-8"))
            case ["script.js"]:
                self._send(200, "text/javascript", runs_page.script().encode("utf-8"))
            case ["changes"]:
                self._send(200, "text/plain", runs.changes().encode("ascii"))
            case ["compare"]:
                names = parse_qs(query, errors="surrogateescape").get("run", [])
                if len(names) != 2:
                    raise NotThere(f"expected two runs to compare, not {len(names)}: pick two")
                self._show(runs_page.compared(*map(runs.overview, map(runs.find, names))))
            case ["run", workload, time]:
                run = runs.find(f"{workload}/{time}")
                self._show(runs_page.one_run(runs.overview(run), kept_runs.files(run)))
            case ["run", workload, time, "report.html"]:
                with runs.page(runs.find(f"{workload}/{time}")) as file:
                    policy = f"{page.policy()}; frame-ancestors 'self'"
                    self._send_file(file, "text/html", policy)
            case ["run", workload, time, "progress"]:
                told = runs.progress(runs.find(f"{workload}/{time}"))
                self._send(200, "application/json", json.dumps(told).encode("utf-8"))
            case ["run", workload, time, "file", *names]:
                try:
                    file = kept_runs.open_within(runs.find(f"{workload}/{time}"), *names)
                except FileNotFoundError:
                    raise NotThere("this run has no such file") from None
                with file:
                    is_picture = names[-1].endswith(".png")
                    self._send_file(file, "image/png" if is_picture else "text/plain")
            case _:
                raise NotThere("there is no such page")

    # Answers

    def _show(self, text: str) -> None:
        self._send(200, "text/html", text.encode("utf-8"), runs_page.POLICY)

    def _tell(self, status: int, text: str) -> None:
        title = {403: "Refused", 404: "Not found", 500: "Failed"}[status]
        told = runs_page.problem(title, text).encode("utf-8")
        self._send(status, "text/html", told, runs_page.POLICY)

    def _send(
        self, status: int, type: str, content: bytes, policy: str = FILE_POLICY, **more: str
    ) -> None:
        self._begin(status, type, len(content), policy, **more)
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_file(self, file: BinaryIO, type: str, policy: str = FILE_POLICY) -> None:
        """Send what there is of a file now: it may grow."""
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._begin(200, type, size, policy)
        if self.command == "HEAD":
            return
        while size > 0 and (chunk := file.read(min(size, CHUNK))):
            self.wfile.write(chunk)
            size -= len(chunk)
        self.close_connection = self.close_connection or size > 0  # it has become shorter

    def _begin(self, status: int, type: str, size: int, policy: str, **more: str) -> None:
        is_text = type.partition("/")[0] == "text"
        self.send_response(status)
        self.send_header("Content-Type", f"{type}; charset=utf-8" if is_text else type)
        self.send_header("Content-Length", str(size))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server makes of a request that is none: without markup."""
        self.close_connection = True
        text = f"{code} {message or self.responses.get(code, ('', ''))[0]}\n"
        with suppress(OSError):
            self._send(code, "text/plain", text.encode("utf-8", "replace"))

    def version_string(self) -> str:
        return "glomers"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is printed of a request."""


def _mistrust(headers: Message) -> str:
    """Why a request isn't answered; "" if it is.

    A page elsewhere may have its name resolved to this machine (DNS rebinding), but can't help that
    the browser says that name. The port is another where somebody forwards it.
    """
    hosts = headers.get_all("Host") or []
    host = hosts[0] if len(hosts) == 1 else ""
    name, colon, port = host.partition(":")
    if name.lower() not in OWN_NAMES or (colon and not (port.isascii() and port.isdigit())):
        return f"this server answers to the names {' and '.join(OWN_NAMES)} only"
    return ""


def _parts(target: str) -> tuple[list[str], str]:
    """The parts of a path, decoded one by one, and the query. Raises NotThere for what is none."""
    try:
        url = urlsplit(target)
    except ValueError:
        raise NotThere("that is no address") from None
    if url.scheme or url.netloc or not url.path.startswith("/"):
        raise NotThere("expected a path")
    return [os.fsdecode(unquote_to_bytes(part)) for part in url.path[1:].split("/")], url.query


def main(arguments: Sequence[str]) -> int:
    """`serve`: show all runs in the browser, until Ctrl-C; that is how it is meant to end."""
    parser = Parser(
        prog=f"{program()} serve",
        description="Show all runs that are kept in the browser. Nobody else can reach it.",
    )
    parser.add_argument(
        "--store", type=named, default=Path("store"), metavar="DIR", help="default: ./store"
    )
    parser.add_argument(
        "--port",
        type=checked(int, range(1 << 16).__contains__, "a port, such as 8080"),
        default=0,
        metavar="NUM",
        help="the port (default: one that is free)",
    )
    parser.add_argument("--open", action="store_true", help="open the browser")
    parsed = parser.parse_intermixed_args(arguments)
    if not parsed.store.is_dir():
        raise UsageError(f"there is no store {shown(parsed.store)}: a run makes it; see --store")
    try:
        server = Server(parsed.store, parsed.port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise UsageError(f"can't serve at port {parsed.port}: {error.strerror}") from None
    with server, suppress(KeyboardInterrupt):
        print(f"The runs of {shown(parsed.store)}: {server.address} (Ctrl-C ends it)", flush=True)
        if parsed.open:
            webbrowser.open(server.address)
        server.serve_forever()
    with server.runs.making:  # a page that is just being written
        return VALID
