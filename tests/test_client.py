"""The client: what each answer of Pylon, and each failure to answer, becomes."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import httpx
import pytest
import respx
from conftest import NOW, FakeClock

from pylon_to_sqlite.address import EU, US, checked_url, url_of
from pylon_to_sqlite.client import TRIES, Answer, Client, Me
from pylon_to_sqlite.errors import (
    Gone,
    PylonError,
    Refused,
    Unauthorized,
    Unavailable,
    Unexpected,
    Unusable,
)
from pylon_to_sqlite.plan import Page, Request

TOKEN = "pylon_api_0123456789"
ACCOUNTS = Request("GET", "/accounts", "/accounts", {"limit": "999"})
SECOND = Request("GET", "/accounts", "/accounts", {"cursor": "two"}, cursor="two")
SEARCH = Request("POST", "/issues/search", "/issues/search", body={"limit": 999})
ONE = {"id": "1"}
FINE = httpx.Response(200, json={"data": [ONE], "request_id": "r"})


class Pylon:
    """What answers, by respx: the given answers one after the other, the last one for ever."""

    def __init__(self, clock: FakeClock) -> None:
        self.router = respx.MockRouter(assert_all_called=False)
        self.waits: list[tuple[str, float]] = []
        self.answers: list[Answer] = []
        self.client = Client(
            TOKEN,
            US,
            httpx.MockTransport(self.router.handler),
            clock.clock,
            on_wait=self.wait,
            on_answer=self.answers.append,
        )

    def wait(self, template: str, seconds: float, why: str) -> None:
        if why == "rate limited":
            self.waits.append((template, seconds))

    def says(self, *answers: httpx.Response | Exception) -> Client:
        left = list(answers)

        def answer(request: httpx.Request) -> httpx.Response:
            one = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(one, Exception):
                raise one
            # A response can be read but once.
            return httpx.Response(one.status_code, headers=one.headers, content=one.content)

        self.router.route().mock(side_effect=answer)
        return self.client

    @property
    def asked(self) -> list[httpx.Request]:
        return [call.request for call in self.router.calls]


@pytest.fixture
def pylon(clock: FakeClock) -> Pylon:
    return Pylon(clock)


def answer(status: int, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return httpx.Response(status, headers=headers, json=body)


def text(content: str, status: int = 200) -> httpx.Response:
    return httpx.Response(status, content=content)


def said(client: Client, request: Request, kind: type[PylonError]) -> str:
    """The sentence of the error, which is of exactly this kind and never holds the token."""
    with pytest.raises(kind) as raised:
        client.fetch(request)
    assert type(raised.value) is kind
    assert TOKEN not in str(raised.value)
    return str(raised.value)


# What is asked


@pytest.mark.parametrize(
    ("asked_for", "url", "body"),
    [
        (ACCOUNTS, f"{US}/accounts?limit=999", b""),
        (SEARCH, f"{US}/issues/search", b'{"limit":999}'),
    ],
    ids=["GET", "POST"],
)
def test_a_request_carries_the_token_and_asks_caches_for_nothing_old(
    pylon: Pylon, asked_for: Request, url: str, body: bytes
) -> None:
    """A request is what it says, with the bearer token, and past caches."""
    pylon.says(FINE).fetch(asked_for)
    (asked,) = pylon.asked
    assert (asked.method, str(asked.url), asked.content) == (asked_for.method, url, body)
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["Cache-Control"] == "no-cache"
    assert asked.headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/issues"),
        ("POST", "/issues/1/snooze"),
        ("POST", "/issues/search/1"),
        ("POST", "/issues/researching"),
        ("PATCH", "/issues/search"),
        ("PUT", "/issues/search"),
        ("DELETE", "/issues/1"),
        ("post", "/issues"),
    ],
)
def test_nothing_that_writes_leaves_the_client(pylon: Pylon, method: Any, path: str) -> None:
    """Whatever it is asked for, the client sends no request that could change something."""
    client = pylon.says(FINE)
    assert "this client only reads" in said(client, Request(method, path, path), Unexpected)
    assert pylon.asked == []


ELSEWHERE = [
    *("accounts", "//evil", "//evil/search", "/../x", "/x/..", "/x/./y", "/%2e%2e/x"),
    *("/%2E./x", "/.%2e/x", "/x\\y", "\\\\evil", "/a b", "/a?limit=1", "/a#b", "/é", "/\u2215"),
    *("/x\n", "/x\r\nHost: evil", "/x\ty", "/x\x7f", "https://evil/x", "@evil/x"),
]


@pytest.mark.parametrize("path", ELSEWHERE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_that_could_lead_elsewhere_is_never_sent(
    pylon: Pylon, method: Any, path: str
) -> None:
    """Only a plain path below the API's address is asked for."""
    if method == "POST":
        path += "/search"
    client = pylon.says(FINE)
    with pytest.raises(Unusable):
        client.fetch(Request(method, path, path))
    assert pylon.asked == []


