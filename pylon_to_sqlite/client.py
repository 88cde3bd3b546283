"""The only HTTP: one Request in, one Page out, retries inside. Knows no streams and no SQL."""

import json
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple, NoReturn, TypeVar

import httpx

from pylon_to_sqlite.address import EU, US, checked_path, checked_token, checked_url
from pylon_to_sqlite.errors import (
    Gone,
    PylonError,
    Refused,
    Unauthorized,
    Unavailable,
    Unexpected,
    Unusable,
)
from pylon_to_sqlite.limits import (
    MINUTE,
    PROBE,
    Allowance,
    Clock,
    Ticket,
    guess_of,
    http_date,
    told_to_wait,
)
from pylon_to_sqlite.plan import Page, Request, iso
from pylon_to_sqlite.text import clean

TRIES = 5
# Far more than 999 issues need; an answer that goes on and on is cut off.
MAX_BYTES = 256 * 2**20
MAX_SECONDS = 600.0
MAX_WAIT = 3600.0
MAX_REFUSALS = 100

# A page of 999 issues has been seen to take 18 s.
PATIENT = httpx.Timeout(connect=15.0, read=120.0, write=30.0, pool=None)
# The first question must tell within 20 s that nobody answers. The connect timeout counts for
# each address of the host, so no try begins after FIRST_TRIES_END.
FIRST = httpx.Timeout(connect=4.0, read=8.0, write=4.0, pool=None)
FIRST_TRIES_END = 6.0

_TRANSIENT = frozenset([408, 425])
_T = TypeVar("_T")


class Me(NamedTuple):
    """The organisation a token belongs to."""

    id: str
    name: str
    email: str | None


class Answer(NamedTuple):
    """What was asked and answered, for `-v`."""

    method: str
    path: str
    status: int


