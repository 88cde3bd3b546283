"""Raw calls, for looking: `pylon-to-sqlite get`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from pylon_to_sqlite.address import checked_path
from pylon_to_sqlite.client import Client
from pylon_to_sqlite.plan import Request, see


def request_of(path: str) -> Request:
    """The GET of a path with its query. Raises Unusable for anything that names another host."""
    path, _, query = path.partition("?")
    checked_path(path)
    params = parse_qs(query, keep_blank_values=True)
    return Request("GET", path, path, params, cursor=params.get("cursor", [None])[-1])


def records(client: Client, request: Request, paginate: bool) -> Iterator[Any]:
    """The records of a list, of all its pages where `paginate`; a single one as a list of one."""
    seen: set[str] = set()
    while True:
        page = client.look(request)
        yield from page.records
        if not paginate or page.cursor is None:
            return
        see(request, page, seen)
        params = {**request.params, "cursor": page.cursor}
        request = replace(request, params=params, cursor=page.cursor)