@pytest.mark.parametrize(
    "url",
    [US, EU, "http://localhost:8001", "http://127.0.0.1", "http://127.8.9.10:1", "http://[::1]:1"],
)
def test_a_token_may_go_over_https_or_to_this_machine(url: str) -> None:
    """https to anywhere and http to this machine are fine; a slash at the end is dropped."""
    assert checked_url(f"{url}/") == url


ADDRESSES = [
    *("http://api.usepylon.com", "http://localhost.evil.com", "http://127.0.0.1@evil.com"),
    *("http://127.0.0.1.evil.com", "ftp://localhost", "api.usepylon.com", "", "https://"),
    *("//api.usepylon.com", "file:///etc/passwd", "https://[::1", "https://[evil]", "https://a b"),
    *("http://0x7f.0.0.1", "http://127.1", "http://2130706433", "http://0177.0.0.1"),
    *("http://[::ffff:127.0.0.1]", "http://localhost.", "http://0.0.0.0", "http://128.0.0.1"),
    *("http://127.0.0.1\\@evil.com", "http://localhost%2eevil.com", "http://loca\u2113host"),
    *("https://host:port", "https://host:99999", "https://host?x=", "https://host#", "https://h\n"),
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_a_token_goes_nowhere_else(url: str) -> None:
    """Any other address is refused in a sentence, before anything is sent to it."""
    sent = []
    transport = httpx.MockTransport(lambda request: sent.append(request) or FINE)
    with pytest.raises(Unusable, match="is no address for Pylon's API"):
        Client(TOKEN, url, transport).fetch(ACCOUNTS)
    assert sent == []


@pytest.mark.parametrize(
    "token", ["pylon\n", "a\r\nX: y", "a b", "tökén", "a\x00b", "\u200b", "a\x7f", ""]
)
def test_a_token_that_fits_no_header_is_refused_unseen(token: str) -> None:
    """A token with characters that no header holds, or none, is refused without being shown."""
    with pytest.raises(Unauthorized) as raised:
        Client(token, US)
    words = "the token is empty or holds characters that no token of Pylon's has"
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("token", "url"), [("pylon_api_eu_1", EU), ("pylon_api_1", US), ("eu", US)]
)
def test_the_prefix_of_a_token_tells_its_region(token: str, url: str) -> None:
    """EU tokens begin with pylon_api_eu_, all others are asked for in the US."""
    assert (url_of(token), Client(token, url).region) == (url, "EU" if url == EU else "US")


# Answers that are fine