class Reply(NamedTuple):
    """An answer that has wholly arrived."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        return httpx.codes.get_reason_phrase(self.status)


class _Passing(Exception):
    """A fault that may be over on the next try; `then` is what it is once the tries are spent."""

    def __init__(self, then: PylonError, wait: float | None = None) -> None:
        super().__init__(str(then))
        self.then = then
        self.wait = wait


def _ignore(*_: object) -> None:
    pass


@dataclass
class Client:
    """Pylon at `api_url`, read with `token`, by any number of threads. Nothing but GET and POST
    …/search leaves it, and no more than `share` of each endpoint's allowance.

    `on_wait(template, seconds)` is called before a wait for the rate limit, `on_answer` after
    each answer. `requests` counts the answers that were no 429; `waited` is in seconds.
    """

    token: str
    api_url: str
    transport: httpx.BaseTransport | None = None
    clock: Clock = field(default_factory=Clock)
    share: float = 1.0
    on_wait: Callable[[str, float], None] = _ignore
    on_answer: Callable[[Answer], None] = _ignore
    requests: int = 0
    waited: float = 0.0

    def __post_init__(self) -> None:
        self.api_url = checked_url(self.api_url)
        self._lock = threading.Lock()
        self._allowances: dict[tuple[str, str], Allowance] = {}
        self._ahead = 0.0  # seconds by which Pylon's clock is ahead of ours
        self._http = httpx.Client(
            transport=self.transport,
            timeout=PATIENT,
            follow_redirects=False,
            headers={
                "Authorization": f"Bearer {checked_token(self.token)}",
                "Accept": "application/json",
                # An edge cache has been seen to serve older pages.
                "Cache-Control": "no-cache",
                "User-Agent": "pylon-to-sqlite",
            },
        )

    @property
    def region(self) -> str:
        return {US: "US", EU: "EU"}.get(self.api_url, "neither US nor EU")

    def close(self) -> None:
        self._http.close()

    def now(self) -> str:
        """The time by Pylon's clock, as far as its answers have told, in whole seconds UTC."""
        return iso(datetime.fromtimestamp(self.clock.now() + self._ahead, timezone.utc))

    def me(self) -> Me:
        """Whose token this is. Raises Unauthorized, or Unavailable within 20 seconds where nobody
        answers; a rate limit is waited out."""
        try:
            data = self.record(Request("GET", "/me", "/me"), first=True)
        except Refused as error:
            raise Unauthorized(f"Pylon does not let this token in: {error}") from None
        user = data.get("user")
        if not isinstance(data.get("id"), str) or not data["id"]:
            raise Unexpected(
                f"GET /me on {self.api_url} names no organisation. Is this Pylon's API?"
            )
        email = user.get("email") if isinstance(user, Mapping) else None
        return Me(
            clean(data["id"]), clean(str(data.get("name") or "")), clean(str(email or "")) or None
        )

    def fetch(self, request: Request) -> Page:
        """One page of a list or search. Raises any of the errors but Unusable and Busy."""
        if request.is_for_one:
            return Page([self.record(request)])
        return self._tried(request, lambda payload: _page(request, payload))

    def record(self, request: Request, *, first: bool = False) -> Mapping[str, Any]:
        """The one record that `request` names."""
        return self._tried(request, lambda payload: _record(request, payload), first=first)

    def raw(self, request: Request) -> Mapping[str, Any]:
        """The whole answer, unwrapped."""
        return self._tried(request, lambda payload: payload)

    def look(self, request: Request) -> Page:
        """One page of whatever the path answers; a single record is a page of one."""

        def read(payload: Mapping[str, Any]) -> Page:
            data = payload.get("data")
            return Page([data]) if isinstance(data, Mapping) else _page(request, payload)

        return self._tried(request, read)

    def _tried(
        self, request: Request, read: Callable[[Mapping[str, Any]], _T], *, first: bool = False
    ) -> _T:
        """The one retry mechanism: passing faults a few times, a 429 for as long as it takes."""
        began = self.clock.now()
        refusals = tries = 0
        while True:
            try:
                reply = self._sent(request, self._take(request), first)
                if reply.status == 429:
                    refusals += 1
                    self._note_refusal(request, reply, refusals)
                    continue
                return read(self._payload(request, reply))
            except _Passing as fault:
                tries += 1
                backoff = 2.0 ** (tries - 1) * (1 + random.random() / 4)
                pause = backoff if fault.wait is None else fault.wait
                late = first and self.clock.now() + pause - began > FIRST_TRIES_END
                if tries >= TRIES or late or pause > MAX_WAIT:
                    raise fault.then from None
                self.clock.sleep(pause)

    def _sent(self, request: Request, ticket: Ticket, first: bool) -> Reply:
        method, path = request.method, request.path
        if method != "GET" and not (method == "POST" and path.endswith("/search")):
            raise Unexpected(f"{method} {path} is not sent: this client only reads")
        allowance = self._allowance(request)
        try:
            with self._http.stream(
                method,
                self.api_url + checked_path(path),
                params=dict(request.params) or None,
                json=request.body if method == "POST" else None,
                timeout=FIRST if first else PATIENT,
            ) as response:
                reply = self._whole(response, FIRST_TRIES_END if first else MAX_SECONDS)
        except BaseException as error:
            allowance.failed()
            if isinstance(error, httpx.ConnectError):
                raise _Passing(Unavailable(f"cannot reach {self.api_url}: {error}")) from None
            if isinstance(error, httpx.InvalidURL):
                raise Unusable(f"{path[:80]!r} is no path of Pylon's API: {error}") from None
            if isinstance(error, httpx.HTTPError):
                # str() of a timeout is often empty.
                what = str(error) or type(error).__name__
                raise _Passing(Unavailable(f"{method} {path}: no answer ({what})")) from None
            raise
        date = http_date(reply.headers.get("date", ""))
        if date is not None:
            self._ahead = date - self.clock.now()
        if reply.status != 429:
            remaining = reply.headers.get("x-rate-limit-remaining", "").strip()
            left = int(remaining[:9]) if remaining.isdecimal() else None
            allowance.answered(ticket, left)
            with self._lock:
                self.requests += 1
        self.on_answer(Answer(method, path, reply.status))
        return reply

    def _whole(self, response: httpx.Response, seconds: float) -> Reply:
        """The answer with its body, unless that has no end in sight."""
        began = self.clock.now()
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                raise Unexpected(f"{response.url.path}: the answer is over {MAX_BYTES:,} bytes")
            if self.clock.now() - began > seconds:
                raise httpx.ReadTimeout(f"not complete after {seconds:.0f} s")
        return Reply(response.status_code, response.headers, bytes(body))

    def _take(self, request: Request) -> Ticket:
        """Wait until the endpoint's allowance has room for this request."""
        while not isinstance(given := self._allowance(request).take(), Ticket):
            if given > PROBE:
                self.on_wait(request.template, given)
                with self._lock:
                    self.waited += given
            self.clock.sleep(given)
        return given

    def _allowance(self, request: Request) -> Allowance:
        key = (request.method, request.template)
        with self._lock:
            if key not in self._allowances:
                self._allowances[key] = Allowance(self.clock, guess_of(*key), self.share)
            return self._allowances[key]

    def _note_refusal(self, request: Request, reply: Reply, refusals: int) -> None:
        told = told_to_wait(reply.headers, self.clock.now() + self._ahead)
        seconds = MINUTE if told is None else max(told, 0.2)
        if refusals > MAX_REFUSALS or seconds > MAX_WAIT:
            raise Unavailable(
                f"{request.method} {request.path}: Pylon's rate limit asks to wait for"
                f" {seconds:.0f} s, and has refused {refusals} times",
                status=429,
            )
        self._allowance(request).refused(seconds, is_told=told is not None)

    def _payload(self, request: Request, reply: Reply) -> Mapping[str, Any]:
        try:
            payload = json.loads(reply.body, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            payload = None
        where = f"{request.method} {request.path}"
        if reply.status >= 300:
            self._raise_status(where, reply, payload)
        if payload is None:
            kind = "HTML" if reply.body.lstrip()[:1] == b"<" else "no JSON"
            raise _Passing(Unexpected(f"{where}: the answer is {kind}"))
        if not isinstance(payload, Mapping):
            raise Unexpected(f"{where}: the answer is no object but a {type(payload).__name__}")
        if payload.get("errors"):
            raise Refused(f"{where}: {self._said(payload)}", status=400)
        return payload

    def _raise_status(self, where: str, reply: Reply, payload: object) -> NoReturn:
        status = reply.status
        words = f"{where}: {status} {self._said(payload) or reply.reason}".rstrip()
        if status == 401:
            raise Unauthorized(self._unauthorized(payload), status=status)
        if status in (404, 410):
            raise Gone(words, status=status)
        if status >= 500 or status in _TRANSIENT:
            wait = told_to_wait(reply.headers, self.clock.now() + self._ahead)
            raise _Passing(Unavailable(words, status=status), wait)
        if status < 400:
            raise Unexpected(f"{words}: redirects are not followed", status=status)
        raise Refused(words, status=status)

    def _said(self, payload: object) -> str:
        """Pylon's words for people, without the token, should it repeat it."""
        return _words(payload).replace(self.token, "…")

    def _unauthorized(self, payload: object) -> str:
        if isinstance(payload, Mapping) and payload.get("code") == "wrong_region_token":
            other = US if self.api_url == EU else EU
            return (
                f"this token belongs to another region than {self.api_url} ({self._said(payload)}):"
                f" use --api-url {other}"
            )
        said = self._said(payload) or "401"
        return (
            f"Pylon does not accept the token ({said}): an admin can create one"
            " in Pylon under Settings > API; then run pylon-to-sqlite auth"
        )


def _page(request: Request, payload: Mapping[str, Any]) -> Page:
    where = f"{request.method} {request.path}"
    data = payload.get("data")
    if data is None:
        data = []
    if not isinstance(data, list):
        raise Unexpected(f"{where}: data is no list but a {type(data).__name__}")
    pagination = payload.get("pagination")
    if not isinstance(pagination, Mapping):
        return Page(data)
    cursor = pagination.get("cursor")
    if not pagination.get("has_next_page", bool(cursor)):
        return Page(data)
    if not isinstance(cursor, str) or not cursor:
        raise _Passing(Unexpected(f"{where}: says that there is more, and gives no cursor"))
    if cursor == request.cursor:
        raise _Passing(Unexpected(f"{where}: the same cursor came back again and again"))
    if not data:
        raise _Passing(Unexpected(f"{where}: says that there is more, and gives no records"))
    return Page(data, cursor)


def _record(request: Request, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    data = payload.get("data")
    if not isinstance(data, Mapping):
        raise Unexpected(
            f"{request.method} {request.path}: data is no object but a {type(data).__name__}"
        )
    return data


def _words(payload: object) -> str:
    """What an error says: its code, its sentences and the request's id."""
    if not isinstance(payload, Mapping):
        return ""
    errors = payload.get("errors")
    said = [str(error) for error in errors] if isinstance(errors, list) else []
    words = ": ".join(filter(None, [str(payload.get("code") or ""), "; ".join(said)]))[:500]
    request_id = payload.get("request_id")
    # What goes on a terminal and into the file is cleaned, whatever the server sent.
    return clean(f"{words} (request_id {request_id})" if request_id else words)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
