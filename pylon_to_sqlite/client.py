"""The only HTTP: one Request in, one Page out, retries inside. Knows no streams and no SQL."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple, TypeVar

import httpx

from pylon_to_sqlite import decoding
from pylon_to_sqlite.address import EU, US, checked_path, checked_token, checked_url
from pylon_to_sqlite.answers import (
    Passing,
    Reply,
    page_of,
    payload_of,
    record_of,
)
from pylon_to_sqlite.errors import (
    PylonError,
    Refused,
    Unauthorized,
    Unavailable,
    Unexpected,
    Unusable,
)
from pylon_to_sqlite.exchange import Page, Request, smaller
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
from pylon_to_sqlite.plan import iso
from pylon_to_sqlite.secrecy import Secret
from pylon_to_sqlite.text import clean

TRIES = 5
# An answer that goes on and on is cut off.
MAX_SECONDS = 600.0
MAX_WAIT = 3600.0
MAX_PAUSE = 300.0
# What a library says of an answer may hold much of it.
LONGEST_WORDS = 200

# A page of 999 issues has been seen to take 18 s.
PATIENT = httpx.Timeout(connect=15.0, read=120.0, write=30.0, pool=None)
# The first question must tell within 20 s that nobody answers. The connect timeout counts for
# each address of the host, so no try begins after FIRST_TRIES_END.
FIRST = httpx.Timeout(connect=4.0, read=8.0, write=4.0, pool=None)
FIRST_TRIES_END = 6.0
FIRST_SECONDS = 12.0

_T = TypeVar("_T")
Read = Callable[[Request, Mapping[str, Any], Reply], _T]


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


def _ignore(*_: object) -> None:
    pass


@dataclass
class Client:
    """Pylon at `api_url`, read with `token`, by any number of threads. Nothing but GET and POST
    …/search leaves it, and no more than `share` of each endpoint's allowance.

    `on_wait(template, seconds, why)` is called before a wait, `on_answer` after each answer; of
    Pylon's own words is told what `hide` leaves of them. `requests` counts the answers that were no
    429; `waited` the seconds in which anybody waited for an allowance.
    """

    token: str = field(repr=False)
    api_url: str
    transport: httpx.BaseTransport | None = None
    clock: Clock = field(default_factory=Clock)
    share: float = 1.0
    on_wait: Callable[[str, float, str], None] = _ignore
    on_answer: Callable[[Answer], None] = _ignore
    hide: Callable[[str], str] = str
    requests: int = 0
    waited: float = 0.0

    def __post_init__(self) -> None:
        self._secret = Secret(checked_token(self.token))
        self.api_url = checked_url(self.api_url)
        self._lock = threading.Lock()
        self._allowances: dict[tuple[str, str], Allowance] = {}
        self._ahead = 0.0  # seconds by which Pylon's clock is ahead of ours
        # By the steady clock: when the last wait ends, over all and of each endpoint.
        self._waited_until = 0.0
        self._told_until: dict[str, float] = {}
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json",
            "Accept-Encoding": decoding.ACCEPTED,
            # An edge cache has been seen to serve older pages.
            "Cache-Control": "no-cache",
            "User-Agent": "pylon-to-sqlite",
        }
        try:
            self._http = httpx.Client(
                transport=self.transport,
                timeout=PATIENT,
                follow_redirects=False,
                headers=headers,
                # A proxy is for the way out, and nothing that stays on this machine goes to one.
                trust_env=not self.api_url.startswith("http://"),
            )
            httpx.URL(self.api_url)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise Unusable(f"{self.api_url!r} is no address for Pylon's API: {error}") from None
        except (ImportError, OSError, ValueError) as error:
            raise Unusable(
                f"the environment's settings for proxies or certificates cannot be used: {error}"
            ) from None

    @property
    def region(self) -> str:
        return {US: "US", EU: "EU"}.get(self.api_url, "neither US nor EU")

    def close(self) -> None:
        self._http.close()

    def now(self) -> str:
        """The time by Pylon's clock, as far as its answers have told, in whole seconds UTC."""
        return iso(datetime.fromtimestamp(self.clock.now() + self._ahead, timezone.utc))

    def wall(self) -> str:
        """The time by this machine's clock, in whole seconds UTC."""
        return iso(datetime.fromtimestamp(self.clock.now(), timezone.utc))

    def me(self) -> Me:
        """Whose token this is. Raises Unauthorized, or Unavailable within 20 seconds where nobody
        answers; a rate limit is waited out."""
        try:
            data = self.record(Request("GET", "/me", "/me"), first=True)
        except Refused as error:
            if error.status != 403:
                raise
            raise Unauthorized(f"Pylon does not let this token in: {error}") from None
        user = data.get("user")
        if not isinstance(data.get("id"), str) or not 0 < len(data["id"]) <= LONGEST_WORDS:
            raise Unexpected(
                f"GET /me on {self.api_url} names no organisation. Is this Pylon's API?"
            )
        email = user.get("email") if isinstance(user, Mapping) else None
        name = clean(str(data.get("name") or ""))[:LONGEST_WORDS]
        email = clean(str(email or ""))[:LONGEST_WORDS] or None
        return Me(clean(data["id"]), self._secret.hide(name), email and self._secret.hide(email))

    def fetch(self, request: Request) -> Page:
        """One page of a list or search. Raises any of the errors but Unusable and Busy."""
        if request.is_for_one:
            return Page([self.record(request)])
        return self._tried(request, page_of, may_shrink=True)

    def record(self, request: Request, *, first: bool = False) -> Mapping[str, Any]:
        """The one record that `request` names."""
        return self._tried(
            request, lambda asked, payload, _: record_of(asked, payload), first=first
        )

    def raw(self, request: Request) -> Mapping[str, Any]:
        """The whole answer, unwrapped."""
        return self._tried(request, lambda _, payload, __: payload)

    def look(self, request: Request) -> Page:
        """One page of whatever the path answers; a single record is a page of one."""

        def read(asked: Request, payload: Mapping[str, Any], reply: Reply) -> Page:
            data = payload.get("data")
            return Page([data]) if isinstance(data, Mapping) else page_of(asked, payload, reply)

        return self._tried(request, read)

    def _tried(
        self, request: Request, read: Read[_T], *, first: bool = False, may_shrink: bool = False
    ) -> _T:
        """What `read` makes of the answer. Too large an answer is asked for in smaller pages, where
        that may be."""
        method, path = request.method, checked_path(request.path)
        if method != "GET" and not (method == "POST" and path.endswith("/search")):
            raise Unexpected(f"{method} {path} is not sent: this client only reads")
        while True:
            try:
                return self._persistently(request, read, first)
            except decoding.TooLarge as excess:
                fewer = smaller(request) if may_shrink else None
                if fewer is None:
                    raise Unexpected(
                        f"{method} {path}: the answer is over {excess}, more than what was asked"
                        " for can fill"
                    ) from None
                request = fewer
            except PylonError as error:
                error.args = (self._fit(error),)
                raise

    def _persistently(self, request: Request, read: Read[_T], first: bool) -> _T:
        """The one retry mechanism: passing faults a few times, a 429 for as long as it takes."""
        began = self.clock.steady()
        refused_since: float | None = None
        refusals = tries = 0
        while True:
            try:
                reply = self._sent(request, self._take(request), first)
                if reply.status == 429:
                    refusals += 1
                    if refused_since is None:
                        refused_since = self.clock.steady()
                    self._note_refusal(request, reply, refusals, refused_since)
                    continue
                refused_since, refusals = None, 0
                payload = payload_of(request, reply, self._server_now(reply), self.api_url)
                return read(request, payload, reply)
            except Passing as fault:
                tries += 1
                backoff = 2.0 ** (tries - 1) * (1 + random.random() / 4)
                # "At once" is said by servers that are not back at once.
                pause = max(backoff, fault.wait or 0.0)
                late = first and self.clock.steady() + pause - began > FIRST_TRIES_END
                if tries >= TRIES or late or pause > MAX_PAUSE:
                    raise fault.then from None
                self.on_wait(request.template, pause, self._fit(fault.then))
                self.clock.sleep(pause)

    def _sent(self, request: Request, ticket: Ticket, first: bool) -> Reply:
        method, path = request.method, request.path
        allowance = self._allowance(request)
        url = self.api_url + path
        try:
            if first:
                reply = _within(FIRST_SECONDS, lambda: self._exchange(request, url, FIRST))
            elif self.transport is None:
                reply = _within(MAX_SECONDS, lambda: self._exchange(request, url, PATIENT))
            else:
                reply = self._exchange(request, url, PATIENT)
        except BaseException as error:
            allowance.failed()
            meant = self._meant(request, error)
            if meant is error:
                raise
            raise meant from None
        if reply.date is not None:
            self._ahead = reply.date - self.clock.now()
        if reply.status != 429:
            remaining = reply.headers.get("x-rate-limit-remaining", "").strip()
            left = int(remaining[:9]) if remaining.isdecimal() else None
            allowance.answered(ticket, left)
            with self._lock:
                self.requests += 1
        self.on_answer(Answer(method, path, reply.status))
        return reply

    def _meant(self, request: Request, error: BaseException) -> BaseException:
        """What the failure of an exchange is to those who asked."""
        where = f"{request.method} {request.path}"
        if isinstance(error, httpx.ConnectError):
            return Passing(Unavailable(f"cannot reach {self.api_url}: {error}"))
        if isinstance(error, httpx.InvalidURL | UnicodeError):
            address = f"{self.api_url}{request.path}"[:120]
            return Unusable(f"{address!r} is no address of Pylon's API: {error}")
        if isinstance(error, decoding.Compressed):
            odd = str(error)[:LONGEST_WORDS]
            return Unexpected(f"{where}: the answer is compressed by {odd!r}, unasked")
        if isinstance(error, httpx.HTTPError | decoding.Torn):
            # str() of a timeout is often empty.
            what = str(error)[:LONGEST_WORDS] or type(error).__name__
            return Passing(Unavailable(f"{where}: no answer ({what})"))
        return error

    def _exchange(self, request: Request, url: str, timeout: httpx.Timeout) -> Reply:
        with self._http.stream(
            request.method,
            url,
            params=dict(request.params) or None,
            json=request.body if request.method == "POST" else None,
            timeout=timeout,
        ) as response:
            body = self._whole(response, decoding.bounds_of(request.most))
            date = http_date(response.headers.get("date", ""))
            return Reply(response.status_code, response.headers, body, date)

    def _whole(self, response: httpx.Response, bounds: decoding.Bounds) -> bytes:
        """The body of an answer, unless that has no end in sight."""
        began = self.clock.steady()
        body = bytearray()
        # As it comes: httpx would decompress whatever the header names, without bounds.
        assert isinstance(response.stream, httpx.SyncByteStream)
        encoding = response.headers.get("content-encoding", "")
        for chunk in decoding.decompressed(response.stream, encoding, bounds):
            body += chunk
            if self.clock.steady() - began > MAX_SECONDS:
                raise httpx.ReadTimeout(f"not complete after {MAX_SECONDS:.0f} s")
        return self._secret.taken_out(bytes(body))

    def _take(self, request: Request) -> Ticket:
        """Wait until the endpoint's allowance has room for this request."""
        while not isinstance(given := self._allowance(request).take(), Ticket):
            if given > PROBE:
                self._note_wait(request.template, given)
            self.clock.sleep(given)
        return given

    def _note_wait(self, template: str, seconds: float) -> None:
        """Tell of a wait once, however many workers share it, and count what others did not."""
        with self._lock:
            now = self.clock.steady()
            end = now + seconds
            self.waited += max(0.0, end - max(now, self._waited_until))
            self._waited_until = max(self._waited_until, end)
            is_news = end > self._told_until.get(template, 0.0) + PROBE
            self._told_until[template] = end
        if is_news:
            self.on_wait(template, seconds, "rate limited")

    def _allowance(self, request: Request) -> Allowance:
        key = (request.method, request.template)
        with self._lock:
            if key not in self._allowances:
                self._allowances[key] = Allowance(self.clock, guess_of(*key), self.share)
            return self._allowances[key]

    def _note_refusal(self, request: Request, reply: Reply, refusals: int, since: float) -> None:
        told = told_to_wait(reply.headers, self._server_now(reply))
        seconds = MINUTE if told is None else told
        # Clocks differ, and some servers always say the same: asked for less and less often.
        seconds = max(seconds, min(MINUTE, 0.1 * 2.0 ** min(refusals, 10)))
        waited = self.clock.steady() - since
        self._allowance(request).refused(min(seconds, MAX_WAIT), is_told=told is not None)
        if waited + seconds > MAX_WAIT:
            raise Unavailable(
                f"{request.method} {request.path}: Pylon's rate limit asks to wait for"
                f" {seconds:.0f} s, after {waited:.0f} s in which it answered nothing else",
                status=429,
            )

    def _server_now(self, reply: Reply) -> float:
        return self.clock.now() + self._ahead if reply.date is None else reply.date

    def _fit(self, error: PylonError) -> str:
        """What may be told of an error, which may repeat what Pylon said."""
        return self.hide(self._secret.hide(str(error)))


def _within(seconds: float, call: Callable[[], _T]) -> _T:
    """What `call` gives, if it does so in time. Timeouts of HTTP begin anew with each byte, so a
    server that sends one now and then would never be given up."""
    done: list[_T | BaseException] = []

    def run() -> None:
        try:
            done.append(call())
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        raise httpx.ReadTimeout(f"not complete after {seconds:.0f} s")
    if isinstance(done[0], BaseException):
        raise done[0]
    return done[0]