@pytest.mark.parametrize(
    ("body", "page"),
    [
        ({"data": [ONE]}, Page([ONE])),
        ({"data": None}, Page([], is_silent=True)),
        ({"request_id": "r"}, Page([], is_silent=True, is_bare=True)),
        ({"data": [ONE], "pagination": None}, Page([ONE])),
        ({"data": [ONE], "pagination": {}}, Page([ONE])),
        (
            {"data": [ONE], "pagination": {"cursor": "two", "has_next_page": True}},
            Page([ONE], "two"),
        ),
        ({"data": [ONE], "pagination": {"cursor": "two"}}, Page([ONE], "two")),
        ({"data": [ONE], "pagination": {"cursor": "", "has_next_page": False}}, Page([ONE])),
        ({"data": [ONE], "pagination": {"cursor": "two", "has_next_page": False}}, Page([ONE])),
        ({"data": [], "pagination": {"cursor": None, "has_next_page": False}}, Page([])),
        ({"data": [ONE], "errors": []}, Page([ONE])),
        ({"data": ["odd", 1]}, Page(["odd", 1])),
    ],
)
def test_each_shape_of_a_page_is_understood(pylon: Pylon, body: dict[str, Any], page: Page) -> None:
    """Pylon leaves out or nulls what it likes; records and a next cursor come out the same."""
    client = pylon.says(httpx.Response(200, json=body))
    assert client.fetch(ACCOUNTS) == page
    assert (client.requests, client.waited) == (1, 0.0)
    assert pylon.answers == [Answer("GET", "/accounts", 200)]


def test_a_record_and_a_raw_answer(pylon: Pylon) -> None:
    """`record` gives what stands in data, `raw` the whole answer."""
    client = pylon.says(answer(200, data=ONE, request_id="r"))
    assert (client.record(ACCOUNTS), client.raw(ACCOUNTS)) == (
        ONE,
        {"data": ONE, "request_id": "r"},
    )


@pytest.mark.parametrize("data", [None, [ONE], "text"])
def test_a_record_that_is_no_object_is_unexpected(pylon: Pylon, data: object) -> None:
    """Where one record was asked for, anything but an object is unexpected, and at once."""
    with pytest.raises(Unexpected, match=rf"data is no object but a {type(data).__name__}"):
        pylon.says(answer(200, data=data)).record(ACCOUNTS)
    assert len(pylon.asked) == 1


# What may be over on the next try


def passing() -> dict[str, tuple[httpx.Response | Exception, type[PylonError], str]]:
    """By name: an answer or a failure, and what it is once the tries are spent."""
    found: dict[str, tuple[httpx.Response | Exception, type[PylonError], str]] = {}
    bodies = {
        "html": ("\n<!doctype html><h1>Just a moment</h1>", "the answer is HTML"),
        "torn": ('{"data": [{"id": "1"', "the answer is no JSON"),
        "empty": ("", "the answer is no JSON"),
        "nan": ('{"data": [{"score": NaN}]}', "the answer is no JSON"),
        "infinity": ('{"data": [{"score": -Infinity}]}', "the answer is no JSON"),
        "deep": ("[" * 100_000, "the answer is no JSON"),
        "not-utf8": (b'{"data": "\xff"}', "the answer is no JSON"),
    }
    for name, (body, words) in bodies.items():
        found[name] = (httpx.Response(200, content=body), Unexpected, f"GET /accounts: {words}")
    paginations = {
        "no-data": ([], "new", "says that there is more, and gives no records"),
        "null-data": (None, "new", "said that there is more, and then gives nothing"),
        "no-cursor": ([ONE], "", "says that there is more, and gives no cursor"),
        "odd-cursor": ([ONE], 7, "says that there is more, and gives no cursor"),
        "same-cursor": ([ONE], "two", "the same cursor came back again and again"),
    }
    for name, (data, cursor, words) in paginations.items():
        odd = answer(200, data=data, pagination={"cursor": cursor, "has_next_page": True})
        found[name] = (odd, Unexpected, f"GET /accounts: {words}")
    ended = answer(200, data=None, pagination={"cursor": "", "has_next_page": False})
    found["null-end"] = (ended, Unexpected, f"GET /accounts: {paginations['null-data'][2]}")
    for status in (408, 425, 500, 502, 503, 504):
        odd = httpx.Response(status, html="<h1>Bad gateway</h1>")
        words = f"GET /accounts: {status} {odd.reason_phrase}"
        found[str(status)] = (odd, Unavailable, words)
    for error in (httpx.ReadTimeout, httpx.WriteTimeout, httpx.ConnectTimeout):
        words = f"GET /accounts: no answer ({error.__name__})"
        found[error.__name__] = (error(""), Unavailable, words)
    for reset in (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError):
        words = "GET /accounts: no answer (reset by peer)"
        found[reset.__name__] = (reset("reset by peer"), Unavailable, words)
    unknown = httpx.ConnectError("[Errno -2] Name or service not known")
    found["unknown-host"] = (unknown, Unavailable, f"cannot reach {US}: {unknown}")
    return found


