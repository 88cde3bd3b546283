"""What goes in and out of the API: requests, responses, refusals, pages and their cursors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from .timeline import Position
from .times import precise, read

_T = TypeVar("_T")

Body = dict[str, Any]


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Request:
    """An HTTP request: header names in lower case, `body` a JSON object or None."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    readable: bool = True

    @property
    def asked(self) -> Mapping[str, Any]:
        """Where `limit` and `cursor` are: the body of a search, else the query."""
        return (self.body or {}) if self.method == "POST" else self.query


class Refusal(Exception):
    """The API answers with an error; `code` is stable where Pylon has one."""

    def __init__(
        self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers = headers or {}

    @property
    def body(self) -> Body:
        """The body of the error, which gets its request_id later."""
        return {"errors": [self.message], **({"code": self.code} if self.code else {})}


def parsed(
    method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], raw: bytes
) -> Request:
    """A request as it came over the wire."""
    lower = {name.lower(): value for name, value in headers.items()}
    if not raw.strip():
        return Request(method, path, dict(query), lower)
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    known = isinstance(body, dict)
    return Request(method, path, dict(query), lower, body if known else None, readable=known)


def limit_of(request: Request, *, default: int, highest: int, lowest: int = 1) -> int:
    """The page size asked for. Zero, where it is allowed, means the default."""
    given = request.asked.get("limit")
    if given in (None, ""):
        return default
    text = str(given)
    if request.method == "POST" and type(given) is not int:  # JSON has numbers, a query only text
        raise Refusal(400, f"limit must be a number, not {text!r}")
    if not text.lstrip("-").isdecimal() or not lowest <= int(text) <= highest:
        raise Refusal(400, f"limit must be between {lowest} and {highest}, not {text}")
    return int(text) or default


def cursor_at(position: Position) -> str:
    """The cursor that goes on behind a record: a keyset, so it stands although records go."""
    ms, key = position
    return base64.urlsafe_b64encode(f"{precise(ms)}|{key}".encode()).decode()


def cursor_of(request: Request) -> Position | None:
    """Where the request wants to go on, or None for the first page."""
    given = request.asked.get("cursor")
    if given in (None, ""):
        return None
    try:
        text = base64.b64decode(str(given), altchars=b"-_", validate=True).decode()
        when, _, key = text.partition("|")
        return read(when), key
    except ValueError:
        raise Refusal(400, "invalid cursor") from None


def page(
    found: Iterable[_T],
    limit: int,
    position: Callable[[_T], Position],
    payload: Callable[[_T], Body],
) -> Body:
    """The body of one page: up to `limit` of what was found, and how to go on."""
    taken = list(islice(found, limit + 1))
    more = len(taken) > limit
    cursor = cursor_at(position(taken[limit - 1])) if more else ""
    return {
        "data": [payload(item) for item in taken[:limit]],
        "pagination": {"cursor": cursor, "has_next_page": more},
    }
