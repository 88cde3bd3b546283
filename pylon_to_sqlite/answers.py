"""What an answer of Pylon's says: its records, its cursor, its words when it refuses. Pure."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, NoReturn

from pylon_to_sqlite.errors import PylonError, Unexpected
from pylon_to_sqlite.plan import Page, Request
from pylon_to_sqlite.text import clean

LONGEST_CURSOR = 10_000


class Reply(NamedTuple):
    """An answer that has wholly arrived."""

    status: int
    headers: Mapping[str, str]
    body: bytes

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


def page_of(request: Request, payload: Mapping[str, Any]) -> Page:
    """One page of a list: its records and the next cursor. Raises Unexpected or Passing."""
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
    if isinstance(cursor, str) and (len(cursor) > LONGEST_CURSOR or clean(cursor) != cursor):
        raise Unexpected(f"{where}: gives a cursor that cannot be sent back")
    if not isinstance(cursor, str) or not cursor:
        raise Passing(Unexpected(f"{where}: says that there is more, and gives no cursor"))
    if cursor == request.cursor:
        raise Passing(Unexpected(f"{where}: the same cursor came back again and again"))
    if not data:
        raise Passing(Unexpected(f"{where}: says that there is more, and gives no records"))
    return Page(data, cursor)


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
    return clean(f"{words} (request_id {request_id})" if request_id else words)


def no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