PASSING = passing()


@pytest.mark.parametrize(("failure", "kind", "words"), PASSING.values(), ids=PASSING)
def test_a_failure_that_stays_is_told_once_the_tries_are_spent(
    pylon: Pylon, clock: FakeClock, failure: Any, kind: type[PylonError], words: str
) -> None:
    """The same question is asked a few times, ever later, before the failure is told."""
    client = pylon.says(failure)
    assert said(client, SECOND, kind) == words
    assert [str(asked.url) for asked in pylon.asked] == [f"{US}/accounts?cursor=two"] * TRIES
    for wait, least in zip(clock.slept, (1, 2, 4, 8), strict=True):
        assert least <= wait <= least * 1.25
    assert client.requests == (0 if isinstance(failure, Exception) else TRIES)


@pytest.mark.parametrize("failure", [one for one, _, _ in PASSING.values()], ids=PASSING)
def test_a_failure_is_forgotten_when_a_later_try_is_fine(pylon: Pylon, failure: Any) -> None:
    """What is fine before the tries are spent is fine, and no wait for a rate limit is told."""
    client = pylon.says(*[failure] * (TRIES - 1), FINE)
    assert client.fetch(SECOND) == Page([ONE])
    assert (client.waited, pylon.waits) == (0.0, [])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"data": {"items": []}}', "data is no list but a dict"),
        ('{"data": "text"}', "data is no list but a str"),
        ('{"data": 0}', "data is no list but a int"),
        ("[]", "the answer is no object but a list"),
        ('"text"', "the answer is no object but a str"),
    ],
)
def test_an_answer_of_another_shape_is_unexpected(pylon: Pylon, body: str, words: str) -> None:
    """Another shape will not change by asking again: it is told at once, without its words."""
    assert said(pylon.says(text(body)), ACCOUNTS, Unexpected) == f"GET /accounts: {words}"
    assert len(pylon.asked) == 1


# Refusals

WHAT_PYLON_SAYS = {"errors": ["not so", "nor so"], "code": "odd_code", "request_id": "r1"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, Refused) for status in (200, 400, 402, 403, 405, 409, 422)),
        *((404, Gone), (410, Gone)),
    ],
)
def test_a_refusal_says_what_pylon_said(pylon: Pylon, status: int, kind: type[PylonError]) -> None:
    """A refusal is told at once, with Pylon's code and words and the id to ask Pylon about; one
    with a status of success counts as a 400."""
    client = pylon.says(answer(status, **WHAT_PYLON_SAYS))
    with pytest.raises(kind) as raised:
        client.fetch(SEARCH)
    shown = "" if status == 200 else f"{status} "
    expected = f"POST /issues/search: {shown}odd_code: not so; nor so (request_id r1)"
    assert (type(raised.value), str(raised.value)) == (kind, expected)
    assert raised.value.status == (400 if status == 200 else status)
    assert (len(pylon.asked), client.requests) == (1, 1)


@pytest.mark.parametrize(
    "body", ["", "<html>", "[]", '{"errors": null}', '{"errors": [], "code": null}']
)
def test_a_refusal_without_words_still_names_itself(pylon: Pylon, body: str) -> None:
    """Where Pylon gives no reason, the status does."""
    assert said(pylon.says(text(body, 403)), SEARCH, Refused) == (
        "POST /issues/search: 403 Forbidden"
    )


@pytest.mark.parametrize("code", ["invalid_api_token", "invalid_authorization_header", None])
def test_an_unknown_token_tells_how_to_get_another(pylon: Pylon, code: str | None) -> None:
    """A 401 stops at once, and tells who can create a token and where it is put."""
    words = said(pylon.says(answer(401, code=code, errors=["no"])), SEARCH, Unauthorized)
    assert words == (
        f"Pylon does not accept the token ({f'{code}: ' if code else ''}no): an admin can create"
        " one in Pylon under Settings > API; then run pylon-to-sqlite auth"
    )
    assert len(pylon.asked) == 1


