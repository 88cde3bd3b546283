"""What Pylon sends is not trusted: bombs, floods, odd numbers, names, keys, cursors and headers, in
whole runs and through the whole client. What they become in rows test_fuzz.py says."""

import contextlib
import json
import os
import re
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from conftest import FakeClock
from desk import Desk
from fetching import Body
from hypothesis import given
from hypothesis import strategies as st
from mirroring import TOKEN, errors, live, rows, sync

from pylon_to_sqlite import decoding
from pylon_to_sqlite.address import US
from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.client import Client
from pylon_to_sqlite.errors import PylonError, Unavailable, Unexpected
from pylon_to_sqlite.exchange import Page, Request, smaller
from pylon_to_sqlite.limits import http_date, told_to_wait
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport, Server

ACCOUNTS = Request("GET", "/accounts", "/accounts", {"limit": "999"}, limit=999)
ONE = Request("GET", "/accounts/1", "/accounts/{id}", is_for_one=True)


def client_of(
    clock: FakeClock, answer: Callable[[httpx.Request], httpx.Response]
) -> tuple[Client, list[httpx.Request]]:
    """A client of a Pylon that answers so, and what it is asked."""
    asked: list[httpx.Request] = []

    def answered(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer(request)

    return Client(TOKEN, US, httpx.MockTransport(answered), clock.clock), asked


def compressed(encoding: str, *chunks: bytes) -> Callable[[httpx.Request], httpx.Response]:
    headers = {"Content-Encoding": encoding}
    return lambda _: httpx.Response(200, headers=headers, stream=Body(iter(chunks)))


def packed(content: bytes, times: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(content) for _ in range(times)) + packer.flush()


# Bodies


def test_only_what_can_be_stopped_in_the_middle_is_asked_for(clock: FakeClock) -> None:
    """Each request, as httpx would also take br and zstd where these happen to be installed."""
    client, asked = client_of(clock, compressed("gzip", packed(b'{"data": [{"id": "1"}]}', 1)))
    assert client.fetch(ACCOUNTS) == Page([{"id": "1"}])
    assert [one.headers["accept-encoding"] for one in asked] == ["gzip"]


@pytest.mark.parametrize("unit", [b" ", b"{},"])
def test_a_bomb_costs_no_more_than_its_bounds(clock: FakeClock, unit: bytes) -> None:
    """40 to 120 MB in as many KB, or a million empty objects: it is told in a sentence."""
    bomb = packed(unit * 2**18, 160)
    client, asked = client_of(clock, compressed("gzip", bomb))
    tracemalloc.start()
    with pytest.raises(Unexpected, match=r"GET /accounts/1: the answer is over [\d,]+ (b|v).*fill"):
        client.fetch(ONE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(asked) == 1
    assert peak < 4 * decoding.bounds_of(1).size


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "\x1b[31m"])
def test_what_is_compressed_otherwise_is_told(clock: FakeClock, encoding: str) -> None:
    client, asked = client_of(clock, compressed(encoding, b"{}"))
    with pytest.raises(Unexpected, match=r"the answer is compressed by .*, unasked"):
        client.fetch(ACCOUNTS)
    assert len(asked) == 1


def test_torn_compression_is_tried_again(clock: FakeClock) -> None:
    whole = packed(b'{"data": []}', 1)
    answers = [whole[:-3], b"no gzip", whole]
    client, asked = client_of(clock, lambda one: compressed("gzip", answers.pop(0))(one))
    assert client.fetch(ACCOUNTS) == Page([])
    assert len(asked) == 3


