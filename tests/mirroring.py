"""What the tests of the engine share: one run against the sandbox, and reading the mirror."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from pylon_to_sqlite.client import Client
from pylon_to_sqlite.downloads import Downloads
from pylon_to_sqlite.limits import Clock
from pylon_to_sqlite.run import Outcome, Wishes, mirror
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.streams import BY_NAME

TOKEN = "pylon_api_sandbox"
DAY = 86400.0
# What a run takes that leaves nothing out which the desk has.
ALL: dict[str, Any] = {"everything": True, "custom_objects": ["companies"]}


class Death(BaseException):
    """The end of the process, as far as the engine can tell."""


class DyingTransport(httpx.BaseTransport):
    """Passes `requests` requests on, then dies: before the request, or with its answer unread."""

    def __init__(self, api: Api, requests: int, *, answered: bool = False) -> None:
        self._inner = SandboxTransport(api)
        self._left = requests
        self._answered = answered

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._left -= 1
        if self._left < 0:
            if self._answered:
                self._inner.handle_request(request)
            raise Death
        return self._inner.handle_request(request)


def sync(
    path: Path,
    api: Api,
    clock: Any,
    *names: str,
    since: str | None = None,
    full: bool = False,
    allow_deletes: Sequence[str] = (),
    reconcile: bool = False,
    verify: float | None = None,
    erase_deleted: float | None = None,
    downloads: Downloads | None = None,
    workers: int = 1,
    everything: bool = False,
    skip: Sequence[str] = (),
    custom_objects: Sequence[str] = (),
    issue_type: str | None = None,
    public_only: bool | None = None,
    exclude: Sequence[str] = (),
    include: Sequence[str] = (),
    pseudonymize: bool | None = None,
    transport: httpx.BaseTransport | None = None,
    on_result: Callable[[Any], None] = lambda _: None,
) -> Outcome:
    """One run of the whole program below the command line."""
    transport = transport or SandboxTransport(api)
    with closing(
        Client(TOKEN, "http://localhost", transport, Clock(clock.now, clock.sleep, clock.now))
    ) as client:
        allowed = [BY_NAME[name] for name in allow_deletes]
        wishes = Wishes(
            names,
            everything=everything,
            skip=skip,
            custom_objects=custom_objects,
            issue_type=issue_type,
            public_only=public_only,
            exclude=exclude,
            include=include,
            pseudonymize=pseudonymize,
            since=since,
            full=full,
            allow_deletes=allowed,
            reconcile=reconcile,
            verify=verify,
            erase_deleted=erase_deleted,
            downloads=downloads,
            workers=workers,
        )
        return mirror(path, client, wishes, lambda _: None, on_result)


def die(path: Path, api: Api, clock: Any, requests: int, *names: str, **options: Any) -> bool:
    """A run that dies after so many requests; whether it did, for it may end before."""
    answered = options.pop("answered", False)
    try:
        sync(
            *(path, api, clock, *names),
            transport=DyingTransport(api, requests, answered=answered),
            **options,
        )
    except Death:
        return True
    return False


def rows(
    path: Path, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()
) -> list[dict[str, Any]]:
    """The rows of a query, by column name."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql, params)]


def live(path: Path, table: str) -> list[dict[str, Any]]:
    """The live rows of a stream's table, or all rows of a link table whose owner is live."""
    columns = {row["name"] for row in rows(path, f"PRAGMA table_info({table})")}
    wanted = ["1"]
    if "deleted_at" in columns:
        wanted.append("deleted_at IS NULL")
    if "placeholder" in columns:
        wanted.append("placeholder = 0")
    return rows(path, f"SELECT * FROM {table} WHERE {' AND '.join(wanted)}")


def errors(outcome: Outcome) -> dict[str, str]:
    """What failed, by stream."""
    return {one.stream.name: one.error for one in outcome.results if one.error}
