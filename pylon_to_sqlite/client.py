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
from pylon_to_sqlite.answers import (
    Passing,
    Reply,
    is_pylons,
    no_constant,
    page_of,
    record_of,
    words_of,
)
from pylon_to_sqlite.errors import (
    Gone,
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
MAX_PAUSE = 300.0
LONGEST_WORDS = 500
SHORTEST_WAIT = 1.0

# A page of 999 issues has been seen to take 18 s.
PATIENT = httpx.Timeout(connect=15.0, read=120.0, write=30.0, pool=None)
# The first question must tell within 20 s that nobody answers. The connect timeout counts for
# each address of the host, so no try begins after FIRST_TRIES_END.
FIRST = httpx.Timeout(connect=4.0, read=8.0, write=4.0, pool=None)
FIRST_TRIES_END = 6.0
FIRST_SECONDS = 12.0

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

    token: str
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
        self.api_url = checked_url(self.api_url)
        self._lock = threading.Lock()
        self._allowances: dict[tuple[str, str], Allowance] = {}
        self._ahead = 0.0  # seconds by which Pylon's clock is ahead of ours
        # By the steady clock: when the last wait ends, over all and of each endpoint.
        self._waited_until = 0.0
        self._told_until: dict[str, float] = {}
        headers = {
            "Authorization": f"Bearer {checked_token(self.token)}",
            "Accept": "application/json",
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
        return self._tried(request, lambda payload, reply: page_of(request, payload, reply))

    def record(self, request: Request, *, first: bool = False) -> Mapping[str, Any]:
        """The one record that `request` names."""
        return self._tried(request, lambda payload, _: record_of(request, payload), first=first)

    def raw(self, request: Request) -> Mapping[str, Any]:
        """The whole answer, unwrapped."""
        return self._tried(request, lambda payload, _: payload)

    def look(self, request: Request) -> Page:
        """One page of whatever the path answers; a single record is a page of one."""

        def read(payload: Mapping[str, Any], reply: Reply) -> Page:
            data = payload.get("data")
            return Page([data]) if isinstance(data, Mapping) else page_of(request, payload, reply)

        return self._tried(request, read)

    def _tried(
        self,
        request: Request,
        read: Callable[[Mapping[str, Any], Reply], _T],
        *,
        first: bool = False,
    ) -> _T:
        """The one retry mechanism: passing faults a few times, a 429 for as long as it takes."""
        method, path = request.method, checked_path(request.path)
        if method != "GET" and not (method == "POST" and path.endswith("/search")):
            raise Unexpected(f"{method} {path} is not sent: this client only reads")
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
                refused_since = None
                return read(self._payload(request, reply), reply)
            except Passing as fault:
                tries += 1
                backoff = 2.0 ** (tries - 1) * (1 + random.random() / 4)
                # "At once" is said by servers that are not back at once.
                pause = max(backoff, fault.wait or 0.0)
                late = first and self.clock.steady() + pause - began > FIRST_TRIES_END
                if tries >= TRIES or late or pause > MAX_PAUSE:
                    raise fault.then from None
                self.on_wait(request.template, pause, str(fault))
                self.clock.sleep(pause)

    def _sent(self, request: Request, ticket: Ticket, first: bool) -> Reply:
        method, path = request.method, request.path
        allowance = self._allowance(request)
        url = self.api_url + path
        try:
            if first:
                reply = _within(FIRST_SECONDS, lambda: self._exchange(request, url, FIRST))
            else:
                reply = self._exchange(request, url, PATIENT)
        except BaseException as error:
            allowance.failed()
            if isinstance(error, httpx.ConnectError):
                raise Passing(Unavailable(f"cannot reach {self.api_url}: {error}")) from None
            if isinstance(error, httpx.InvalidURL | UnicodeError):
                where = f"{self.api_url}{path}"[:120]
                raise Unusable(f"{where!r} is no address of Pylon's API: {error}") from None
            if isinstance(error, httpx.HTTPError):
                # str() of a timeout is often empty.
                what = str(error) or type(error).__name__
                raise Passing(Unavailable(f"{method} {path}: no answer ({what})")) from None
            raise
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

    def _exchange(self, request: Request, url: str, timeout: httpx.Timeout) -> Reply:
        with self._http.stream(
            request.method,
            url,
            params=dict(request.params) or None,
            json=request.body if request.method == "POST" else None,
            timeout=timeout,
        ) as response:
            return self._whole(response, MAX_SECONDS)

    def _whole(self, response: httpx.Response, seconds: float) -> Reply:
        """The answer with its body, unless that has no end in sight."""
        began = self.clock.steady()
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                raise Unexpected(f"{response.url.path}: the answer is over {MAX_BYTES:,} bytes")
            if self.clock.steady() - began > seconds:
                raise httpx.ReadTimeout(f"not complete after {seconds:.0f} s")
        date = http_date(response.headers.get("date", ""))
        return Reply(response.status_code, response.headers, bytes(body), date)

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
        if seconds < SHORTEST_WAIT:
            # "At once" is said by clocks that differ: asked for less and less often.
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

    def _payload(self, request: Request, reply: Reply) -> Mapping[str, Any]:
        try:
            payload = json.loads(reply.body, parse_constant=no_constant)
        except (ValueError, RecursionError):
            payload = None
        where = f"{request.method} {request.path}"
        if reply.status >= 300:
            self._raise_status(where, reply, payload)
        if payload is None:
            kind = "HTML" if reply.body.lstrip()[:1] == b"<" else "no JSON"
            raise Passing(Unexpected(f"{where}: the answer is {kind}"))
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
        if status in (404, 410) and not is_pylons(payload):
            # A proxy's page says nothing of what Pylon has.
            raise Passing(Unavailable(f"{words}: the answer is not Pylon's", status=status))
        if status in (404, 410):
            raise Gone(words, status=status)
        if status >= 500 or status in _TRANSIENT:
            wait = told_to_wait(reply.headers, self._server_now(reply))
            raise Passing(Unavailable(words, status=status), wait)
        if status < 400:
            raise Unexpected(f"{words}: redirects are not followed", status=status)
        raise Refused(words, status=status)

    def _said(self, payload: object) -> str:
        """Pylon's words for people, without the token, should it repeat it."""
        return self.hide(words_of(payload).replace(self.token, "…"))[:LONGEST_WORDS]

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
