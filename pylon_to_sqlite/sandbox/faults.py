"""What an API can do wrong, by name; `Api.misbehave` chooses whom it meets and how often."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from .answers import Body, Refusal, Request, Response, cursor_at
from .workspace import Workspace

ELSEWHERE = "elsewhere.invalid"
"""The host that the "redirect" fault points to: nothing may follow it there."""

_HTML = b"<!doctype html><html><title>Just a moment</title><h1>Bad gateway</h1></html>"


class BrokenConnection(Exception):
    """There is no whole response: the transport breaks off in the way `kind` names."""

    def __init__(self, kind: str, seconds: float = 0.0, response: Response | None = None) -> None:
        super().__init__(kind)
        self.kind, self.seconds, self.response = kind, seconds, response


Answer = Callable[["Workspace | None"], Response]
"""The undisturbed response, from the workspace as it is or from an earlier state of it."""


@dataclass(eq=False)
class Fault:
    """A fault, the requests it is for, and how many of them it still lets pass and meets."""

    kind: str
    path: re.Pattern[str]
    method: re.Pattern[str]
    times: int
    after: int
    options: Mapping[str, Any]
    snapshot: Workspace | None = None

    def hits(self, request: Request) -> bool:
        """Whether this request meets the fault. Counts it if it is one the fault is for."""
        if not (self.path.fullmatch(request.path) and self.method.fullmatch(request.method)):
            return False
        if self.kind == "refused-cursor" and not request.asked.get("cursor"):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times == 0:
            return False
        if self.times > 0:
            self.times -= 1
        return True

    def meet(self, request: Request, answer: Answer, now: float) -> Response:
        """The response of a request that met this fault, unless it breaks the connection."""
        if self.kind in _REFUSALS:
            status, message, code = _REFUSALS[self.kind]
            raise Refusal(status, message, code, self._headers(now))
        if self.kind in _WHOLE:
            return _WHOLE[self.kind](self.options)
        if self.kind in BROKEN:
            response = answer(None) if self.kind == "half-body" else None
            raise BrokenConnection(self.kind, self.options.get("seconds", 3600.0), response)
        response = answer(self.snapshot)
        if self.kind == "torn":
            return Response(response.status, response.headers, response.body[:-20])
        if self.kind == "wrong-date":
            date = formatdate(now + self.options.get("seconds", 3600.0), usegmt=True)
            return Response(response.status, {**response.headers, "Date": date}, response.body)
        if self.kind in _BODIES and response.status == 200:
            body = json.loads(response.body)
            _BODIES[self.kind](body, request, self.options)
            return Response(200, response.headers, json.dumps(body).encode())
        return response

    def _headers(self, now: float) -> dict[str, str]:
        seconds = self.options.get("retry_after", 1)
        if self.kind == "429":
            return {"X-Retry-After": str(seconds)}
        if self.kind == "429-retry-after-date":
            return {"Retry-After": formatdate(now + seconds, usegmt=True)}
        if self.kind == "429-remaining":
            return {"X-Rate-Limit-Remaining": "0"}
        return {"Retry-After": str(seconds)} if self.kind == "503" else {}


_REFUSALS: dict[str, tuple[int, str, str]] = {
    "429": (429, "too many requests", "rate_limited"),
    "429-no-header": (429, "too many requests", "rate_limited"),
    "429-remaining": (429, "too many requests", "rate_limited"),
    "429-retry-after-date": (429, "too many requests", "rate_limited"),
    "500": (500, "internal server error", ""),
    "503": (503, "service unavailable", ""),
    "400": (400, "bad request", ""),
    "401": (401, "the API token is not valid", "invalid_api_token"),
    "403": (403, "permission denied", "permission_denied"),
    "404": (404, "not found", "not_found"),
    "408": (408, "request timeout", ""),
    "409": (409, "conflict", ""),
    "410": (410, "gone", ""),
    "422": (422, "unprocessable entity", ""),
    "refused-cursor": (400, "invalid cursor", ""),
}


def _custom(options: Mapping[str, Any]) -> Response:
    body = options.get("body", b"")
    raw = body.encode() if isinstance(body, str) else body
    if not isinstance(raw, bytes):
        raw = json.dumps(raw).encode()
    return Response(options.get("status", 200), dict(options.get("headers", {})), raw)


_WHOLE: dict[str, Callable[[Mapping[str, Any]], Response]] = {
    "502-html": lambda options: Response(502, {"Content-Type": "text/html"}, _HTML),
    "html": lambda options: Response(200, {"Content-Type": "text/html"}, _HTML),
    "redirect": lambda options: Response(302, {"Location": f"https://{ELSEWHERE}/"}, b""),
    "custom": _custom,
}

BROKEN = frozenset(
    {"reset", "timeout", "refused-connection", "dns-failure", "tls-failure", "half-body"}
)
"""Those that leave no whole answer."""


def _errors(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    del body["data"]
    body.pop("pagination", None)
    body["errors"] = ["something went wrong"]


def _no_rows(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    del body["data"]
    body.pop("pagination", None)


def _null(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    body["data"] = None


def _object(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    body["data"] = {"items": body["data"]}


def _text(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    body["data"] = "text"


def _odd_key(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    _no_key(body, request, options)
    _records(body)[0]["slug" if request.path == "/issue-statuses" else "id"] = {"is": "odd"}


def _no_key(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    records = _records(body) or [{}]
    records[0].pop("slug" if request.path == "/issue-statuses" else "id", None)
    if isinstance(body["data"], list) or body["data"] is None:
        body["data"] = records


def _text_for_record(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    single = isinstance(body["data"], dict)
    body["data"] = "not an object" if single else ["not an object", *_records(body)[1:]]


def _no_pagination(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    body.pop("pagination", None)


def _same_cursor(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    cursor = request.asked.get("cursor") or _next_cursor(body)
    body["pagination"] = {"cursor": cursor, "has_next_page": True}


def _nothing_but_next(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    body["pagination"] = {"cursor": _next_cursor(body), "has_next_page": True}
    del body["data"]


def _extra_field(body: Body, request: Request, options: Mapping[str, Any]) -> None:
    for record in _records(body):
        record[options.get("field", "added_lately")] = options.get("value", "something new")


def _records(body: Body) -> list[Any]:
    data = body["data"]
    return data if isinstance(data, list) else [data] if data else []


def _next_cursor(body: Body) -> str:
    given = (body.get("pagination") or {}).get("cursor")
    return str(given or cursor_at((0, "the-end")))


_BODIES: dict[str, Callable[[Body, Request, Mapping[str, Any]], None]] = {
    "errors-on-200": _errors,
    "data-null": _null,
    "no-data": _no_rows,
    "data-object": _object,
    "data-text": _text,
    "no-key": _no_key,
    "odd-key": _odd_key,
    "not-an-object": _text_for_record,
    "no-pagination": _no_pagination,
    "repeat-cursor": _same_cursor,
    "next-without-data": _nothing_but_next,
    "extra-field": _extra_field,
}

BODY_FAULTS = frozenset(_BODIES)
"""Those that change the JSON of an answer."""

FAULTS = frozenset({*_REFUSALS, *_WHOLE, *BROKEN, *_BODIES, "torn", "stale-page", "wrong-date"})
"""Every fault there is."""