@pytest.mark.parametrize(("url", "other"), [(US, EU), (EU, US)])
def test_a_token_of_another_region_tells_the_address(url: str, other: str) -> None:
    """A token of the other region tells the option that helps."""
    refusal = answer(401, code="wrong_region_token", errors=["go away"])
    client = Client(TOKEN, url, httpx.MockTransport(lambda _: refusal))
    assert said(client, SEARCH, Unauthorized) == (
        f"this token belongs to another region than {url} (wrong_region_token: go away):"
        f" use --api-url {other}"
    )


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500])
def test_a_token_that_pylon_repeats_is_not_shown(pylon: Pylon, status: int) -> None:
    """Even where Pylon's own words hold the token, no error of ours does."""
    client = pylon.says(answer(status, errors=[f"{TOKEN} is odd"], code="wrong_region_token"))
    with pytest.raises(PylonError) as raised:
        client.fetch(SEARCH)
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
@pytest.mark.parametrize("request_", [ACCOUNTS, SEARCH], ids=["GET", "POST"])
def test_a_redirect_is_not_followed(pylon: Pylon, status: int, request_: Request) -> None:
    """A redirect is unexpected at once: the token goes to nobody else."""
    headers = {"Location": "https://evil.example/accounts"}
    client = pylon.says(httpx.Response(status, headers=headers))
    assert said(client, request_, Unexpected).endswith("redirects are not followed")
    assert [asked.url.host for asked in pylon.asked] == ["api.usepylon.com"]


HOUR_AHEAD = {"Date": formatdate(NOW + 3600, usegmt=True)}


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({"Retry-After": "7"}, [7.0]),
        ({"Retry-After": formatdate(NOW + 90, usegmt=True)}, [90.0]),
        # Held against Pylon's clock, not ours.
        ({"Retry-After": formatdate(NOW + 3690, usegmt=True), **HOUR_AHEAD}, [90.0]),
        # Nobody waits for hours without a word.
        ({"Retry-After": "86400"}, []),
    ],
)
def test_a_failure_that_says_when_is_tried_again_then(
    pylon: Pylon, clock: FakeClock, headers: dict[str, str], waits: list[float]
) -> None:
    """A 503 with Retry-After, in seconds or as a date, is tried again when it says."""
    client = pylon.says(httpx.Response(503, headers=headers), FINE)
    if waits:
        assert client.fetch(ACCOUNTS) == Page([ONE])
    else:
        assert said(client, ACCOUNTS, Unavailable) == "GET /accounts: 503 Service Unavailable"
    assert clock.slept == waits


# Rate limits

REFUSED = {"errors": ["slow down"], "code": "rate_limited", "request_id": "r"}
SOON, LATER = formatdate(NOW + 5, usegmt=True), formatdate(NOW + 65, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"X-Retry-After": "12"}, 12.0),
        ({"X-Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": SOON}, 5.0),
        ({"Retry-After": LATER, "Date": LATER}, 0.2),
        ({"X-Retry-After": "3", "Retry-After": "40"}, 3.0),
        ({"X-Retry-After": "soon", "Retry-After": "40"}, 40.0),
        ({"X-Retry-After": "nan", "Retry-After": ""}, 60.0),
        ({"X-Retry-After": "0"}, 0.2),
        ({"X-Retry-After": "-30"}, 0.2),
        ({}, 60.0),
    ],
)
def test_a_429_is_waited_out(
    pylon: Pylon, clock: FakeClock, headers: dict[str, str], wait: float
) -> None:
    """X-Retry-After tells how long, else Retry-After, else it is a minute; never no time at all."""
    client = pylon.says(answer(429, headers, **REFUSED), FINE)
    assert client.fetch(SEARCH) == Page([ONE])
    assert clock.slept == pytest.approx([wait])
    assert client.waited == pytest.approx(wait)
    assert pylon.waits == [("/issues/search", pytest.approx(wait))]


