"""The API over a workspace: a request in, a response out, with Pylon's rules in between."""

from __future__ import annotations

import json
import math
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from .answers import Body, Refusal, Request, Response, parsed
from .faults import BODY_FAULTS, FAULTS, BrokenConnection, Fault
from .files import FILES_HOST, Signer, file_response
from .routes import ROUTES, Route
from .searches import OBJECT_TYPES, Rules
from .workspace import Workspace

HOSTS = {"us": "api.usepylon.com", "eu": "api.eu.usepylon.com"}
_EU_PREFIX = "pylon_api_eu_"
_OTHER_ALLOWANCE = 300  # for paths that the API does not have
_UNAVAILABLE = {
    403: ("your plan or your token does not allow this", "permission_denied"),
    404: ("not found", "not_found"),
}


@dataclass(frozen=True)
class LoggedRequest:
    """A request that was answered. `body` is parsed JSON; status 0 stands for no whole answer."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Body | None
    status: int


class Allowances:
    """Requests of each endpoint, counted in fixed windows of a minute."""

    def __init__(self, minute: float) -> None:
        self._minute = minute
        self._windows: dict[str, tuple[int, int]] = {}

    def left(self, endpoint: str, allowance: int, now: float) -> int:
        """How many requests the current window still allows."""
        window, used = self._windows.get(endpoint, (0, 0))
        return allowance - (used if window == self._window(now) else 0)

    def take(self, endpoint: str, allowance: int, now: float) -> None:
        """Count one request. Raises Refusal when the window has none left."""
        left, window = self.left(endpoint, allowance, now), self._window(now)
        if left <= 0:
            seconds = max(1, math.ceil((window + 1) * self._minute - now))
            headers = {"X-Retry-After": str(seconds)}
            raise Refusal(429, "too many requests", "rate_limited", headers)
        self._windows[endpoint] = window, allowance - left + 1

    def _window(self, now: float) -> int:
        return math.floor(now / self._minute)


class Api:
    """Pylon's REST API over a workspace, which it never changes.

    `allowance` is the table of an era ("2025", "2026"), one number for every endpoint, or None for
    no limits (and no X-Rate-Limit-Remaining); windows last `minute` seconds of the clock.
    `writes` holds what would have changed something, and stays empty for a mirror; `strays` the
    requests that came with their token to a host which is not Pylon's API. `met` counts the
    requests that met a fault, by its kind.

    `unavailable` says which endpoints, as they stand in ROUTES, a plan, a token's rights or the
    year does not allow: {"GET /audit-logs": 403}, or 404. It can be changed between requests.
    Files are at `files_url`, by default at a host that SandboxTransport answers for; requests
    for them are in `downloads`.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        token: str = "pylon_api_sandbox",
        allowance: str | int | None = "2026",
        minute: float = 60.0,
        max_window_days: float | None = None,
        search_lag: float = 0.0,
        region: str = "us",
        inclusive: bool = False,
        max_list_days: float = 30.0,
        object_types: Sequence[str] = OBJECT_TYPES,
        unavailable: Mapping[str, int] | None = None,
        log: bool = True,
    ) -> None:
        if isinstance(allowance, str) and allowance not in ("2025", "2026"):
            raise ValueError(f"unknown allowance {allowance!r}: '2025', '2026', a number or None")
        self.workspace = workspace
        self.token, self.region, self.allowance = token, region, allowance
        self.rules = Rules(
            max_window_days, max_list_days, search_lag, inclusive, tuple(object_types)
        )
        self.unavailable = _checked(unavailable or {})
        self.files_url = f"https://{FILES_HOST}"
        self.log: list[LoggedRequest] = []
        self.writes: list[LoggedRequest] = []
        self.strays: list[str] = []
        self.downloads: list[LoggedRequest] = []
        self.refused = 0
        self.met: Counter[str] = Counter()
        self._logging = log
        self._counts: Counter[str] = Counter()
        self._faults: list[Fault] = []
        self._allowances = Allowances(minute)
        self._signer = Signer()
        self._answers = 0
        self._lock = threading.Lock()

    def handle(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Response:
        """Answer a request. Raises BrokenConnection where a fault leaves no whole answer."""
        request = parsed(method, path, query, headers, body)
        route, key = _route(request)
        try:
            response = self._respond(request, route, key)
        except Refusal as refusal:
            response = self._finished(refusal.status, refusal.body, route, refusal.headers)
        except BrokenConnection:
            self._note(request, 0)
            raise
        self._note(request, response.status)
        return response

    def fetch(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Response:
        """Answer a request to the host of the files, which neither asks for a token nor counts.

        Faults meet these requests too, by the path of the file, but for those that are about the
        JSON of an answer. Raises BrokenConnection where a fault leaves no whole answer.
        """
        request, now = parsed(method, path, query, headers, b""), self.workspace.clock()
        if "authorization" in request.headers:
            self.strays.append(f"https://{FILES_HOST}{path}")

        def answer(earlier: Workspace | None) -> Response:
            return file_response(request, (earlier or self.workspace).files, now)

        with self._lock:
            able = (fault for fault in self._faults if fault.kind not in BODY_FAULTS)
            fault = next((fault for fault in able if fault.hits(request)), None)
        status = 0
        try:
            response = fault.meet(request, answer, now) if fault else answer(None)
            status = response.status
        except Refusal as refusal:
            status = refusal.status
            response = Response(status, refusal.headers, b"")
        finally:
            self.downloads.append(LoggedRequest(method, path, request.query, None, status))
        return response

    def misbehave(
        self,
        fault: str,
        path: str = ".*",
        *,
        times: int = 1,
        after: int = 0,
        method: str = ".*",
        **options: Any,
    ) -> None:
        """Let the next requests of a path meet a fault: `times` of them (-1: all), `after` some.

        `path` and `method` are regular expressions for the whole of it. Options: `retry_after`
        (429, 503), `seconds` (timeout), `field` and `value` (extra-field), `body`, `status` and
        `headers` (custom). "stale-page" answers from the workspace as it is at this call.
        """
        if fault not in FAULTS:
            raise ValueError(f"unknown fault {fault!r}: one of {', '.join(sorted(FAULTS))}")
        snapshot = self.workspace.snapshot() if fault == "stale-page" else None
        patterns = re.compile(path), re.compile(method)
        with self._lock:
            self._faults.append(Fault(fault, *patterns, times, after, options, snapshot))

    def behave(self) -> None:
        """Take all faults back."""
        with self._lock:
            self._faults.clear()

    def count(self, pattern: str = ".*") -> int:
        """How many requests had a "METHOD /path" that matches as a whole; 429s do not count."""
        matches = re.compile(pattern).fullmatch
        with self._lock:
            return sum(times for what, times in self._counts.items() if matches(what))

    def _respond(self, request: Request, route: Route | None, key: str) -> Response:
        if _would_write(request):
            raise Refusal(405, "method not allowed")
        self._check_token(request)
        now = self.workspace.clock()
        allowance = self._allowance(route)
        with self._lock:
            if allowance is not None:
                self._allowances.take(_endpoint(route), allowance, now)
            fault = next((fault for fault in self._faults if fault.hits(request)), None)
            if fault:
                self.met[fault.kind] += 1

        def answer(workspace: Workspace | None) -> Response:
            return self._answer(request, route, key, workspace)

        if fault is None:
            return answer(None)
        met = fault.meet(request, answer, now)
        return Response(met.status, {**self._headers(route, now), **met.headers}, met.body)

    def _answer(
        self, request: Request, route: Route | None, key: str, earlier: Workspace | None
    ) -> Response:
        if route is None:
            raise Refusal(404, "not found", "not_found")
        if route.endpoint in self.unavailable:
            status = self.unavailable[route.endpoint]
            raise Refusal(status, *_UNAVAILABLE[status])
        workspace = earlier or self.workspace
        with workspace.lock:
            body = route.answer(workspace, request, self.rules, key)
            body = self._signer.sign(body, workspace.files, self.files_url, workspace.clock())
        # A cache hands on the Date of the answer that it kept.
        date = {"Date": formatdate(workspace.clock(), usegmt=True)} if earlier else {}
        return self._finished(200, body, route, date)

    def _check_token(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            message = "the Authorization header must be: Bearer <token>"
            raise Refusal(401, message, "invalid_authorization_header")
        home = "eu" if token.startswith(_EU_PREFIX) else "us"
        if home != self.region and token.startswith("pylon_api_"):
            message = f"this token belongs to another region, use https://{HOSTS[home]}"
            raise Refusal(401, message, "wrong_region_token")
        if token != self.token:
            raise Refusal(401, "the API token is not valid", "invalid_api_token")

    def _allowance(self, route: Route | None) -> int | None:
        if not isinstance(self.allowance, str):
            return self.allowance
        if route is None:
            return _OTHER_ALLOWANCE
        return route.allowance if self.allowance == "2026" else route.allowance_before

    def _finished(
        self, status: int, body: Body, route: Route | None, headers: Mapping[str, str]
    ) -> Response:
        with self._lock:
            self._answers += 1
            request_id = f"{self._answers:032x}"
        raw = json.dumps({**body, "request_id": request_id}).encode()
        usual = self._headers(route, self.workspace.clock())
        return Response(status, {**usual, **headers}, raw)

    def _headers(self, route: Route | None, now: float) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Date": formatdate(now, usegmt=True)}
        allowance = self._allowance(route)
        if allowance is not None:
            with self._lock:
                left = self._allowances.left(_endpoint(route), allowance, now)
            headers["X-Rate-Limit-Remaining"] = str(max(left, 0))
        return headers

    def _note(self, request: Request, status: int) -> None:
        entry = LoggedRequest(request.method, request.path, request.query, request.body, status)
        with self._lock:
            if status == 429:
                self.refused += 1
            else:
                self._counts[f"{request.method} {request.path}"] += 1
            if _would_write(request):
                self.writes.append(entry)
            if self._logging:
                self.log.append(entry)


def _checked(unavailable: Mapping[str, int]) -> dict[str, int]:
    known = {route.endpoint for route in ROUTES}
    for endpoint, status in unavailable.items():
        if endpoint not in known or status not in _UNAVAILABLE:
            raise ValueError(f"{endpoint!r} cannot be unavailable with {status}")
    return dict(unavailable)


def _would_write(request: Request) -> bool:
    is_search = request.method == "POST" and request.path.endswith("/search")
    return request.method != "GET" and not is_search


def _route(request: Request) -> tuple[Route | None, str]:
    for route in ROUTES:
        match = route.pattern.fullmatch(request.path)
        if match and route.method == request.method:
            return route, match.groupdict().get("key") or ""
    return None, ""


def _endpoint(route: Route | None) -> str:
    return route.endpoint if route else "elsewhere"
