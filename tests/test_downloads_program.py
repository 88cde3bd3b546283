"""Downloads by the whole program: its own process, real sockets, and whatever ends it early."""

import contextlib
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import FakeClock
from fetching import PUBLIC, contents
from mirroring import DAY, rows
from test_cli import PROGRAM
from test_end_to_end import environment

from pylon_to_sqlite.downloads import Downloads
from pylon_to_sqlite.errors import Unavailable
from pylon_to_sqlite.folder import Folder
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server
from pylon_to_sqlite.sandbox.workspace import Workspace

FILES = 12
CERTIFICATE = Path(__file__).with_name("files") / "files.example.pem"


class Meddling(Api):
    """Does something to the program when a file is asked for the so-manieth time."""

    process: subprocess.Popen[str] | None = None

    def __init__(self, workspace: Workspace, at: int, do: Callable[["Meddling"], None]) -> None:
        super().__init__(workspace, allowance=None)
        self._left, self._do, self._counting = at, do, threading.Lock()
        self.outlived = threading.Event()

    def fetch(self, *given: Any) -> Any:
        with self._counting:
            self._left -= 1
            is_it = self._left == 0
        if is_it:
            self._do(self)
        return super().fetch(*given)

    def send(self, sign: signal.Signals) -> None:
        """Send a signal, and answer when the program has ended."""
        assert self.process
        self.process.send_signal(sign)
        self.wait()

    def wait(self) -> None:
        assert self.process
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=20)
            self.outlived.set()


@pytest.fixture
def filled(workspace: Workspace, clock: FakeClock) -> Workspace:
    """Issues with a file each, all different."""
    for number in range(FILES):
        address = workspace.add_file(f"report {number}.pdf", b"%%PDF %d" % number)
        issue = workspace.open_issue(title=f"Question {number}", body_html="<p>Why?</p>")
        workspace.reply(issue, html="See", author_name="Bot", file_urls=[address])
    clock.sleep(DAY)
    return workspace


def started(url: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-c", PROGRAM, "sync", str(path)),
            *("--download-attachments", "files", *arguments),
        ],
        env={**environment(url, path.parent), "HTTP_PROXY": "http://127.0.0.1:9/"},
        cwd=path.parent,
        stderr=subprocess.PIPE,
        text=True,
    )


def serve(api: Api) -> Server:
    server = Server(api)
    api.files_url = server.files_url
    return server


def finished(process: subprocess.Popen[str]) -> list[str]:
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    return said.splitlines()


def there(path: Path) -> int:
    return len(rows(path, "SELECT * FROM attachments WHERE path IS NOT NULL"))


def check_whole(path: Path, api: Api) -> None:
    wanted = sorted(api.workspace.files.values())
    assert sorted(contents(path).values()) == wanted
    assert there(path) == FILES
    assert rows(path, "SELECT * FROM attachments WHERE error IS NOT NULL") == []
    assert (api.writes, api.strays) == ([], [])


def test_the_files_are_there_and_it_is_told(path: Path, filled: Workspace) -> None:
    api = Api(filled, allowance=None)
    with serve(api) as server:
        first = finished(started(server.url, path))
        size = sum(map(len, filled.files.values())) / 10**6
        told = f"Attachments: {FILES} files fetched ({size:.1f} MB), 0 failed"
        assert first[-1] == told
        check_whole(path, api)
        second = finished(process := started(server.url, path, "-q"))
        assert (second, process.returncode) == ([], 0)
    assert len(api.downloads) == FILES
    # The choice is not remembered.
    assert [row["key"] for row in rows(path, "SELECT key FROM _pylon_meta")].count("files") == 0


@pytest.mark.parametrize("workers", ["1", "4"])
def test_ctrl_c_does_not_wait_for_a_file(path: Path, filled: Workspace, workers: str) -> None:
    api = Meddling(filled, 7, lambda api: api.send(signal.SIGINT))
    with serve(api) as server:
        api.process = started(server.url, path, "--workers", workers)
        said = finished(api.process)
        # It has ended before the file was answered.
        assert (api.process.returncode, api.outlived.wait(20)) == (5, True)
        assert said[-1] == "Stopped. What was read is committed; run it again to go on."
        assert 0 < there(path) < FILES
        # One may have been on its way from the directory into the file; the next run sees to it.
        whole = [one for one in contents(path) if not one.endswith(".part")]
        assert len(whole) - there(path) in (0, 1)
        finished(process := started(server.url, path))
        assert process.returncode == 0
    check_whole(path, api)