def test_a_429_is_neither_a_try_nor_a_request(pylon: Pylon, clock: FakeClock) -> None:
    """However often Pylon says wait, the tries for real failures stay, and nothing is counted."""
    wait = answer(429, {"X-Retry-After": "60"}, **REFUSED)
    down = httpx.Response(503)
    client = pylon.says(*[wait] * 20, *[down] * (TRIES - 1), *[wait] * 20, FINE)
    assert client.fetch(SEARCH) == Page([ONE])
    assert (client.requests, client.waited) == (TRIES, 2400.0)
    assert pylon.waits == [("/issues/search", 60.0)] * 40
    assert {one.status for one in pylon.answers} == {429, 503, 200}


@pytest.mark.parametrize("told", ["3601", "inf", "1e300"])
def test_a_429_that_asks_for_hours_is_unavailable(
    pylon: Pylon, clock: FakeClock, told: str
) -> None:
    """A wait of more than an hour is told instead of kept."""
    client = pylon.says(answer(429, {"X-Retry-After": told}, **REFUSED))
    assert "Pylon's rate limit asks to wait" in said(client, SEARCH, Unavailable)
    assert (clock.slept, pylon.waits, client.requests) == ([], [], 0)


def test_429s_without_end_are_unavailable(pylon: Pylon, clock: FakeClock) -> None:
    """Patience with the rate limit is long, but ends; what says "a second" for an hour is asked
    once a minute by then, and not 3,600 times."""
    client = pylon.says(answer(429, {"X-Retry-After": "1"}, **REFUSED))
    assert said(client, SEARCH, Unavailable).startswith(
        "POST /issues/search: Pylon's rate limit asks to wait for 60 s, after 35"
    )
    assert clock.slept[:3] == [1.0] * 3
    assert clock.slept == sorted(clock.slept)
    assert len(clock.slept) < 70
    assert 3540 < sum(clock.slept) <= 3600


@pytest.mark.parametrize("told", ["0", "-3", "Mon, 01 Jan 2024 00:00:00 GMT"])
def test_a_429_that_asks_for_no_wait_at_all_is_asked_again_less_and_less_often(
    pylon: Pylon, clock: FakeClock, told: str
) -> None:
    """The minute is over within a minute, whatever clocks say: no failure, and no storm."""
    client = pylon.says(*[answer(429, {"Retry-After": told}, **REFUSED)] * 12, FINE)
    assert client.fetch(SEARCH) == Page([ONE])
    assert clock.slept[0] < 1
    assert clock.slept == sorted(clock.slept)
    assert sum(clock.slept) > 60
    assert max(clock.slept) <= 60


def test_who_waits_together_waits_once(pylon: Pylon, clock: FakeClock) -> None:
    """Four workers who wait for a minute side by side make it a minute of waiting, told once."""
    client = pylon.says(FINE)
    for _ in range(4):
        client._note_wait("/x", 60.0)
    clock.time += 30
    client._note_wait("/y", 60.0)
    assert client.waited == 90.0
    assert pylon.waits == [("/x", 60.0), ("/y", 60.0)]


def test_a_refusal_that_ends_in_a_failure_frees_its_place(pylon: Pylon, clock: FakeClock) -> None:
    """Else each of them would make the allowance smaller for the rest of the run."""
    hours = answer(429, {"X-Retry-After": "7200"}, **REFUSED)
    client = pylon.says(*[hours] * 4, *[FINE] * 20)
    for _ in range(4):
        said(client, SEARCH, Unavailable)
        clock.time += 7200
    before = clock.time
    for _ in range(20):
        client.fetch(SEARCH)
    assert clock.time == before


@pytest.mark.parametrize("told", ["0", "Mon, 01 Jan 2024 00:00:00 GMT"])
def test_a_503_that_says_at_once_is_given_time_all_the_same(
    pylon: Pylon, clock: FakeClock, told: str
) -> None:
    client = pylon.says(*[answer(503, {"Retry-After": told})] * (TRIES - 1), FINE)
    assert client.fetch(SEARCH) == Page([ONE])
    assert sum(clock.slept) > 10


