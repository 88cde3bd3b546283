"""Serve an Api: to an httpx client in the same process, or over HTTP on this machine."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from .answers import Response
from .api import Api
from .faults import ELSEWHERE, BrokenConnection
from .files import FILES_HOST, FILES_PATH

# What httpx raises, and says, in each case.
_ERRORS: dict[str, tuple[type[httpx.TransportError], str]] = {
    "reset": (httpx.ReadError, "[Errno 104] Connection reset by peer"),
    "timeout": (httpx.ReadTimeout, "The read operation timed out"),
    "refused-connection": (httpx.ConnectError, "[Errno 111] Connection refused"),
    "dns-failure": (httpx.ConnectError, "[Errno -2] Name or service not known"),
    "tls-failure": (httpx.ConnectError, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired"),
    "half-body": (
        httpx.RemoteProtocolError,
        "peer closed connection without sending complete message body",
    ),
}


class SandboxTransport(httpx.BaseTransport):
    """An httpx transport that asks an Api directly: no sockets, no waiting."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, or raise the error that httpx has for a broken connection."""
        if request.url.host == ELSEWHERE:
            self.api.strays.append(str(request.url))
            raise httpx.ConnectError("a redirect was followed to another host", request=request)
        query = dict(request.url.params.multi_items())
        headers = dict(request.headers.items())
        asked = request.method, request.url.path, query, headers
        try:
            # Who connects to an address that they have checked says in the header whose it is.
            if request.headers["host"] == FILES_HOST:
                answer = self.api.fetch(*asked)
            else:
                answer = self.api.handle(*asked, request.read())
        except BrokenConnection as broken:
            error, words = _ERRORS[broken.kind]
            raise error(words, request=request) from broken
        return httpx.Response(
            answer.status, headers=dict(answer.headers), content=answer.body, request=request
        )


class Server:
    """An Api behind a real HTTP server on 127.0.0.1, one thread a connection."""

    def __init__(self, api: Api, port: int = 0, latency: float = 0.0) -> None:
        self._http = _HttpServer(api, port, latency)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def files_url(self) -> str:
        """Where it has the files of the host that the API's addresses name."""
        return f"{self.url}{FILES_PATH}"

    def start(self) -> Server:
        """Serve in the background."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving, and hang up on whoever is still connected."""
        self._http.stopping.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.hang_up()
        self._http.server_close()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, api: Api, port: int, latency: float) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.api, self.latency = api, latency
        self.stopping = threading.Event()
        self.connections: set[socket.socket] = set()

    def hang_up(self) -> None:
        for connection in tuple(self.connections):
            _shut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may hang up
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one write
    server: _HttpServer

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        server = self.server
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if server.latency:
            server.stopping.wait(server.latency)
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers, path = dict(self.headers.items()), unquote(parts.path)
        of_files = headers.get("Host") == FILES_HOST or path.startswith(f"{FILES_PATH}/")
        try:
            if of_files:
                path = path.removeprefix(FILES_PATH)
                answer = server.api.fetch(self.command, path, query, headers)
            else:
                answer = server.api.handle(self.command, path, query, headers, body)
        except BrokenConnection as broken:
            self._break_off(broken)
        else:
            self._send(answer, len(answer.body))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _send(self, answer: Response, length: int) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _break_off(self, broken: BrokenConnection) -> None:
        self.close_connection = True
        if broken.kind == "timeout":
            self.server.stopping.wait(broken.seconds)
        elif broken.response is not None:
            whole = broken.response
            half = Response(whole.status, whole.headers, whole.body[: len(whole.body) // 2])
            self._send(half, len(whole.body))
            self.wfile.flush()
        elif broken.kind == "reset":
            # Lingering for no time makes the kernel send a reset instead of an orderly end.
            lingering = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
            self.connection.close()
            return
        _shut(self.connection)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client may have been quicker
        connection.shutdown(socket.SHUT_RDWR)