def test_nesting_is_told_at_once(clock: FakeClock) -> None:
    deep = b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    client, asked = client_of(clock, lambda _: httpx.Response(200, content=deep))
    with pytest.raises(Unexpected, match="GET /accounts: the answer is nested too deep"):
        client.fetch(ACCOUNTS)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("request_", "sizes"),
    [
        (ACCOUNTS, [999, 249, 62, 15, 3, 1]),
        (Request("POST", "/issues/search", "/x", body={"limit": 999}, limit=999), [999, 249, 62]),
        (Request("GET", "/issues/1/messages", "/x"), [0, 100, 25, 6, 1]),
        (Request("GET", "/wishes", "/x", limit=1000, is_cut_off=True), [1000]),
        (ONE, [0]),
    ],
)
def test_a_smaller_page_is_the_same_question(request_: Request, sizes: list[int]) -> None:
    found: list[Request] = [request_]
    while one := smaller(found[-1]):
        found.append(one)
    assert [one.limit for one in found][: len(sizes)] == sizes
    assert found[-1].limit in (1, sizes[-1])
    for one in found[1:]:
        assert (one.method, one.path, one.cursor) == (request_.method, request_.path, None)
        assert (one.body or one.params)["limit"] in (one.limit, str(one.limit))


FLOOD = b'{"data": [' + b"0," * 1_000_000 + b"{}]}"