# Pylon's clock


def test_now_is_told_by_pylons_clock(pylon: Pylon, clock: FakeClock) -> None:
    """The newest Date moves `now`, also one of a refusal; without any, our own clock serves."""
    behind = {"Date": formatdate(NOW - 90, usegmt=True)}
    client = pylon.says(
        answer(200, HOUR_AHEAD),
        answer(404, behind, code="not_found"),
        answer(200, {"Date": "today"}),
    )
    assert client.now() == "2026-07-01T00:00:00Z"
    client.fetch(ACCOUNTS)
    assert client.now() == "2026-07-01T01:00:00Z"
    clock.sleep(30.9)
    assert client.now() == "2026-07-01T01:00:30Z"
    clock.sleep(-30.9)
    said(client, ACCOUNTS, Gone)
    assert client.now() == "2026-06-30T23:58:30Z"
    client.fetch(ACCOUNTS)
    assert client.now() == "2026-06-30T23:58:30Z"


# Whose token it is


@pytest.mark.parametrize(("user", "email"), [({"email": "a@b.c"}, "a@b.c"), (None, None)])
def test_me_is_the_organisation(pylon: Pylon, user: object, email: str | None) -> None:
    """`me` names the organisation and, where there is one, the user of the token."""
    client = pylon.says(answer(200, data={"id": "o", "name": "Northwind", "user": user}))
    assert client.me() == Me("o", "Northwind", email)
    assert [asked.url.path for asked in pylon.asked] == ["/me"]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (answer(403, errors=["no"]), Unauthorized),
        (answer(401), Unauthorized),
        # Not about the token, and it may pass: nobody is to be told to make another.
        (answer(200, errors=["no"]), Refused),
        (answer(400), Refused),
        (answer(409), Refused),
        (answer(200, data={"id": "", "name": "x"}), Unexpected),
        (answer(200, data={"name": "x"}), Unexpected),
        (answer(200, data=[]), Unexpected),
        (httpx.Response(302, headers={"Location": "https://evil.example"}), Unexpected),
    ],
)
def test_me_raises_where_there_is_no_organisation(
    pylon: Pylon, said: httpx.Response, kind: type[PylonError]
) -> None:
    """Who is not let in is not authorised; who names no organisation is no Pylon."""
    with pytest.raises(kind):
        pylon.says(said).me()


class Nobody(httpx.BaseTransport):
    """A host at whose addresses nobody answers: each lets its timeout of fake time pass."""

    def __init__(self, clock: FakeClock, addresses: int, phase: str) -> None:
        self.clock, self.addresses, self.phase, self.tries = clock, addresses, phase, 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.tries += 1
        self.clock.sleep(self.addresses * request.extensions["timeout"][self.phase])
        raise httpx.ConnectTimeout("") if self.phase == "connect" else httpx.ReadTimeout("")


@pytest.mark.parametrize(
    ("addresses", "phase", "tries"),
    [(1, "connect", 2), (2, "connect", 1), (4, "connect", 1), (1, "read", 1)],
)
def test_me_gives_up_within_20_seconds(
    clock: FakeClock, addresses: int, phase: str, tries: int
) -> None:
    """The first question tells soon that nobody answers; a connect takes 4 s an address."""
    nobody = Nobody(clock, addresses, phase)
    with pytest.raises(Unavailable):
        Client(TOKEN, US, nobody, clock.clock).me()
    assert clock.now() - NOW <= 20
    assert nobody.tries == tries


def test_only_the_first_question_is_impatient(clock: FakeClock) -> None:
    """A page of 999 issues has been seen to take 18 s: other questions wait for their answer."""
    nobody = Nobody(clock, 1, "read")
    with pytest.raises(Unavailable):
        Client(TOKEN, US, nobody, clock.clock).fetch(SEARCH)
    assert nobody.tries == TRIES
    assert clock.now() - NOW >= 90 * TRIES
