"""What an answer of Pylon's says: its records, its cursor, its words when it refuses. Pure."""

from collections.abc import Mapping
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote

from pylon_to_sqlite import decoding
from pylon_to_sqlite.address import EU, US
from pylon_to_sqlite.errors import (
    Gone,
    PylonError,
    Refused,
    Unauthorized,
    Unavailable,
    Unexpected,
)
from pylon_to_sqlite.exchange import Page, Request
from pylon_to_sqlite.limits import told_to_wait
from pylon_to_sqlite.plan import iso
from pylon_to_sqlite.text import clean

LONGEST_CURSOR = 10_000
LONGEST_WORDS = 500
_TRANSIENT = frozenset([408, 425])


class Reply(NamedTuple):
    """An answer that has wholly arrived."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    date: float | None
    """When it was given by Pylon's clock, in seconds since 1970."""

    @property
    def reason(self) -> str:
        known = {one.value: one.phrase for one in HTTPStatus}
        return known.get(self.status, "")


class Passing(Exception):
    """A fault that may be over on the next try; `then` is what it is once the tries are spent."""

    def __init__(self, then: PylonError, wait: float | None = None) -> None:
        super().__init__(str(then))
        self.then = then
        self.wait = wait


def payload_of(
    request: Request, reply: Reply, server_now: float, api_url: str
) -> Mapping[str, Any]:
    """The object that an answer is. Raises what a refusal or another shape means, Passing where it
    may be over on the next try, TooLarge for more than was asked for."""
    where = f"{request.method} {request.path}"
    payload = None
    try:
        payload = decoding.parsed(reply.body, decoding.bounds_of(request.most))
    except ValueError:
        pass
    except decoding.TooDeep:
        if reply.status < 300:
            raise Unexpected(f"{where}: the answer is nested too deep") from None
    except decoding.TooLarge:
        if reply.status < 300:
            raise
    if reply.status >= 300:
        _raise_status(where, reply, payload, server_now, api_url)
    if payload is None:
        kind = "HTML" if reply.body.lstrip()[:1] == b"<" else "no JSON"
        raise Passing(Unexpected(f"{where}: the answer is {kind}"))
    if not isinstance(payload, Mapping):
        raise Unexpected(f"{where}: the answer is no object but a {type(payload).__name__}")
    if payload.get("errors"):
        raise Refused(f"{where}: {words_of(payload)}", status=400)
    return payload


def _raise_status(
    where: str, reply: Reply, payload: object, server_now: float, api_url: str
) -> NoReturn:
    status = reply.status
    words = f"{where}: {status} {words_of(payload) or reply.reason}".rstrip()
    if status == 401:
        raise Unauthorized(_unauthorized(payload, api_url), status=status)
    if status in (404, 410) and not is_pylons(payload):
        # A proxy's page says nothing of what Pylon has.
        raise Passing(Unavailable(f"{words}: the answer is not Pylon's", status=status))
    if status in (404, 410):
        raise Gone(words, status=status)
    if status >= 500 or status in _TRANSIENT:
        wait = told_to_wait(reply.headers, server_now)
        raise Passing(Unavailable(words, status=status), wait)
    if status < 400:
        raise Unexpected(f"{words}: redirects are not followed", status=status)
    raise Refused(words, status=status)


def _unauthorized(payload: object, api_url: str) -> str:
    said = words_of(payload)
    if isinstance(payload, Mapping) and payload.get("code") == "wrong_region_token":
        other = US if api_url == EU else EU
        return (
            f"this token belongs to another region than {api_url} ({said}): use --api-url {other}"
        )
    return (
        f"Pylon does not accept the token ({said or '401'}): an admin can create one"
        " in Pylon under Settings > API; then run pylon-to-sqlite auth"
    )


def page_of(request: Request, payload: Mapping[str, Any], reply: Reply) -> Page:
    """One page of a list: its records and the next cursor. Raises Unexpected or Passing."""
    where = f"{request.method} {request.path}"
    data = payload.get("data")
    if data is not None and not isinstance(data, list):
        raise Unexpected(f"{where}: data is no list but a {type(data).__name__}")
    cursor = _cursor_of(where, request, payload.get("pagination"), data)
    told_at = None
    if reply.date is not None:
        told_at = iso(datetime.fromtimestamp(reply.date, timezone.utc))
    is_bare = "data" not in payload
    return Page(data or [], cursor, told_at, is_silent=data is None, is_bare=is_bare)


def _cursor_of(where: str, request: Request, pagination: object, data: object) -> str | None:
    records = data if isinstance(data, list) else []
    if request.cursor and data is None:
        # Believed, the rest of a list would not be missed before it is read whole again.
        raise Passing(Unexpected(f"{where}: said that there is more, and then gives nothing"))
    if not isinstance(pagination, Mapping):
        if request.limit and len(records) >= request.limit and not request.is_cut_off:
            raise Passing(Unexpected(f"{where}: a full page does not say whether there is more"))
        return None
    cursor = pagination.get("cursor")
    has_next = pagination.get("has_next_page")
    if not (bool(cursor) if has_next is None else has_next):
        return None
    if isinstance(cursor, str) and not _can_be_sent(cursor):
        raise Unexpected(f"{where}: gives a cursor that cannot be sent back")
    if not isinstance(cursor, str) or not cursor:
        raise Passing(Unexpected(f"{where}: says that there is more, and gives no cursor"))
    if cursor == request.cursor:
        raise Passing(Unexpected(f"{where}: the same cursor came back again and again"))
    if not records:
        raise Passing(Unexpected(f"{where}: says that there is more, and gives no records"))
    return cursor


def _can_be_sent(cursor: str) -> bool:
    """Whether it fits into an address, whatever is in it."""
    return clean(cursor) == cursor and len(quote(cursor, safe="")) <= LONGEST_CURSOR


def is_pylons(payload: object) -> bool:
    """Whether a refusal is shaped as Pylon's own are, and not some proxy's page."""
    return isinstance(payload, Mapping) and bool({"errors", "code", "request_id"} & set(payload))


def record_of(request: Request, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    data = payload.get("data")
    if not isinstance(data, Mapping):
        raise Unexpected(
            f"{request.method} {request.path}: data is no object but a {type(data).__name__}"
        )
    return data


def words_of(payload: object) -> str:
    """What an error says: its code, its sentences and the request's id."""
    if not isinstance(payload, Mapping):
        return ""
    errors = payload.get("errors")
    said = [str(error) for error in errors] if isinstance(errors, list) else []
    words = ": ".join(filter(None, [str(payload.get("code") or ""), "; ".join(said)]))
    request_id = payload.get("request_id")
    # What goes on a terminal and into the file is cleaned, whatever the server sent.
    words = f"{words} (request_id {request_id})" if request_id else words
    return clean(words)[:LONGEST_WORDS]