def test_the_end_of_the_time_does_not_wait_for_a_file(path: Path, filled: Workspace) -> None:
    api = Meddling(filled, 7, Meddling.wait)
    with serve(api) as server:
        api.process = started(server.url, path, "--max-time", "8s", "--workers", "2")
        finished(api.process)
        assert (api.process.returncode, api.outlived.wait(20)) == (5, True)
        assert 0 < there(path) < FILES
        finished(process := started(server.url, path))
        assert process.returncode == 0
    check_whole(path, api)


@pytest.mark.parametrize("at", [1, 2, 6, FILES])
def test_a_kill_at_a_file_loses_nothing(path: Path, filled: Workspace, at: int) -> None:
    api = Meddling(filled, at, lambda api: api.send(signal.SIGKILL))
    with serve(api) as server:
        api.process = started(server.url, path, "--workers", "2")
        finished(api.process)
        assert api.process.returncode == -signal.SIGKILL
        finished(process := started(server.url, path))
        assert process.returncode == 0
    check_whole(path, api)
    assert not [*(path.parent / "files").rglob("*.part")]
    # At most what was under way is fetched twice.
    assert len([one for one in api.downloads if one.status == 200]) <= FILES + 2


def test_files_of_this_machine_are_for_an_api_of_this_machine(
    path: Path, workspace: Workspace, clock: FakeClock
) -> None:
    """And even then without TLS only: what else listens here is nobody's business."""
    address = "https://127.0.0.1/x.txt"
    issue = workspace.open_issue(title="Question", body_html="<p>Why?</p>")
    workspace.reply(issue, html="See", author_name="Bot", file_urls=[address])
    clock.sleep(DAY)
    with serve(Api(workspace, allowance=None)) as server:
        finished(started(server.url, path))
    (row,) = rows(path, "SELECT error FROM attachments")
    assert row["error"] == "127.0.0.1 is no public address"


@pytest.mark.parametrize("more", [(), ("-q",)])
def test_a_directory_that_fills_up_is_told_and_what_is_there_stays(
    path: Path, filled: Workspace, more: tuple[str, ...]
) -> None:
    api = Api(filled, allowance=None)
    (path.parent / "files").mkdir()
    for number in range(256):
        # As good as a full disk: no file can come to be in there.
        (path.parent / "files" / f"{number:02x}").write_bytes(b"")
    with serve(api) as server:
        said = finished(process := started(server.url, path, *more))
        assert process.returncode == 1
        assert re.search("0 files fetched .*; stopped: cannot write to .*/files: ", said[-1])
        assert len(rows(path, "SELECT * FROM issues WHERE deleted_at IS NULL")) == FILES
        for number in range(256):
            (path.parent / "files" / f"{number:02x}").unlink()
        finished(started(server.url, path))
    check_whole(path, api)


@pytest.mark.parametrize(
    ("size", "told"),
    [("6", ""), ("1KB", ""), ("1.5gb", ""), ("0", "no size"), ("-1", "no size"), ("x", "no size")],
)
def test_sizes(path: Path, filled: Workspace, size: str, told: str) -> None:
    api = Api(filled, allowance=None)
    with serve(api) as server:
        said = finished(process := started(server.url, path, "--attachment-limit", size))
    assert (process.returncode, any(told in line for line in said)) == (2 if told else 0, True)
    if not told:
        # Those whose numbers have two digits are longer.
        assert there(path) == (10 if size == "6" else FILES)


class OverTls(httpx.BaseTransport):
    """Connects to a server on this machine instead, and does all else as it is asked to."""

    def __init__(self, port: int) -> None:
        self._port = port
        # The certificate of files.example is nobody's but these tests'.
        verify = ssl.create_default_context(cafile=str(CERTIFICATE))
        self._inner = httpx.HTTPTransport(verify=verify)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == PUBLIC
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return self._inner.handle_request(request)


@pytest.fixture
def port() -> Iterator[int]:
    """Where files.example listens, by TLS; it answers with what it was asked for."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{self.headers['Host']} {self.path}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_certificate_is_that_of_the_name_though_the_number_is_asked(
    tmp_path: Path, port: int
) -> None:
    folder = Folder(tmp_path / "files")
    folder.claim("")
    downloads = Downloads(folder, transport=OverTls(port), resolve=lambda host, port: [PUBLIC])
    asked = "/a%20b/%C3%BC.png?Signature=a%2Fb+c&x=~!*'()"
    fetched = downloads.fetch(f"https://files.example{asked}")
    assert fetched.part.read_text() == f"files.example {asked}"
    with pytest.raises(Unavailable, match="no whole answer"):
        downloads.fetch("https://other.example/x")
    downloads.close()