class Heavy(SandboxTransport):
    """A Pylon whose records are so large that no more than four fit into an answer."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        data = json.loads(answer.content).get("data") if answer.content else None
        if isinstance(data, list) and len(data) > 4:
            return httpx.Response(200, content=FLOOD)
        return answer


def test_what_does_not_fit_into_one_answer_is_read_in_several(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """Wherever Pylon pages; where it does not, the stream fails, and says why."""
    lists = ("issues", "issue_messages", "accounts", "contacts")
    outcome = sync(path, api, clock, *lists, transport=Heavy(api))
    assert errors(outcome) == {}
    assert len(live(path, "issue_messages")) == 16
    whole = sync(path.with_name("whole.db"), api, clock, *lists)
    assert outcome.counts == whole.counts
    told = errors(sync(path, api, clock, "issue_statuses", "users", transport=Heavy(api)))
    assert all("more than what was asked for can fill" in one for one in told.values())


# Headers, cursors, keys


HEADER = st.text(st.characters(max_codepoint=255), max_size=40) | st.sampled_from(
    [
        *("9" * 60_000, "-" + "9" * 400, "1e400", "nan", "-inf", "0x10", "1_0", "\xb2"),
        *("Mon, 99 Foo 99999 99:99:99 +9999", "Thu, 01 Jan 0000 00:00:00 GMT", "," * 999),
        *("Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359", "1 1 1 1 1 1"),
    ]
)


@given(wait=HEADER, date=HEADER, left=HEADER, status=st.sampled_from([200, 429, 503]))
def test_no_header_is_too_odd(wait: str, date: str, left: str, status: int) -> None:
    """Whatever they say, the answer counts, and no wait is longer than an hour."""
    clock = FakeClock()
    told = told_to_wait({"retry-after": wait}, 0.0)
    assert told is None or told >= 0
    moment = http_date(date)
    assert moment is None or 0 < moment < 4_102_444_800
    headers = {"Retry-After": wait, "Date": date, "X-Rate-Limit-Remaining": left}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answers = [httpx.Response(status, headers=raw, json={"code": "x"})]
    fine = httpx.Response(200, json={"data": [], "request_id": "r"})
    client, _ = client_of(clock, lambda _: answers.pop() if answers else fine)
    try:
        client.fetch(ACCOUNTS)
    except Unavailable:
        assert status != 200
    assert sum(clock.slept) <= 3_600
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", client.now())


@pytest.mark.parametrize(
    "cursor", ["\x00", "\ud800", "é" * 5_000, "\U0001f600" * 3_000, "x" * 10_001, "\n" * 9_000]
)
def test_a_cursor_that_fits_into_no_address_is_told(clock: FakeClock, cursor: str) -> None:
    body = json.dumps({"data": [{}], "pagination": {"cursor": cursor, "has_next_page": True}})
    client, _ = client_of(clock, lambda _: httpx.Response(200, content=body))
    with pytest.raises(Unexpected, match="gives a cursor that cannot be sent back"):
        client.fetch(ACCOUNTS)


@pytest.mark.parametrize("cursor", ["a/../b?c=d&limit=1#e", "\r\nHost: evil", "'; DROP", "é %00"])
def test_any_other_cursor_comes_back_as_it_was(clock: FakeClock, cursor: str) -> None:
    client, asked = client_of(clock, lambda _: httpx.Response(200, json={"data": []}))
    client.fetch(Request("GET", "/accounts", "/accounts", {"cursor": cursor}, cursor=cursor))
    (one,) = asked
    assert one.url.path == "/accounts"
    assert dict(one.url.params) == {"cursor": cursor}


KEYS = ("../me", "5/messages", "a/b", "a\\b", "x\r\nHost: evil", "\x1b[2J", "y" * 100_000, "a?b#c")


def test_no_key_leads_to_another_endpoint(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """Such records are in the mirror; what belongs to them is not asked for, which is told."""
    issues = [{"id": key, "title": f"{at}", "account": {"id": key}} for at, key in enumerate(KEYS)]
    body = json.dumps({"data": issues, "request_id": "r"}).encode()
    api.misbehave("custom", "/issues/search", times=1, body=body, status=200)
    told = errors(sync(path, api, clock))
    assert {row["id"] for row in rows(path, "SELECT id FROM issues")} >= {*KEYS}
    assert set(told) == {"issue_messages", "issue_threads"}
    assert "a key that cannot be asked for" in told["issue_messages"]
    known = re.compile(r"/[a-z-]+(/search|/[0-9a-f-]{36}(/[a-z-]+)?)?|/issues/a\?b#c(/[a-z-]+)?")
    also = re.compile(r"/accounts/a\?b#c|/users/[^/]+|/contacts/[^/]+")
    odd = {
        one.path for one in api.log if not (known.fullmatch(one.path) or also.fullmatch(one.path))
    }
    assert odd == set()


# Names and words


NAMES = (
    "\x1b[2J",
    "\x9b31m",
    "\r\n",
    "\u202egpj.exe",
    "\u2028",
    "\x07",
    "\x00",
    "\ud83d",
    "a" * 5_000,
)
CONTROL = re.compile(r"[^\n\x20-\x7e\u00a1-\u01ff\u2026\ufffd]")
WORDS = "".join(NAMES[:-2])


@pytest.fixture
def run(api: Api, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    monkeypatch.chdir(path.parent)
    with Server(api) as server:

        def invoke(*arguments: str) -> Result:
            env = {"PYLON_API_URL": server.url, "PYLON_API_TOKEN": TOKEN}
            result = CliRunner().invoke(cli, arguments, env=env)
            assert result.exception is None or isinstance(result.exception, SystemExit)
            assert "mistake in pylon-to-sqlite" not in result.output
            odd = CONTROL.search(result.output)
            assert odd is None, result.output[max(0, odd.start() - 60) : odd.end() + 60]
            return result

        yield invoke


def test_nothing_that_strangers_typed_reaches_a_terminal_as_it_is(
    run: Callable[..., Result], api: Api, desk: Desk
) -> None:
    """Neither names nor words nor ids, in no command: they could move the cursor, write over
    lines, turn them round."""
    api.workspace.organization["name"] = WORDS
    fields = dict.fromkeys(NAMES, WORDS)
    body = json.dumps({"data": [{"id": "\x1b[31m", **fields}], "request_id": "r"}).encode()
    api.misbehave("custom", "/tags|/accounts", times=2, body=body, status=200)
    told = run("sync", "pylon.db", "tags", "accounts", "-v")
    assert told.exit_code == 0
    # NUL and half a pair are the same sign by then; the longest has no column of its own.
    assert told.stderr.count("New in Pylon: tags.") == len(NAMES) - 1
    assert "New in Pylon: tags.other_fields" in told.stderr
    refusal = {"errors": [WORDS], "code": WORDS, "request_id": WORDS}
    headers = {"X-Retry-After": "99999"}
    for status, options in ((400, ""), (400, "-q"), (429, "-v"), (400, "--log-json"), (401, "-v")):
        api.misbehave("custom", "/tags", times=1, status=status, body=refusal, headers=headers)
        told = run("sync", "pylon.db", "tags", *filter(None, [options]))
        assert told.exit_code == (3 if status == 401 else 1)
    api.misbehave("custom", "/tags", times=2, status=400, body=refusal)
    run("get", "/tags")
    run("sync", "pylon.db", "tags", "--dry-run")
    api.behave()
    for options in ((), ("--json",)):
        for command in ("status", "runs", "doctor"):
            run(command, "pylon.db", *options)
    assert "\\x1b[2J" in run("status", "pylon.db").stdout
    run("verify-auth")
    run("metadata", "pylon.db")


def test_names_become_no_sql(run: Callable[..., Result], api: Api, desk: Desk, path: Path) -> None:
    """They become columns of exactly that name, in all tables, and the next run knows them."""
    names = ['a"b', 'x" TEXT); DROP TABLE tags; --', "a]b", "a.b", "`", "?", ":x", "%s", "select"]
    record = {name: f"value of {name}" for name in names}
    tag = {"id": desk.workspace.listed("tags")[0].key, **record}
    field = {"id": desk.accounts[0], "external_ids": [record], "custom_fields": {"s": record}}
    for _ in range(2):
        for endpoint, one in (("/tags", tag), ("/accounts", field)):
            body = json.dumps({"data": [one], "request_id": "r"})
            api.misbehave("custom", endpoint, times=1, body=body.encode(), status=200)
        assert (
            run("sync", "pylon.db", "tags", "accounts", "--allow-deletes", "accounts").exit_code
            == 0
        )
        for table in ("tags", "account_external_ids", "account_custom_fields"):
            (row,) = [one for one in rows(path, f"SELECT * FROM {table}") if one.get("a.b")]
            assert {name: row[name] for name in names} == record


# The way to Pylon


def test_a_proxy_sees_where_to_and_nothing_else(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for a tunnel, and the token goes through it encrypted."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def proxy() -> None:
        connection, _ = listener.accept()
        listener.close()
        with connection:
            seen.append(connection.recv(65_536))
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            seen.append(connection.recv(65_536))

    thread = threading.Thread(target=proxy, daemon=True)
    thread.start()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
    with pytest.raises(PylonError):
        Client(TOKEN, US, clock=clock.clock).me()
    thread.join(10)
    asked, hello = seen[0], seen[1]
    assert asked.startswith(b"CONNECT api.usepylon.com:443 HTTP/1.1\r\n")
    assert hello[:1] == b"\x16", "the beginning of TLS"
    assert TOKEN.encode() not in b"".join(seen)
    assert b"uthorization" not in b"".join(seen)


@pytest.mark.parametrize("piece", [b"HTTP/1.1 100 Continue\r\n\r\n", b"X-More: to come\r\n"])
def test_an_answer_that_never_gets_to_its_body_is_given_up(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, piece: bytes
) -> None:
    """Timeouts begin anew with each byte, so a server that sends some would keep a run for ever."""
    monkeypatch.setattr("pylon_to_sqlite.client.MAX_SECONDS", 0.2)
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if piece.startswith(b"X"):
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.05):
                connection.sendall(piece)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    client = Client(TOKEN, f"http://127.0.0.1:{listener.getsockname()[1]}", clock=clock.clock)
    with pytest.raises(Unavailable, match=r"no answer \(not complete after"):
        client.fetch(ACCOUNTS)
    over.set()
    listener.close()


def test_the_client_is_described_without_its_token() -> None:
    assert TOKEN not in repr(Client(TOKEN, US))
    assert os.environ.get("PYLON_API_TOKEN") != TOKEN
